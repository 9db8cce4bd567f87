/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "tree-units.h"

#include <unistd.h>

#define UNITS "usr/lib/systemd/system/"
#define ADMIN "etc/systemd/system/"

static Tree *sample(void)
{
        static const struct {
                const char *name, *text;
        } units[] = {
                { "ssh.service", "[Unit]\nWantedBy=wrong.target\n[Install]\n WantedBy = multi-user.target "
                                 "\\\n  rescue.target\n"
                                 "# Alias=no.service\nAlias=sshd.service\nAlso=ssh.socket gone.service\n" },
                { "ssh.socket", "[Install]\nWantedBy=sockets.target\nAlso=ssh.service\n" },
                { "getty@.service", "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n" },
                { "mount@.service", "[Install]\nRequiredBy=dev-%i.device\nUpheldBy=%p-%N.target\n" },
                { "static.service", "[Service]\nExecStart=/bin/true\n" },
                { "escape.service", "[Install]\nWantedBy=../../x\n" },
                { "reset.service", "[Install]\nWantedBy=a.target\nWantedBy=\nWantedBy=b.target\n" },
                { "multi-user.target", "" },
        };
        Tree *tree = tree_new();

        for (size_t i = 0; i < ELEMENTS(units); i++) {
                char path[256];

                (void)snprintf(path, sizeof(path), UNITS "%s", units[i].name);
                if (tree_make_text(tree, path, units[i].text, 0644, NULL) < 0)
                        return tree_free(tree);
        }
        if (tree_make_symlink(tree, "lib", "usr/lib", NULL, NULL) < 0 ||
                        tree_make_symlink(tree, UNITS "alias.service", "ssh.service", NULL, NULL) < 0)
                return tree_free(tree);
        return tree;
}

/* Where the link leads; "" when there is none. */
static const char *link_at(const Tree *tree, const char *path)
{
        const TreeNode *node = tree_lookup(tree, path);

        return node && S_ISLNK(node->inode->mode) ? node->inode->symlink_target : "";
}

TEST(enabling_makes_the_links_that_install_asks_for)
{
        _cleanup_tree_ Tree *tree = sample();

        CHECK_OK(tree_enable_unit(tree, "ssh", NULL));
        CHECK_STR(link_at(tree, ADMIN "multi-user.target.wants/ssh.service"), "/" UNITS "ssh.service");
        CHECK_STR(link_at(tree, ADMIN "rescue.target.wants/ssh.service"), "/" UNITS "ssh.service");
        CHECK_STR(link_at(tree, ADMIN "sshd.service"), "/" UNITS "ssh.service");
        CHECK_STR(link_at(tree, ADMIN "sockets.target.wants/ssh.socket"), "/" UNITS "ssh.socket");
        CHECK(!tree_lookup(tree, ADMIN "no.service"));
        CHECK(!tree_lookup(tree, ADMIN "wrong.target.wants"));
        CHECK_OK(tree_enable_unit(tree, "reset.service", NULL));
        CHECK(!tree_lookup(tree, ADMIN "a.target.wants"));
        CHECK_STR(link_at(tree, ADMIN "b.target.wants/reset.service"), "/" UNITS "reset.service");
}

TEST(templates_are_enabled_by_instance)
{
        _cleanup_tree_ Tree *tree = sample();
        Error error = { 0 };

        CHECK_OK(tree_enable_unit(tree, "getty@ttyS0.service", NULL));
        CHECK_OK(tree_enable_unit(tree, "getty@.service", NULL));
        CHECK_STR(link_at(tree, ADMIN "getty.target.wants/getty@ttyS0.service"), "/" UNITS "getty@.service");
        CHECK_STR(link_at(tree, ADMIN "getty.target.wants/getty@tty1.service"), "/" UNITS "getty@.service");
        CHECK_OK(tree_enable_unit(tree, "mount@sda.service", NULL));
        CHECK_STR(link_at(tree, ADMIN "dev-sda.device.requires/mount@sda.service"),
                        "/" UNITS "mount@.service");
        CHECK(tree_lookup(tree, ADMIN "mount-mount@sda.target.upholds/mount@sda.service"));
        CHECK_EQ(tree_enable_unit(tree, "mount@.service", &error), -EINVAL);
        CHECK(strstr(error.message, "mount@NAME.service"));
        CHECK_OK(tree_disable_unit(tree, "getty@.service", NULL));
        CHECK(!tree_lookup(tree, ADMIN "getty.target.wants/getty@ttyS0.service"));
}

TEST(an_alias_enables_the_unit_it_stands_for)
{
        _cleanup_tree_ Tree *tree = sample();

        CHECK_OK(tree_enable_unit(tree, "alias.service", NULL));
        CHECK_STR(link_at(tree, ADMIN "multi-user.target.wants/ssh.service"), "/" UNITS "ssh.service");
}

static void put_unit(Tree *tree, const char *name, const char *text)
{
        char path[256];

        (void)snprintf(path, sizeof(path), UNITS "%s", name);
        if (tree_make_text(tree, path, text, 0644, NULL) < 0)
                abort();
}

TEST(units_that_all_name_each_other_are_enabled_once_each)
{
        static const char *const names[] = { "a.service", "b.service", "c.service", "d.service" };
        _cleanup_tree_ Tree *tree = sample();

        for (size_t i = 0; i < ELEMENTS(names); i++)
                put_unit(tree, names[i], "[Install]\nWantedBy=x.target\nAlso=a b c d\n");
        (void)alarm(60); /* four to the power of how deep it looks */
        CHECK_OK(tree_enable_unit(tree, "c", NULL));
        (void)alarm(0);
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                char path[256];

                (void)snprintf(path, sizeof(path), ADMIN "x.target.wants/%s", names[i]);
                CHECK(tree_lookup(tree, path));
        }
}

TEST(what_a_unit_brings_along_is_bounded)
{
        _cleanup_tree_ Tree *tree = sample();
        _cleanup_free_ char *flood = malloc(20001);
        Error error = { 0 };

        for (unsigned i = 0; i < 40; i++) { /* a chain */
                char name[32], text[96];

                (void)snprintf(name, sizeof(name), "n%u.service", i);
                (void)snprintf(text, sizeof(text), "[Install]\nWantedBy=x.target\nAlso=n%u.service\n",
                                i + 1);
                put_unit(tree, name, text);
        }
        CHECK_OK(tree_enable_unit(tree, "n0", NULL));
        CHECK(tree_lookup(tree, ADMIN "x.target.wants/n39.service"));
        put_unit(tree, "grow@.service",
                        "[Install]\nWantedBy=y.target\nAlso=grow@%ia.service grow@%ib.service\n");
        CHECK_EQ(tree_enable_unit(tree, "grow@x", &error), -E2BIG);
        CHECK_STR(error.message, "Enabling grow@x.service would enable more than 256 units by Also=: enable "
                                 "those that are needed by name, and not this one");
        CHECK(flood);
        memset(flood, ' ', 20000);
        for (size_t i = 0; i < 20000; i += 2)
                flood[i] = 'w';
        memcpy(flood, "[Install]\nWantedBy=", 19);
        flood[20000] = 0;
        put_unit(tree, "flood.service", flood);
        error = (Error){ 0 };
        CHECK_EQ(tree_enable_unit(tree, "flood", &error), -E2BIG);
        CHECK(strstr(error.message, "flood.service in the image names more units"));
}

TEST(what_cannot_be_enabled_is_said)
{
        static const struct {
                const char *name;
                int r;
                const char *why;
        } rows[] = {
                { "shh.service", -ENOENT, "did you mean ssh.service" },
                { "static", -EINVAL, "no [Install]" },
                { "masked", -EINVAL, "masked" },
                { "escape", -EINVAL, "is no unit" },
                { "../../etc/passwd", -EINVAL, "no name" },
                { "", -EINVAL, "no name" },
        };
        _cleanup_tree_ Tree *tree = sample();

        CHECK_OK(tree_mask_unit(tree, "masked", NULL));
        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                Error error = { 0 };

                CHECK_EQ(tree_enable_unit(tree, rows[i].name, &error), rows[i].r);
                CHECK(strstr(error.message, rows[i].why));
        }
}

TEST(disabling_takes_links_and_aliases_and_mask)
{
        _cleanup_tree_ Tree *tree = sample();

        CHECK_OK(tree_enable_unit(tree, "ssh", NULL));
        CHECK_OK(tree_disable_unit(tree, "ssh.service", NULL));
        CHECK(!tree_lookup(tree, ADMIN "multi-user.target.wants/ssh.service"));
        CHECK(!tree_lookup(tree, ADMIN "sshd.service"));
        CHECK(tree_lookup(tree, UNITS "ssh.service"));
        CHECK_OK(tree_mask_unit(tree, "ssh", NULL));
        CHECK_OK(tree_mask_unit(tree, "ssh", NULL));
        CHECK_STR(link_at(tree, ADMIN "ssh.service"), "/dev/null");
        CHECK_OK(tree_disable_unit(tree, "ssh", NULL));
        CHECK_OK(tree_enable_unit(tree, "ssh", NULL));
        CHECK_OK(tree_disable_unit(tree, "never-was", NULL));
        CHECK_OK(tree_make_text(tree, ADMIN "own.service", "x", 0644, NULL));
        CHECK_EQ(tree_mask_unit(tree, "own", NULL), -EEXIST);
}

TEST(the_default_target_is_a_link)
{
        _cleanup_tree_ Tree *tree = sample();

        CHECK_OK(tree_set_default_target(tree, "multi-user.target", NULL));
        CHECK_STR(link_at(tree, ADMIN "default.target"), "/" UNITS "multi-user.target");
        CHECK_EQ(tree_set_default_target(tree, "none.target", NULL), -ENOENT);
}

TEST_MAIN
