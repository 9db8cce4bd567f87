/* SPDX-License-Identifier: Apache-2.0 */
#include "tar.h"
#include "file.h"
#include "tar-format.h"
#include "tar-reader.h"

#include <string.h>

static void member_done(TarMember *member)
{
        for (size_t i = 0; i < member->xattr_count; i++) {
                free(member->xattrs[i].name);
                free(member->xattrs[i].value);
        }
        free(member->xattrs);
        free(member->name);
        free(member->link);
        *member = (TarMember){ 0 };
}

static int read_at(TarReader *reader, uint64_t offset, void *ret, size_t size)
{
        int r = pread_full(reader->fd, ret, size, offset);
        return r < 0 ? error_set(reader->error, ERROR_IO, -r, "Cannot read the archive: %s", strerror(-r))
                     : 0;
}

/* ---- numbers ---- */

static int parse_base256(const uint8_t *field, size_t size, uint64_t *ret)
{
        uint64_t value = field[0] & 0x7f;

        if (field[0] & 0x40) /* negative */
                return -ERANGE;
        for (size_t i = 1; i < size; i++) {
                if (value >> 56)
                        return -ERANGE;
                value = value << 8 | field[i];
        }
        *ret = value;
        return 0;
}

static int parse_number(const uint8_t *field, size_t size, uint64_t *ret)
{
        uint64_t value = 0;
        size_t i = 0;

        if (field[0] & 0x80)
                return parse_base256(field, size, ret);
        while (i < size && field[i] == ' ')
                i++;
        for (; i < size && field[i] >= '0' && field[i] <= '7'; i++) {
                if (value >> 61)
                        return -ERANGE;
                value = value << 3 | (uint64_t)(field[i] - '0');
        }
        for (; i < size; i++)
                if (field[i] != ' ' && field[i] != 0)
                        return -EINVAL;
        *ret = value;
        return 0;
}

/* ---- extended headers ---- */

/* A header member whose data describes the next member. */
static int read_extended(TarReader *reader, char type, uint64_t size)
{
        TarMember *member = &reader->member;

        if (size > TAR_EXTENDED_HEADER_MAX)
                return tar_refuse(reader, "its extended header is too large");
        _cleanup_free_ char *text = malloc(size + 1);
        if (!text)
                return error_oom(reader->error);
        int r = read_at(reader, reader->at, text, size);
        if (r < 0)
                return r;
        text[size] = 0;
        switch (type) {
        case TAR_TYPE_GNU_LONG_NAME:
        case TAR_TYPE_GNU_LONG_LINK:
                if (strlen(text) + 1 < size || text[0] == 0)
                        return tar_refuse(reader, "its long name is empty or broken");
                r = tar_copy_text(text, strlen(text),
                                type == TAR_TYPE_GNU_LONG_NAME ? &member->name : &member->link);
                return r < 0 ? error_oom(reader->error) : 0;
        default:
                return tar_parse_pax(reader, text, size, type == TAR_TYPE_PAX_GLOBAL);
        }
}

/* ---- members ---- */

static int check_checksum(TarReader *reader, const uint8_t *block)
{
        uint64_t stated;
        uint32_t sum = 0;

        for (size_t i = 0; i < TAR_BLOCK_SIZE; i++)
                sum += i >= TAR_CHECKSUM_AT && i < TAR_CHECKSUM_AT + TAR_CHECKSUM_SIZE ? ' ' : block[i];
        if (parse_number(block + TAR_CHECKSUM_AT, TAR_CHECKSUM_SIZE, &stated) < 0 || stated != sum)
                return tar_refuse(reader, "bad header checksum: this is not a tar archive, or it is damaged "
                                          "or compressed");
        return 0;
}

static int take_names(TarReader *reader, const uint8_t *block)
{
        const char *name = (const char *)block + TAR_NAME_AT, *link = (const char *)block + TAR_LINK_AT;
        const char *prefix = (const char *)block + TAR_PREFIX_AT;
        bool posix = memcmp(block + TAR_MAGIC_AT, "ustar", 6) == 0; /* with its NUL; GNU has a space */
        char whole[TAR_PREFIX_SIZE + TAR_NAME_SIZE + 2];
        TarMember *member = &reader->member;

        if (!member->name) {
                bool prefixed = posix && prefix[0];

                (void)snprintf(whole, sizeof(whole), "%.*s%s%.*s", prefixed ? TAR_PREFIX_SIZE : 0, prefix,
                                prefixed ? "/" : "", TAR_NAME_SIZE, name);
                if (tar_copy_text(whole, strlen(whole), &member->name) < 0)
                        return error_oom(reader->error);
        }
        if (!member->link && tar_copy_text(link, strnlen(link, TAR_LINK_SIZE), &member->link) < 0)
                return error_oom(reader->error);
        return 0;
}

static int take_numbers(TarReader *reader, const uint8_t *block)
{
        TarMember *member = &reader->member;
        uint64_t mode, mtime;
        int r = parse_number(block + TAR_MODE_AT, TAR_MODE_SIZE, &mode);

        if (r >= 0 && !member->has_uid)
                r = parse_number(block + TAR_UID_AT, TAR_UID_SIZE, &member->uid);
        if (r >= 0 && !member->has_gid)
                r = parse_number(block + TAR_GID_AT, TAR_GID_SIZE, &member->gid);
        if (r >= 0 && !member->has_size)
                r = parse_number(block + TAR_SIZE_AT, TAR_SIZE_SIZE, &member->size_bytes);
        if (r >= 0 && !member->has_mtime) {
                r = parse_number(block + TAR_MTIME_AT, TAR_MTIME_SIZE, &mtime);
                member->mtime = (int64_t)MIN_OF(mtime, (uint64_t)INT64_MAX);
        }
        member->type = (char)block[TAR_TYPE_AT];
        if (r >= 0 && (member->type == TAR_TYPE_CHARACTER || member->type == TAR_TYPE_BLOCK)) {
                r = parse_number(block + TAR_MAJOR_AT, TAR_MAJOR_SIZE, &member->major);
                if (r >= 0)
                        r = parse_number(block + TAR_MINOR_AT, TAR_MINOR_SIZE, &member->minor);
        }
        if (r < 0)
                return tar_refuse(reader, "a number in its header is negative, too large or broken");
        if (member->uid >= UINT32_MAX || member->gid >= UINT32_MAX || member->major >= 1 << 12 ||
                        member->minor >= 1 << 20)
                return tar_refuse(reader, "an owner or device number is too large");
        member->mode = mode & 07777;
        return 0;
}

/* The name without a leading "./" and trailing slashes; "" is the root. In place. */
static int clean_name(TarReader *reader, char *name)
{
        size_t length;

        if (name[0] == 0 || (name[0] == '/' && reader->options->pass == TAR_ARCHIVE))
                return tar_refuse(reader, "the name is absolute or empty");
        char *from = name + strspn(name, "/");
        while (from[0] == '.' && from[1] == '/')
                from += 2 + strspn(from + 2, "/");
        memmove(name, from, strlen(from) + 1);
        for (length = strlen(name); length > 0 && name[length - 1] == '/'; length--)
                name[length - 1] = 0;
        if (strcmp(name, ".") == 0)
                name[0] = 0;
        return 0;
}

int tar_find(TarReader *reader, const char *name, bool strict, TreeNode **ret)
{
        TreeNode *at = tree_root(reader->tree);

        while (*name && at) {
                char component[TREE_NAME_MAX + 1];
                size_t length = strcspn(name, "/");

                if (length > TREE_NAME_MAX)
                        return tar_refuse(reader, "a part of the name is too long");
                memcpy(component, name, length);
                component[length] = 0;
                if (strcmp(component, "..") == 0 || strcmp(component, ".") == 0)
                        return tar_refuse(reader, "the name has \".\" or \"..\" in it");
                if (!S_ISDIR(at->inode->mode) && strict)
                        return tar_refuse(reader, "the name leads through something that is not a folder");
                name += length;
                name += strspn(name, "/");
                at = S_ISDIR(at->inode->mode) ? tree_child(at, component) : NULL;
        }
        while (*name) { /* below what is not there yet: only the form is left to check */
                size_t length = strcspn(name, "/");

                if (length <= 2 && strspn(name, ".") >= length)
                        return tar_refuse(reader, "the name has \".\" or \"..\" in it");
                name += length;
                name += strspn(name, "/");
        }
        *ret = at;
        return 0;
}

static int make_hardlink(TarReader *reader, TreeNode **ret)
{
        TarMember *member = &reader->member;
        TreeNode *existing;

        int r = clean_name(reader, member->link);
        if (r >= 0)
                r = tar_find(reader, member->link, true, &existing);
        if (r < 0)
                return r;
        if (!existing || S_ISDIR(existing->inode->mode))
                return tar_refuse(reader,
                                "a hard link to what is not in the archive before it, or to a folder");
        r = tree_make_hardlink(reader->tree, member->name, existing, ret, reader->error);
        return r;
}

static int make_member(TarReader *reader, TreeNode **ret)
{
        TarMember *member = &reader->member;
        mode_t device = member->type == TAR_TYPE_CHARACTER ? S_IFCHR : S_IFBLK;

        switch (member->type) {
        case TAR_TYPE_FILE:
        case TAR_TYPE_FILE_OLD:
        case TAR_TYPE_CONTIGUOUS:
                return tree_make_backed_file(reader->tree, member->name, reader->backing, reader->at,
                                member->size_bytes, member->mode, ret, reader->error);
        case TAR_TYPE_DIRECTORY:
                return tree_make_directory(reader->tree, member->name, member->mode, ret, reader->error);
        case TAR_TYPE_SYMLINK:
                return tree_make_symlink(reader->tree, member->name, member->link, ret, reader->error);
        case TAR_TYPE_CHARACTER:
        case TAR_TYPE_BLOCK:
                if (!reader->options->allow_devices)
                        return tar_refuse(reader, "device nodes are not allowed");
                return tree_make_special(reader->tree, member->name, device, member->mode,
                                (uint32_t)member->major, (uint32_t)member->minor, ret, reader->error);
        case TAR_TYPE_FIFO:
                return tree_make_special(
                                reader->tree, member->name, S_IFIFO, member->mode, 0, 0, ret, reader->error);
        case TAR_TYPE_GNU_SPARSE:
                return tar_refuse(
                                reader, "sparse files are not supported: make the archive without --sparse");
        default:
                return tar_refuse(reader, "its type is not known");
        }
}

static bool has_data(char type)
{
        return type == TAR_TYPE_FILE || type == TAR_TYPE_FILE_OLD || type == TAR_TYPE_CONTIGUOUS;
}

static int set_attributes(TarReader *reader, TreeInode *inode)
{
        TarMember *member = &reader->member;

        if (S_ISDIR(inode->mode)) /* it may have been there: made for a member below it, or named twice */
                inode->mode = S_IFDIR | member->mode;
        inode->uid = (uint32_t)member->uid;
        inode->gid = (uint32_t)member->gid;
        inode->mtime = member->mtime;
        while (inode->xattr_count > 0)
                tree_drop_xattr(inode, inode->xattrs[0].name);
        for (size_t i = 0; i < member->xattr_count; i++) {
                int r = tree_set_xattr(inode, member->xattrs[i].name, member->xattrs[i].value,
                                member->xattrs[i].size_bytes);
                if (r < 0)
                        return error_oom(reader->error);
        }
        return 0;
}

static bool is_left_out(const TarReader *reader)
{
        const TarMember *member = &reader->member;

        return reader->options->skip_devices && strncmp(member->name, "dev/", 4) == 0 &&
               (member->type == TAR_TYPE_CHARACTER || member->type == TAR_TYPE_BLOCK);
}

static int add_member(TarReader *reader)
{
        TarMember *member = &reader->member;
        TreeNode *existing, *node = NULL;
        bool is_done = false;

        if (has_data(member->type) && member->name[0] && member->name[strlen(member->name) - 1] == '/')
                return tar_refuse(reader, "a file whose name ends in a slash");
        int r = clean_name(reader, member->name);
        if (r >= 0 && reader->options->pass != TAR_ARCHIVE)
                r = tar_take_layer_member(reader, &is_done);
        if (r >= 0 && !is_done)
                r = tar_find(reader, member->name, true, &existing);
        if (r < 0 || is_done || is_left_out(reader))
                return r;
        if (existing && S_ISDIR(existing->inode->mode) != (member->type == TAR_TYPE_DIRECTORY))
                return tar_refuse(reader,
                                "it would replace a folder, or be a folder in the place of something else");
        if (member->size_bytes > 0 && !has_data(member->type))
                return tar_refuse(reader, "it carries data that its type cannot have");
        if (member->type == TAR_TYPE_HARDLINK)
                return make_hardlink(reader, &node); /* the attributes are those of the first name */
        r = make_member(reader, &node);
        return r < 0 ? r : set_attributes(reader, node->inode);
}

static bool describes_next(char type)
{
        return type == TAR_TYPE_PAX || type == TAR_TYPE_PAX_GLOBAL || type == TAR_TYPE_GNU_LONG_NAME ||
               type == TAR_TYPE_GNU_LONG_LINK;
}

/* Moves past `size` bytes of data and their padding. */
static int skip_data(TarReader *reader, uint64_t size)
{
        uint64_t padded = size + (TAR_BLOCK_SIZE - size % TAR_BLOCK_SIZE) % TAR_BLOCK_SIZE;

        if (padded < size || padded > reader->end - reader->at)
                return tar_refuse(reader, "it goes past the end of the archive, which may be cut off");
        reader->at += padded;
        return 0;
}

static int read_member(TarReader *reader, const uint8_t *block)
{
        TarMember *member = &reader->member;
        char type = (char)block[TAR_TYPE_AT];
        uint64_t size, start;

        int r = check_checksum(reader, block);
        if (r < 0)
                return r;
        if (describes_next(type)) {
                if (parse_number(block + TAR_SIZE_AT, TAR_SIZE_SIZE, &size) < 0)
                        return tar_refuse(reader, "a number in its header is negative, too large or broken");
                start = reader->at;
                r = skip_data(reader, size);
                if (r < 0)
                        return r;
                reader->at = start;
                r = read_extended(reader, type, size);
                return r < 0 ? r : skip_data(reader, size);
        }
        r = take_names(reader, block);
        if (r >= 0)
                r = take_numbers(reader, block);
        if (r < 0)
                return r;
        start = reader->at;
        r = skip_data(reader, member->size_bytes);
        if (r < 0)
                return r;
        uint64_t next = reader->at;
        reader->at = start;
        r = add_member(reader);
        reader->at = next;
        member_done(member);
        return r;
}

static int read_members(TarReader *reader)
{
        uint8_t block[TAR_BLOCK_SIZE];
        static const uint8_t zeros[TAR_BLOCK_SIZE];

        for (;;) {
                if (reader->end - reader->at < TAR_BLOCK_SIZE)
                        return error_set(reader->error, ERROR_CORRUPT, EBADMSG,
                                        "The archive is cut off: it has no end mark");
                reader->member.header_offset = reader->at;
                int r = read_at(reader, reader->at, block, sizeof(block));
                if (r < 0)
                        return r;
                reader->at += TAR_BLOCK_SIZE;
                if (memcmp(block, zeros, sizeof(block)) == 0)
                        return reader->member.name || reader->member.link
                                               ? tar_refuse(reader, "an extended header without its member")
                                               : 0;
                if (++reader->count > TAR_MEMBERS_MAX)
                        return tar_refuse(reader, "the archive has too many members");
                r = read_member(reader, block);
                if (r < 0)
                        return r;
        }
}

int tar_read(Tree *tree, int fd, const TarOptions *options, Error *error)
{
        static const TarOptions defaults = { 0 };
        TarReader reader = {
                .tree = tree, .options = options ? options : &defaults, .error = error, .fd = fd
        };

        int r = fd_size(fd, &reader.end);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "Cannot read the archive: %s", strerror(-r));
        r = tree_add_backing(tree, fd);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "Cannot read the archive: %s", strerror(-r));
        reader.backing = (unsigned)r;
        reader.at = MIN_OF(reader.options->offset_bytes, reader.end);
        r = read_members(&reader);
        member_done(&reader.member);
        return r;
}
