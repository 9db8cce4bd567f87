/* SPDX-License-Identifier: Apache-2.0 */
#include "cpio.h"

#include <string.h>
#include <sys/stat.h>

#define TRAILER "TRAILER!!!"

typedef struct Header {
        unsigned mode, links;
        unsigned device_major, device_minor;
        size_t size;
} Header;

static int pad(Buffer *out, size_t alignment)
{
        size_t rest = out->size % alignment;

        return rest == 0 ? 0 : buffer_append_zeros(out, alignment - rest);
}

static int add(CpioWriter *writer, const char *path, const Header *header, const void *data)
{
        size_t length = strlen(path);
        uint32_t inode;
        int r;

        if (length == 0 || length > CPIO_PATH_MAX || path[0] == '/')
                return -EINVAL;
        if (header->size > UINT32_MAX)
                return -E2BIG;
        inode = strcmp(path, TRAILER) == 0 ? 0 : ++writer->last_inode;
        /* magic, inode, mode, uid, gid, links, time, size, device of the file (2), device it is (2), length
         * of the name with its NUL, checksum */
        r = buffer_printf(writer->out, "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X", inode,
                        header->mode, 0U, 0U, header->links, 0U, header->size, 0U, 0U, header->device_major,
                        header->device_minor, length + 1, 0U);
        if (r >= 0)
                r = buffer_append(writer->out, path, length + 1);
        if (r >= 0)
                r = pad(writer->out, 4);
        if (r >= 0 && header->size > 0)
                r = buffer_append(writer->out, data, header->size);
        return r < 0 ? r : pad(writer->out, 4);
}

int cpio_add_folder(CpioWriter *writer, const char *path, unsigned mode)
{
        return add(writer, path, &(Header){ .mode = S_IFDIR | (mode & 07777), .links = 2 }, NULL);
}

int cpio_add_file(CpioWriter *writer, const char *path, unsigned mode, const void *data, size_t size)
{
        return add(writer, path, &(Header){ .mode = S_IFREG | (mode & 07777), .links = 1, .size = size },
                        data);
}

int cpio_add_link(CpioWriter *writer, const char *path, const char *target)
{
        return add(writer, path, &(Header){ .mode = S_IFLNK | 0777, .links = 1, .size = strlen(target) },
                        target);
}

int cpio_add_character_device(CpioWriter *writer, const char *path, unsigned mode, unsigned major_number,
                unsigned minor_number)
{
        return add(writer, path,
                        &(Header){ .mode = S_IFCHR | (mode & 07777),
                                        .links = 1,
                                        .device_major = major_number,
                                        .device_minor = minor_number },
                        NULL);
}

int cpio_finish(CpioWriter *writer)
{
        int r = add(writer, TRAILER, &(Header){ .links = 1 }, NULL);

        return r < 0 ? r : pad(writer->out, 512);
}
