/* SPDX-License-Identifier: Apache-2.0 */
#include "diff.h"

#include <string.h>
#include <sys/stat.h>

#define PART (64 * KIB) /* compared at once */

typedef enum Change { ADDED, REMOVED, CHANGED, ATTRIBUTES, CHANGE_MAX } Change;

static const char *const change_names[CHANGE_MAX] = { "added", "removed", "changed", "attributes" };

typedef struct Row {
        const char *path;
        Change change;
        uint64_t old_bytes, new_bytes;
} Row;

typedef struct Rows {
        Row *list;
        size_t count;
        uint64_t counts[CHANGE_MAX], bytes[CHANGE_MAX];
} Rows;

static uint64_t content_bytes(const DiffEntry *entry)
{
        return entry && S_ISREG(entry->inode.mode) ? entry->inode.size_bytes : 0;
}

static void add_row(Rows *rows, Change change, const DiffEntry *old, const DiffEntry *new)
{
        Row *row = &rows->list[rows->count++];

        *row = (Row){ new ? new->path : old->path, change, content_bytes(old), content_bytes(new) };
        rows->counts[change]++;
        rows->bytes[change] += new ? row->new_bytes : row->old_bytes;
}

/* 1 when the contents differ. */
static int contents_differ(const DiffImage *old, const DiffEntry *a, const DiffImage *new,
                const DiffEntry *b, uint8_t *work, Error *error)
{
        if (a->inode.size_bytes != b->inode.size_bytes)
                return 1;
        for (uint64_t at = 0; at < a->inode.size_bytes; at += PART) {
                size_t size = MIN_OF(a->inode.size_bytes - at, (uint64_t)PART);
                int r = erofs_read(old->erofs, &a->inode, at, work, size, error);

                if (r >= 0)
                        r = erofs_read(new->erofs, &b->inode, at, work + PART, size, error);
                if (r < 0)
                        return r;
                if (memcmp(work, work + PART, size) != 0)
                        return 1;
        }
        return 0;
}

static int compare(Rows *rows, const DiffImage *old, const DiffEntry *a, const DiffImage *new,
                const DiffEntry *b, uint8_t *work, Error *error)
{
        bool has_content = S_ISREG(a->inode.mode) || S_ISLNK(a->inode.mode);
        int r = (a->inode.mode & S_IFMT) != (b->inode.mode & S_IFMT);

        if (r == 0 && has_content)
                r = contents_differ(old, a, new, b, work, error);
        if (r < 0)
                return r;
        if (r > 0 || a->inode.major != b->inode.major || a->inode.minor != b->inode.minor)
                add_row(rows, CHANGED, a, b);
        else if (a->inode.mode != b->inode.mode || a->inode.uid != b->inode.uid ||
                        a->inode.gid != b->inode.gid)
                add_row(rows, ATTRIBUTES, a, b);
        return 0;
}

/* Both lists are by path. */
static int merge(Rows *rows, const DiffImage *old, const DiffImage *new, Error *error)
{
        _cleanup_free_ uint8_t *work = malloc(2 * PART);
        size_t i = 0, j = 0;

        if (!work)
                return error_oom(error);
        while (i < old->count || j < new->count) {
                int order = i == old->count   ? 1
                            : j == new->count ? -1
                                              : strcmp(old->entries[i].path, new->entries[j].path);
                int r = 0;

                if (order < 0)
                        add_row(rows, REMOVED, &old->entries[i++], NULL);
                else if (order > 0)
                        add_row(rows, ADDED, NULL, &new->entries[j++]);
                else
                        r = compare(rows, old, &old->entries[i++], new, &new->entries[j++], work, error);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int by_size(const void *a, const void *b)
{
        const Row *x = a, *y = b;
        uint64_t left = MAX_OF(x->old_bytes, x->new_bytes), right = MAX_OF(y->old_bytes, y->new_bytes);

        if (left != right)
                return left < right ? 1 : -1;
        return strcmp(x->path, y->path);
}

static json_t *rows_json(const Rows *rows)
{
        json_t *array = json_array();

        for (size_t i = 0; array && i < rows->count; i++) {
                const Row *row = &rows->list[i];

                if (json_array_append_new(array,
                                    json_pack("{s:s, s:I, s:I, s:s+}", "change", change_names[row->change],
                                                    "old-size", (json_int_t)row->old_bytes, "new-size",
                                                    (json_int_t)row->new_bytes, "path", "/", row->path)) < 0)
                        return json_decref(array), NULL;
        }
        return array;
}

int diff_files(const DiffImage *old, const DiffImage *new, json_t **ret_counts, json_t **ret_changes,
                Error *error)
{
        Rows rows = { .list = calloc(old->count + new->count + 1, sizeof(Row)) };
        json_t *counts = json_object(), *changes = NULL;
        int r = rows.list && counts ? merge(&rows, old, new, error) : error_oom(error);

        if (r >= 0 && rows.count > 0)
                qsort(rows.list, rows.count, sizeof(Row), by_size);
        if (r >= 0) {
                changes = rows_json(&rows);
                r = changes ? 0 : error_oom(error);
        }
        for (Change change = 0; r >= 0 && change < CHANGE_MAX; change++) {
                char name[32];

                (void)snprintf(name, sizeof(name), "%s-bytes", change_names[change]);
                (void)json_object_set_new(
                                counts, change_names[change], json_integer((json_int_t)rows.counts[change]));
                if (change != ATTRIBUTES)
                        (void)json_object_set_new(
                                        counts, name, json_integer((json_int_t)rows.bytes[change]));
        }
        free(rows.list);
        if (r < 0) {
                json_decref(counts);
                json_decref(changes);
                return r;
        }
        *ret_counts = counts;
        *ret_changes = changes;
        return 0;
}
