/* SPDX-License-Identifier: Apache-2.0 */

/* bascule-init: the first process of the initrd (bootloader-hooks/README.md, "Booting, step by step"). One
 * straight line; every failure on it ends in init_give_up(), which reboots, so that a release on trial uses
 * up a try. */

#include "efivar.h"
#include "file.h"
#include "hex.h"
#include "init-cmdline.h"
#include "init-disk.h"
#include "init-dm.h"
#include "init-mounts.h"
#include "init-release.h"
#include "init-system.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define MODULE_LIST "/etc/bascule-initrd/modules"
#define OS_RELEASE SYSROOT "/usr/lib/os-release"
#define OS_RELEASE_MAX (16 * KIB)
#define ROOT_NAME "root"
#define SLOT_TRIES 2 /* both slots can hold the same release */

typedef struct Boot {
        Cmdline cmdline;
        uint8_t loader_partuuid[UUID_SIZE];
        bool has_loader;
        InitSlot slot;
        InitRelease release;
} Boot;

static int read_cmdline(Boot *boot, Error *error)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = file_read(AT_FDCWD, "/proc/cmdline", CMDLINE_MAX, &text, &size);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the kernel command line: %s",
                                strerror(-r));
        r = cmdline_parse(text, &boot->cmdline, error);
        init_set_debug(boot->cmdline.is_debug);
        if (r >= 0 && !boot->cmdline.has_root_hash)
                r = error_set(error, ERROR_CONFIG, EINVAL,
                                "the kernel command line has no bascule.roothash=");
        return r;
}

static int prepare_machine(Boot *boot, Error *error)
{
        int r = init_mount_basics(error), line;

        if (r < 0)
                return r;
        line = read_cmdline(boot, error);
        init_load_modules(MODULE_LIST);
        init_mount_efivars();
        watchdog_arm(boot->cmdline.watchdog_seconds, MODULE_LIST);
        boot->has_loader = init_loader_partuuid(boot->loader_partuuid) >= 0;
        return line;
}

static int mount_slot(const InitSlot *slot, const uint8_t *root_hash, Error *error)
{
        char table[VERITY_TABLE_MAX], uuid[128], device[32], half[2 * UUID_SIZE + 1];
        int r = verity_table(slot->data_device, slot->hash_device, &slot->superblock, root_hash, table);

        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "cannot describe the verity device");
        hex_encode(slot->superblock.uuid, sizeof(slot->superblock.uuid), half);
        (void)snprintf(uuid, sizeof(uuid), "CRYPT-VERITY-%s-" ROOT_NAME, half);
        r = dm_create(ROOT_NAME, uuid, "verity", table, slot->superblock.data_blocks * VERITY_BLOCK_SIZE,
                        device, error);
        if (r < 0)
                return r;
        if (mount(device, SYSROOT, "erofs", MS_RDONLY, NULL) < 0) {
                r = error_set(error, ERROR_CORRUPT, errno, "cannot mount slot %c: %s", slot->slot,
                                strerror(errno));
                (void)dm_remove(ROOT_NAME);
                return r;
        }
        return 0;
}

static int open_root(Boot *boot, Error *error)
{
        const uint8_t *partuuid = boot->has_loader ? boot->loader_partuuid : NULL;
        int r = -ENOENT;

        (void)mkdir(SYSROOT, 0755);
        for (unsigned skip = 0; skip < SLOT_TRIES; skip++) {
                Error problem = { 0 };

                r = init_find_slot(boot->cmdline.root_hash, partuuid, skip,
                                skip == 0 ? boot->cmdline.wait_seconds : 0, watchdog_keep_alive, &boot->slot,
                                &problem);
                if (r < 0)
                        return error_is_set(error)
                                               ? r
                                               : error_set(error, problem.code, -r, "%s", problem.message);
                init_step("slot %c of %s has the release", boot->slot.slot, boot->slot.disk);
                r = mount_slot(&boot->slot, boot->cmdline.root_hash, &problem);
                if (r >= 0)
                        break;
                init_problem("%s", problem.message);
                (void)error_set(error, problem.code, -r, "%s", problem.message);
        }
        return r;
}

static int read_release(Boot *boot, Error *error)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = file_read(AT_FDCWD, OS_RELEASE, OS_RELEASE_MAX, &text, &size);

        if (r >= 0)
                r = init_release_parse(text, &boot->release);
        return r < 0 ? error_set(error, ERROR_CORRUPT, -r,
                                       "the release does not say which it is: IMAGE_ID and IMAGE_VERSION of "
                                       "its "
                                       "os-release: %s",
                                       strerror(-r))
                     : 0;
}

/* What the host's own programs need to know of the boot; read by booted_read(). */
static void write_notes(const Boot *boot)
{
        bool is_var_volatile = access(VAR_VOLATILE_FILE, F_OK) >= 0;
        bool is_etc_volatile = is_var_volatile || access(ETC_VOLATILE_FILE, F_OK) >= 0;
        char root_hash[SHA256_HEX_SIZE], text[1024];

        hex_encode(boot->cmdline.root_hash, SHA256_SIZE, root_hash);
        (void)snprintf(text, sizeof(text),
                        "IMAGE_ID=%s\nVERSION=%s\nROOT_HASH=%s\nDISK=%s\nSLOT=%c\nVAR=%s\nETC=%s\n",
                        boot->release.image_id, boot->release.version, root_hash, boot->slot.disk,
                        boot->slot.slot, is_var_volatile ? "volatile" : "persistent",
                        is_etc_volatile ? "volatile" : "persistent");
        (void)init_write_file("/run/bascule/booted", text);
        if (efivar_booted_on_trial(EFIVAR_FOLDER) > 0)
                (void)init_write_file("/run/bascule/trial", boot->release.version);
}

static int boot_release(Boot *boot, Error *error)
{
        int r = prepare_machine(boot, error);

        if (r >= 0)
                r = open_root(boot, error);
        if (r >= 0)
                r = read_release(boot, error);
        if (r < 0)
                return r;
        error_clear(error); /* a slot that did not open, when the other did */
        init_step("booting %s %s", boot->release.image_id, boot->release.version);
        watchdog_keep_alive();
        r = init_mount_var(boot->slot.var_device, boot->cmdline.is_var_volatile, watchdog_keep_alive, error);
        watchdog_keep_alive();
        if (r >= 0)
                r = init_mount_etc(boot->release.version, error);
        if (r < 0)
                return r;
        write_notes(boot);
        init_keep_pcr_policy();
        watchdog_keep_alive();
        return init_switch_root(error);
}

int main(void)
{
        Error error = { 0 };
        Boot boot = { 0 };

        if (getpid() != 1) {
                (void)fputs("bascule-init is the first process of an initrd; it does nothing else.\n",
                                stderr);
                return ERROR_USAGE;
        }
        (void)boot_release(&boot, &error);
        init_give_up(boot.cmdline.is_debug, &error);
}
