/* SPDX-License-Identifier: Apache-2.0 */
#include "disk-format.h"
#include "disk-source.h"
#include "erofs-reader.h"
#include "file.h"
#include "tar-writer.h"

#include <string.h>
#include <sys/stat.h>

/* The root filesystem as an archive (POSIX.1-2001, pax), for whoever unpacks rather than boots: every name
 * in the order of the image, hard links as such, attributes as SCHILY.xattr. What a header has no room for
 * stands in an extended one before it. */

#define CHUNK (1 * MIB)

/* Where an inode of several names was first. */
typedef struct FirstName {
        uint64_t nid;
        char *path;
} FirstName;

typedef struct Writer {
        ErofsImage *image;
        TarWriter tar;
        uint8_t *chunk;
        FirstName *names;
        size_t name_count;
} Writer;

static int on_xattr(const char *name, const uint8_t *value, size_t size, void *data, Error *error)
{
        Writer *writer = data;
        int r = tar_writer_add_xattr(&writer->tar, name, value, size);

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

static int put_content(Writer *writer, const ErofsInode *inode, Error *error)
{
        for (uint64_t done = 0; done < inode->size_bytes;) {
                size_t size = (size_t)MIN_OF((uint64_t)CHUNK, inode->size_bytes - done);
                int r = erofs_read(writer->image, inode, done, writer->chunk, size, error);

                if (r >= 0 && (r = tar_writer_put(&writer->tar, writer->chunk, size)) < 0)
                        (void)disk_write_failed("tar", r, error);
                if (r < 0)
                        return r;
                done += size;
        }
        tar_writer_pad(&writer->tar);
        return 0;
}

static int visit(const char *path, const ErofsInode *inode, void *data, Error *error)
{
        Writer *writer = data;
        bool is_folder = S_ISDIR(inode->mode), is_shared = !is_folder && inode->link_count > 1;
        const char *first = is_shared ? first_name(writer, inode->nid) : NULL;
        _cleanup_free_ char *name = string_format("./%s%s", path, is_folder && path[0] ? "/" : "");
        _cleanup_free_ char *link = NULL;
        TarHeader header = { .type = first ? TAR_TYPE_HARDLINK : tar_type_of(inode->mode),
                .mode = inode->mode & 07777,
                .uid = inode->uid,
                .gid = inode->gid,
                .mtime = inode->mtime,
                .major = inode->major,
                .minor = inode->minor };
        int r = 0;

        tar_writer_begin(&writer->tar);
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
        r = tar_writer_header(&writer->tar, &header, name, link);
        if (r < 0)
                return disk_write_failed("tar", r, error);
        return header.type == TAR_TYPE_FILE ? put_content(writer, inode, error) : 0;
}

static int write_all(const DiskSource *source, Writer *writer, Error *error)
{
        int r = erofs_open(source->fd, &writer->image, error);

        if (r >= 0)
                r = erofs_walk(writer->image, visit, writer, error);
        if (r >= 0 && (r = tar_writer_end(&writer->tar)) < 0)
                r = disk_write_failed("tar", r, error);
        return r;
}

int disk_write_tree(const DiskSource *source, int fd, Error *error)
{
        Writer writer = { .tar = TAR_WRITER(fd), .chunk = malloc(CHUNK) };
        int r = writer.chunk ? write_all(source, &writer, error) : error_oom(error);

        for (size_t i = 0; i < writer.name_count; i++)
                free(writer.names[i].path);
        free(writer.names);
        free(writer.chunk);
        tar_writer_done(&writer.tar);
        erofs_close(writer.image);
        return r;
}
