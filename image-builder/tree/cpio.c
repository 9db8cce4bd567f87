/* SPDX-License-Identifier: Apache-2.0 */
#include "cpio.h"

#include <string.h>
#include <sys/stat.h>

#define TRAILER "TRAILER!!!"

#define HEADER_SIZE 110
#define FIELD_MODE 1
#define FIELD_SIZE 6
#define FIELD_NAME_SIZE 11

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

/* One of the header's fields: 8 hexadecimal digits. */
static bool read_field(const uint8_t *header, unsigned number, uint32_t *ret)
{
        uint32_t value = 0;

        for (unsigned i = 0; i < 8; i++) {
                uint8_t c = header[6 + 8 * number + i];
                uint32_t digit = c >= '0' && c <= '9'   ? c - (uint32_t)'0'
                                 : c >= 'A' && c <= 'F' ? c - (uint32_t)'A' + 10
                                 : c >= 'a' && c <= 'f' ? c - (uint32_t)'a' + 10
                                                        : 16;

                if (digit == 16)
                        return false;
                value = value << 4 | digit;
        }
        *ret = value;
        return true;
}

int cpio_member_at(const uint8_t *data, size_t size, CpioMember *ret)
{
        uint32_t mode, file_size, name_size;
        size_t data_offset;

        if (size < HEADER_SIZE || memcmp(data, "070701", 6) != 0 || !read_field(data, FIELD_MODE, &mode) ||
                        !read_field(data, FIELD_SIZE, &file_size) ||
                        !read_field(data, FIELD_NAME_SIZE, &name_size))
                return 0;
        if (name_size < 2 || name_size > sizeof(ret->path) || name_size > size - HEADER_SIZE ||
                        data[HEADER_SIZE + name_size - 1] != 0)
                return 0;
        data_offset = (HEADER_SIZE + name_size + CPIO_ALIGNMENT - 1) / CPIO_ALIGNMENT * CPIO_ALIGNMENT;
        if (data_offset > size || file_size > size - data_offset)
                return 0;
        ret->mode = mode;
        ret->size_bytes = file_size;
        ret->data_offset = data_offset;
        memcpy(ret->path, data + HEADER_SIZE, name_size);
        return 1;
}

int cpio_finish(CpioWriter *writer)
{
        int r = add(writer, TRAILER, &(Header){ .links = 1 }, NULL);

        return r < 0 ? r : pad(writer->out, 512);
}
