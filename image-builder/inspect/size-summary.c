/* SPDX-License-Identifier: Apache-2.0 */
#include "size-report.h"

#include "file.h"

#include <string.h>

#define PACKAGES_NAMED 5
#define FILES_NAMED 3
#define GROWTHS_NAMED 3

typedef struct Text {
        char *to;
        size_t size;
} Text;

/* An item that does not fit whole is left out. */
static void add(Text *text, const char *between, const char *prefix, const char *name, const char *by,
                uint64_t bytes)
{
        char size[SIZE_TEXT_MAX];
        int length = snprintf(text->to, text->size, "%s%s%s %s%s", between, prefix, name, by,
                        size_format(bytes, size));

        if (length < 0 || (size_t)length >= text->size) {
                text->to[0] = 0;
                return;
        }
        text->to += length;
        text->size -= (size_t)length;
}

static void add_largest(Text *text, const char *title, const char *prefix, const SizeRow *rows, size_t count)
{
        for (size_t i = 0; i < count; i++)
                add(text, i == 0 ? title : ", ", prefix, rows[i].name, "", rows[i].size_bytes);
}

static int by_name(const void *a, const void *b)
{
        return strcmp(((const SizeRow *)a)->name, ((const SizeRow *)b)->name);
}

static int by_growth(const void *a, const void *b)
{
        const SizeRow *left = a, *right = b;

        if (left->size_bytes != right->size_bytes)
                return left->size_bytes < right->size_bytes ? 1 : -1;
        return strcmp(left->name, right->name);
}

/* What is larger than before, or new, as rows whose size is the growth; names are borrowed. */
static int add_growth(Text *text, const char *title, const char *prefix, const SizeRow *now, size_t count,
                const SizeRow *before, size_t before_count)
{
        _cleanup_free_ SizeRow *sorted = calloc(before_count + 1, sizeof(*sorted));
        _cleanup_free_ SizeRow *grown = calloc(count + 1, sizeof(*grown));
        size_t grown_count = 0;

        if (!sorted || !grown)
                return -ENOMEM;
        if (before_count > 0) {
                memcpy(sorted, before, before_count * sizeof(*sorted));
                qsort(sorted, before_count, sizeof(*sorted), by_name);
        }
        for (size_t i = 0; i < count; i++) {
                const SizeRow *old = before_count > 0 ? bsearch(&now[i], sorted, before_count,
                                                                        sizeof(*sorted), by_name)
                                                      : NULL;
                uint64_t old_bytes = old ? old->size_bytes : 0;

                if (now[i].size_bytes > old_bytes)
                        grown[grown_count++] = (SizeRow){ .name = now[i].name,
                                .size_bytes = now[i].size_bytes - old_bytes };
        }
        if (grown_count > 0)
                qsort(grown, grown_count, sizeof(*grown), by_growth);
        for (size_t i = 0; i < MIN_OF(grown_count, (size_t)GROWTHS_NAMED); i++)
                add(text, i == 0 ? title : ", ", prefix, grown[i].name, "by ", grown[i].size_bytes);
        return 0;
}

int size_report_summary(const SizeReport *now, const SizeReport *before, char *ret, size_t size)
{
        Text text = { ret, size };
        int r = 0;

        ret[0] = 0;
        add_largest(&text, "the biggest packages are ", "", now->packages,
                        MIN_OF(now->package_count, (size_t)PACKAGES_NAMED));
        add_largest(&text, "; the biggest files are ", "/", now->files,
                        MIN_OF(now->file_count, (size_t)FILES_NAMED));
        if (before)
                r = add_growth(&text, "; since the previous image these packages grew: ", "", now->packages,
                                now->package_count, before->packages, before->package_count);
        if (r >= 0 && before)
                r = add_growth(&text, "; and these files: ", "/", now->files, now->file_count, before->files,
                                before->file_count);
        return r;
}
