/* SPDX-License-Identifier: Apache-2.0 */
#include "booted.h"

#include "file.h"
#include "hex.h"

#include <fcntl.h>
#include <string.h>

#define BOOTED_MAX 4096

static int take_name(const char *value, char ret[static VERSION_MAX + 1], bool (*is_valid)(const char *))
{
        if (!is_valid(value))
                return -EBADMSG;
        memcpy(ret, value, strlen(value) + 1);
        return 0;
}

static int take_storage(const char *value, bool *ret_is_volatile)
{
        *ret_is_volatile = strcmp(value, "volatile") == 0;
        return *ret_is_volatile || strcmp(value, "persistent") == 0 ? 0 : -EBADMSG;
}

static int take_slot(const char *value, char *ret)
{
        if (value[0] < 'a' || value[0] > 'z' || value[1])
                return -EBADMSG;
        *ret = value[0];
        return 0;
}

static int take_disk(const char *value, char ret[static BOOTED_DISK_MAX])
{
        if (strncmp(value, "/dev/", 5) != 0 || strlen(value) >= BOOTED_DISK_MAX || strstr(value, ".."))
                return -EBADMSG;
        memcpy(ret, value, strlen(value) + 1);
        return 0;
}

static int take_line(const char *name, const char *value, Booted *booted)
{
        if (strcmp(name, "IMAGE_ID") == 0)
                return take_name(value, booted->image_id, image_id_is_valid);
        if (strcmp(name, "VERSION") == 0)
                return take_name(value, booted->version, version_is_valid);
        if (strcmp(name, "ROOT_HASH") == 0)
                return hex_decode(value, booted->root_hash, SHA256_SIZE) < 0 ? -EBADMSG : 0;
        if (strcmp(name, "DISK") == 0)
                return take_disk(value, booted->disk);
        if (strcmp(name, "SLOT") == 0)
                return take_slot(value, &booted->slot);
        if (strcmp(name, "VAR") == 0)
                return take_storage(value, &booted->is_var_volatile);
        if (strcmp(name, "ETC") == 0)
                return take_storage(value, &booted->is_etc_volatile);
        return 0;
}

int booted_parse(const char *text, Booted *ret, Error *error)
{
        static const uint8_t no_hash[SHA256_SIZE];
        _cleanup_free_ char *copy = strdup(text);
        Booted booted = { 0 };
        char *line, *rest;
        int r = 0;

        if (!copy)
                return error_oom(error);
        for (line = strtok_r(copy, "\n", &rest); r >= 0 && line; line = strtok_r(NULL, "\n", &rest)) {
                char *equals = strchr(line, '=');

                if (!equals) {
                        r = -EBADMSG;
                        break;
                }
                *equals = 0;
                r = take_line(line, equals + 1, &booted);
        }
        if (r < 0 || !booted.image_id[0] || !booted.version[0] || !booted.disk[0] || !booted.slot ||
                        memcmp(booted.root_hash, no_hash, SHA256_SIZE) == 0)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "the note of this boot is damaged: reboot");
        *ret = booted;
        return 0;
}

int booted_read(const char *folder, Booted *ret, Error *error)
{
        _cleanup_free_ char *path = path_join(folder, "booted"), *text = NULL;
        size_t size;
        int r;

        if (!path)
                return error_oom(error);
        r = file_read(AT_FDCWD, path, BOOTED_MAX, &text, &size);
        if (r == -ENOENT)
                return error_set(error, ERROR_INCOMPATIBLE, ENOENT,
                                "this machine does not run a release of ours: there is no %s", path);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read %s: %s", path, strerror(-r));
        return booted_parse(text, ret, error);
}
