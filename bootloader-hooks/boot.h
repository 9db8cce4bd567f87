/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Boot entries, behind one table per loader. Everything here works inside one folder descriptor, the root of
 * the ESP, so tests use a plain folder. An entry is a UKI under a name that carries image id, version
 * and, while on trial, the tries (Automatic Boot Assessment: https://systemd.io/AUTOMATIC_BOOT_ASSESSMENT):
 *
 *     EFI/Linux/ID_VERSION.efi          blessed
 *     EFI/Linux/ID_VERSION+3.efi        on trial, 3 left
 *     EFI/Linux/ID_VERSION+0-3.efi      given up
 *
 * File names on the ESP may be anything (anyone can write a FAT): names that do not parse, or belong to
 * another image id, are left alone and not shown. */

#include "error.h"
#include "sha256.h"
#include "version-order.h"

#define BOOT_TRIES_DEFAULT 3
#define BOOT_ENTRIES_MAX 64

typedef struct BootEntry {
        char image_id[VERSION_MAX + 1];
        char version[VERSION_MAX + 1];
        bool is_counted;     /* has a counter: on trial or given up */
        unsigned tries_left; /* meaningful when is_counted */
        unsigned tries_done;
        char file_name[256]; /* in the folder of entries */
        uint64_t size_bytes;
} BootEntry;

/* "ID_VERSION[+LEFT[-DONE]].efi". -EINVAL for any other name (hostile input). */
int boot_entry_parse_name(const char *file_name, BootEntry *ret);
/* The reverse; ret has room for 256 bytes. */
int boot_entry_format_name(const BootEntry *entry, char ret[static 256]);

typedef struct Esp Esp;

/* What renames entries takes an Esp, because it may have to unmount it for that (esp_move()): no descriptor
 * of a file on it may be open then, and esp_fd() is another one afterwards. */
typedef struct BootBackend {
        const char *name; /* "systemd-boot" */

        /* Entries of one image id, most preferred by the loader first. *ret is an array, freed by the
         * caller. */
        int (*list)(int esp_fd, const char *image_id, BootEntry **ret, size_t *ret_count, Error *error);

        /* Opens for writing the place where a new UKI is staged, outside of what the loader looks at, and
         * makes sure that there is room for size_bytes (ERROR_NO_SPACE says how much is missing). With
         * `resume` what an earlier attempt wrote is kept. */
        int (*stage)(int esp_fd, uint64_t size_bytes, bool resume, int *ret_fd, Error *error);

        /* The one step that makes a release bootable: staged UKI, already checked and flushed by the caller,
         * appears as an entry with `tries` tries. Any other entry of the same version is removed first.
         * -ENOENT when nothing is staged, also when an earlier call got as far as the rename: then stage
         * and check anew, since nothing says what the entry that is there holds. */
        int (*publish)(Esp *esp, const char *image_id, const char *version, unsigned tries, Error *error);

        /* Takes an entry, or the staged file when version is NULL, away. Success when there is none. */
        int (*remove)(int esp_fd, const char *image_id, const char *version, Error *error);

        /* Renames to the plain name (bless), to no tries left (reject: the loader prefers any other), or to
         * `tries` fresh tries (retry). -ENOENT when there is no entry of that version. */
        int (*bless)(Esp *esp, const char *image_id, const char *version, Error *error);
        int (*reject)(Esp *esp, const char *image_id, const char *version, Error *error);
        int (*retry)(Esp *esp, const char *image_id, const char *version, unsigned tries, Error *error);
} BootBackend;

extern const BootBackend boot_backend_systemd_boot;

/* The backend for the loader that booted this machine. */
const BootBackend *boot_backend_detect(void);

/* The ESP of the disk that the loader came from, mounted where nobody else looks (MS_NOSUID, NOEXEC, NODEV),
 * and unmounted by esp_close(). `device` is the partition's node. Read-only unless `writable`. */
int esp_open(const char *device, bool writable, Esp **ret, Error *error);
/* A folder that stands for the ESP: tests, and disks that someone else has mounted. */
int esp_open_folder(const char *path, Esp **ret, Error *error);
int esp_fd(const Esp *esp);
/* Gives a file another name, in folders two levels deep; a file that has that name already goes. A cut
 * leaves at least one of both names, each with all of the file, whatever order the device writes in
 * (fat-move.h); then everything is flushed. Not so in a folder that stands for the ESP, or while someone
 * else has the partition mounted: then by rename(). `renames`: so often the loader may rename it after that.
 */
int esp_move(Esp *esp, const char *from_folder, const char *from, const char *to_folder, const char *to,
                unsigned renames);
/* The folder itself first, then everything else that hangs on it: the allocation table and the parent. */
int esp_sync_folder(int folder_fd);
/* Flushes and unmounts; NULL is fine. Returns NULL. */
Esp *esp_close(Esp *esp);
DEFINE_CLEANUP(Esp *, esp_close)

/* PARTUUID (text) of the ESP that the loader was started from: the EFI variable LoaderDevicePartUUID of the
 * Boot Loader Interface. -ENOENT when there is none. */
int boot_loader_partuuid(char ret[static 37]);
