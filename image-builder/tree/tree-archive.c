/* SPDX-License-Identifier: Apache-2.0 */
#include "tree-archive.h"
#include "file.h"
#include "tar-writer.h"

#include <string.h>

#define CHUNK (1 * MIB)

typedef struct Archive {
        TarWriter tar;
        uint8_t *chunk;
        char **names; /* the first path of each inode that has several, by its number */
        uint64_t name_count;
} Archive;

static int failed(int r, Error *error)
{
        return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot write an archive: %s",
                        strerror(-r));
}

static int put_content(Archive *archive, Tree *tree, const TreeInode *inode, const char *path, Error *error)
{
        for (uint64_t done = 0; done < inode->content.size_bytes;) {
                size_t size = (size_t)MIN_OF((uint64_t)CHUNK, inode->content.size_bytes - done);
                int r = tree_read(tree, inode, done, archive->chunk, size);

                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "cannot read /%s: %s", path, strerror(-r));
                r = tar_writer_put(&archive->tar, archive->chunk, size);
                if (r < 0)
                        return failed(r, error);
                done += size;
        }
        tar_writer_pad(&archive->tar);
        return 0;
}

static int put_headers(
                Archive *archive, const TreeInode *inode, const char *path, const char *first, Error *error)
{
        _cleanup_free_ char *name =
                        string_format("./%s%s", path, S_ISDIR(inode->mode) && path[0] ? "/" : "");
        _cleanup_free_ char *link = first ? string_format("./%s", first) : NULL;
        TarHeader header = { .type = first ? TAR_TYPE_HARDLINK : tar_type_of(inode->mode),
                .mode = inode->mode & 07777,
                .uid = inode->uid,
                .gid = inode->gid,
                .mtime = MAX_OF(inode->mtime, (int64_t)0),
                .major = inode->major,
                .minor = inode->minor };
        int r = 0;

        if (!name || (first && !link))
                return error_oom(error);
        if (header.type == TAR_TYPE_FILE)
                header.size_bytes = inode->content.size_bytes;
        tar_writer_begin(&archive->tar);
        for (size_t i = 0; r >= 0 && !first && i < inode->xattr_count; i++)
                r = tar_writer_add_xattr(&archive->tar, inode->xattrs[i].name, inode->xattrs[i].value,
                                inode->xattrs[i].size_bytes);
        if (r >= 0)
                r = tar_writer_header(&archive->tar, &header, name, link ? link : inode->symlink_target);
        return r < 0 ? failed(r, error) : 0;
}

static int visit(Tree *tree, TreeNode *node, const char *path, void *data, Error *error)
{
        Archive *archive = data;
        const TreeInode *inode = node->inode;
        char **name = inode->link_count > 1 && !S_ISDIR(inode->mode) ? &archive->names[inode->number] : NULL;
        int r = put_headers(archive, inode, path, name ? *name : NULL, error);

        if (r < 0 || (name && *name))
                return r;
        if (name) {
                *name = strdup(path);
                if (!*name)
                        return error_oom(error);
        }
        return S_ISREG(inode->mode) ? put_content(archive, tree, inode, path, error) : 0;
}

int tree_write_archive(Tree *tree, int fd, Error *error)
{
        Archive archive = { .tar = TAR_WRITER(fd), .name_count = tree_inode_number_end(tree) };
        int r;

        archive.chunk = malloc(CHUNK);
        archive.names = calloc(archive.name_count + 1, sizeof(*archive.names));
        r = archive.chunk && archive.names ? tree_walk(tree, tree_root(tree), visit, &archive, error)
                                           : error_oom(error);
        if (r >= 0 && (r = tar_writer_end(&archive.tar)) < 0)
                r = failed(r, error);
        for (uint64_t i = 0; archive.names && i < archive.name_count; i++)
                free(archive.names[i]);
        free(archive.names);
        free(archive.chunk);
        tar_writer_done(&archive.tar);
        return r;
}
