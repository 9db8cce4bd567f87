/* SPDX-License-Identifier: Apache-2.0 */
#include "image-files.h"

#include <string.h>
#include <sys/stat.h>

#define PART_SIZE (64 * KIB)

void image_files_done(ImageFiles *files)
{
        for (size_t i = 0; i < files->count; i++) {
                free(files->list[i].path);
                free(files->list[i].alike);
        }
        free(files->list);
        (void)erofs_close(files->image);
        *files = (ImageFiles){ 0 };
}

static char *without_numbers(const char *path)
{
        char *text = strdup(path), *to = text;

        for (const char *from = path; text && *from; from++) {
                bool digit = *from >= '0' && *from <= '9';

                if (!digit)
                        *to++ = *from;
                else if (to == text || to[-1] != '#')
                        *to++ = '#';
        }
        if (text)
                *to = 0;
        return text;
}

static int add_file(const char *path, const ErofsInode *inode, void *data, Error *error)
{
        ImageFiles *files = data;
        ImageFile *file;

        if (files->count == files->capacity) {
                size_t capacity = MAX_OF(2 * files->capacity, (size_t)1024);
                ImageFile *list = reallocarray(files->list, capacity, sizeof(*list));

                if (!list)
                        return error_oom(error);
                files->list = list;
                files->capacity = capacity;
        }
        file = &files->list[files->count++];
        *file = (ImageFile){ .path = strdup(path), .alike = without_numbers(path), .inode = *inode };
        file->head_bytes = inode->xattr_offset + inode->xattr_bytes - inode->offset;
        return file->path && file->alike ? 0 : error_oom(error);
}

static int by_inode(const void *a, const void *b)
{
        const ImageFile *x = a, *y = b;

        if (x->inode.nid != y->inode.nid)
                return x->inode.nid < y->inode.nid ? -1 : 1;
        return strcmp(x->path, y->path);
}

static int by_path(const void *a, const void *b)
{
        return strcmp(((const ImageFile *)a)->path, ((const ImageFile *)b)->path);
}

/* Of an inode with several names the first stays. */
static void drop_names(ImageFiles *files)
{
        size_t kept = 0;

        qsort(files->list, files->count, sizeof(*files->list), by_inode);
        for (size_t i = 0; i < files->count; i++) {
                if (kept > 0 && files->list[kept - 1].inode.nid == files->list[i].inode.nid) {
                        free(files->list[i].path);
                        free(files->list[i].alike);
                } else
                        files->list[kept++] = files->list[i];
        }
        files->count = kept;
        qsort(files->list, files->count, sizeof(*files->list), by_path);
}

int image_files_open(int fd, ImageFiles *ret, Error *error)
{
        _cleanup_(image_files_done) ImageFiles files = { 0 };
        int r = erofs_open(fd, &files.image, error);

        if (r >= 0)
                r = erofs_walk(files.image, add_file, &files, error);
        if (r < 0)
                return r;
        drop_names(&files);
        *ret = files;
        files = (ImageFiles){ 0 };
        return 0;
}

int image_files_same(const ImageFiles *a_files, const ImageFile *a, const ImageFiles *b_files,
                const ImageFile *b, Error *error)
{
        _cleanup_free_ uint8_t *parts = malloc(2 * PART_SIZE);

        if (!parts)
                return error_oom(error);
        if (a->inode.size_bytes != b->inode.size_bytes)
                return 0;
        for (uint64_t at = 0; at < a->inode.size_bytes; at += PART_SIZE) {
                size_t part = MIN_OF(a->inode.size_bytes - at, PART_SIZE);
                int r = erofs_read(a_files->image, &a->inode, at, parts, part, error);

                if (r >= 0)
                        r = erofs_read(b_files->image, &b->inode, at, parts + PART_SIZE, part, error);
                if (r < 0)
                        return r;
                if (memcmp(parts, parts + PART_SIZE, part) != 0)
                        return 0;
        }
        return 1;
}

/* ---- pairs ---- */

static const char *base_name(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static int by_alike(const void *a, const void *b)
{
        const ImageFile *x = *(const ImageFile *const *)a, *y = *(const ImageFile *const *)b;
        int r = strcmp(x->alike, y->alike);

        return r != 0 ? r : strcmp(x->path, y->path);
}

static int by_name(const void *a, const void *b)
{
        const ImageFile *x = *(const ImageFile *const *)a, *y = *(const ImageFile *const *)b;
        int r = strcmp(base_name(x->alike), base_name(y->alike));

        return r != 0 ? r : strcmp(x->path, y->path);
}

static int by_size(const void *a, const void *b)
{
        const ImageFile *x = *(const ImageFile *const *)a, *y = *(const ImageFile *const *)b;

        if (x->inode.size_bytes != y->inode.size_bytes)
                return x->inode.size_bytes < y->inode.size_bytes ? -1 : 1;
        return strcmp(x->path, y->path);
}

typedef int (*Order)(const void *a, const void *b);

static const ImageFile **sorted(const ImageFiles *files, Order order)
{
        const ImageFile **list = reallocarray(NULL, files->count + 1, sizeof(*list));

        for (size_t i = 0; list && i < files->count; i++)
                list[i] = &files->list[i];
        if (list)
                qsort(list, files->count, sizeof(*list), order);
        return list;
}

/* First of the sorted list for which `compare` (with the key first) is not above 0. */
static size_t lower_bound(const ImageFile **list, size_t count, const ImageFile *key,
                int (*compare)(const ImageFile *key, const ImageFile *file))
{
        size_t low = 0, high = count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (compare(key, list[middle]) > 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static int same_alike(const ImageFile *key, const ImageFile *file)
{
        return strcmp(key->alike, file->alike);
}

static int same_name(const ImageFile *key, const ImageFile *file)
{
        return strcmp(base_name(key->alike), base_name(file->alike));
}

static int same_size(const ImageFile *key, const ImageFile *file)
{
        return key->inode.size_bytes < file->inode.size_bytes   ? -1
               : key->inode.size_bytes > file->inode.size_bytes ? 1
                                                                : 0;
}

/* The file among those that compare alike whose size is nearest, of the same type. */
static const ImageFile *nearest(const ImageFile **list, size_t count, const ImageFile *key,
                int (*compare)(const ImageFile *key, const ImageFile *file))
{
        const ImageFile *best = NULL;
        uint64_t best_distance = UINT64_MAX;

        for (size_t i = lower_bound(list, count, key, compare); i < count && compare(key, list[i]) == 0;
                        i++) {
                uint64_t a = key->inode.size_bytes, b = list[i]->inode.size_bytes;
                uint64_t distance = a > b ? a - b : b - a;

                if (((list[i]->inode.mode ^ key->inode.mode) & S_IFMT) == 0 && distance < best_distance) {
                        best = list[i];
                        best_distance = distance;
                }
        }
        return best;
}

typedef struct Pairing {
        const ImageFiles *old_files, *new_files;
        const ImageFile **by_alike, **by_name, **by_size; /* old ones */
} Pairing;

static void pairing_done(Pairing *pairing)
{
        free(pairing->by_alike);
        free(pairing->by_name);
        free(pairing->by_size);
}

/* An old file with this content, which may have been given another name. */
static int find_content(const Pairing *pairing, const ImageFile *file, const ImageFile **ret, Error *error)
{
        size_t count = pairing->old_files->count;

        if (!S_ISREG(file->inode.mode) || file->inode.size_bytes == 0)
                return 0;
        for (size_t i = lower_bound(pairing->by_size, count, file, same_size), tries = 16;
                        tries > 0 && i < count && same_size(file, pairing->by_size[i]) == 0; i++, tries--) {
                int r = S_ISREG(pairing->by_size[i]->inode.mode)
                                        ? image_files_same(pairing->old_files, pairing->by_size[i],
                                                          pairing->new_files, file, error)
                                        : 0;

                if (r > 0)
                        *ret = pairing->by_size[i];
                if (r != 0)
                        return r;
        }
        return 0;
}

static int find_pair(const Pairing *pairing, const ImageFile *file, const ImageFile **ret, Error *error)
{
        size_t count = pairing->old_files->count;
        const ImageFile *found = bsearch(
                        file, pairing->old_files->list, count, sizeof(*pairing->old_files->list), by_path);
        int r;

        if (found && ((found->inode.mode ^ file->inode.mode) & S_IFMT) != 0)
                found = NULL;
        if (!found)
                found = nearest(pairing->by_alike, count, file, same_alike);
        if (!found) {
                r = find_content(pairing, file, &found, error);
                if (r < 0)
                        return r;
        }
        if (!found)
                found = nearest(pairing->by_name, count, file, same_name);
        *ret = found;
        return 0;
}

int image_files_pair(const ImageFiles *old_files, const ImageFiles *new_files, const ImageFile ***ret,
                Error *error)
{
        _cleanup_(pairing_done) Pairing pairing = { .old_files = old_files,
                .new_files = new_files,
                .by_alike = sorted(old_files, by_alike),
                .by_name = sorted(old_files, by_name),
                .by_size = sorted(old_files, by_size) };
        _cleanup_free_ const ImageFile **pairs = calloc(new_files->count + 1, sizeof(*pairs));

        if (!pairs || !pairing.by_alike || !pairing.by_name || !pairing.by_size)
                return error_oom(error);
        for (size_t i = 0; i < new_files->count; i++) {
                int r = find_pair(&pairing, &new_files->list[i], &pairs[i], error);

                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(pairs);
        return 0;
}
