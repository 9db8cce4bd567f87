/* SPDX-License-Identifier: Apache-2.0 */
#include "disk-format.h"
#include "disk-source.h"
#include "erofs-reader.h"
#include "file.h"
#include "tar-header.h"

#include <string.h>
#include <sys/stat.h>

/* The root filesystem as an archive (POSIX.1-2001, pax), for whoever unpacks rather than boots: every name
 * in the order of the image, hard links as such, attributes as SCHILY.xattr. What a header has no room for
 * stands in an extended one before it. */

#define EXTENDED_MAX (1 * MIB)
#define CHUNK (1 * MIB)

/* Where an inode of several names was first. */
typedef struct FirstName {
        uint64_t nid;
        char *path;
} FirstName;

typedef struct Writer {
        ErofsImage *image;
        int fd;
        uint64_t at;
        uint8_t *chunk;
        FirstName *names;
        size_t name_count;
        Buffer extended;
} Writer;

static int put(Writer *writer, const void *data, size_t size)
{
        int r = pwrite_full(writer->fd, data, size, writer->at);

        writer->at += size;
        return r;
}

/* Bytes to the next block are the zeros of a hole. */
static void pad(Writer *writer)
{
        writer->at = (writer->at + TAR_BLOCK_SIZE - 1) / TAR_BLOCK_SIZE * TAR_BLOCK_SIZE;
}

/* A record "LENGTH KEY=VALUE\n", whose length counts its own digits. */
static int add_record(Writer *writer, const char *key, const void *value, size_t size)
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

static int on_xattr(const char *name, const uint8_t *value, size_t size, void *data, Error *error)
{
        _cleanup_free_ char *key = string_format("SCHILY.xattr.%s", name);
        int r = key ? add_record(data, key, value, size) : -ENOMEM;

        return r < 0 ? error_set(error, ERROR_FAILED, -r, "the attribute %s has no place in an archive",
                                       name)
                     : 0;
}

static const char *first_name(const Writer *writer, uint64_t nid)
{
        for (size_t i = 0; i < writer->name_count; i++)
                if (writer->names[i].nid == nid)
                        return writer->names[i].path;
        return NULL;
}

static int remember(Writer *writer, uint64_t nid, const char *path)
{
        FirstName *grown = reallocarray(writer->names, writer->name_count + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        writer->names = grown;
        grown[writer->name_count] = (FirstName){ nid, strdup(path) };
        return grown[writer->name_count++].path ? 0 : -ENOMEM;
}

static char type_of(mode_t mode)
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

static int put_header(Writer *writer, const TarHeader *header)
{
        uint8_t block[TAR_BLOCK_SIZE];
        int r = tar_header_fill(header, block);

        if (r < 0)
                return r;
        tar_header_seal(block);
        return put(writer, block, sizeof(block));
}

/* Names that are too long are cut in the header, and whole in the extended one. */
static int put_headers(Writer *writer, const TarHeader *member, const char *name, const char *link)
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
                        r = put(writer, writer->extended.data, writer->extended.size);
                pad(writer);
        }
        return r < 0 ? r : put_header(writer, &header);
}

static int put_content(Writer *writer, const ErofsInode *inode, Error *error)
{
        for (uint64_t done = 0; done < inode->size_bytes;) {
                size_t size = (size_t)MIN_OF((uint64_t)CHUNK, inode->size_bytes - done);
                int r = erofs_read(writer->image, inode, done, writer->chunk, size, error);

                if (r >= 0 && (r = put(writer, writer->chunk, size)) < 0)
                        (void)disk_write_failed("tar", r, error);
                if (r < 0)
                        return r;
                done += size;
        }
        pad(writer);
        return 0;
}

static int visit(const char *path, const ErofsInode *inode, void *data, Error *error)
{
        Writer *writer = data;
        bool is_folder = S_ISDIR(inode->mode), is_shared = !is_folder && inode->link_count > 1;
        const char *first = is_shared ? first_name(writer, inode->nid) : NULL;
        _cleanup_free_ char *name = string_format("./%s%s", path, is_folder && path[0] ? "/" : "");
        _cleanup_free_ char *link = NULL;
        TarHeader header = { .type = first ? TAR_TYPE_HARDLINK : type_of(inode->mode),
                .mode = inode->mode & 07777,
                .uid = inode->uid,
                .gid = inode->gid,
                .mtime = inode->mtime,
                .major = inode->major,
                .minor = inode->minor };
        int r = 0;

        buffer_clear(&writer->extended);
        if (first)
                link = string_format("./%s", first);
        else if (S_ISLNK(inode->mode))
                link = calloc(1, inode->size_bytes + 1);
        if (!name || ((first || S_ISLNK(inode->mode)) && !link))
                return error_oom(error);
        if (!first && S_ISLNK(inode->mode))
                r = erofs_read(writer->image, inode, 0, link, inode->size_bytes, error);
        if (r >= 0 && !first)
                r = erofs_read_xattrs(writer->image, inode, on_xattr, writer, error);
        if (r < 0)
                return r;
        if (is_shared && !first && remember(writer, inode->nid, path) < 0)
                return error_oom(error);
        if (header.type == TAR_TYPE_FILE)
                header.size_bytes = inode->size_bytes;
        r = put_headers(writer, &header, name, link);
        if (r < 0)
                return disk_write_failed("tar", r, error);
        return header.type == TAR_TYPE_FILE ? put_content(writer, inode, error) : 0;
}

static int write_all(const DiskSource *source, Writer *writer, Error *error)
{
        int r = erofs_open(source->fd, &writer->image, error);

        if (r >= 0)
                r = erofs_walk(writer->image, visit, writer, error);
        if (r >= 0 && ftruncate(writer->fd, (off_t)(writer->at + UINT64_C(2) * TAR_BLOCK_SIZE)) < 0)
                r = disk_write_failed("tar", -errno, error);
        return r;
}

int disk_write_tree(const DiskSource *source, int fd, Error *error)
{
        Writer writer = { .fd = fd, .chunk = malloc(CHUNK), .extended = BUFFER_WITH_CAP(EXTENDED_MAX) };
        int r = writer.chunk ? write_all(source, &writer, error) : error_oom(error);

        for (size_t i = 0; i < writer.name_count; i++)
                free(writer.names[i].path);
        free(writer.names);
        free(writer.chunk);
        buffer_done(&writer.extended);
        erofs_close(writer.image);
        return r;
}
