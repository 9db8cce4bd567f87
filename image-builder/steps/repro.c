/* SPDX-License-Identifier: Apache-2.0 */
#include "repro.h"
#include "diff-image.h"
#include "file.h"
#include "package-files.h"
#include "strv.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK (1 * MIB)
#define CONTENT_MAX (256 * MIB)
#define ROOT_FILE "root.erofs"

void repro_report_done(ReproReport *report)
{
        for (size_t i = 0; i < report->artifact_count; i++)
                free(report->artifacts[i].file);
        free(report->artifacts);
        free(report->artifact);
        free(report->path);
        free(report->package);
        repro_scripts_done(&report->scripts);
        *report = (ReproReport){ 0 };
}

/* ---- whole files ---- */

static int list_files(const char *folder, char ***names, Error *error)
{
        DIR *directory = opendir(folder);
        struct dirent *entry;
        int r = 0;

        if (!directory)
                return error_set(error, ERROR_IO, errno, "cannot look into %s: %s", folder, strerror(errno));
        while (r >= 0 && (entry = readdir(directory))) {
                struct stat status;

                if (entry->d_name[0] == '.' || strv_contains(*names, entry->d_name) ||
                                fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
                                !S_ISREG(status.st_mode))
                        continue;
                r = strv_append(names, entry->d_name);
        }
        (void)closedir(directory);
        return r < 0 ? error_oom(error) : 0;
}

/* 1, 0, or an error. What is not there differs from what is. */
static int is_same_file(const char *first, const char *second, const char *name)
{
        _cleanup_free_ char *a_path = path_join(first, name), *b_path = path_join(second, name);
        _cleanup_free_ uint8_t *a = malloc(CHUNK), *b = malloc(CHUNK);
        _cleanup_fd_ int a_fd = -1, b_fd = -1;

        if (!a_path || !b_path || !a || !b)
                return -ENOMEM;
        a_fd = open(a_path, O_RDONLY | O_CLOEXEC);
        b_fd = open(b_path, O_RDONLY | O_CLOEXEC);
        if (a_fd < 0 || b_fd < 0)
                return errno == ENOENT ? 0 : -errno;
        for (;;) {
                size_t a_size, b_size;
                int r = read_up_to(a_fd, a, CHUNK, &a_size);

                if (r >= 0)
                        r = read_up_to(b_fd, b, CHUNK, &b_size);
                if (r < 0)
                        return r;
                if (a_size != b_size || memcmp(a, b, a_size) != 0)
                        return 0;
                if (a_size < CHUNK)
                        return 1;
        }
}

static int compare_files(const char *first, const char *second, ReproReport *report, Error *error)
{
        _cleanup_strv_ char **names = NULL;
        int r = list_files(first, &names, error);

        if (r >= 0)
                r = list_files(second, &names, error);
        if (r < 0)
                return r;
        strv_sort(names);
        report->artifacts = calloc(strv_length(names) + 1, sizeof(*report->artifacts));
        if (!report->artifacts)
                return error_oom(error);
        report->is_same = true;
        for (char **name = names; name && *name; name++) {
                ReproArtifact *artifact = &report->artifacts[report->artifact_count];

                r = is_same_file(first, second, *name);
                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "cannot compare %s: %s", *name, strerror(-r));
                artifact->file = strdup(*name);
                artifact->is_same = r > 0;
                report->artifact_count++;
                report->is_same = report->is_same && r > 0;
                if (!artifact->file)
                        return error_oom(error);
        }
        return 0;
}

/* ---- in the root image ---- */

static bool has_same_attributes(const ErofsInode *a, const ErofsInode *b)
{
        return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid && a->major == b->major &&
               a->minor == b->minor;
}

/* 1 when the entries differ, with the cause. */
static int compare_entries(const DiffImage *first, const DiffEntry *a, const DiffImage *second,
                const DiffEntry *b, const ReproHints *hints, ReproCause *ret, Error *error)
{
        _cleanup_free_ char *a_text = NULL, *b_text = NULL;
        int r;

        if (!has_same_attributes(&a->inode, &b->inode)) {
                *ret = REPRO_ATTRIBUTES;
                return 1;
        }
        if (!S_ISREG(a->inode.mode) && !S_ISLNK(a->inode.mode))
                return 0;
        r = diff_image_read(first, a, CONTENT_MAX, &a_text, error);
        if (r >= 0)
                r = diff_image_read(second, b, CONTENT_MAX, &b_text, error);
        if (r < 0)
                return r;
        if (a->inode.size_bytes == b->inode.size_bytes && memcmp(a_text, b_text, a->inode.size_bytes) == 0)
                return 0;
        *ret = repro_classify(a_text, a->inode.size_bytes, b_text, b->inode.size_bytes, hints);
        return 1;
}

/* Both lists are by path. 1 when something was found. */
static int find_first(const DiffImage *first, const DiffImage *second, const ReproHints *hints,
                const DiffEntry **ret_entry, ReproCause *ret_cause, Error *error)
{
        for (size_t i = 0, j = 0; i < first->count || j < second->count;) {
                const DiffEntry *a = i < first->count ? &first->entries[i] : NULL;
                const DiffEntry *b = j < second->count ? &second->entries[j] : NULL;
                int order = !a ? 1 : !b ? -1 : strcmp(a->path, b->path), r;

                *ret_entry = order <= 0 ? a : b;
                *ret_cause = REPRO_MISSING;
                r = order == 0 ? compare_entries(first, a, second, b, hints, ret_cause, error) : 1;
                if (r != 0)
                        return r;
                i++;
                j++;
        }
        return 0;
}

static int find_owner(const DiffImage *image, const char *path, char **ret, Error *error)
{
        _cleanup_package_files_ PackageFiles *files = NULL;
        const char *owner;
        int r = package_files_read(image, &files, error);

        if (r < 0)
                return r;
        owner = package_files_owner(files, path);
        if (!owner)
                return 0;
        *ret = strdup(owner);
        return *ret ? 0 : error_oom(error);
}

static int look_into_root(const char *first, const char *second, const ReproHints *hints,
                ReproReport *report, Error *error)
{
        _cleanup_free_ char *a = path_join(first, ROOT_FILE), *b = path_join(second, ROOT_FILE);
        _cleanup_diff_image_ DiffImage left = DIFF_IMAGE_CLOSED, right = DIFF_IMAGE_CLOSED;
        const DiffEntry *entry = NULL;
        int r;

        if (!a || !b)
                return error_oom(error);
        r = diff_image_open(&(DiffSource){ .name = a }, &left, error);
        if (r >= 0)
                r = diff_image_open(&(DiffSource){ .name = b }, &right, error);
        if (r >= 0)
                r = find_first(&left, &right, hints, &entry, &report->cause, error);
        if (r <= 0)
                return r;
        report->path = strdup(entry->path);
        r = report->path ? find_owner(&left, entry->path, &report->package, error) : error_oom(error);
        return r < 0 || report->package ? r
                                        : repro_find_scripts((const char *const[]){ hints->first_cache,
                                                                             hints->second_cache },
                                                          entry->path, &report->scripts, error);
}

static int look_into_file(const char *first, const char *second, const char *name, const ReproHints *hints,
                ReproReport *report, Error *error)
{
        _cleanup_free_ char *a_path = path_join(first, name), *b_path = path_join(second, name), *a = NULL,
                            *b = NULL;
        size_t a_size, b_size;
        int r;

        if (!a_path || !b_path)
                return error_oom(error);
        r = file_read(AT_FDCWD, a_path, CONTENT_MAX, &a, &a_size);
        if (r >= 0)
                r = file_read(AT_FDCWD, b_path, CONTENT_MAX, &b, &b_size);
        if (r == -ENOENT)
                report->cause = REPRO_MISSING;
        else if (r >= 0)
                report->cause = repro_classify(a, a_size, b, b_size, hints);
        else if (r != -E2BIG)
                return error_set(error, ERROR_IO, -r, "cannot read %s: %s", name, strerror(-r));
        return 0;
}

/* The root image first: what differs there shows in all that is made of it. */
static int explain(const char *first, const char *second, const ReproHints *hints, ReproReport *report,
                Error *error)
{
        const char *name = NULL;

        for (size_t i = 0; i < report->artifact_count; i++) {
                const ReproArtifact *artifact = &report->artifacts[i];

                if (!artifact->is_same && (!name || strcmp(artifact->file, ROOT_FILE) == 0))
                        name = artifact->file;
        }
        report->cause = REPRO_RANDOM;
        report->artifact = strdup(name);
        if (!report->artifact)
                return error_oom(error);
        return strcmp(name, ROOT_FILE) == 0 ? look_into_root(first, second, hints, report, error)
                                            : look_into_file(first, second, name, hints, report, error);
}

int repro_compare(const char *first, const char *second, const ReproHints *hints, ReproReport *ret,
                Error *error)
{
        ReproReport report = { 0 };
        int r = compare_files(first, second, &report, error);

        if (r >= 0 && report.artifact_count == 0)
                r = error_set(error, ERROR_FAILED, ENODATA, "neither %s nor %s has anything to compare",
                                first, second);
        if (r >= 0 && !report.is_same)
                r = explain(first, second, hints, &report, error);
        if (r < 0) {
                repro_report_done(&report);
                return r;
        }
        *ret = report;
        return 0;
}
