/* SPDX-License-Identifier: Apache-2.0 */
#include "tar-format.h"
#include "tar-reader.h"

#include <string.h>

#define MARK ".wh."
#define MARK_OPAQUE ".wh..wh..opq"
#define MARK_RESERVED ".wh..wh." /* of a storage driver; never about a file */

static const char *last_part(const char *name)
{
        const char *slash = strrchr(name, '/');

        return slash ? slash + 1 : name;
}

static bool is_mark(const char *name)
{
        return strncmp(last_part(name), MARK, strlen(MARK)) == 0;
}

static int drop_children(TarReader *reader, TreeNode *folder)
{
        TreeNode *const *children;
        size_t count;
        int r = tree_children(folder, &children, &count);

        for (size_t i = count; r >= 0 && i-- > 0;) {
                tree_drop_node(reader->tree, children[i]);
                r = tree_children(folder, &children, &count);
        }
        return r < 0 ? error_oom(reader->error) : 0;
}

/* "a/.wh.b" hides "a/b", "a/.wh..wh..opq" what is in "a". */
static int hide(TarReader *reader)
{
        const char *name = reader->member.name, *mark = last_part(name), *target = mark + strlen(MARK);
        bool is_opaque = strcmp(mark, MARK_OPAQUE) == 0;
        char hidden[TREE_PATH_MAX];
        TreeNode *node = NULL;
        int r;

        if (!is_opaque && strncmp(mark, MARK_RESERVED, strlen(MARK_RESERVED)) == 0)
                return 0;
        if (!is_opaque && (!*target || strcmp(target, ".") == 0 || strcmp(target, "..") == 0))
                return tar_refuse(reader, "a whiteout that names nothing");
        if (strlen(name) >= sizeof(hidden))
                return tar_refuse(reader, "the name is too long");
        (void)snprintf(hidden, sizeof(hidden), "%.*s%s", (int)(mark - name), name, is_opaque ? "" : target);
        if (hidden[0] && hidden[strlen(hidden) - 1] == '/')
                hidden[strlen(hidden) - 1] = 0;
        r = tar_find(reader, hidden, false, &node);
        if (r < 0 || !node)
                return r;
        if (!is_opaque)
                tree_drop_node(reader->tree, node);
        else if (S_ISDIR(node->inode->mode))
                return drop_children(reader, node);
        return 0;
}

/* A folder gives way to something else, and the other way round. */
static int make_way(TarReader *reader)
{
        const TarMember *member = &reader->member;
        TreeNode *existing = NULL;
        int r = tar_find(reader, member->name, true, &existing);

        if (r >= 0 && existing && existing != tree_root(reader->tree) &&
                        S_ISDIR(existing->inode->mode) != (member->type == TAR_TYPE_DIRECTORY))
                tree_drop_node(reader->tree, existing);
        return r;
}

int tar_take_layer_member(TarReader *reader, bool *ret_done)
{
        bool is_hiding = is_mark(reader->member.name);

        if (reader->options->pass == TAR_WHITEOUTS) {
                *ret_done = true;
                return is_hiding ? hide(reader) : 0;
        }
        *ret_done = is_hiding;
        return is_hiding ? 0 : make_way(reader);
}
