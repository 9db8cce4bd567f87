/* SPDX-License-Identifier: Apache-2.0 */
#include "esp-file.h"

#include "fat-move.h"
#include "file.h"
#include "process.h"
#include "secure-boot-keys.h"
#include "sparse.h"

#include <fcntl.h>
#include <string.h>

#define FAT_EPOCH_MIN INT64_C(315532800) /* 1980: the first year of FAT */
#define FAT32_SIZE_MIN_4096 (257 * MIB)  /* the first with 65525 clusters of one sector */
#define ENTRIES "::/EFI/Linux"
#define LOADER_CONF "timeout 0\neditor no\n"
#define LOADER_CONF_ENROLL "secure-boot-enroll force\n"

static int copy(const char *path, const char *source, const char *target, const ProcessOptions *options,
                Error *error)
{
        return process_check(
                        (const char *const[]){ "mcopy", "-i", path, source, target, NULL }, options, error);
}

/* Where systemd-boot looks for keys when the firmware is in setup mode. */
static int add_enrolment(const EspFile *esp, const char *path, const ProcessOptions *options, Error *error)
{
        int r = process_check((const char *const[]){ "mmd", "-i", path, "::/loader/keys",
                                              "::/loader/keys/auto", NULL },
                        options, error);

        for (size_t i = 0; r >= 0 && i < ELEMENTS(secure_boot_variables); i++) {
                const char *name = secure_boot_variables[i];
                _cleanup_free_ char *source =
                                string_format("%s/%s" SECURE_BOOT_AUTH_SUFFIX, esp->enroll_folder, name);
                _cleanup_free_ char *target =
                                string_format("::/loader/keys/auto/%s" SECURE_BOOT_AUTH_SUFFIX, name);

                r = source && target ? copy(path, source, target, options, error) : error_oom(error);
        }
        return r;
}

/* A folder keeps the clusters that a long name took; here they follow each other. */
static int widen_entries(const char *path, const char *file, const ProcessOptions *options, Error *error)
{
        char name[sizeof(ENTRIES) + FAT_MOVE_ROOM_LENGTH + 1] = ENTRIES "/";
        int r;

        memset(name + sizeof(ENTRIES), '_', FAT_MOVE_ROOM_LENGTH);
        r = copy(path, file, name, options, error);
        return r < 0 ? r
                     : process_check((const char *const[]){ "mdel", "-i", path, name, NULL }, options,
                                       error);
}

/* The entry comes to its place as an update brings it there, so that firmware can rename it safely. */
static int add_entry(
                const EspFile *esp, const char *path, int fd, const ProcessOptions *options, Error *error)
{
        int r = copy(path, esp->uki_path, "::/EFI/bascule/incoming.efi", options, error);

        if (r < 0)
                return r;
        r = fat_move(fd, "EFI/bascule", "incoming.efi", "EFI/Linux", esp->entry_name, esp->renames);
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "cannot name the boot entry: %s", strerror(-r))
                     : 0;
}

static int fill(const EspFile *esp, const char *path, int fd, const char *conf,
                const ProcessOptions *options, Error *error)
{
        int r = process_check((const char *const[]){ "mmd", "-i", path, "::/EFI", "::/EFI/BOOT", ENTRIES,
                                              "::/EFI/bascule", "::/EFI/systemd", "::/loader", NULL },
                        options, error);
        if (r >= 0)
                r = widen_entries(path, conf, options, error);
        if (r >= 0)
                r = copy(path, esp->boot_loader_path, "::/EFI/BOOT/BOOTX64.EFI", options, error);
        if (r >= 0)
                r = copy(path, esp->boot_loader_path, "::/EFI/systemd/systemd-bootx64.efi", options, error);
        if (r >= 0)
                r = copy(path, conf, "::/loader/loader.conf", options, error);
        if (r >= 0 && esp->enroll_folder)
                r = add_enrolment(esp, path, options, error);
        return r < 0 ? r : add_entry(esp, path, fd, options, error);
}

static int format(const EspFile *esp, const char *path, const ProcessOptions *options, Error *error)
{
        char serial[9];

        (void)snprintf(serial, sizeof(serial), "%02x%02x%02x%02x", esp->seed[0], esp->seed[1], esp->seed[2],
                        esp->seed[3]);
        if (esp->sector_size_bytes == 512)
                return process_check((const char *const[]){ "mkfs.vfat", "--invariant", "-F", "32", "-S",
                                                     "512", "-n", "ESP", "-i", serial, path, NULL },
                                options, error);
        return process_check((const char *const[]){ "mkfs.vfat", "--invariant", "-F",
                                             esp->size_bytes < FAT32_SIZE_MIN_4096 ? "16" : "32", "-S",
                                             "4096", "-s", "1", "-n", "ESP", "-i", serial, path, NULL },
                        options, error);
}

int esp_file_make(const EspFile *esp, const char *path, const char *scratch, int log_fd, Error *error)
{
        int64_t epoch = MAX_OF(esp->epoch, FAT_EPOCH_MIN);
        const char *text = esp->enroll_folder ? LOADER_CONF LOADER_CONF_ENROLL : LOADER_CONF;
        _cleanup_free_ char *conf = path_join(scratch, "loader.conf");
        char time_setting[64]; /* mtools takes it for the time of all it makes */
        const char *environment[] = { time_setting, "MTOOLSRC=/dev/null", NULL };
        const ProcessOptions options = { .environment = environment, .log_fd = log_fd };
        _cleanup_fd_ int fd = -1;
        int r;

        if (!conf)
                return error_oom(error);
        (void)snprintf(time_setting, sizeof(time_setting), "SOURCE_DATE_EPOCH=%lld", (long long)epoch);
        r = sparse_make_file(path, esp->size_bytes, &fd, error);
        if (r >= 0)
                r = format(esp, path, &options, error);
        if (r < 0)
                return r;
        r = file_replace(AT_FDCWD, conf, text, strlen(text), 0644);
        return r < 0 ? error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot write %s: %s",
                                       conf, strerror(-r))
                     : fill(esp, path, fd, conf, &options, error);
}
