/* SPDX-License-Identifier: Apache-2.0 */
#include "fat-move.h"

#include "bytes.h"
#include "fat-format.h"
#include "fat-volume.h"
#include "file.h"

#include <string.h>
#include <strings.h>

/* What a disk writes whole or not at all. */
#define SECTOR_SIZE 512
#define SECTOR_SLOTS (SECTOR_SIZE / FAT_SLOT_SIZE)
#define FOLDER_SECTORS_MAX 256
#define ALIAS_SIZE 11
#define COUNTER_GROWS 2 /* "+3" becomes "+2-1" */

/* The sectors of a folder in their order. */
typedef struct Folder {
        uint8_t *data;
        uint64_t *offsets; /* of each sector, on the volume */
        size_t count;
} Folder;

static void folder_done(Folder *folder)
{
        free(folder->data);
        free(folder->offsets);
}

typedef struct Search {
        const char *name;
        size_t length;
        bool is_folder, found;
        FatEntry entry;
} Search;

/* A chain that bites its own tail is ended by the limit on clusters of a folder. */
typedef struct Claims {
        uint32_t left;
        Search *search;
} Claims;

static bool claim(void *data, uint32_t cluster)
{
        Claims *claims = data;

        return claims->left-- > 0;
}

static int compare_name(void *data, const FatEntry *entry)
{
        Search *search = ((Claims *)data)->search;

        if (!search->found && entry->is_folder == search->is_folder &&
                        strlen(entry->name) == search->length &&
                        strncasecmp(entry->name, search->name, search->length) == 0) {
                search->found = true;
                search->entry = *entry;
        }
        return 0;
}

static int find(const FatVolume *volume, uint32_t folder, Search *search)
{
        Claims claims = { .left = FOLDER_SECTORS_MAX, .search = search };
        const FatWalk walk = { .claim = claim, .visit = compare_name, .data = &claims };
        int r = fat_walk(volume, folder, &walk);

        return r < 0 ? r : search->found ? 0 : -ENOENT;
}

static int find_folder(const FatVolume *volume, const char *path, uint32_t *ret_cluster)
{
        uint32_t cluster = 0;

        while (*path) {
                Search search = { .name = path, .length = strcspn(path, "/"), .is_folder = true };
                int r = find(volume, cluster, &search);

                if (r < 0)
                        return r;
                if (!fat_is_cluster(volume, search.entry.first_cluster))
                        return -EBADMSG;
                cluster = search.entry.first_cluster;
                path += search.length;
                path += *path == '/';
        }
        *ret_cluster = cluster;
        return 0;
}

/* Not the root of a FAT16 volume, which is no chain; our folders lie deeper. */
static int read_folder(const FatVolume *volume, uint32_t cluster, Folder *folder)
{
        size_t per_cluster = volume->cluster_size_bytes / SECTOR_SIZE;

        folder->data = malloc((size_t)FOLDER_SECTORS_MAX * SECTOR_SIZE);
        folder->offsets = calloc(FOLDER_SECTORS_MAX, sizeof(*folder->offsets));
        if (!folder->data || !folder->offsets)
                return -ENOMEM;
        for (; fat_is_cluster(volume, cluster); cluster = fat_next(volume, cluster))
                for (size_t i = 0; i < per_cluster; i++) {
                        uint64_t offset = fat_cluster_offset(volume, cluster) + i * SECTOR_SIZE;
                        int r;

                        if (folder->count >= FOLDER_SECTORS_MAX)
                                return -EBADMSG;
                        r = pread_full(volume->fd, folder->data + folder->count * SECTOR_SIZE, SECTOR_SIZE,
                                        offset);
                        if (r < 0)
                                return r;
                        folder->offsets[folder->count++] = offset;
                }
        return fat_is_end(volume, cluster) ? 0 : -EBADMSG;
}

static uint8_t *slot_of(const Folder *folder, size_t slot)
{
        return folder->data + slot * FAT_SLOT_SIZE;
}

/* Number of slots up to the last that means something. */
static size_t live_slots(const Folder *folder)
{
        size_t slots = folder->count * SECTOR_SLOTS, live = 0;

        for (size_t slot = 0; slot < slots && *slot_of(folder, slot) != FAT_SLOT_END; slot++)
                if (*slot_of(folder, slot) != FAT_SLOT_DELETED)
                        live = slot + 1;
        return live;
}

static size_t slots_for(size_t length)
{
        return (length + FAT_LONG_UNITS - 1) / FAT_LONG_UNITS + 1;
}

/* Where the name goes: slots in one sector. Firmware puts a new name behind all others, so one that it will
 * rename comes last, in a sector that has room for that too, as far as a sector can. */
static int find_room(const Folder *folder, const char *name, unsigned renames, size_t *ret_slot)
{
        size_t length = strlen(name), need = slots_for(length), live = live_slots(folder), run = 0;
        size_t wanted = MIN_OF(need + renames * slots_for(length + COUNTER_GROWS), (size_t)SECTOR_SLOTS);
        size_t next = (live + SECTOR_SLOTS - 1) / SECTOR_SLOTS * SECTOR_SLOTS;

        for (size_t slot = 0; renames == 0 && slot < live; slot++) {
                if (slot % SECTOR_SLOTS == 0)
                        run = 0;
                run = *slot_of(folder, slot) == FAT_SLOT_DELETED ? run + 1 : 0;
                if (run < need)
                        continue;
                *ret_slot = slot + 1 - need;
                return 0;
        }
        *ret_slot = next - live >= wanted ? live : next;
        return *ret_slot + need <= folder->count * SECTOR_SLOTS ? 0 : -ENOSPC;
}

static bool alias_is_used(const Folder *folder, const uint8_t *alias)
{
        size_t live = live_slots(folder);

        for (size_t slot = 0; slot < live; slot++)
                if (memcmp(slot_of(folder, slot), alias, ALIAS_SIZE) == 0)
                        return true;
        return false;
}

/* A short name that nobody has; nobody reads it either. */
static void make_alias(const Folder *folder, const char *name, uint8_t alias[static ALIAS_SIZE + 1])
{
        uint32_t hash = 5381;

        for (const char *c = name; *c; c++)
                hash = hash * 33 + (uint8_t)*c;
        do
                (void)snprintf((char *)alias, ALIAS_SIZE + 1, "B%07XEFI", hash++ & 0xfffffffU);
        while (alias_is_used(folder, alias));
}

static uint8_t alias_sum(const uint8_t *alias)
{
        uint8_t sum = 0;

        for (size_t i = 0; i < ALIAS_SIZE; i++)
                sum = (uint8_t)((sum >> 1 | sum << 7) + alias[i]);
        return sum;
}

static void put_piece(uint8_t *slot, const char *name, size_t piece, size_t pieces, uint8_t sum)
{
        static const uint8_t units[FAT_LONG_UNITS] = { 1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30 };
        size_t length = strlen(name);

        memset(slot, 0, FAT_SLOT_SIZE);
        slot[0] = (uint8_t)(piece | (piece == pieces ? FAT_LONG_LAST : 0));
        slot[FAT_SLOT_ATTRIBUTES_AT] = FAT_ATTRIBUTES_LONG;
        slot[FAT_LONG_SUM_AT] = sum;
        for (size_t i = 0; i < FAT_LONG_UNITS; i++) {
                size_t index = (piece - 1) * FAT_LONG_UNITS + i;

                write_le16(slot + units[i], index < length    ? (uint16_t)(uint8_t)name[index]
                                            : index == length ? 0
                                                              : 0xffff);
        }
}

/* Those of the sectors that differ from what is on the volume, which are then flushed. */
static int write_sectors(const FatVolume *volume, const Folder *folder, size_t first, size_t end)
{
        bool wrote = false;

        for (size_t i = first; i < end; i++) {
                const uint8_t *data = folder->data + i * SECTOR_SIZE;
                uint8_t old[SECTOR_SIZE];
                int r = pread_full(volume->fd, old, sizeof(old), folder->offsets[i]);

                if (r >= 0 && memcmp(old, data, sizeof(old)) != 0) {
                        r = pwrite_full(volume->fd, data, SECTOR_SIZE, folder->offsets[i]);
                        wrote = true;
                }
                if (r < 0)
                        return r;
        }
        return wrote && fsync(volume->fd) < 0 ? -errno : 0;
}

/* The slots of the name from `at` on. */
static void put_name(const Folder *folder, size_t at, const char *name, const uint8_t *old)
{
        size_t pieces = slots_for(strlen(name)) - 1;
        uint8_t alias[ALIAS_SIZE + 1], *slot = slot_of(folder, at + pieces);

        make_alias(folder, name, alias);
        for (size_t piece = pieces; piece > 0; piece--)
                put_piece(slot_of(folder, at + pieces - piece), name, piece, pieces, alias_sum(alias));
        memcpy(slot, old, FAT_SLOT_SIZE);
        memcpy(slot, alias, ALIAS_SIZE);
        slot[FAT_SLOT_CASE_AT] = 0;
}

/* A name behind the others: first nothing must follow it, then it is written, then what lies between becomes
 * free slots; if the folder ended in between, it is with these that the name comes to be. */
static int write_name(
                const FatVolume *volume, Folder *folder, size_t at, const char *name, const uint8_t *old)
{
        size_t live = live_slots(folder), end = at + slots_for(strlen(name)), sector = at / SECTOR_SLOTS;
        int r = 0;

        put_name(folder, at, name, old);
        if (at >= live) {
                memset(slot_of(folder, end), FAT_SLOT_END,
                                (folder->count * SECTOR_SLOTS - end) * FAT_SLOT_SIZE);
                for (size_t slot = live; slot < at; slot++)
                        *slot_of(folder, slot) = FAT_SLOT_DELETED;
                r = write_sectors(volume, folder, sector + 1, folder->count);
        }
        if (r >= 0)
                r = write_sectors(volume, folder, sector, sector + 1);
        return r < 0 ? r : write_sectors(volume, folder, 0, sector);
}

static int remove_name(const FatVolume *volume, const FatEntry *entry)
{
        static const uint8_t deleted = FAT_SLOT_DELETED;
        int r = 0;

        for (unsigned i = entry->slot_count; r >= 0 && i > 0; i--) {
                r = pwrite_full(volume->fd, &deleted, 1, entry->slots[i - 1]);
                if (r >= 0 && (i == entry->slot_count || i == 1) && fsync(volume->fd) < 0)
                        r = -errno;
        }
        return r;
}

static bool name_is_plain(const char *name)
{
        for (const char *c = name; *c; c++)
                if (*c < 0x20 || *c >= 0x7f || strchr("\"*/:<>?\\|", *c))
                        return false;
        return *name && strlen(name) <= FAT_MOVE_NAME_MAX;
}

int fat_move(int fd, const char *from_folder, const char *from_name, const char *to_folder,
                const char *to_name, unsigned renames)
{
        Search old = { .name = from_name, .length = strlen(from_name) };
        Search taken = { .name = to_name, .length = strlen(to_name) };
        size_t at = 0;
        _cleanup_fat_volume_ FatVolume volume = { 0 };
        _cleanup_(folder_done) Folder folder = { 0 };
        uint32_t from = 0, to = 0;
        uint8_t slot[FAT_SLOT_SIZE];
        int r = name_is_plain(to_name) ? fat_volume_open(fd, &volume) : -EINVAL;

        if (r >= 0)
                r = find_folder(&volume, from_folder, &from);
        if (r >= 0)
                r = find_folder(&volume, to_folder, &to);
        if (r >= 0)
                r = find(&volume, from, &old);
        if (r < 0)
                return r;
        r = find(&volume, to, &taken);
        if (r != -ENOENT)
                return r < 0 ? r : -EEXIST;
        r = read_folder(&volume, to, &folder);
        if (r >= 0)
                r = find_room(&folder, to_name, renames, &at);
        if (r >= 0)
                r = pread_full(fd, slot, sizeof(slot), old.entry.slots[old.entry.slot_count - 1]);
        if (r >= 0)
                r = write_name(&volume, &folder, at, to_name, slot);
        return r < 0 ? r : remove_name(&volume, &old.entry);
}
