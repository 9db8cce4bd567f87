/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect.h"

#include "file.h"
#include "hex.h"
#include "image-info.h"
#include "json.h"
#include "payload-format.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define EROFS_MAGIC_AT 1024
#define EROFS_MAGIC "\342\341\365\340"
#define GPT_MAGIC "EFI PART"

/* The first bytes of a file: as far as the second sector of a disk with sectors of 4096 bytes. */
typedef struct Start {
        uint8_t bytes[4096 + 512];
        size_t size;
} Start;

typedef struct FileKind {
        bool (*is_it)(const char *path, const Start *start);
        int (*inspect)(const char *path, json_t **ret, Error *error);
} FileKind;

static bool has(const Start *start, size_t offset, const char *magic, size_t size)
{
        return start->size >= offset + size && memcmp(start->bytes + offset, magic, size) == 0;
}

static bool is_payload(const char *path, const Start *start)
{
        return has(start, 0, PAYLOAD_MAGIC, 8);
}

static bool is_program(const char *path, const Start *start)
{
        return has(start, 0, "MZ", 2);
}

static bool is_root_image(const char *path, const Start *start)
{
        return has(start, EROFS_MAGIC_AT, EROFS_MAGIC, 4);
}

static bool is_disk(const char *path, const Start *start)
{
        return has(start, 512, GPT_MAGIC, 8) || has(start, 4096, GPT_MAGIC, 8);
}

/* Whether the file is a JSON object with such a member. */
static bool has_member(const char *path, const char *name)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_json_ json_t *json = NULL;
        size_t size;

        return file_read(AT_FDCWD, path, MANIFEST_MAX, &text, &size) >= 0 &&
               json_parse(text, size, MANIFEST_MAX, path, &json, NULL) >= 0 && json_object_get(json, name);
}

static bool is_manifest(const char *path, const Start *start)
{
        return has(start, 0, "{", 1) && has_member(path, "images");
}

static bool is_channel(const char *path, const Start *start)
{
        return has(start, 0, "{", 1) && has_member(path, "releases");
}

static const FileKind file_kinds[] = {
        { is_payload, inspect_payload },
        { is_root_image, inspect_root_image },
        { is_disk, inspect_disk },
        { is_program, inspect_program },
        { is_manifest, inspect_manifest },
        { is_channel, inspect_channel },
};

static bool has_file(const char *folder, const char *name)
{
        _cleanup_free_ char *path = path_join(folder, name);

        return path && access(path, F_OK) == 0;
}

static int inspect_folder(const char *path, json_t **ret, Error *error)
{
        if (has_file(path, IMAGE_INFO_NAME))
                return inspect_image_folder(path, ret, error);
        if (has_file(path, "metadata"))
                return inspect_repository(path, ret, error);
        return error_set(error, ERROR_INCOMPATIBLE, EMEDIUMTYPE,
                        "\"%s\" is neither an image folder (there is no %s) nor a repository (there is no "
                        "metadata)",
                        path, IMAGE_INFO_NAME);
}

int inspect_path(const char *path, json_t **ret, Error *error)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        Start start = { .size = 0 };
        struct stat status;
        int r;

        if (fd < 0 || fstat(fd, &status) < 0)
                return error_set(error, ERROR_IO, errno, "cannot open \"%s\": %s", path, strerror(errno));
        if (S_ISDIR(status.st_mode))
                return inspect_folder(path, ret, error);
        r = read_up_to(fd, start.bytes, sizeof(start.bytes), &start.size);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read \"%s\": %s", path, strerror(-r));
        for (size_t i = 0; i < ELEMENTS(file_kinds); i++)
                if (file_kinds[i].is_it(path, &start))
                        return file_kinds[i].inspect(path, ret, error);
        return error_set(error, ERROR_INCOMPATIBLE, EMEDIUMTYPE,
                        "\"%s\" is no payload, root image, disk, EFI program, release manifest or channel "
                        "of ours",
                        path);
}

json_t *inspect_hex(const uint8_t *data, size_t size)
{
        char text[2 * 64 + 1];

        if (size > 64)
                return NULL;
        hex_encode(data, size, text);
        return json_string(text);
}
