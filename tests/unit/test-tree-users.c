/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "tree-users.h"

static Tree *sample(void)
{
        Tree *tree = tree_new();

        if (tree_make_text(tree, "etc/passwd", "root:x:0:0:root:/root:/bin/bash\nguest::7:7::/:/bin/sh\n",
                            0644, NULL) < 0 ||
                        tree_make_text(tree, "etc/group", "root:x:0:\nsudo:x:27:other\nspare:x:1000:\n",
                                        0644, NULL) < 0 ||
                        tree_make_text(tree, "etc/gshadow", "root:*::\nsudo:*::other\n", 0640, NULL) < 0 ||
                        tree_make_text(tree, "etc/shadow",
                                        "root:x:19000:0:99999:7:::\nguest::19000::::::", 0640, NULL) < 0 ||
                        tree_make_text(tree, "etc/skel/.profile", "# p\n", 0644, NULL) < 0 ||
                        tree_make_text(tree, "usr/bin/bash", "", 0755, NULL) < 0 ||
                        tree_make_symlink(tree, "bin", "usr/bin", NULL, NULL) < 0)
                return tree_free(tree);
        return tree;
}

static char *text_of(Tree *tree, const char *path)
{
        char *text = NULL;

        return tree_read_file(tree, path, 65536, &text, NULL) < 0 ? NULL : text;
}

#define CHECK_FILE(tree, path, expected)                                                                    \
        do {                                                                                                \
                _cleanup_free_ char *_text = text_of(tree, path);                                           \
                CHECK_STR(_text, expected);                                                                 \
        } while (0)

TEST(a_user_gets_number_group_home_and_keys)
{
        char group[] = "sudo", key[] = "ssh-ed25519 AAAA a@b";
        char *groups[] = { group, NULL }, *keys[] = { key, NULL };
        const TreeUser user = {
                .name = "admin", .groups = groups, .ssh_keys = keys, .subordinate_ids = true
        };
        _cleanup_tree_ Tree *tree = sample();

        for (int i = 0; i < 2; i++) /* the second time nothing changes */
                CHECK_OK(tree_add_user(tree, &user, NULL));
        CHECK_FILE(tree, "etc/passwd",
                        "root:x:0:0:root:/root:/bin/bash\nguest::7:7::/:/bin/sh\n"
                        "admin:x:1001:1001::/home/admin:/bin/bash\n");
        CHECK_FILE(tree, "etc/group", "root:x:0:\nsudo:x:27:other,admin\nspare:x:1000:\nadmin:x:1001:\n");
        CHECK_FILE(tree, "etc/gshadow", "root:*::\nsudo:*::other,admin\nadmin:!::\n");
        CHECK_FILE(tree, "etc/shadow",
                        "root:x:19000:0:99999:7:::\nguest::19000::::::\nadmin:*::0:99999:7:::\n");
        CHECK_FILE(tree, "etc/subuid", "admin:100000:65536\n");
        CHECK_FILE(tree, "etc/subgid", "admin:100000:65536\n");
        CHECK_FILE(tree, "etc/ssh/authorized_keys.d/admin", "ssh-ed25519 AAAA a@b\n");
        CHECK(tree_lookup(tree, "etc/ssh/sshd_config.d/50-bascule-keys.conf"));
        CHECK_EQ(tree_lookup(tree, "home/admin")->inode->mode, S_IFDIR | 0700);
        CHECK_EQ(tree_lookup(tree, "home/admin")->inode->uid, 1001);
        CHECK_EQ(tree_lookup(tree, "home/admin/.profile")->inode->gid, 1001);

        CHECK_OK(tree_add_user(tree, &(TreeUser){ .name = "other", .subordinate_ids = true }, NULL));
        CHECK_FILE(tree, "etc/subuid", "admin:100000:65536\nother:165536:65536\n");
        CHECK_OK(tree_add_user(tree, &(TreeUser){ .name = "daemon1", .is_system = true }, NULL));
        _cleanup_free_ char *passwd = text_of(tree, "etc/passwd");
        CHECK(strstr(passwd, "daemon1:x:100:100::/nonexistent:/usr/sbin/nologin\n"));
        CHECK(!tree_lookup(tree, "nonexistent"));
}

TEST(a_user_that_is_there_is_changed_only_where_asked)
{
        _cleanup_tree_ Tree *tree = sample();

        CHECK_OK(tree_add_user(tree, &(TreeUser){ .name = "root", .password_hash = "$6$x$y" }, NULL));
        CHECK_FILE(tree, "etc/passwd", "root:x:0:0:root:/root:/bin/bash\nguest::7:7::/:/bin/sh\n");
        CHECK_FILE(tree, "etc/shadow", "root:$6$x$y:19000:0:99999:7:::\nguest::19000::::::\n");
        CHECK_EQ(tree_lookup(tree, "etc/shadow")->inode->mode, S_IFREG | 0640);
        CHECK_OK(tree_add_user(tree, &(TreeUser){ .name = "root", .shell = "/bin/sh" }, NULL));
        CHECK_FILE(tree, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nguest::7:7::/:/bin/sh\n");
        CHECK_EQ(tree_add_user(tree, &(TreeUser){ .name = "root", .uid = 5 }, NULL), -EEXIST);
}

TEST(mistakes_in_accounts_are_refused)
{
        char group[] = "nothing", key[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
        char *groups[] = { group, NULL }, *keys[] = { key, NULL };
        const struct {
                TreeUser user;
                int r;
                const char *why;
        } rows[] = {
                { { .name = "" }, -EINVAL, "no name" },
                { { .name = "Admin" }, -EINVAL, "no name" },
                { { .name = "a:b" }, -EINVAL, "no name" },
                { { .name = "a", .comment = "x:y" }, -EINVAL, "colon" },
                { { .name = "a", .home = "/a\nroot::0:0:::" }, -EINVAL, "colon" },
                { { .name = "a", .home = "relative" }, -EINVAL, "absolute" },
                { { .name = "a", .password_hash = "secret" }, -EINVAL, "not a hash" },
                { { .name = "a", .password_hash = "" }, -EINVAL, "not a hash" },
                { { .name = "a", .uid = 7 }, -EEXIST, "another user's" },
                { { .name = "a", .groups = groups }, -ENOENT, "nothing" },
                { { .name = "a", .ssh_keys = keys }, -EINVAL, "authorized_keys" },
        };

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                _cleanup_tree_ Tree *tree = sample();
                Error error = { 0 };

                CHECK_EQ(tree_add_user(tree, &rows[i].user, &error), rows[i].r);
                CHECK_EQ(error.code, ERROR_CONFIG);
                CHECK(strstr(error.message, rows[i].why));
        }
}

TEST(groups_keep_their_numbers)
{
        _cleanup_tree_ Tree *tree = sample();

        CHECK_OK(tree_add_group(tree, "sudo", 0, true, NULL));
        CHECK_OK(tree_add_group(tree, "fresh", 0, true, NULL));
        CHECK_OK(tree_add_group(tree, "wanted", 555, false, NULL));
        CHECK_EQ(tree_add_group(tree, "sudo", 28, false, NULL), -EEXIST);
        CHECK_EQ(tree_add_group(tree, "twin", 27, false, NULL), -EEXIST);
        CHECK_FILE(tree, "etc/group",
                        "root:x:0:\nsudo:x:27:other\nspare:x:1000:\nfresh:x:100:\nwanted:x:555:\n");
}

TEST(no_account_is_open_and_no_day_is_kept)
{
        _cleanup_tree_ Tree *tree = sample();

        CHECK_OK(tree_lock_passwords(tree, NULL));
        CHECK_OK(tree_normalise_shadow(tree, NULL));
        CHECK_FILE(tree, "etc/shadow", "root:*::0:99999:7:::\nguest:*:::::::\n");
        CHECK_FILE(tree, "etc/passwd", "root:x:0:0:root:/root:/bin/bash\nguest:x:7:7::/:/bin/sh\n");
}

TEST(accounts_can_be_made_from_nothing)
{
        _cleanup_tree_ Tree *tree = tree_new();

        CHECK_OK(tree_add_user(tree, &(TreeUser){ .name = "a" }, NULL));
        CHECK_FILE(tree, "etc/passwd", "a:x:1000:1000::/home/a:/bin/sh\n");
        CHECK_EQ(tree_lookup(tree, "etc/shadow")->inode->mode, S_IFREG | 0640);
        CHECK_EQ(tree_lookup(tree, "etc/shadow")->inode->gid, 42);
}

TEST(host_names_are_checked_and_known_to_the_host)
{
        static const char *const bad[] = { "", "-a", "a-", "a..b", ".a", "a.", "a_b", "a b", "a.-b" };
        _cleanup_tree_ Tree *tree = tree_new();
        char longest[66];

        for (size_t i = 0; i < ELEMENTS(bad); i++)
                CHECK_EQ(tree_set_hostname(tree, bad[i], NULL), -EINVAL);
        memset(longest, 'a', 65);
        longest[65] = 0;
        CHECK_EQ(tree_set_hostname(tree, longest, NULL), -EINVAL);
        CHECK_OK(tree_set_hostname(tree, "web-1.example", NULL));
        CHECK_OK(tree_set_hostname(tree, "web-2", NULL));
        CHECK_FILE(tree, "etc/hostname", "web-2\n");
        CHECK_FILE(tree, "etc/hosts",
                        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost "
                        "ip6-loopback\n127.0.1.1\tweb-2\n");
}

TEST_MAIN
