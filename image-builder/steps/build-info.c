/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"

#include <string.h>

#define PACKAGE_LIST_MAX (16 * MIB)

/* "NAME VERSION ARCHITECTURE SOURCE SOURCE-VERSION" lines of our own writing. */
static int fill_packages(const CacheEntry *entry, ImageInfo *info, Error *error)
{
        _cleanup_free_ char *text = NULL;
        size_t size, count = 0;
        char *next;
        int r = build_entry_read(entry, "packages", PACKAGE_LIST_MAX, &text, &size, error);

        if (r < 0)
                return r;
        for (const char *p = text; *p; p++)
                count += *p == '\n';
        info->packages = calloc(count + 1, sizeof(*info->packages));
        if (!info->packages)
                return error_oom(error);
        next = text;
        for (char *line; info->package_count < count && (line = strsep(&next, "\n"));) {
                ImageInfoPackage *package = &info->packages[info->package_count++];
                const char *name = strsep(&line, " "), *version = strsep(&line, " "),
                           *architecture = strsep(&line, " ");

                if (!architecture || !line)
                        return error_set(error, ERROR_CORRUPT, EBADMSG,
                                        "the cache entry %s is damaged; remove it", entry->path);
                *package = (ImageInfoPackage){ strdup(name), strdup(version), strdup(architecture) };
                if (!package->name || !package->version || !package->architecture)
                        return error_oom(error);
        }
        return 0;
}

int build_fill_info(Build *build, ImageInfo **ret, Error *error)
{
        _cleanup_(image_info_freep) ImageInfo *info = calloc(1, sizeof(*info));
        bool raw = recipe_wants_format(build->recipe, "raw"),
             qcow2 = recipe_wants_format(build->recipe, "qcow2");
        int r;

        if (!info)
                return error_oom(error);
        info->image_id = strdup(build->recipe->image_id);
        info->version = strdup(build->recipe->version);
        info->architecture = strdup(build->recipe->architecture);
        info->root_file = strdup(BUILD_ROOT_FILE);
        info->verity_file = strdup(BUILD_VERITY_FILE);
        info->uki_file = strdup(BUILD_UKI_FILE);
        info->disk_file = raw ? strdup(BUILD_DISK_FILE) : NULL;
        info->qcow2_file = qcow2 ? strdup(BUILD_QCOW2_FILE) : NULL;
        if (!info->image_id || !info->version || !info->architecture || !info->root_file ||
                        !info->verity_file || !info->uki_file || (raw && !info->disk_file) ||
                        (qcow2 && !info->qcow2_file))
                return error_oom(error);
        info->root_size_bytes = build->root_size_bytes;
        info->uki_size_bytes = build->uki_size_bytes;
        memcpy(info->root_sha256, build->root_sha256, SHA256_SIZE);
        memcpy(info->uki_sha256, build->uki_sha256, SHA256_SIZE);
        info->verity.salt_size = SHA256_SIZE;
        memcpy(info->verity.salt, build->salt, SHA256_SIZE);
        memcpy(info->verity.root_hash, build->root_hash, SHA256_SIZE);
        r = fill_packages(&build->entries[BUILD_ROOT], info, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(info);
        return 0;
}
