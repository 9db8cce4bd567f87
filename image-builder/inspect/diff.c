/* SPDX-License-Identifier: Apache-2.0 */
#include "diff.h"

#include "file.h"
#include "output-file.h"
#include "payload-make.h"

#include <fcntl.h>
#include <string.h>

static json_t *side_json(const DiffImage *image)
{
        json_t *json = json_pack("{s:I, s:I, s:I}", "root-size", (json_int_t)image->size_bytes, "files",
                        (json_int_t)image->count, "packages", (json_int_t)image->package_count);

        if (json && image->version)
                (void)json_object_set_new(json, "version", json_string(image->version));
        return json;
}

/* Takes the list. Rows beyond the limit are counted instead. */
static int put_list(json_t *report, const char *name, json_t *list, size_t rows_max, Error *error)
{
        size_t count = json_array_size(list);
        char more[64];

        if (!list)
                return error_oom(error);
        if (count == 0) {
                json_decref(list);
                return 0;
        }
        (void)snprintf(more, sizeof(more), "more-%s", name);
        while (rows_max > 0 && json_array_size(list) > rows_max)
                (void)json_array_remove(list, json_array_size(list) - 1);
        if (json_object_set_new(report, name, list) < 0)
                return error_oom(error);
        if (rows_max > 0 && count > rows_max &&
                        json_object_set_new(report, more, json_integer((json_int_t)(count - rows_max))) < 0)
                return error_oom(error);
        return 0;
}

static int put_fixes(
                json_t *report, const DiffImage *old, const DiffImage *new, size_t rows_max, Error *error)
{
        json_t *fixes = NULL, *unknown = NULL;
        int r = diff_fixes(old, new, &fixes, &unknown, error);

        if (r < 0)
                return r;
        r = put_list(report, "fixes", fixes, rows_max, error);
        if (r < 0)
                return json_decref(unknown), r;
        return put_list(report, "fixes-not-known", unknown, rows_max, error);
}

/* ---- the price ---- */

static void put_number(json_t *object, const char *name, uint64_t value)
{
        (void)json_object_set_new(object, name, json_integer((json_int_t)value));
}

/* What hosts that run the old release will fetch, as the manifest of the new one says. */
static void put_published(json_t *download, const Manifest *old, const Manifest *new)
{
        const uint8_t *root_hash = old ? old->images[IMAGE_ROOT].verity.root_hash : NULL,
                      *uki = old ? old->images[IMAGE_UKI].sha256 : NULL;
        uint64_t full = 0, chosen = 0;
        bool is_delta = false;

        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++) {
                const PayloadReference *payload =
                                manifest_choose_payload(&new->images[kind], root_hash, uki);

                full += new->images[kind].payloads[0].size_bytes;
                chosen += payload->size_bytes;
                is_delta = is_delta || !payload->is_full;
        }
        put_number(download, "full-size", full);
        if (is_delta)
                put_number(download, "delta-size", chosen);
}

static int put_made(json_t *download, const DiffImage *old, const DiffImage *new, Error *error)
{
        _cleanup_free_ char *folder = scratch_path("bascule-diff-XXXXXX"), *path = NULL;
        const PayloadInputs inputs = { .target_fd = new->fd,
                .sources = { { old->fd, 0, old->size_bytes }, { -1, 0, 0 }, { -1, 0, 0 } },
                .level = PAYLOAD_LEVEL_DEFAULT };
        const PayloadMakeOptions how = { 0 };
        PayloadReport report;
        int r;

        if (!folder || !mkdtemp(folder))
                return error_set(
                                error, ERROR_IO, errno, "cannot make a scratch folder: %s", strerror(errno));
        path = path_join(folder, "delta");
        r = path ? payload_make(&inputs, &how, path, &report, error) : error_oom(error);
        (void)tree_remove(AT_FDCWD, folder);
        if (r >= 0)
                put_number(download, "root-delta-size", report.size_bytes);
        return r;
}

static int put_download(
                json_t *report, const DiffImage *old, const DiffImage *new, bool makes_delta, Error *error)
{
        json_t *download = json_object();
        int r = 0;

        if (!download)
                return error_oom(error);
        if (new->manifest)
                put_published(download, old->manifest, new->manifest);
        else if (makes_delta)
                r = put_made(download, old, new, error);
        if (r < 0 || json_object_size(download) == 0) {
                json_decref(download);
                return r;
        }
        return json_object_set_new(report, "download", download) < 0 ? error_oom(error) : 0;
}

int diff_images(const DiffImage *old, const DiffImage *new, const DiffOptions *options, json_t **ret,
                Error *error)
{
        json_t *counts = NULL, *changes = NULL, *capabilities = NULL, *kernel = NULL;
        json_t *report = json_pack("{s:o, s:o}", "old", side_json(old), "new", side_json(new));
        size_t most = options->rows_max;
        int r = report ? diff_files(old, new, &counts, &changes, error) : error_oom(error);

        if (r >= 0)
                r = put_list(report, "packages", diff_packages(old, new), most, error);
        if (r >= 0)
                r = put_fixes(report, old, new, most, error);
        if (r >= 0)
                r = put_list(report, "privileges", diff_privileges(old, new), most, error);
        if (r >= 0)
                r = diff_capabilities(old, new, &capabilities, error);
        if (r >= 0)
                r = put_list(report, "capabilities", capabilities, most, error);
        if (r >= 0)
                r = put_list(report, "units", diff_units(old, new), most, error);
        if (r >= 0)
                r = diff_kernel_options(old, new, &kernel, error);
        if (r >= 0)
                r = put_list(report, "kernel-options", kernel, most, error);
        if (r >= 0)
                r = json_object_set(report, "files", counts) < 0 ? error_oom(error) : 0;
        if (r >= 0)
                r = put_list(report, "file-changes", json_incref(changes), most, error);
        if (r >= 0)
                r = put_download(report, old, new, options->makes_delta, error);
        json_decref(counts);
        json_decref(changes);
        if (r < 0)
                return json_decref(report), r;
        *ret = report;
        return 0;
}
