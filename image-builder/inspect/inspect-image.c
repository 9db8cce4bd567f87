/* SPDX-License-Identifier: Apache-2.0 */
#include "disk.h"
#include "erofs-reader.h"
#include "file.h"
#include "inspect.h"
#include "json.h"
#include "payload-inspect.h"
#include "uuid.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define OS_RELEASE "usr/lib/os-release"
#define OS_RELEASE_MAX (64 * KIB)

static int open_file(const char *path, int *ret, Error *error)
{
        *ret = open(path, O_RDONLY | O_CLOEXEC);
        return *ret < 0 ? error_set(error, ERROR_IO, errno, "cannot open \"%s\": %s", path, strerror(errno))
                        : 0;
}

int inspect_payload(const char *path, json_t **ret, Error *error)
{
        _cleanup_fd_ int fd = -1;
        int r = open_file(path, &fd, error);

        return r < 0 ? r : payload_inspect(fd, ret, error);
}

/* What a walk over a root image counts. */
typedef struct Count {
        const ErofsImage *image;
        uint64_t files, folders, links, others, file_bytes;
        char *os_release; /* owned */
} Count;

static int count_inode(const char *path, const ErofsInode *inode, void *data, Error *error)
{
        Count *count = data;

        if (strcmp(path, OS_RELEASE) == 0 && S_ISREG(inode->mode) && inode->size_bytes <= OS_RELEASE_MAX) {
                free(count->os_release);
                count->os_release = calloc(1, inode->size_bytes + 1);
                if (!count->os_release)
                        return error_oom(error);
                if (inode->size_bytes > 0) {
                        int r = erofs_read(
                                        count->image, inode, 0, count->os_release, inode->size_bytes, error);

                        if (r < 0)
                                return r;
                }
        }
        if (S_ISREG(inode->mode)) {
                count->files++;
                count->file_bytes += inode->size_bytes;
        } else if (S_ISDIR(inode->mode)) {
                count->folders++;
        } else if (S_ISLNK(inode->mode)) {
                count->links++;
        } else {
                count->others++;
        }
        return 0;
}

/* The value of a line NAME=value of an os-release file, without its quotes; freed by the caller. */
static char *os_release_value(const char *text, const char *name)
{
        size_t length = strlen(name);

        for (const char *line = text; line && *line; line = strchr(line, '\n')) {
                const char *value;
                size_t size;

                line += *line == '\n' ? 1 : 0;
                if (strncmp(line, name, length) != 0 || line[length] != '=')
                        continue;
                value = line + length + 1;
                size = strcspn(value, "\n");
                if (size >= 2 && (value[0] == '"' || value[0] == '\'') && value[size - 1] == value[0])
                        return strndup(value + 1, size - 2);
                return strndup(value, size);
        }
        return strdup("");
}

int inspect_root_image(const char *path, json_t **ret, Error *error)
{
        _cleanup_erofs_ ErofsImage *image = NULL;
        _cleanup_free_ char *os_release = NULL, *name = NULL, *id = NULL, *version = NULL;
        _cleanup_fd_ int fd = -1;
        char uuid[UUID_TEXT_SIZE];
        Count count = { 0 };
        int r = open_file(path, &fd, error);

        if (r >= 0)
                r = erofs_open(fd, &image, error);
        if (r < 0)
                return r;
        count.image = image;
        r = erofs_walk(image, count_inode, &count, error);
        os_release = count.os_release;
        if (r < 0)
                return r;
        name = os_release_value(os_release ? os_release : "", "PRETTY_NAME");
        id = os_release_value(os_release ? os_release : "", "IMAGE_ID");
        version = os_release_value(os_release ? os_release : "", "IMAGE_VERSION");
        if (!name || !id || !version)
                return error_oom(error);
        *ret = json_pack("{s:s, s:s%, s:s%, s:s%, s:I, s:s, s:I, s:I, s:I, s:I, s:I}", "kind", "root image",
                        "system", name, strlen(name), "id", id, strlen(id), "version", version,
                        strlen(version), "size", (json_int_t)erofs_superblock(image)->size_bytes, "uuid",
                        uuid_format(erofs_superblock(image)->uuid, uuid), "files", (json_int_t)count.files,
                        "folders", (json_int_t)count.folders, "links", (json_int_t)count.links, "others",
                        (json_int_t)count.others, "files-size", (json_int_t)count.file_bytes);
        return *ret ? 0
                    : error_set(error, ERROR_CORRUPT, EBADMSG, "\"%s\": its os-release is not UTF-8", path);
}

static json_t *partitions_json(const Disk *disk)
{
        json_t *array = json_array();

        for (unsigned role = 0; array && role < PARTITION_ROLE_MAX; role++) {
                const Partition *partition = &disk->partitions[role];
                char uuid[UUID_TEXT_SIZE];

                if (!partition->exists)
                        continue;
                if (json_array_append_new(array,
                                    json_pack("{s:I, s:s, s:I, s:I, s:s}", "number",
                                                    (json_int_t)partition->number, "role",
                                                    partition_role_name((PartitionRole)role), "offset-bytes",
                                                    (json_int_t)partition->offset_bytes, "size",
                                                    (json_int_t)partition->size_bytes, "partuuid",
                                                    uuid_format(partition->uuid, uuid))) < 0)
                        return json_decref(array), NULL;
        }
        return array;
}

static int slots_json(const Disk *disk, json_t **ret, Error *error)
{
        _cleanup_json_ json_t *array = json_array();

        for (unsigned slot = 0; array && slot < SLOT_NAME_MAX; slot++) {
                SlotContent content;
                int r = slot_read(disk, (SlotName)slot, &content, error);

                if (r < 0)
                        return r;
                if (json_array_append_new(array,
                                    json_pack("{s:s, s:b, s:I, s:o}", "slot", slot_name((SlotName)slot),
                                                    "valid", content.is_valid, "size",
                                                    (json_int_t)(content.is_valid ? content.data_size_bytes
                                                                                  : 0),
                                                    "root-hash-begins",
                                                    content.is_valid ? inspect_hex(content.superblock.uuid,
                                                                                       UUID_SIZE)
                                                                     : json_null())) < 0)
                        return error_oom(error);
        }
        *ret = TAKE_PTR(array);
        return *ret ? 0 : error_oom(error);
}

int inspect_disk(const char *path, json_t **ret, Error *error)
{
        _cleanup_(disk_freep) Disk *disk = NULL;
        _cleanup_json_ json_t *slots = NULL;
        int r = disk_open(path, &disk, error);

        if (r >= 0)
                r = slots_json(disk, &slots, error);
        if (r < 0)
                return r;
        *ret = json_pack("{s:s, s:I, s:I, s:o, s:O}", "kind", "disk", "size", (json_int_t)disk->size_bytes,
                        "sector-size", (json_int_t)disk->sector_size_bytes, "partitions",
                        partitions_json(disk), "slots", slots);
        return *ret ? 0 : error_oom(error);
}
