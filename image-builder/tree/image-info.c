/* SPDX-License-Identifier: Apache-2.0 */
#include "image-info.h"

#include "file.h"
#include "hex.h"
#include "json.h"

#include <fcntl.h>
#include <string.h>

#define IMAGE_INFO_FORMAT 1
#define IMAGE_INFO_MAX (16 * MIB)
#define PAPERS_COUNT_MAX 16
#define PACKAGES_MAX 100000
#define TEXT_MAX 255 /* bytes of a name or version */

ImageInfo *image_info_free(ImageInfo *info)
{
        if (!info)
                return NULL;
        for (size_t i = 0; i < info->package_count; i++) {
                free(info->packages[i].name);
                free(info->packages[i].version);
                free(info->packages[i].architecture);
        }
        free(info->packages);
        free(info->image_id);
        free(info->version);
        free(info->architecture);
        free(info->root_file);
        free(info->verity_file);
        free(info->uki_file);
        free(info->disk_file);
        free(info->qcow2_file);
        for (size_t i = 0; i < info->paper_count; i++)
                free(info->papers[i].file);
        free(info->papers);
        free(info);
        return NULL;
}

static bool any_text(const char *text)
{
        return text[0] && strlen(text) <= TEXT_MAX;
}

/* A file of the same folder, so that image.json cannot point anywhere else. */
static bool plain_file_name(const char *text)
{
        return any_text(text) && !strchr(text, '/') && text[0] != '.';
}

static int get_text(const json_t *object, const char *name, bool (*is_valid)(const char *text), char **ret,
                Error *error)
{
        const char *text;
        int r = json_get_string(object, name, &text, error);

        if (r < 0)
                return r;
        if (!is_valid(text))
                return error_set(error, ERROR_CORRUPT, EBADMSG, "member \"%s\" is not valid: \"%s\"", name,
                                text);
        *ret = strdup(text);
        return *ret ? 0 : error_oom(error);
}

static int get_optional_file(const json_t *object, const char *name, char **ret, Error *error)
{
        return json_object_get(object, name) ? get_text(object, name, plain_file_name, ret, error) : 0;
}

static int get_image(const json_t *json, const char *name, char **ret_file, uint64_t *ret_size,
                uint8_t *ret_sha256, Error *error)
{
        json_t *object;
        int r = json_get_object(json, name, &object, error);

        if (r >= 0)
                r = get_text(object, "file", plain_file_name, ret_file, error);
        if (r >= 0)
                r = json_get_u64(object, "size", ret_size, error);
        if (r >= 0)
                r = json_get_hex(object, "sha256", ret_sha256, SHA256_SIZE, error);
        if (r >= 0 && (*ret_size == 0 || *ret_size > IMAGE_SIZE_MAX))
                r = error_set(error, ERROR_CORRUPT, EBADMSG, "the size is impossible");
        return r < 0 ? error_prefix(error, r, "member \"%s\"", name) : 0;
}

static int get_verity(const json_t *json, ImageInfo *info, Error *error)
{
        const char *salt;
        json_t *object;
        int r = json_get_object(json, "verity", &object, error);

        if (r >= 0)
                r = get_text(object, "file", plain_file_name, &info->verity_file, error);
        if (r >= 0)
                r = json_get_hex(object, "root-hash", info->verity.root_hash, SHA256_SIZE, error);
        if (r >= 0)
                r = json_get_string(object, "salt", &salt, error);
        if (r < 0)
                return r;
        info->verity.salt_size = strlen(salt) / 2;
        if (info->verity.salt_size > VERITY_SALT_MAX ||
                        hex_decode(salt, info->verity.salt, info->verity.salt_size) < 0)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "the verity salt is not valid");
        return 0;
}

static int get_packages(const json_t *json, ImageInfo *info, Error *error)
{
        json_t *array;
        int r = json_get_array(json, "packages", &array, error);

        if (r < 0)
                return r;
        if (json_array_size(array) > PACKAGES_MAX)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "there are too many packages");
        info->packages = calloc(json_array_size(array) + 1, sizeof(*info->packages));
        if (!info->packages)
                return error_oom(error);
        for (size_t i = 0; i < json_array_size(array); i++) {
                ImageInfoPackage *package = &info->packages[info->package_count++];
                const json_t *object = json_array_get(array, i);

                r = get_text(object, "name", any_text, &package->name, error);
                if (r >= 0)
                        r = get_text(object, "version", any_text, &package->version, error);
                if (r >= 0)
                        r = get_text(object, "architecture", any_text, &package->architecture, error);
                if (r < 0)
                        return error_prefix(error, r, "package %zu", i + 1);
        }
        return 0;
}

static int get_papers(const json_t *json, ImageInfo *info, Error *error)
{
        json_t *array;
        int r;

        if (!json_object_get(json, "papers"))
                return 0;
        r = json_get_array(json, "papers", &array, error);
        if (r >= 0 && json_array_size(array) > PAPERS_COUNT_MAX)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "there are too many papers");
        if (r < 0)
                return r;
        info->papers = calloc(json_array_size(array) + 1, sizeof(*info->papers));
        if (!info->papers)
                return error_oom(error);
        for (size_t i = 0; r >= 0 && i < json_array_size(array); i++) {
                ImageInfoPaper *paper = &info->papers[info->paper_count++];

                r = get_text(json_array_get(array, i), "file", plain_file_name, &paper->file, error);
                if (r >= 0)
                        r = json_get_hex(json_array_get(array, i), "sha256", paper->sha256, SHA256_SIZE,
                                        error);
        }
        return r;
}

static int parse(const json_t *json, ImageInfo *info, Error *error)
{
        uint64_t format;
        int r = json_get_u64(json, "format", &format, error);

        if (r >= 0 && format != IMAGE_INFO_FORMAT)
                r = error_set(error, ERROR_INCOMPATIBLE, EPROTONOSUPPORT,
                                "it has format %llu, this version reads format %d; build the image again",
                                (unsigned long long)format, IMAGE_INFO_FORMAT);
        if (r >= 0)
                r = get_text(json, "id", image_id_is_valid, &info->image_id, error);
        if (r >= 0)
                r = get_text(json, "version", version_is_valid, &info->version, error);
        if (r >= 0)
                r = get_text(json, "architecture", architecture_is_valid, &info->architecture, error);
        if (r >= 0)
                r = get_image(json, "root", &info->root_file, &info->root_size_bytes, info->root_sha256,
                                error);
        if (r >= 0)
                r = get_image(json, "uki", &info->uki_file, &info->uki_size_bytes, info->uki_sha256, error);
        if (r >= 0)
                r = get_verity(json, info, error);
        if (r >= 0)
                r = get_optional_file(json, "disk", &info->disk_file, error);
        if (r >= 0)
                r = get_optional_file(json, "qcow2", &info->qcow2_file, error);
        if (r >= 0)
                r = get_packages(json, info, error);
        return r < 0 ? r : get_papers(json, info, error);
}

int image_info_read(const char *folder, ImageInfo **ret, Error *error)
{
        _cleanup_(image_info_freep) ImageInfo *info = calloc(1, sizeof(*info));
        _cleanup_free_ char *path = path_join(folder, IMAGE_INFO_NAME), *text = NULL;
        _cleanup_json_ json_t *json = NULL;
        size_t size;
        int r;

        if (!info || !path)
                return error_oom(error);
        r = file_read(AT_FDCWD, path, IMAGE_INFO_MAX, &text, &size);
        if (r == -ENOENT || r == -ENOTDIR)
                return error_set(error, ERROR_FAILED, -r,
                                "\"%s\" holds no image: there is no %s in it; \"build\" makes one", folder,
                                IMAGE_INFO_NAME);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read \"%s\": %s", path, strerror(-r));
        r = json_parse(text, size, IMAGE_INFO_MAX, path, &json, error);
        if (r >= 0)
                r = parse(json, info, error);
        if (r < 0)
                return error_prefix(error, r, "\"%s\"", path);
        *ret = TAKE_PTR(info);
        return 0;
}

int image_info_open_root(const ImageInfo *info, const char *folder, int *ret, Error *error)
{
        _cleanup_free_ char *path = path_join(folder, info->root_file);
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

        if (!path)
                return error_oom(error);
        if (fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open \"%s\": %s", path, strerror(errno));
        *ret = fd;
        return 0;
}

static json_t *hex_json(const uint8_t *data, size_t size)
{
        char text[2 * MAX_OF(SHA256_SIZE, VERITY_SALT_MAX) + 1];

        hex_encode(data, size, text);
        return json_string(text);
}

static json_t *packages_json(const ImageInfo *info)
{
        json_t *array = json_array();

        for (size_t i = 0; array && i < info->package_count; i++) {
                const ImageInfoPackage *package = &info->packages[i];

                if (json_array_append_new(array, json_pack("{s:s, s:s, s:s}", "name", package->name,
                                                                 "version", package->version, "architecture",
                                                                 package->architecture)) < 0)
                        return json_decref(array), NULL;
        }
        return array;
}

static json_t *papers_json(const ImageInfo *info)
{
        json_t *array = json_array();

        for (size_t i = 0; array && i < info->paper_count; i++)
                if (json_array_append_new(array,
                                    json_pack("{s:s, s:o}", "file", info->papers[i].file, "sha256",
                                                    hex_json(info->papers[i].sha256, SHA256_SIZE))) < 0)
                        return json_decref(array), NULL;
        return array;
}

static int add_optional(json_t *json, const char *name, const char *value)
{
        return value ? json_object_set_new(json, name, json_string(value)) : 0;
}

int image_info_format(const ImageInfo *info, char **ret, Error *error)
{
        _cleanup_json_ json_t *json = json_pack(
                        "{s:i, s:s, s:s, s:s, s:{s:s, s:I, s:o}, s:{s:s, s:I, s:o}, s:{s:s, s:o, s:o}}",
                        "format", IMAGE_INFO_FORMAT, "id", info->image_id, "version", info->version,
                        "architecture", info->architecture, "root", "file", info->root_file, "size",
                        (json_int_t)info->root_size_bytes, "sha256",
                        hex_json(info->root_sha256, SHA256_SIZE), "uki", "file", info->uki_file, "size",
                        (json_int_t)info->uki_size_bytes, "sha256", hex_json(info->uki_sha256, SHA256_SIZE),
                        "verity", "file", info->verity_file, "salt",
                        hex_json(info->verity.salt, info->verity.salt_size), "root-hash",
                        hex_json(info->verity.root_hash, SHA256_SIZE));

        if (!json || add_optional(json, "disk", info->disk_file) < 0 ||
                        add_optional(json, "qcow2", info->qcow2_file) < 0 ||
                        json_object_set_new(json, "packages", packages_json(info)) < 0 ||
                        (info->paper_count > 0 &&
                                        json_object_set_new(json, "papers", papers_json(info)) < 0))
                return error_set(error, ERROR_FAILED, EINVAL,
                                "%s cannot be written: its texts must be UTF-8", IMAGE_INFO_NAME);
        *ret = json_dumps(json, JSON_INDENT(2));
        return *ret ? 0 : error_oom(error);
}
