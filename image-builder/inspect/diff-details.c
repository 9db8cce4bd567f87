/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "diff.h"

#include <string.h>
#include <sys/stat.h>

#define CONFIG_MAX (4 * MIB)

static int add_row(json_t *array, const char *name, const char *value, const char *old, const char *new)
{
        json_t *row = json_pack(
                        "{s:s, s:s, s:s}", name, value, "old", old ? old : "", "new", new ? new : "");

        return json_array_append_new(array, row);
}

/* ---- packages ---- */

static int compare_packages(const ComposePackage *a, const ComposePackage *b)
{
        int order = strcmp(a->name, b->name);

        return order != 0 ? order : strcmp(a->architecture, b->architecture);
}

json_t *diff_packages(const DiffImage *old, const DiffImage *new)
{
        json_t *array = json_array();
        size_t i = 0, j = 0;
        int failed = array ? 0 : -1;

        while (failed == 0 && (i < old->package_count || j < new->package_count)) {
                const ComposePackage *a = i < old->package_count ? &old->packages[i] : NULL;
                const ComposePackage *b = j < new->package_count ? &new->packages[j] : NULL;
                int order = !a ? 1 : !b ? -1 : compare_packages(a, b);

                i += order <= 0;
                j += order >= 0;
                if (order < 0)
                        failed = add_row(array, "package", a->name, a->version, NULL);
                else if (order > 0)
                        failed = add_row(array, "package", b->name, NULL, b->version);
                else if (strcmp(a->version, b->version) != 0)
                        failed = add_row(array, "package", a->name, a->version, b->version);
        }
        return failed ? (json_decref(array), NULL) : array;
}

/* ---- what is asked of every file ---- */

/* A word on a file, "" when there is nothing to say; `ret` has room for WORD_MAX. */
#define WORD_MAX 256
typedef int (*Describe)(const DiffImage *image, const DiffEntry *entry, char *ret, Error *error);

static int describe_side(
                const DiffImage *image, const DiffEntry *entry, Describe describe, char *ret, Error *error)
{
        ret[0] = '\0';
        return entry ? describe(image, entry, ret, error) : 0;
}

/* Files of both sides whose words differ. */
static int compare_words(
                const DiffImage *old, const DiffImage *new, Describe describe, json_t *array, Error *error)
{
        size_t i = 0, j = 0;

        while (i < old->count || j < new->count) {
                const DiffEntry *a = i < old->count ? &old->entries[i] : NULL;
                const DiffEntry *b = j < new->count ? &new->entries[j] : NULL;
                int order = !a ? 1 : !b ? -1 : strcmp(a->path, b->path), r;
                char before[WORD_MAX], after[WORD_MAX];

                i += order <= 0;
                j += order >= 0;
                r = describe_side(old, order <= 0 ? a : NULL, describe, before, error);
                if (r >= 0)
                        r = describe_side(new, order >= 0 ? b : NULL, describe, after, error);
                if (r < 0)
                        return r;
                if (strcmp(before, after) != 0) {
                        char path[4096];

                        (void)snprintf(path, sizeof(path), "/%s", order <= 0 ? a->path : b->path);
                        if (add_row(array, "path", path, before, after) < 0)
                                return error_oom(error);
                }
        }
        return 0;
}

static int describe_privilege(const DiffImage *image, const DiffEntry *entry, char *ret, Error *error)
{
        if (S_ISREG(entry->inode.mode) && (entry->inode.mode & (S_ISUID | S_ISGID)))
                (void)snprintf(ret, WORD_MAX, "%04o of %u:%u", (unsigned)entry->inode.mode & 07777,
                                entry->inode.uid, entry->inode.gid);
        return 0;
}

json_t *diff_privileges(const DiffImage *old, const DiffImage *new)
{
        json_t *array = json_array();

        if (array && compare_words(old, new, describe_privilege, array, NULL) < 0)
                return json_decref(array), NULL;
        return array;
}

static const char *const capability_names[] = { "chown", "dac_override", "dac_read_search", "fowner",
        "fsetid", "kill", "setgid", "setuid", "setpcap", "linux_immutable", "net_bind_service",
        "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner", "sys_module", "sys_rawio",
        "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice", "sys_resource",
        "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
        "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
        "checkpoint_restore" };

/* struct vfs_cap_data: magic and flags, permitted and inheritable, 32 bits each, and the upper halves. */
static int visit_xattr(const char *name, const uint8_t *value, size_t size, void *data, Error *error)
{
        uint64_t permitted;
        char *text = data;

        if (strcmp(name, "security.capability") != 0 || size < 12)
                return 0;
        permitted = read_le32(value + 4) | (size >= 20 ? (uint64_t)read_le32(value + 12) << 32 : 0);
        for (size_t i = 0; i < ELEMENTS(capability_names); i++) {
                size_t used = strlen(text);

                if (permitted >> i & 1)
                        (void)snprintf(text + used, WORD_MAX - used, "%s%s", used > 0 ? "," : "",
                                        capability_names[i]);
        }
        return 0;
}

static int describe_capabilities(const DiffImage *image, const DiffEntry *entry, char *ret, Error *error)
{
        if (!S_ISREG(entry->inode.mode) || entry->inode.xattr_bytes == 0)
                return 0;
        return erofs_read_xattrs(image->erofs, &entry->inode, visit_xattr, ret, error);
}

int diff_capabilities(const DiffImage *old, const DiffImage *new, json_t **ret, Error *error)
{
        json_t *array = json_array();
        int r = array ? compare_words(old, new, describe_capabilities, array, error) : error_oom(error);

        if (r < 0)
                return json_decref(array), r;
        *ret = array;
        return 0;
}

/* A link in TARGET.wants or TARGET.requires: that unit is enabled. */
static int describe_unit(const DiffImage *image, const DiffEntry *entry, char *ret, Error *error)
{
        const char *slash = strrchr(entry->path, '/');
        bool is_unit_path = strncmp(entry->path, "etc/systemd/", 12) == 0 ||
                            strncmp(entry->path, "usr/lib/systemd/", 16) == 0;

        if (S_ISLNK(entry->inode.mode) && is_unit_path && slash &&
                        ((slash - entry->path > 6 && memcmp(slash - 6, ".wants", 6) == 0) ||
                                        (slash - entry->path > 9 && memcmp(slash - 9, ".requires", 9) == 0)))
                (void)snprintf(ret, WORD_MAX, "enabled");
        return 0;
}

json_t *diff_units(const DiffImage *old, const DiffImage *new)
{
        json_t *array = json_array();

        if (array && compare_words(old, new, describe_unit, array, NULL) < 0)
                return json_decref(array), NULL;
        return array;
}

/* ---- kernel ---- */

/* "usr/lib/modules/RELEASE/config", or what a plain Debian tree has. */
static const DiffEntry *find_config(const DiffImage *image)
{
        for (size_t i = 0; i < image->count; i++) {
                const char *path = image->entries[i].path, *end = strrchr(path, '/');

                if (!S_ISREG(image->entries[i].inode.mode) || !end)
                        continue;
                if (strncmp(path, "boot/config-", 12) == 0 ||
                                (strncmp(path, "usr/lib/modules/", 16) == 0 && strcmp(end, "/config") == 0 &&
                                                strchr(path + 16, '/') == end))
                        return &image->entries[i];
        }
        return NULL;
}

/* "CONFIG_X=value" and "# CONFIG_X is not set" as an object. */
static json_t *parse_config(char *text)
{
        json_t *object = json_object();
        char *rest = text, *line;

        while (object && (line = strsep(&rest, "\n"))) {
                char *equals = strchr(line, '=');

                if (strncmp(line, "CONFIG_", 7) == 0 && equals) {
                        *equals = '\0';
                        if (json_object_set_new(object, line, json_string(equals + 1)) < 0)
                                return json_decref(object), NULL;
                }
        }
        return object;
}

static int read_config(const DiffImage *image, json_t **ret, Error *error)
{
        const DiffEntry *entry = find_config(image);
        _cleanup_free_ char *text = NULL;
        int r = entry ? diff_image_read(image, entry, CONFIG_MAX, &text, error) : 0;

        if (r < 0)
                return r;
        *ret = text ? parse_config(text) : json_object();
        return *ret ? 0 : error_oom(error);
}

static int compare_options(json_t *old, json_t *new, json_t *array, Error *error)
{
        const char *name;
        json_t *value;
        int failed = 0;

        json_object_foreach(old, name, value)
        {
                const char *before = json_string_value(value),
                           *after = json_string_value(json_object_get(new, name));

                if (!after || strcmp(before, after) != 0)
                        failed |= add_row(array, "option", name, before, after ? after : "n");
        }
        json_object_foreach(new, name, value)
        {
                if (!json_object_get(old, name))
                        failed |= add_row(array, "option", name, "n", json_string_value(value));
        }
        return failed ? error_oom(error) : 0;
}

int diff_kernel_options(const DiffImage *old, const DiffImage *new, json_t **ret, Error *error)
{
        json_t *before = NULL, *after = NULL, *array = json_array();
        int r = array ? read_config(old, &before, error) : error_oom(error);

        if (r >= 0)
                r = read_config(new, &after, error);
        /* Without a configuration on both sides there is nothing to compare. */
        if (r >= 0 && json_object_size(before) > 0 && json_object_size(after) > 0)
                r = compare_options(before, after, array, error);
        json_decref(before);
        json_decref(after);
        if (r < 0)
                return json_decref(array), r;
        *ret = array;
        return 0;
}
