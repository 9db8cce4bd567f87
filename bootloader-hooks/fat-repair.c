/* SPDX-License-Identifier: Apache-2.0 */
#include "fat-repair.h"

#include "boot.h"
#include "bytes.h"
#include "fat-format.h"
#include "fat-volume.h"
#include "file.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 16
#define FILES_MAX 256 /* in our two folders */
#define COMPARE_SIZE 4096

typedef enum Place { PLACE_ROOT, PLACE_EFI, PLACE_ENTRIES, PLACE_STAGE, PLACE_OTHER } Place;

typedef struct OurFile {
        FatEntry entry;
        unsigned rank; /* the higher, the more it is worth keeping */
        bool is_ours;  /* an entry, or the staged file: nobody else's */
        bool is_dropped;
} OurFile;

typedef struct Repair {
        FatVolume volume;
        uint8_t *used; /* one byte for each cluster */
        OurFile *files;
        size_t file_count;
        Place place; /* of the folder being walked */
        unsigned depth;
        FatRepair result;
} Repair;

static void repair_done(Repair *repair)
{
        fat_volume_done(&repair->volume);
        free(repair->used);
        free(repair->files);
}

/* Takes a cluster for one file or folder; false when another has it. */
static bool claim(void *data, uint32_t cluster)
{
        Repair *repair = data;

        if (repair->used[cluster - 2])
                return false;
        repair->used[cluster - 2] = 1;
        return true;
}

/* Number of clusters of a chain that ends as it should, or -1. */
static int64_t chain_length(const FatVolume *volume, uint32_t cluster)
{
        int64_t length = 0;

        for (; length <= volume->cluster_count; length++) {
                if (fat_is_end(volume, cluster))
                        return length;
                if (!fat_is_cluster(volume, cluster))
                        return -1;
                cluster = fat_next(volume, cluster);
        }
        return -1; /* it bites its own tail */
}

static bool chain_is_whole(const FatVolume *volume, const FatEntry *entry)
{
        uint64_t needed = ((uint64_t)entry->size_bytes + volume->cluster_size_bytes - 1) /
                          volume->cluster_size_bytes;
        int64_t length;

        if (entry->first_cluster == 0)
                return needed == 0;
        length = fat_is_cluster(volume, entry->first_cluster) ? chain_length(volume, entry->first_cluster)
                                                              : -1;
        return length >= 0 && (uint64_t)length >= needed;
}

/* False when another file has one of the clusters, or the chain is broken. */
static bool claim_chain(Repair *repair, uint32_t cluster)
{
        for (; !fat_is_end(&repair->volume, cluster); cluster = fat_next(&repair->volume, cluster))
                if (!fat_is_cluster(&repair->volume, cluster) || !claim(repair, cluster))
                        return false;
        return true;
}

static void judge(OurFile *file, Place place)
{
        BootEntry entry;

        if (place == PLACE_STAGE) {
                file->is_ours = strcasecmp(file->entry.name, "incoming.efi") == 0;
                file->rank = file->is_ours ? 1 : 0;
                return;
        }
        if (boot_entry_parse_name(file->entry.name, &entry) < 0)
                return;
        file->is_ours = true;
        if (!entry.is_counted)
                file->rank = UINT32_MAX;
        else if (entry.tries_left == 0)
                file->rank = 2;
        else
                file->rank = UINT32_MAX - entry.tries_left;
}

static Place place_below(Place place, const char *name)
{
        if (place == PLACE_ROOT && strcasecmp(name, "EFI") == 0)
                return PLACE_EFI;
        if (place == PLACE_EFI && strcasecmp(name, "Linux") == 0)
                return PLACE_ENTRIES;
        if (place == PLACE_EFI && strcasecmp(name, "bascule") == 0)
                return PLACE_STAGE;
        return PLACE_OTHER;
}

static int visit(void *data, const FatEntry *entry);

static int walk_folder(Repair *repair, uint32_t first_cluster, Place place)
{
        const FatWalk walk = { .claim = claim, .visit = visit, .data = repair };
        Place outer = repair->place;
        int r;

        if (repair->depth >= DEPTH_MAX)
                return -EBADMSG;
        repair->depth++;
        repair->place = place;
        r = fat_walk(&repair->volume, first_cluster, &walk);
        repair->place = outer;
        repair->depth--;
        return r;
}

static int visit(void *data, const FatEntry *entry)
{
        Repair *repair = data;
        OurFile *file;

        if (entry->is_folder) {
                int r = entry->first_cluster == 0 ? -EBADMSG
                                                  : walk_folder(repair, entry->first_cluster,
                                                                    place_below(repair->place, entry->name));

                if (r == -EBADMSG)
                        repair->result.is_sound = false;
                return r == -EBADMSG ? 0 : r;
        }
        if (repair->place != PLACE_ENTRIES && repair->place != PLACE_STAGE) {
                if (entry->first_cluster && !claim_chain(repair, entry->first_cluster))
                        repair->result.is_sound = false;
                return 0;
        }
        if (repair->file_count >= FILES_MAX)
                return -E2BIG;
        file = &repair->files[repair->file_count++];
        *file = (OurFile){ .entry = *entry };
        judge(file, repair->place);
        return 0;
}

static int flush(const Repair *repair)
{
        return fsync(repair->volume.fd) < 0 ? -errno : 0;
}

/* The slot that counts first: pieces of a long name without it mean nothing, but it without them is another
 * name. */
static int drop(Repair *repair, OurFile *file)
{
        static const uint8_t deleted = FAT_SLOT_DELETED;
        int r = 0;

        for (unsigned i = file->entry.slot_count; r >= 0 && i > 0; i--) {
                r = pwrite_full(repair->volume.fd, &deleted, 1, file->entry.slots[i - 1]);
                if (r >= 0 && i == file->entry.slot_count)
                        r = flush(repair);
        }
        file->is_dropped = true;
        return r;
}

static int drop_broken(Repair *repair)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < repair->file_count; i++) {
                OurFile *file = &repair->files[i];

                if (chain_is_whole(&repair->volume, &file->entry))
                        continue;
                if (!file->is_ours) {
                        repair->result.is_sound = false;
                        continue;
                }
                r = drop(repair, file);
                repair->result.files_dropped++;
        }
        return r;
}

static int drop_twins(Repair *repair)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < repair->file_count; i++)
                for (size_t j = i + 1; r >= 0 && j < repair->file_count; j++) {
                        OurFile *a = &repair->files[i], *b = &repair->files[j];

                        if (a->is_dropped || b->is_dropped || a->entry.first_cluster == 0 ||
                                        a->entry.first_cluster != b->entry.first_cluster)
                                continue;
                        r = drop(repair, a->rank >= b->rank ? b : a);
                        repair->result.names_dropped++;
                }
        return r;
}

static void claim_ours(Repair *repair)
{
        for (size_t i = 0; i < repair->file_count; i++) {
                const OurFile *file = &repair->files[i];

                if (!file->is_dropped && file->entry.first_cluster &&
                                !claim_chain(repair, file->entry.first_cluster))
                        repair->result.is_sound = false;
        }
}

static void free_lost(Repair *repair)
{
        for (uint32_t cluster = 2; fat_is_cluster(&repair->volume, cluster); cluster++) {
                uint32_t next = fat_next(&repair->volume, cluster);

                if (repair->used[cluster - 2] || next == FAT_FREE || fat_is_bad(&repair->volume, next))
                        continue;
                fat_free(&repair->volume, cluster);
                repair->result.clusters_freed++;
        }
}

/* Writes the parts of one copy of the table that differ from memory. */
static int write_table(const FatVolume *volume, uint64_t offset, bool *ret_differed)
{
        uint8_t old[COMPARE_SIZE];
        int r = 0;

        for (size_t at = 0; r >= 0 && at < volume->table_used_bytes; at += sizeof(old)) {
                size_t size = MIN_OF(sizeof(old), volume->table_used_bytes - at);

                r = pread_full(volume->fd, old, size, offset + at);
                if (r < 0 || memcmp(old, volume->table + at, size) == 0)
                        continue;
                *ret_differed = true;
                r = pwrite_full(volume->fd, volume->table + at, size, offset + at);
        }
        return r;
}

static int write_tables(Repair *repair)
{
        const FatVolume *volume = &repair->volume;
        bool wrote = false;
        int r = 0;

        for (unsigned i = 0; r >= 0 && i < volume->table_count; i++)
                r = write_table(volume, volume->table_offset_bytes + i * volume->table_size_bytes, &wrote);
        repair->result.tables_differed = wrote && repair->result.clusters_freed == 0;
        return r;
}

static uint32_t count_free(const FatVolume *volume)
{
        uint32_t count = 0;

        for (uint32_t cluster = 2; fat_is_cluster(volume, cluster); cluster++)
                count += fat_next(volume, cluster) == FAT_FREE;
        return count;
}

/* FAT32 keeps the number of free clusters beside the table. */
static int write_free_count(const FatVolume *volume, const uint8_t *boot)
{
        uint64_t offset = (uint64_t)read_le16(boot + FAT32_INFO_SECTOR_AT) * volume->sector_size_bytes;
        uint8_t info[512];
        int r;

        if (!volume->is_fat32 || offset == 0 || offset + sizeof(info) > volume->table_offset_bytes)
                return 0;
        r = pread_full(volume->fd, info, sizeof(info), offset);
        if (r < 0 || read_le32(info + FAT_INFO_MAGIC_AT) != FAT_INFO_MAGIC)
                return r;
        write_le32(info + FAT_INFO_FREE_AT, count_free(volume));
        return pwrite_full(volume->fd, info + FAT_INFO_FREE_AT, 4, offset + FAT_INFO_FREE_AT);
}

static int finish(Repair *repair)
{
        const FatVolume *volume = &repair->volume;
        unsigned state_at = volume->is_fat32 ? FAT32_STATE_AT : FAT16_STATE_AT;
        uint8_t boot[512], state;
        int r = pread_full(volume->fd, boot, sizeof(boot), 0);

        if (r >= 0 && repair->result.clusters_freed > 0)
                r = write_free_count(volume, boot);
        if (r >= 0)
                r = flush(repair);
        if (r < 0)
                return r;
        repair->result.was_dirty = boot[state_at] & FAT_STATE_DIRTY;
        if (!repair->result.was_dirty)
                return 0;
        state = (uint8_t)(boot[state_at] & ~FAT_STATE_DIRTY);
        r = pwrite_full(volume->fd, &state, 1, state_at);
        return r < 0 ? r : flush(repair);
}

int fat_repair(int fd, FatRepair *ret)
{
        _cleanup_(repair_done) Repair repair = { .result = { .is_sound = true } };
        int r = fat_volume_open(fd, &repair.volume);

        if (r < 0)
                return r;
        repair.used = calloc(repair.volume.cluster_count, 1);
        repair.files = calloc(FILES_MAX, sizeof(OurFile));
        if (!repair.used || !repair.files)
                return -ENOMEM;
        r = walk_folder(&repair, 0, PLACE_ROOT);
        if (r >= 0)
                r = drop_broken(&repair);
        if (r >= 0)
                r = drop_twins(&repair);
        if (r < 0)
                return r;
        claim_ours(&repair);
        if (repair.result.is_sound) {
                /* Names first: a cluster must not become free while a name still leads to it. */
                r = flush(&repair);
                free_lost(&repair);
                if (r >= 0)
                        r = write_tables(&repair);
                if (r >= 0)
                        r = finish(&repair);
        }
        if (r >= 0)
                *ret = repair.result;
        return r;
}

int fat_repair_device(const char *path, FatRepair *ret)
{
        _cleanup_fd_ int fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC | O_NOCTTY);

        return fd < 0 ? -errno : fat_repair(fd, ret);
}
