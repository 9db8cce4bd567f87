/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"
#include "file.h"
#include "test.h"
#include "tree.h"

#include <fcntl.h>

static int append_path(Tree *tree, TreeNode *node, const char *path, void *data, Error *error)
{
        return buffer_printf(data, "%s%s\n", path, S_ISDIR(node->inode->mode) ? "/" : "");
}

static char *listing(Tree *tree)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(1 * MIB);

        return tree_walk(tree, tree_root(tree), append_path, &text, NULL) < 0 ? NULL
                                                                              : buffer_take(&text, NULL);
}

TEST(walks_in_byte_order_whatever_the_order_of_insertion)
{
        static const char *const orders[][4] = { { "b/x", "a", "B", "b-" }, { "b-", "B", "a", "b/x" } };

        for (size_t i = 0; i < ELEMENTS(orders); i++) {
                _cleanup_tree_ Tree *tree = tree_new();

                for (size_t j = 0; j < ELEMENTS(orders[i]); j++)
                        CHECK_OK(tree_make_text(tree, orders[i][j], "", 0644, NULL));
                _cleanup_free_ char *text = listing(tree);
                CHECK_STR(text, "/\nB\na\nb/\nb/x\nb-\n");
        }
}

TEST(follows_links_in_the_middle_as_a_booted_host_would)
{
        _cleanup_tree_ Tree *tree = tree_new();

        CHECK_OK(tree_make_directory(tree, "usr/lib/systemd", 0755, NULL, NULL));
        CHECK_OK(tree_make_symlink(tree, "lib", "usr/lib", NULL, NULL));
        CHECK_OK(tree_make_symlink(tree, "usr/up", "../../../usr/./lib", NULL, NULL));
        CHECK_OK(tree_make_symlink(tree, "root-again", "/", NULL, NULL));
        CHECK_OK(tree_make_text(tree, "/lib/systemd/x", "one", 0600, NULL));
        TreeNode *node = tree_lookup(tree, "usr/lib//systemd/x/");
        CHECK(node);
        CHECK_EQ(node->inode->mode, S_IFREG | 0600);
        CHECK(tree_lookup(tree, "usr/up/systemd/x") == node);
        CHECK(tree_lookup(tree, "root-again/lib/systemd/x") == node);
        CHECK(tree_resolve(tree, "root-again") == tree_root(tree));
        CHECK(S_ISLNK(tree_lookup(tree, "lib")->inode->mode));
        CHECK(tree_resolve(tree, "lib") == tree_lookup(tree, "usr/lib"));
        CHECK(!tree_lookup(tree, "usr/lib/systemd/x/y"));
        CHECK(!tree_lookup(tree, "usr/nothing/x"));
        _cleanup_free_ char *path = tree_node_path(node);
        CHECK_STR(path, "usr/lib/systemd/x");
}

TEST(paths_that_escape_loop_or_are_too_long_are_refused)
{
        _cleanup_tree_ Tree *tree = tree_new();
        char name[400] = { 0 }, deep[2 * (TREE_DEPTH_MAX + 1) + 1] = { 0 };
        Error error = { 0 };

        CHECK_EQ(tree_make_text(tree, "a/../b", "", 0644, &error), -EINVAL);
        CHECK(strstr(error.message, "/a/../b"));
        CHECK_EQ(tree_make_text(tree, "./b", "", 0644, NULL), -EINVAL);
        CHECK_EQ(tree_make_text(tree, "/", "", 0644, NULL), -EISDIR);
        CHECK_OK(tree_make_symlink(tree, "loop", "loop/again", NULL, NULL));
        CHECK_EQ(tree_make_text(tree, "loop/x", "", 0644, NULL), -ELOOP);
        CHECK(!tree_resolve(tree, "loop"));
        CHECK_EQ(tree_make_symlink(tree, "empty", "", NULL, NULL), -EINVAL);
        memset(name, 'n', 256);
        CHECK_EQ(tree_make_text(tree, name, "", 0644, NULL), -ENAMETOOLONG);
        name[255] = 0;
        CHECK_OK(tree_make_text(tree, name, "", 0644, NULL));
        for (size_t i = 0; i < TREE_DEPTH_MAX + 1; i++)
                memcpy(deep + 2 * i, "d/", 2);
        CHECK_EQ(tree_make_directory(tree, deep, 0755, NULL, NULL), -ENAMETOOLONG);
        deep[2 * TREE_DEPTH_MAX] = 0;
        CHECK_OK(tree_make_directory(tree, deep, 0755, NULL, NULL));
        CHECK_OK(tree_make_directory(tree, "e", 0755, NULL, NULL));
        CHECK_EQ(tree_move(tree, "d", "e/d", NULL), -ENAMETOOLONG);
        CHECK_EQ(tree_move(tree, "d", "d/d/x", NULL), -EINVAL);
}

TEST(hard_links_share_one_inode_until_the_last_name_goes)
{
        _cleanup_tree_ Tree *tree = tree_new();
        TreeNode *first, *second;

        size_t before = tree_inode_count(tree);
        CHECK_OK(tree_make_file(tree, "a", "text", 4, 0644, &first, NULL));
        CHECK_OK(tree_make_hardlink(tree, "dir/b", first, &second, NULL));
        CHECK_OK(tree_make_hardlink(tree, "dir/b", first, NULL, NULL));
        CHECK(first->inode == second->inode);
        CHECK_EQ(first->inode->link_count, 2);
        CHECK_EQ(tree_make_hardlink(tree, "c", tree_lookup(tree, "dir"), NULL, NULL), -EISDIR);
        CHECK_OK(tree_drop(tree, "a"));
        CHECK_EQ(second->inode->link_count, 1);
        _cleanup_free_ char *text = NULL;
        CHECK_OK(tree_read_file(tree, "dir/b", 100, &text, NULL));
        CHECK_STR(text, "text");
        CHECK_EQ(tree_read_file(tree, "dir/b", 3, &text, NULL), -E2BIG);
        CHECK_OK(tree_drop(tree, "dir"));
        CHECK_EQ(tree_inode_count(tree), before);
}

TEST(replacing_changes_files_but_never_folders)
{
        _cleanup_tree_ Tree *tree = tree_new();
        _cleanup_free_ char *text = NULL;

        CHECK_OK(tree_make_text(tree, "f", "one", 0644, NULL));
        CHECK_OK(tree_make_symlink(tree, "f", "elsewhere", NULL, NULL));
        CHECK_OK(tree_make_text(tree, "f", "two", 0600, NULL));
        CHECK_OK(tree_append_text(tree, "f", " three", NULL));
        CHECK_OK(tree_read_file(tree, "f", 100, &text, NULL));
        CHECK_STR(text, "two three");
        CHECK_OK(tree_make_directory(tree, "d", 0700, NULL, NULL));
        CHECK_OK(tree_make_directory(tree, "d", 0755, NULL, NULL));
        CHECK_EQ(tree_lookup(tree, "d")->inode->mode, S_IFDIR | 0700);
        CHECK_EQ(tree_make_text(tree, "d", "", 0644, NULL), -EISDIR);
        CHECK_EQ(tree_make_directory(tree, "f/below", 0755, NULL, NULL), -ENOTDIR);
        CHECK_EQ(tree_make_directory(tree, "f", 0755, NULL, NULL), -ENOTDIR);
}

TEST(drops_by_path_and_by_pattern)
{
        static const char *const paths[] = { "etc/ssh/ssh_host_rsa_key", "etc/ssh/ssh_host_rsa_key.pub",
                "etc/ssh/sshd_config", "var/log/.hidden", "var/log/a/b" };
        _cleanup_tree_ Tree *tree = tree_new();

        for (size_t i = 0; i < ELEMENTS(paths); i++)
                CHECK_OK(tree_make_text(tree, paths[i], "", 0644, NULL));
        CHECK_EQ(tree_drop_glob(tree, "/etc/ssh/ssh_host_*"), 2);
        CHECK_EQ(tree_drop_glob(tree, "var/log/*"), 2);
        CHECK_EQ(tree_drop_glob(tree, "nothing/*"), 0);
        CHECK_EQ(tree_drop_glob(tree, "/"), -EINVAL);
        CHECK_OK(tree_drop(tree, "no/such/path"));
        _cleanup_free_ char *text = listing(tree);
        CHECK_STR(text, "/\netc/\netc/ssh/\netc/ssh/sshd_config\nvar/\nvar/log/\n");
        CHECK_OK(tree_empty_directory(tree, "etc"));
        CHECK_OK(tree_drop(tree, "/"));
        CHECK_EQ(tree_inode_count(tree), 1);
}

TEST(moves_keep_what_is_below)
{
        _cleanup_tree_ Tree *tree = tree_new();

        CHECK_OK(tree_make_text(tree, "var/lib/dpkg/status", "s", 0644, NULL));
        CHECK_OK(tree_move(tree, "var/lib/dpkg", "usr/share/x/dpkg", NULL));
        CHECK_EQ(tree_move(tree, "var/lib/dpkg", "y", NULL), -ENOENT);
        CHECK_EQ(tree_move(tree, "usr", "var", NULL), -EEXIST);
        _cleanup_free_ char *text = listing(tree);
        CHECK_STR(text, "/\nusr/\nusr/share/\nusr/share/x/\nusr/share/x/dpkg/\nusr/share/x/dpkg/status\n"
                        "var/\nvar/lib/\n");
}

TEST(xattrs_are_kept_in_order_of_name)
{
        _cleanup_tree_ Tree *tree = tree_new();
        TreeInode *root = tree_root(tree)->inode;

        CHECK_OK(tree_set_xattr(root, "user.b", "1", 1));
        CHECK_OK(tree_set_xattr(root, "user.a", "22", 2));
        CHECK_OK(tree_set_xattr(root, "user.b", "", 0));
        CHECK_EQ(root->xattr_count, 2);
        CHECK_STR(root->xattrs[0].name, "user.a");
        CHECK_EQ(tree_get_xattr(root, "user.b")->size_bytes, 0);
        tree_drop_xattr(root, "user.a");
        tree_drop_xattr(root, "user.none");
        CHECK_STR(root->xattrs[0].name, "user.b");
        CHECK_EQ(tree_set_xattr(root, "user.c", NULL, TREE_XATTR_VALUE_MAX + 1), -E2BIG);
}

TEST(contents_are_read_from_backings_and_host_files)
{
        _cleanup_tree_ Tree *tree = tree_new();
        char folder[] = "/tmp/test-tree-XXXXXX", text[8] = { 0 };
        TreeNode *node;

        CHECK(mkdtemp(folder));
        _cleanup_fd_ int dir = open(folder, O_RDONLY | O_DIRECTORY);
        CHECK_OK(file_replace(dir, "data", "0123456789", 10, 0640));
        CHECK_EQ(mkdirat(dir, "bin", 0700), 0);
        CHECK_OK(file_replace(dir, "bin/run", "#!", 2, 0700));
        CHECK_EQ(symlinkat("../data", dir, "bin/link"), 0);
        _cleanup_fd_ int fd = openat(dir, "data", O_RDONLY);
        int backing = tree_add_backing(tree, fd);
        CHECK_OK(backing);
        CHECK_OK(tree_make_backed_file(tree, "back", (unsigned)backing, 3, 4, 0644, &node, NULL));
        CHECK_OK(tree_read(tree, node->inode, 1, text, 3));
        CHECK_STR(text, "456");
        CHECK_EQ(tree_read(tree, node->inode, 1, text, 4), -EINVAL);
        CHECK_OK(tree_make_backed_file(tree, "short", (unsigned)backing, 8, 4, 0644, &node, NULL));
        CHECK_EQ(tree_read(tree, node->inode, 0, text, 4), -EIO);

        CHECK_OK(tree_import_host(tree, "opt", folder, NULL));
        CHECK_EQ(tree_lookup(tree, "opt/data")->inode->mode, S_IFREG | 0644);
        CHECK_EQ(tree_lookup(tree, "opt/bin/run")->inode->mode, S_IFREG | 0755);
        CHECK_EQ(tree_lookup(tree, "opt/bin")->inode->mode, S_IFDIR | 0755);
        _cleanup_free_ char *whole = NULL;
        CHECK_OK(tree_read_file(tree, "opt/bin/link", 100, &whole, NULL));
        CHECK_STR(whole, "0123456789");
        CHECK_EQ(mkfifoat(dir, "pipe", 0600), 0);
        CHECK_EQ(tree_import_host(tree, "opt", folder, NULL), -EINVAL);
        CHECK_OK(tree_remove(AT_FDCWD, folder));
}

TEST_MAIN
