/* SPDX-License-Identifier: Apache-2.0 */
/* The small texts that booting reads. The first byte chooses the reader: kernel command line, os-release,
 * note of the boot, name of an entry, EFI variable. */

#include "fuzz.h"

#include "boot.h"
#include "booted.h"
#include "efivar.h"
#include "init-cmdline.h"
#include "init-release.h"

#include <string.h>

static void read_entry_name(const char *text)
{
        BootEntry entry, again;
        char name[256];

        if (boot_entry_parse_name(text, &entry) < 0)
                return;
        MUST(image_id_is_valid(entry.image_id) && version_is_valid(entry.version));
        MUST(boot_entry_format_name(&entry, name) >= 0);
        MUST(boot_entry_parse_name(name, &again) >= 0);
        MUST(strcmp(entry.version, again.version) == 0 && entry.tries_left == again.tries_left &&
                        entry.tries_done == again.tries_done && entry.is_counted == again.is_counted);
}

static void read_variable(const uint8_t *data, size_t size)
{
        char *text;

        if (efivar_decode(data, size, &text) < 0)
                return;
        MUST(strlen(text) <= EFIVAR_TEXT_MAX);
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        InitRelease release;
        Error error = { 0 };
        Cmdline cmdline;
        Booted booted;
        char *text;

        if (size == 0)
                return 0;
        text = strndup((const char *)data + 1, size - 1);
        MUST(text);
        switch (data[0] % 5) {
        case 0:
                MUST((cmdline_parse(text, &cmdline, &error) < 0) == error_is_set(&error));
                MUST(cmdline.wait_seconds <= 600 && cmdline.watchdog_seconds <= 3600);
                break;
        case 1:
                if (init_release_parse(text, &release) >= 0)
                        MUST(image_id_is_valid(release.image_id) && version_is_valid(release.version));
                break;
        case 2:
                if (booted_parse(text, &booted, &error) >= 0)
                        MUST(version_is_valid(booted.version) && strlen(booted.disk) < BOOTED_DISK_MAX);
                break;
        case 3:
                read_entry_name(text);
                break;
        default:
                read_variable(data + 1, size - 1);
        }
        free(text);
        return 0;
}
