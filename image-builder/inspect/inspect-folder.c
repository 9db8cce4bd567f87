/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"
#include "image-info.h"
#include "inspect.h"
#include "json.h"
#include "repository.h"
#include "utc.h"

#include <string.h>

static json_t *roles_json(const Repository *repository)
{
        json_t *array = json_array();

        for (unsigned role = 0; array && role < TUF_ROLE_MAX; role++) {
                char expires_text[UTC_TEXT_MAX] = "never signed";
                uint64_t version = 0;
                int64_t expires;

                if (repository_role(repository, (TufRole)role, &version, &expires) >= 0)
                        (void)utc_format(expires, expires_text);
                if (json_array_append_new(
                                    array, json_pack("{s:s, s:I, s:s}", "role", tuf_role_name((TufRole)role),
                                                           "version", (json_int_t)version, "expires",
                                                           expires_text)) < 0)
                        return json_decref(array), NULL;
        }
        return array;
}

static json_t *targets_json(const Repository *repository)
{
        json_t *array = json_array();

        for (size_t i = 0; array && i < repository_target_count(repository); i++) {
                const RepositoryTarget *target = repository_target(repository, i);

                if (json_array_append_new(array, json_pack("{s:s, s:I, s:o}", "target", target->path, "size",
                                                                 (json_int_t)target->size_bytes, "sha256",
                                                                 inspect_hex(target->sha256, 32))) < 0)
                        return json_decref(array), NULL;
        }
        return array;
}

static bool is_channel_path(const char *path)
{
        size_t length = strlen(path);

        return strncmp(path, "channels/", 9) == 0 && length > 5 && strcmp(path + length - 5, ".json") == 0;
}

/* An object of channel path -> releases. */
static int channels_json(const Repository *repository, json_t **ret, Error *error)
{
        _cleanup_json_ json_t *channels = json_object();

        for (size_t i = 0; channels && i < repository_target_count(repository); i++) {
                const RepositoryTarget *target = repository_target(repository, i);
                _cleanup_free_ char *text = NULL;
                json_t *releases;
                size_t size;
                int r;

                if (!is_channel_path(target->path))
                        continue;
                r = repository_read_target(repository, target->path, CHANNEL_MAX, &text, &size, error);
                if (r < 0)
                        return r;
                releases = channel_releases_json(text, size, error);
                if (!releases)
                        return error_prefix(error, -EBADMSG, "\"%s\"", target->path);
                if (json_object_set_new(channels, target->path, releases) < 0)
                        return error_oom(error);
        }
        *ret = TAKE_PTR(channels);
        return *ret ? 0 : error_oom(error);
}

int inspect_repository(const char *path, json_t **ret, Error *error)
{
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_json_ json_t *channels = NULL;
        uint64_t size_bytes = 0;
        int r = repository_open(path, false, &repository, error);

        if (r >= 0)
                r = channels_json(repository, &channels, error);
        if (r < 0)
                return r;
        for (size_t i = 0; i < repository_target_count(repository); i++)
                size_bytes += repository_target(repository, i)->size_bytes;
        *ret = json_pack("{s:s, s:o, s:O, s:I, s:o}", "kind", "repository", "roles", roles_json(repository),
                        "channels", channels, "targets-size", (json_int_t)size_bytes, "targets",
                        targets_json(repository));
        return *ret ? 0 : error_oom(error);
}

static int set_file(json_t *json, const char *name, const char *file)
{
        return file ? json_object_set_new(json, name, json_string(file)) : 0;
}

static json_t *packages_json(const ImageInfo *info)
{
        json_t *array = json_array();

        for (size_t i = 0; array && i < info->package_count; i++)
                if (json_array_append_new(array,
                                    json_pack("{s:s, s:s, s:s}", "package", info->packages[i].name,
                                                    "version", info->packages[i].version, "architecture",
                                                    info->packages[i].architecture)) < 0)
                        return json_decref(array), NULL;
        return array;
}

int inspect_image_folder(const char *path, json_t **ret, Error *error)
{
        _cleanup_(image_info_freep) ImageInfo *info = NULL;
        _cleanup_json_ json_t *json = NULL;
        int r = image_info_read(path, &info, error);

        if (r < 0)
                return r;
        json = json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:I, s:o}, s:{s:s, s:o, s:o}, s:{s:s, s:I, s:o}}",
                        "kind", "image folder", "id", info->image_id, "version", info->version,
                        "architecture", info->architecture, "root", "file", info->root_file, "size",
                        (json_int_t)info->root_size_bytes, "sha256",
                        inspect_hex(info->root_sha256, SHA256_SIZE), "verity", "file", info->verity_file,
                        "root-hash", inspect_hex(info->verity.root_hash, SHA256_SIZE), "salt",
                        inspect_hex(info->verity.salt, info->verity.salt_size), "uki", "file",
                        info->uki_file, "size", (json_int_t)info->uki_size_bytes, "sha256",
                        inspect_hex(info->uki_sha256, SHA256_SIZE));
        if (!json || set_file(json, "disk", info->disk_file) < 0 ||
                        set_file(json, "qcow2", info->qcow2_file) < 0 ||
                        json_object_set_new(json, "packages", packages_json(info)) < 0)
                return error_oom(error);
        *ret = TAKE_PTR(json);
        return 0;
}
