/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "host.h"
#include "uki.h"

#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>

#define ENTRIES_FOLDER "EFI/Linux"
#define ROOT_HASH_HALF (SHA256_SIZE / 2)

/* What was found on the ESP, before it is matched with the slots. */
typedef struct Entries {
        BootEntry *list; /* most preferred first */
        size_t count;
} Entries;

static void entries_done(Entries *entries)
{
        free(entries->list);
}

static void copy_entry(HostRelease *release, const BootEntry *entry)
{
        release->has_entry = true;
        release->is_counted = entry->is_counted;
        release->tries_left = entry->tries_left;
        release->tries_done = entry->tries_done;
        (void)snprintf(release->version, sizeof(release->version), "%s", entry->version);
        (void)snprintf(release->entry_file, sizeof(release->entry_file), "%s", entry->file_name);
}

/* Whether an entry boots the root image whose hash begins like this. */
static bool entry_boots(int esp_fd, const BootEntry *entry, const uint8_t half[static ROOT_HASH_HALF])
{
        uint8_t hash[SHA256_SIZE];
        _cleanup_free_ char *path = path_join(ENTRIES_FOLDER, entry->file_name);
        _cleanup_fd_ int fd = path ? openat(esp_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
        return fd >= 0 && uki_read_root_hash(fd, hash) >= 0 && memcmp(hash, half, ROOT_HASH_HALF) == 0;
}

static void find_running(const Host *host, const Disk *disk, const Entries *entries, HostFacts *facts)
{
        HostRelease *running = &facts->running;
        running->exists = true;
        (void)snprintf(running->version, sizeof(running->version), "%s", host->running_version);
        for (size_t i = 0; i < entries->count; i++) {
                if (strcmp(entries->list[i].version, host->running_version) == 0) {
                        copy_entry(running, &entries->list[i]);
                        break;
                }
        }
        facts->has_running_root_hash = host->has_root_hash;
        if (!host->has_root_hash)
                return;
        memcpy(facts->running_root_hash, host->running_root_hash, SHA256_SIZE);
        memcpy(running->root_hash_half, host->running_root_hash, ROOT_HASH_HALF);
        running->has_slot = slot_find(disk, host->running_root_hash, &running->slot) >= 0;
}

static int find_other(const Disk *disk, int esp_fd, const Entries *entries, HostFacts *facts, Error *error)
{
        HostRelease *other = &facts->other;
        SlotContent content;

        facts->has_other_slot = facts->running.has_slot &&
                                disk->partitions[slot_data_role(slot_other(facts->running.slot))].exists;
        if (!facts->has_other_slot)
                return 0;
        facts->other_slot = slot_other(facts->running.slot);
        facts->slot_data_bytes = disk->partitions[slot_data_role(facts->other_slot)].size_bytes;
        facts->slot_hash_bytes = disk->partitions[slot_hash_role(facts->other_slot)].size_bytes;
        int r = slot_read(disk, facts->other_slot, &content, error);
        if (r < 0)
                return r;
        other->has_slot = content.is_valid;
        other->slot = facts->other_slot;
        if (!content.is_valid)
                return 0;
        memcpy(other->root_hash_half, content.superblock.uuid, ROOT_HASH_HALF);
        for (size_t i = 0; i < entries->count; i++) {
                const BootEntry *entry = &entries->list[i];
                if (strcmp(entry->version, facts->running.version) == 0 ||
                                !entry_boots(esp_fd, entry, content.superblock.uuid))
                        continue;
                copy_entry(other, entry);
                other->exists = true;
                /* The loader takes the first; one without tries left is never preferred to a good one. */
                facts->is_waiting = i == 0 && (!entry->is_counted || entry->tries_left > 0);
                break;
        }
        return 0;
}

static uint64_t free_bytes(int fd)
{
        struct statvfs file_system;
        if (fstatvfs(fd, &file_system) < 0)
                return 0;
        return (uint64_t)file_system.f_bavail * file_system.f_frsize;
}

/* Room for a new UKI: what is free, and what an install takes away first. */
static uint64_t esp_room(int esp_fd, const Entries *entries, const HostFacts *facts)
{
        uint64_t room = free_bytes(esp_fd);
        for (size_t i = 0; i < entries->count; i++)
                if (strcmp(entries->list[i].version, facts->running.version) != 0)
                        room += entries->list[i].size_bytes;
        return room;
}

static uint64_t var_room(const Host *host)
{
        _cleanup_fd_ int fd = open(host->state_folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? 0 : free_bytes(fd);
}

int host_read_facts(const Host *host, HostFacts *ret, Error *error)
{
        _cleanup_(disk_freep) Disk *disk = NULL;
        _cleanup_(esp_closep) Esp *esp = NULL;
        _cleanup_(entries_done) Entries entries = { 0 };
        HostFacts facts = { 0 };

        int r = disk_open(host->disk_path, &disk, error);
        if (r >= 0)
                r = host_open_esp(host, disk, false, &esp, error);
        if (r >= 0)
                r = host->boot->list(esp_fd(esp), host->image_id, &entries.list, &entries.count, error);
        if (r < 0)
                return r;
        (void)snprintf(facts.image_id, sizeof(facts.image_id), "%s", host->image_id);
        (void)snprintf(facts.architecture, sizeof(facts.architecture), "%s", host->architecture);
        find_running(host, disk, &entries, &facts);
        r = find_other(disk, esp_fd(esp), &entries, &facts, error);
        if (r < 0)
                return r;
        facts.esp_free_bytes = esp_room(esp_fd(esp), &entries, &facts);
        facts.var_free_bytes = var_room(host);
        *ret = facts;
        return 0;
}
