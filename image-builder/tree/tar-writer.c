/* SPDX-License-Identifier: Apache-2.0 */
#include "tar-writer.h"
#include "file.h"

#include <string.h>
#include <sys/stat.h>

void tar_writer_done(TarWriter *writer)
{
        buffer_done(&writer->extended);
}

void tar_writer_begin(TarWriter *writer)
{
        buffer_clear(&writer->extended);
}

int tar_writer_put(TarWriter *writer, const void *data, size_t size)
{
        int r = pwrite_full(writer->fd, data, size, writer->at);

        writer->at += size;
        return r;
}

void tar_writer_pad(TarWriter *writer)
{
        writer->at = (writer->at + TAR_BLOCK_SIZE - 1) / TAR_BLOCK_SIZE * TAR_BLOCK_SIZE;
}

int tar_writer_end(TarWriter *writer)
{
        uint64_t size = writer->at + UINT64_C(2) * TAR_BLOCK_SIZE;

        return ftruncate(writer->fd, (off_t)size) < 0 ? -errno : 0;
}

/* A record "LENGTH KEY=VALUE\n", whose length counts its own digits. */
static int add_record(TarWriter *writer, const char *key, const void *value, size_t size)
{
        size_t rest = strlen(key) + size + 3, length = rest + 1;
        int r;

        for (size_t limit = 10; length >= limit; limit *= 10)
                length++;
        r = buffer_printf(&writer->extended, "%zu %s=", length, key);
        if (r >= 0)
                r = buffer_append(&writer->extended, value, size);
        return r < 0 ? r : buffer_append_byte(&writer->extended, '\n');
}

int tar_writer_add_xattr(TarWriter *writer, const char *name, const void *value, size_t size)
{
        _cleanup_free_ char *key = string_format("SCHILY.xattr.%s", name);

        return key ? add_record(writer, key, value, size) : -ENOMEM;
}

char tar_type_of(mode_t mode)
{
        switch (mode & S_IFMT) {
        case S_IFDIR:
                return TAR_TYPE_DIRECTORY;
        case S_IFLNK:
                return TAR_TYPE_SYMLINK;
        case S_IFCHR:
                return TAR_TYPE_CHARACTER;
        case S_IFBLK:
                return TAR_TYPE_BLOCK;
        case S_IFIFO:
                return TAR_TYPE_FIFO;
        default:
                return TAR_TYPE_FILE;
        }
}

static int put_header(TarWriter *writer, const TarHeader *header)
{
        uint8_t block[TAR_BLOCK_SIZE];
        int r = tar_header_fill(header, block);

        if (r < 0)
                return r;
        tar_header_seal(block);
        return tar_writer_put(writer, block, sizeof(block));
}

/* Names that are too long are cut in the header, and whole in the extended one. */
int tar_writer_header(TarWriter *writer, const TarHeader *member, const char *name, const char *link)
{
        TarHeader header = *member;
        char short_name[TAR_NAME_SIZE + 1], short_link[TAR_LINK_SIZE + 1];
        int r = 0;

        if (strlen(name) > TAR_NAME_SIZE)
                r = add_record(writer, "path", name, strlen(name));
        if (r >= 0 && link && strlen(link) > TAR_LINK_SIZE)
                r = add_record(writer, "linkpath", link, strlen(link));
        (void)snprintf(short_name, sizeof(short_name), "%s", name);
        (void)snprintf(short_link, sizeof(short_link), "%s", link ? link : "");
        header.name = short_name;
        header.link = short_link;
        if (r >= 0 && writer->extended.size > 0) {
                TarHeader extended = { .name = "PaxHeader",
                        .type = TAR_TYPE_PAX,
                        .mode = 0644,
                        .mtime = header.mtime,
                        .size_bytes = writer->extended.size };

                r = put_header(writer, &extended);
                if (r >= 0)
                        r = tar_writer_put(writer, writer->extended.data, writer->extended.size);
                tar_writer_pad(writer);
        }
        return r < 0 ? r : put_header(writer, &header);
}
