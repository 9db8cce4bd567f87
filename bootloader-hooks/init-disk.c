/* SPDX-License-Identifier: Apache-2.0 */
#include "init-disk.h"

#include "efivar.h"
#include "file.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define POLL_NANOSECONDS 100000000L
#define POLLS_PER_SECOND 10

typedef struct Search {
        const uint8_t *root_hash;
        const uint8_t *loader_partuuid;
        unsigned skip;
        bool saw_loader_disk, saw_table;
} Search;

static void directory_closep(DIR **directory)
{
        if (*directory)
                (void)closedir(*directory);
}

static int read_disk(void *data, uint64_t offset, void *ret, size_t size)
{
        return pread_full(*(int *)data, ret, size, offset);
}

static int read_number(const char *path, uint64_t *ret)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        char *end;
        int r = file_read(AT_FDCWD, path, 64, &text, &size);

        if (r < 0)
                return r;
        *ret = strtoull(text, &end, 10);
        return end == text ? -EBADMSG : 0;
}

/* Whether the kernel's partition `name` of `disk` is the one that our own reading of the table means: same
 * number and same extent (sysfs counts in 512 bytes whatever the sectors are). */
static bool is_partition(const char *disk, const char *name, const GptPartition *partition)
{
        static const char *const attributes[] = { "partition", "start", "size" };
        const uint64_t wanted[] = { partition->number, partition->offset_bytes / 512,
                partition->size_bytes / 512 };

        for (size_t i = 0; i < ELEMENTS(attributes); i++) {
                _cleanup_free_ char *path = string_format("/sys/block/%s/%s/%s", disk, name, attributes[i]);
                uint64_t value;

                if (!path || read_number(path, &value) < 0 || value != wanted[i])
                        return false;
        }
        return true;
}

static int partition_device(
                const char *disk, const GptPartition *partition, char ret[static INIT_DEVICE_MAX])
{
        _cleanup_free_ char *path = string_format("/sys/block/%s", disk);
        _cleanup_(directory_closep) DIR *directory = path ? opendir(path) : NULL;
        struct dirent *item;

        while (directory && (item = readdir(directory)))
                if (strncmp(item->d_name, disk, strlen(disk)) == 0 &&
                                strlen(item->d_name) + 6 <= INIT_DEVICE_MAX &&
                                is_partition(disk, item->d_name, partition)) {
                        (void)snprintf(ret, INIT_DEVICE_MAX, "/dev/%.57s", item->d_name);
                        return 0;
                }
        return -ENOENT;
}

static int fill_slot(const char *disk, const GptTable *table, const VerityPair *pair, InitSlot *slot)
{
        const GptPartition *var = gpt_find_kind(table, GPT_VAR);
        int r = partition_device(disk, pair->data, slot->data_device);

        if (r >= 0)
                r = partition_device(disk, pair->hash, slot->hash_device);
        if (r < 0)
                return r;
        if (!var || partition_device(disk, var, slot->var_device) < 0)
                slot->var_device[0] = 0;
        (void)snprintf(slot->disk, sizeof(slot->disk), "/dev/%.57s", disk);
        slot->slot = pair->slot;
        return 0;
}

/* The first fitting pair after those to be skipped. -ENOENT. */
static int search_table(int fd, const char *disk, const GptTable *table, Search *search, InitSlot *ret)
{
        for (unsigned i = 0; i < table->count; i++) {
                const GptPartition *hash = &table->partitions[i];
                InitSlot slot = { 0 };
                VerityPair pair;

                if (hash->kind != GPT_ROOT_VERITY || verity_pair(table, hash, &pair) < 0)
                        continue;
                if (verity_superblock_read(fd, hash->offset_bytes, &slot.superblock) < 0 ||
                                !verity_pair_matches(&pair, &slot.superblock, search->root_hash))
                        continue;
                if (search->skip > 0) {
                        search->skip--;
                        continue;
                }
                if (fill_slot(disk, table, &pair, &slot) < 0)
                        continue; /* the kernel has not, or not yet, made its nodes */
                *ret = slot;
                return 0;
        }
        return -ENOENT;
}

static int search_disk(const char *disk, Search *search, InitSlot *ret)
{
        _cleanup_free_ char *path = string_format("/dev/%s", disk);
        _cleanup_free_ GptTable *table = calloc(1, sizeof(GptTable));
        _cleanup_fd_ int fd = -1;
        GptSource source = { .read = read_disk, .data = &fd };
        int sector_size = 0, r;

        if (!path || !table)
                return -ENOMEM;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (ioctl(fd, BLKSSZGET, &sector_size) < 0)
                return -errno;
        r = fd_size(fd, &source.size_bytes);
        if (r < 0)
                return r;
        source.sector_size_bytes = (unsigned)sector_size;
        r = gpt_read(&source, table);
        if (r < 0)
                return r;
        search->saw_table = true;
        if (search->loader_partuuid) {
                if (!gpt_find_uuid(table, search->loader_partuuid))
                        return -ENOENT;
                search->saw_loader_disk = true;
        }
        return search_table(fd, disk, table, search, ret);
}

/* Devices that stand for something else than a disk one boots from. */
static bool is_disk_name(const char *name)
{
        static const char *const others[] = { ".", "loop", "ram", "zram", "dm-", "sr", "fd", "nbd" };

        for (size_t i = 0; i < ELEMENTS(others); i++)
                if (strncmp(name, others[i], strlen(others[i])) == 0)
                        return false;
        return strlen(name) + 6 <= INIT_DEVICE_MAX;
}

static int search_all(Search search, InitSlot *ret, bool *ret_saw_loader_disk, bool *ret_saw_table)
{
        _cleanup_(directory_closep) DIR *directory = opendir("/sys/block");
        struct dirent *item;
        int r = -ENOENT;

        while (r < 0 && directory && (item = readdir(directory)))
                if (is_disk_name(item->d_name))
                        r = search_disk(item->d_name, &search, ret);
        *ret_saw_loader_disk = search.saw_loader_disk;
        *ret_saw_table = search.saw_table;
        return r;
}

int init_find_slot(const uint8_t root_hash[static SHA256_SIZE], const uint8_t *loader_partuuid,
                unsigned skip, unsigned wait_seconds, void (*alive)(void), InitSlot *ret, Error *error)
{
        Search search = { .root_hash = root_hash, .loader_partuuid = loader_partuuid, .skip = skip };
        bool saw_loader_disk = false, saw_table = false;

        for (unsigned i = 0; i <= wait_seconds * POLLS_PER_SECOND; i++) {
                struct timespec pause = { .tv_nsec = POLL_NANOSECONDS };

                if (search_all(search, ret, &saw_loader_disk, &saw_table) >= 0)
                        return 0;
                alive();
                (void)nanosleep(&pause, NULL);
        }
        if (!saw_table)
                return error_set(error, ERROR_CORRUPT, ENODEV,
                                "no disk with a sound partition table appeared");
        if (loader_partuuid && !saw_loader_disk)
                return error_set(error, ERROR_CORRUPT, ENODEV,
                                "the disk that the boot loader came from did not appear");
        return error_set(error, ERROR_CORRUPT, ENOENT,
                        "no slot holds this release: no verity superblock carries its root hash");
}

int init_loader_partuuid(uint8_t ret[static UUID_SIZE])
{
        _cleanup_free_ char *text = NULL;
        int r = efivar_read(EFIVAR_FOLDER, "LoaderDevicePartUUID", &text);

        return r < 0 ? r : uuid_parse(text, ret);
}
