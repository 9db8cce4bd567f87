/* SPDX-License-Identifier: Apache-2.0 */
#include "erofs-plan.h"
#include "erofs-reader.h"

#include <string.h>

/* Which file of a previous image a new one stands in for: that of the same path, else that of the same path
 * with its numbers left out ("lib/modules/6.1.0-28-amd64/x.ko" and "...-29-..."), one after the other where
 * several are alike. Whether the contents are the same does not matter: a changed file is best written over
 * its own old version, whose other blocks then need no writing. */

typedef struct File {
        char *path;
        char *alike; /* the path with every run of digits made one '#' */
        mode_t mode;
        uint64_t offset, first_block, block_count; /* of an old file */
        ErofsItem *item;                           /* of a new one */
        bool matched;
} File;

typedef struct Files {
        File *list;
        size_t count, capacity;
} Files;

static void files_done(Files *files)
{
        for (size_t i = 0; i < files->count; i++) {
                free(files->list[i].path);
                free(files->list[i].alike);
        }
        free(files->list);
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

/* Takes the path. */
static File *add_file(Files *files, char *path)
{
        if (path && files->count == files->capacity) {
                size_t capacity = MAX_OF(2 * files->capacity, (size_t)1024);
                File *grown = reallocarray(files->list, capacity, sizeof(*grown));

                if (grown) {
                        files->list = grown;
                        files->capacity = capacity;
                }
        }
        char *alike = path ? without_numbers(path) : NULL;
        if (!alike || files->count == files->capacity) {
                free(alike);
                free(path);
                return NULL;
        }
        File *file = &files->list[files->count++];
        *file = (File){ .path = path, .alike = alike };
        return file;
}

static int add_old(const char *path, const ErofsInode *inode, void *data, Error *error)
{
        File *file = add_file(data, strdup(path));
        if (!file)
                return error_oom(error);
        file->mode = inode->mode;
        file->offset = inode->offset;
        file->block_count = (inode->data_bytes + EROFS_BLOCK_SIZE - 1) / EROFS_BLOCK_SIZE;
        file->first_block = inode->data_offset / EROFS_BLOCK_SIZE;
        return 0;
}

static int compare_paths(const void *a, const void *b)
{
        return strcmp(((const File *)a)->path, ((const File *)b)->path);
}

/* Matched ones go last, so that a merge can stop at them. */
static int compare_alike(const void *a, const void *b)
{
        const File *x = a, *y = b;

        if (x->matched != y->matched)
                return x->matched ? 1 : -1;
        int r = strcmp(x->alike, y->alike);
        return r != 0 ? r : strcmp(x->path, y->path);
}

static void match(File *old, File *new)
{
        old->matched = new->matched = true;
        if ((old->mode & S_IFMT) != (new->mode &S_IFMT))
                return;
        new->item->offset = old->offset;
        if (new->item->block_count > 0 && new->item->block_count <= old->block_count)
                new->item->first_block = old->first_block;
}

/* Walks two sorted lists side by side and matches what is equal by `key`. */
static void match_sorted(Files *old, Files *new, size_t key)
{
        size_t i = 0, j = 0;

        while (i < old->count && j < new->count && !old->list[i].matched && !new->list[j].matched) {
                const char *x = *(char **)((char *)&old->list[i] + key);
                const char *y = *(char **)((char *)&new->list[j] + key);
                int r = strcmp(x, y);

                if (r == 0)
                        match(&old->list[i++], &new->list[j++]);
                else if (r < 0)
                        i++;
                else
                        j++;
        }
}

static void sort_files(Files *files, int (*compare)(const void *, const void *))
{
        if (files->count > 0)
                qsort(files->list, files->count, sizeof(*files->list), compare);
}

int erofs_keep_places(ErofsPlan *plan, Error *error)
{
        _cleanup_(files_done) Files old = { 0 }, new = { 0 };

        int r = erofs_walk(plan->options.previous, add_old, &old, error);
        if (r < 0)
                return error_prefix(error, r, "The previous image");
        for (size_t i = 0; i < plan->item_count; i++) {
                File *file = add_file(&new, tree_node_path(plan->items[i].node));
                if (!file)
                        return error_oom(error);
                file->item = &plan->items[i];
                file->mode = plan->items[i].node->inode->mode;
        }
        sort_files(&old, compare_paths);
        sort_files(&new, compare_paths);
        match_sorted(&old, &new, offsetof(File, path));
        sort_files(&old, compare_alike);
        sort_files(&new, compare_alike);
        match_sorted(&old, &new, offsetof(File, alike));
        return 0;
}
