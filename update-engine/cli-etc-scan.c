/* SPDX-License-Identifier: Apache-2.0 */
/* An overlayfs upper folder against the layers below it. A removed file is a character device 0/0 in the
 * upper folder, a folder that hides the one below it carries the "opaque" attribute (kernel documentation:
 * filesystems/overlayfs). */
#include "cli.h"
#include "file.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define DEPTH_MAX 64
#define COMPARE_CHUNK (64 * KIB)

typedef struct Scan {
        const char *upper, *lower, *old_lower;
        EtcReport *report;
} Scan;

const char *etc_change_name(EtcChange change)
{
        static const char *const names[ETC_CHANGE_MAX] = { "added", "changed", "removed" };

        return names[change];
}

static bool same_link(const char *a, const char *b)
{
        char target_a[4096], target_b[4096];
        ssize_t length_a = readlink(a, target_a, sizeof(target_a));
        ssize_t length_b = readlink(b, target_b, sizeof(target_b));

        return length_a >= 0 && length_a == length_b && memcmp(target_a, target_b, (size_t)length_a) == 0;
}

static bool same_bytes(const char *a, const char *b)
{
        _cleanup_fd_ int fd_a = open(a, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        _cleanup_fd_ int fd_b = open(b, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        _cleanup_free_ uint8_t *buffer = malloc(2 * COMPARE_CHUNK);
        size_t size_a, size_b;

        if (fd_a < 0 || fd_b < 0 || !buffer)
                return false;
        do {
                if (read_up_to(fd_a, buffer, COMPARE_CHUNK, &size_a) < 0 ||
                                read_up_to(fd_b, buffer + COMPARE_CHUNK, COMPARE_CHUNK, &size_b) < 0)
                        return false;
                if (size_a != size_b || memcmp(buffer, buffer + COMPARE_CHUNK, size_a) != 0)
                        return false;
        } while (size_a == COMPARE_CHUNK);
        return true;
}

/* Same kind, owner, mode and content; folders count as the same whatever is in them. */
static bool same_file(const char *a, const char *b)
{
        struct stat stat_a, stat_b;
        bool exists_a = lstat(a, &stat_a) == 0, exists_b = lstat(b, &stat_b) == 0;

        if (!exists_a || !exists_b)
                return exists_a == exists_b;
        if (stat_a.st_mode != stat_b.st_mode || stat_a.st_uid != stat_b.st_uid ||
                        stat_a.st_gid != stat_b.st_gid)
                return false;
        if (S_ISREG(stat_a.st_mode))
                return stat_a.st_size == stat_b.st_size && same_bytes(a, b);
        return !S_ISLNK(stat_a.st_mode) || same_link(a, b);
}

static int add(const Scan *scan, const char *path, EtcChange change)
{
        _cleanup_free_ char *now = path_join(scan->lower, path), *before = NULL, *copy = strdup(path);
        EtcReport *report = scan->report;
        EtcEntry *entries;

        if (scan->old_lower)
                before = path_join(scan->old_lower, path);
        entries = reallocarray(report->entries, report->count + 1, sizeof(*entries));
        if (!now || !copy || !entries || (scan->old_lower && !before))
                return -ENOMEM;
        report->entries = entries;
        entries[report->count++] = (EtcEntry){
                .path = TAKE_PTR(copy),
                .change = change,
                .release_changed_too = before && !same_file(before, now),
        };
        return 0;
}

static bool is_whiteout(const struct stat *stat)
{
        return S_ISCHR(stat->st_mode) && stat->st_rdev == makedev(0, 0);
}

static bool is_opaque(const char *folder)
{
        char value[2];

        return (getxattr(folder, "trusted.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y') ||
               (getxattr(folder, "user.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y');
}

static int scan_folder(const Scan *scan, const char *path, unsigned depth);

/* What lies in the lower folder but not in the upper one that hides it. */
static int scan_hidden(const Scan *scan, const char *path)
{
        _cleanup_free_ char *upper = path_join(scan->upper, path), *lower = path_join(scan->lower, path);
        DIR *folder = lower ? opendir(lower) : NULL;
        struct dirent *entry;
        int r = 0;

        if (!upper || !lower)
                return -ENOMEM;
        while (folder && r >= 0 && (entry = readdir(folder))) {
                _cleanup_free_ char *in_upper = path_join(upper, entry->d_name);
                _cleanup_free_ char *whole = path_join(path, entry->d_name);

                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                if (!in_upper || !whole)
                        r = -ENOMEM;
                else if (access(in_upper, F_OK) < 0)
                        r = add(scan, whole, ETC_REMOVED);
        }
        if (folder)
                (void)closedir(folder);
        return r;
}

static int scan_entry(const Scan *scan, const char *path, unsigned depth)
{
        _cleanup_free_ char *upper = path_join(scan->upper, path), *lower = path_join(scan->lower, path);
        struct stat in_upper, in_lower;
        bool was_there;

        if (!upper || !lower)
                return -ENOMEM;
        if (lstat(upper, &in_upper) < 0)
                return errno == ENOENT ? 0 : -errno;
        was_there = lstat(lower, &in_lower) == 0;
        if (is_whiteout(&in_upper))
                return was_there ? add(scan, path, ETC_REMOVED) : 0;
        if (!was_there || !same_file(upper, lower)) {
                int r = add(scan, path, was_there ? ETC_CHANGED : ETC_ADDED);

                if (r < 0)
                        return r;
        }
        return S_ISDIR(in_upper.st_mode) ? scan_folder(scan, path, depth + 1) : 0;
}

static int scan_folder(const Scan *scan, const char *path, unsigned depth)
{
        _cleanup_free_ char *upper = path[0] ? path_join(scan->upper, path) : strdup(scan->upper);
        struct dirent *entry;
        DIR *folder;
        int r = 0;

        if (!upper)
                return -ENOMEM;
        if (depth > DEPTH_MAX)
                return -ELOOP;
        folder = opendir(upper);
        if (!folder)
                return -errno;
        while (r >= 0 && (entry = readdir(folder))) {
                _cleanup_free_ char *whole =
                                path[0] ? path_join(path, entry->d_name) : strdup(entry->d_name);

                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                r = whole ? scan_entry(scan, whole, depth) : -ENOMEM;
        }
        (void)closedir(folder);
        return r >= 0 && path[0] && is_opaque(upper) ? scan_hidden(scan, path) : r;
}

static int compare_entries(const void *a, const void *b)
{
        return strcmp(((const EtcEntry *)a)->path, ((const EtcEntry *)b)->path);
}

int etc_scan(const char *upper, const char *lower, const char *old_lower, EtcReport *ret, Error *error)
{
        EtcReport report = { .knows_release = old_lower != NULL };
        Scan scan = { upper, lower, old_lower, &report };
        int r = scan_folder(&scan, "", 0);

        if (r < 0) {
                etc_report_done(&report);
                return error_set(error, r == -EACCES ? ERROR_PERMISSION : ERROR_IO, -r, "cannot read %s: %s",
                                upper, strerror(-r));
        }
        if (report.count > 1)
                qsort(report.entries, report.count, sizeof(*report.entries), compare_entries);
        *ret = report;
        return 0;
}

void etc_report_done(EtcReport *report)
{
        for (size_t i = 0; i < report->count; i++)
                free(report->entries[i].path);
        free(report->entries);
        *report = (EtcReport){ 0 };
}
