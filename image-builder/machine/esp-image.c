/* SPDX-License-Identifier: Apache-2.0 */
#include "esp-image.h"

#include "bytes.h"
#include "disk.h"
#include "fat-volume.h"
#include "file.h"

#include <string.h>
#include <strings.h>

#define FOLDER_CLUSTERS_MAX 4096
#define KERNEL_MAX (256 * MIB)

/* Portable Executable: the header's place stands at 0x3c, sections follow the optional header. */
#define PE_POINTER 0x3c
#define PE_HEADER_SIZE 24
#define PE_SECTION_SIZE 40
#define PE_SECTIONS_MAX 96

int esp_image_open(int fd, const char *path, EspImage *ret, Error *error)
{
        _cleanup_(disk_freep) Disk *disk = NULL;
        int r = disk_open(path, &disk, error);

        if (r < 0)
                return r;
        *ret = (EspImage){ .fd = fd,
                .offset_bytes = disk->partitions[PARTITION_ESP].offset_bytes,
                .sector_size_bytes = disk->sector_size_bytes };
        return 0;
}

/* ---- folders ---- */

typedef struct Search {
        const char *name; /* NULL: all files, as boot entries */
        FatEntry found;
        bool is_found;
        BootEntry *entries;
        size_t count, max;
        unsigned clusters; /* so many have been visited */
} Search;

static bool claim(void *data, uint32_t cluster _unused_)
{
        Search *search = data;

        return search->clusters++ < FOLDER_CLUSTERS_MAX;
}

static int visit(void *data, const FatEntry *entry)
{
        Search *search = data;

        if (search->name) {
                if (!search->is_found && strcasecmp(entry->name, search->name) == 0) {
                        search->found = *entry;
                        search->is_found = true;
                }
                return 0;
        }
        if (!entry->is_folder && search->count < search->max &&
                        boot_entry_parse_name(entry->name, &search->entries[search->count]) >= 0) {
                search->entries[search->count].size_bytes = entry->size_bytes;
                search->count++;
        }
        return 0;
}

static int find(const FatVolume *volume, uint32_t folder, const char *name, FatEntry *ret)
{
        Search search = { .name = name };
        const FatWalk walk = { claim, visit, &search };
        int r = fat_walk(volume, folder, &walk);

        if (r < 0)
                return r;
        if (!search.is_found)
                return -ENOENT;
        *ret = search.found;
        return 0;
}

/* The folder EFI/Linux. */
static int find_folder(const FatVolume *volume, uint32_t *ret_cluster)
{
        FatEntry entry;
        int r = find(volume, 0, "EFI", &entry);

        if (r >= 0)
                r = entry.is_folder && entry.first_cluster
                                    ? find(volume, entry.first_cluster, "Linux", &entry)
                                    : -EBADMSG;
        if (r < 0)
                return r;
        if (!entry.is_folder || !entry.first_cluster)
                return -EBADMSG;
        *ret_cluster = entry.first_cluster;
        return 0;
}

int esp_image_list(const EspImage *esp, BootEntry *ret, size_t max)
{
        _cleanup_fat_volume_ FatVolume volume = { 0 };
        Search search = { .entries = ret, .max = max };
        const FatWalk walk = { claim, visit, &search };
        uint32_t folder = 0;
        int r = fat_volume_open_at(esp->fd, esp->offset_bytes, &volume);

        if (r >= 0)
                r = find_folder(&volume, &folder);
        if (r >= 0)
                r = fat_walk(&volume, folder, &walk);
        return r < 0 ? r : (int)search.count;
}

/* ---- files ---- */

/* A part of a file, by its chain of clusters. */
static int read_part(const FatVolume *volume, const FatEntry *file, uint64_t offset, void *ret, size_t size)
{
        uint32_t cluster = file->first_cluster;
        uint8_t *to = ret;

        if (offset > file->size_bytes || size > file->size_bytes - offset)
                return -EBADMSG;
        for (uint64_t skip = offset / volume->cluster_size_bytes; skip > 0; skip--) {
                if (!fat_is_cluster(volume, cluster))
                        return -EBADMSG;
                cluster = fat_next(volume, cluster);
        }
        offset %= volume->cluster_size_bytes;
        while (size > 0) {
                size_t part = (size_t)MIN_OF((uint64_t)size, volume->cluster_size_bytes - offset);
                int r = fat_is_cluster(volume, cluster)
                                        ? pread_full(volume->fd, to, part,
                                                          fat_cluster_offset(volume, cluster) + offset)
                                        : -EBADMSG;

                if (r < 0)
                        return r;
                to += part;
                size -= part;
                offset = 0;
                cluster = fat_next(volume, cluster);
        }
        return 0;
}

/* Where the kernel lies in a UKI. */
static int find_kernel(const FatVolume *volume, const FatEntry *file, uint64_t *ret_offset, size_t *ret_size)
{
        static const char name[8] = ".linux";
        uint8_t dos[64], header[PE_HEADER_SIZE], section[PE_SECTION_SIZE];
        uint64_t at;
        int r = read_part(volume, file, 0, dos, sizeof(dos));

        if (r < 0 || memcmp(dos, "MZ", 2) != 0)
                return r < 0 ? r : -EBADMSG;
        at = read_le32(dos + PE_POINTER);
        r = read_part(volume, file, at, header, sizeof(header));
        if (r < 0 || memcmp(header, "PE\0\0", 4) != 0 || read_le16(header + 6) > PE_SECTIONS_MAX)
                return r < 0 ? r : -EBADMSG;
        at += PE_HEADER_SIZE + read_le16(header + 20);
        for (unsigned i = 0; i < read_le16(header + 6); i++) {
                r = read_part(volume, file, at + i * PE_SECTION_SIZE, section, sizeof(section));
                if (r < 0)
                        return r;
                if (memcmp(section, name, sizeof(name)) != 0)
                        continue;
                *ret_size = MIN_OF(read_le32(section + 8), read_le32(section + 16));
                *ret_offset = read_le32(section + 20);
                return *ret_size > 0 && *ret_size <= KERNEL_MAX ? 0 : -EBADMSG;
        }
        return -ENOENT;
}

int esp_image_copy_kernel(const EspImage *esp, const BootEntry *entry, int to_fd)
{
        _cleanup_fat_volume_ FatVolume volume = { 0 };
        _cleanup_free_ uint8_t *kernel = NULL;
        uint32_t folder = 0;
        uint64_t offset = 0;
        size_t size = 0;
        FatEntry file;
        int r = fat_volume_open_at(esp->fd, esp->offset_bytes, &volume);

        if (r >= 0)
                r = find_folder(&volume, &folder);
        if (r >= 0)
                r = find(&volume, folder, entry->file_name, &file);
        if (r >= 0)
                r = find_kernel(&volume, &file, &offset, &size);
        if (r < 0)
                return r;
        kernel = malloc(size);
        if (!kernel)
                return -ENOMEM;
        r = read_part(&volume, &file, offset, kernel, size);
        return r < 0 ? r : pwrite_full(to_fd, kernel, size, 0);
}
