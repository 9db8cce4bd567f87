/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The machine as the engine sees it: which disk, which ESP, where the state lies, which release runs. From
 * the real system, or from a description in a file that tests write:
 *
 *     [Host]
 *     Disk=/path/disk.raw            a disk image or a device
 *     Esp=/path/folder               a folder that stands for the ESP
 *     State=/path/folder             instead of /var/lib/bascule
 *     Runtime=/path/folder           instead of /run/bascule
 *     TrustedRoot=/path/root.json    instead of /usr/lib/bascule/trust/root.json
 *     ImageId=container-host
 *     RunningVersion=1
 *     RunningRootHash=HEX
 *     Architecture=x86-64            the machine's by default
 *     Reboot=/path/file              a reboot appends a line to this file instead of happening
 *     EfiVariables=/path/folder      EFI variables, as efivarfs has them; none by default
 */

#include "boot.h"
#include "disk.h"
#include "version-order.h"

typedef struct Host {
        char *disk_path;
        char *esp_folder; /* NULL: the ESP partition of the disk is mounted when it is needed */
        char *state_folder, *runtime_folder;
        char *trusted_root_path;
        char *image_id, *running_version, *architecture;
        uint8_t running_root_hash[SHA256_SIZE];
        bool has_root_hash;
        char *reboot_file;   /* NULL: really reboot */
        char *efi_variables; /* folder; NULL: no EFI */
        const BootBackend *boot;
} Host;

/* The real system: /run/bascule/booted, /usr/lib/os-release, the kernel command line. ERROR_INCOMPATIBLE
 * when this machine does not run a release of ours. */
int host_discover(Host **ret, Error *error);
int host_load(const char *description_path, Host **ret, Error *error);
Host *host_free(Host *host);
DEFINE_CLEANUP(Host *, host_free)

/* A release that is on the host, or the lack of one in a slot. */
typedef struct HostRelease {
        bool exists;                   /* a boot entry and a slot belong together */
        char version[VERSION_MAX + 1]; /* "" when no entry tells */
        bool has_slot;
        SlotName slot;
        uint8_t root_hash_half[16]; /* what the slot says of itself, when has_slot */
        bool has_entry, is_counted; /* has no counter: blessed */
        unsigned tries_left, tries_done;
        char entry_file[256]; /* "" when !has_entry */
} HostRelease;

/* Everything that a decision needs, read from disk, ESP and filesystems. A plain value. */
typedef struct HostFacts {
        char image_id[VERSION_MAX + 1], architecture[VERSION_MAX + 1];
        HostRelease running, other;
        uint8_t running_root_hash[SHA256_SIZE];
        bool has_running_root_hash;
        bool has_other_slot; /* the disk has a second slot */
        SlotName other_slot;
        uint64_t slot_data_bytes, slot_hash_bytes; /* room in the other slot */
        uint64_t esp_free_bytes; /* with what an install would remove first counted as free */
        uint64_t var_free_bytes;
        bool is_waiting; /* the other release is preferred at the next boot */
} HostFacts;

/* Reads disk and ESP. The ESP is opened for the time of the call. */
int host_read_facts(const Host *host, HostFacts *ret, Error *error);

/* Opens the ESP, the partition or the folder. */
int host_open_esp(const Host *host, const Disk *disk, bool writable, Esp **ret, Error *error);
