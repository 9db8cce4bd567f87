/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include "file.h"

#include <blkid/blkid.h>
#include <string.h>

DEFINE_CLEANUP(blkid_probe, blkid_free_probe)

static const char *value_of(blkid_probe probe, const char *name)
{
        const char *value;

        return blkid_probe_lookup_value(probe, name, &value, NULL) == 0 && *value ? value : NULL;
}

/* Labels are bytes that anyone chose. */
static void make_printable(char *text)
{
        for (unsigned char *p = (unsigned char *)text; *p; p++)
                if (*p < 0x20 || *p >= 0x7f)
                        *p = '?';
}

int probe_content(int fd, uint64_t offset_bytes, uint64_t size_bytes, char **ret)
{
        _cleanup_(blkid_free_probep) blkid_probe probe = blkid_new_probe();
        const char *type, *label, *table;
        char *text;

        if (!probe)
                return -ENOMEM;
        if (blkid_probe_set_device(probe, fd, (blkid_loff_t)offset_bytes, (blkid_loff_t)size_bytes) < 0)
                return -EIO;
        (void)blkid_probe_enable_superblocks(probe, 1);
        (void)blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL);
        (void)blkid_probe_enable_partitions(probe, 1);
        if (blkid_do_fullprobe(probe) < 0)
                return -EIO;
        type = value_of(probe, "TYPE");
        label = value_of(probe, "LABEL");
        table = value_of(probe, "PTTYPE");
        if (type)
                text = string_format("%s%s%s%s", type, label ? " (label " : "", label ? label : "",
                                label ? ")" : "");
        else
                text = string_format("%s%s", table ? "partition table " : "", table ? table : "");
        if (!text)
                return -ENOMEM;
        make_printable(text);
        *ret = text;
        return 0;
}
