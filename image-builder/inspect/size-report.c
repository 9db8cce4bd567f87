/* SPDX-License-Identifier: Apache-2.0 */
#include "size-report.h"
#include "package-files.h"

#include <string.h>
#include <sys/stat.h>

void size_report_done(SizeReport *report)
{
        for (size_t i = 0; i < report->package_count; i++)
                free(report->packages[i].name);
        for (size_t i = 0; i < report->file_count; i++) {
                free(report->files[i].name);
                free(report->files[i].package);
        }
        free(report->packages);
        free(report->files);
        *report = (SizeReport){ 0 };
}

static int by_size(const void *a, const void *b)
{
        const SizeRow *left = a, *right = b;

        if (left->size_bytes != right->size_bytes)
                return left->size_bytes < right->size_bytes ? 1 : -1;
        return strcmp(left->name, right->name);
}

static int by_package(const void *a, const void *b)
{
        const SizeRow *left = a, *right = b;
        int order = strcmp(left->package ? left->package : SIZE_UNOWNED,
                        right->package ? right->package : SIZE_UNOWNED);

        return order ? order : strcmp(left->name, right->name);
}

static int by_inode(const void *a, const void *b)
{
        const DiffEntry *left = *(const DiffEntry *const *)a, *right = *(const DiffEntry *const *)b;

        if (left->inode.nid != right->inode.nid)
                return left->inode.nid < right->inode.nid ? -1 : 1;
        return strcmp(left->path, right->path);
}

/* Regular files, each once, by the first of its names. */
static int take_files(const DiffImage *image, const PackageFiles *owners, SizeReport *report)
{
        _cleanup_free_ const DiffEntry **order = calloc(image->count + 1, sizeof(*order));
        size_t count = 0;

        report->files = calloc(image->count + 1, sizeof(*report->files));
        if (!order || !report->files)
                return -ENOMEM;
        for (size_t i = 0; i < image->count; i++)
                if (S_ISREG(image->entries[i].inode.mode))
                        order[count++] = &image->entries[i];
        if (count > 0)
                qsort(order, count, sizeof(*order), by_inode);
        for (size_t i = 0; i < count; i++) {
                const char *owner = package_files_owner(owners, order[i]->path);
                SizeRow *row = &report->files[report->file_count];

                if (i > 0 && order[i]->inode.nid == order[i - 1]->inode.nid)
                        continue;
                report->file_count++;
                *row = (SizeRow){ .name = strdup(order[i]->path),
                        .package = owner ? strdup(owner) : NULL,
                        .size_bytes = order[i]->inode.size_bytes,
                        .files = 1 };
                if (!row->name || (owner && !row->package))
                        return -ENOMEM;
                report->content_bytes += row->size_bytes;
        }
        return 0;
}

/* Needs the files by package. */
static int sum_packages(SizeReport *report)
{
        SizeRow *last = NULL;

        report->packages = calloc(report->file_count + 1, sizeof(*report->packages));
        if (!report->packages)
                return -ENOMEM;
        for (size_t i = 0; i < report->file_count; i++) {
                const SizeRow *file = &report->files[i];
                const char *name = file->package ? file->package : SIZE_UNOWNED;

                if (!last || strcmp(last->name, name) != 0) {
                        last = &report->packages[report->package_count++];
                        last->name = strdup(name);
                        if (!last->name)
                                return -ENOMEM;
                }
                last->size_bytes += file->size_bytes;
                last->files++;
        }
        return 0;
}

int size_report_make(const DiffImage *image, SizeReport *ret, Error *error)
{
        _cleanup_package_files_ PackageFiles *owners = NULL;
        _cleanup_(size_report_done) SizeReport report = { .image_bytes = image->size_bytes };
        int r = package_files_read(image, &owners, error);

        if (r < 0)
                return r;
        if (take_files(image, owners, &report) < 0)
                return error_oom(error);
        if (report.file_count > 0)
                qsort(report.files, report.file_count, sizeof(*report.files), by_package);
        if (sum_packages(&report) < 0)
                return error_oom(error);
        if (report.file_count > 0) {
                qsort(report.files, report.file_count, sizeof(*report.files), by_size);
                qsort(report.packages, report.package_count, sizeof(*report.packages), by_size);
        }
        *ret = report;
        report = (SizeReport){ 0 };
        return 0;
}

json_t *size_report_json(const SizeReport *report, size_t rows_max)
{
        json_t *packages = json_array(), *files = json_array();

        for (size_t i = 0; i < report->package_count && (rows_max == 0 || i < rows_max); i++)
                (void)json_array_append_new(
                                packages, json_pack("{s:s, s:I, s:I}", "package", report->packages[i].name,
                                                          "size", (json_int_t)report->packages[i].size_bytes,
                                                          "files", (json_int_t)report->packages[i].files));
        for (size_t i = 0; i < report->file_count && (rows_max == 0 || i < rows_max); i++)
                (void)json_array_append_new(
                                files, json_pack("{s:s, s:I, s:s}", "path", report->files[i].name, "size",
                                                       (json_int_t)report->files[i].size_bytes, "package",
                                                       report->files[i].package ? report->files[i].package
                                                                                : SIZE_UNOWNED));
        return json_pack("{s:I, s:I, s:I, s:o, s:o}", "image-size", (json_int_t)report->image_bytes,
                        "content-size", (json_int_t)report->content_bytes, "file-count",
                        (json_int_t)report->file_count, "packages", packages, "files", files);
}
