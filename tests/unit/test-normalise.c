/* SPDX-License-Identifier: Apache-2.0 */
#include "normalise.h"
#include "test.h"

#define KEY_BODY "MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"

static Tree *tree_of(const char *const *paths)
{
        Tree *tree = tree_new();

        for (; tree && *paths; paths++)
                if (tree_make_text(tree, *paths, "x", 0644, NULL) < 0)
                        return tree_free(tree);
        return tree;
}

static char *text_of(Tree *tree, const char *path)
{
        char *text = NULL;

        return tree_read_file(tree, path, 65536, &text, NULL) < 0 ? NULL : text;
}

TEST(state_of_the_run_is_dropped_and_the_rest_stays)
{
        static const char *const gone[] = { "etc/.pwd.lock", "etc/apt/sources.list",
                "etc/apt/sources.list.d/x.sources", "etc/hostname", "etc/passwd-",
                "etc/ssh/ssh_host_rsa_key", "etc/resolv.conf", "run/x", "tmp/.x/y",
                "var/cache/apt/pkgcache.bin", "var/cache/ldconfig/aux-cache", "var/lib/apt/lists/x",
                "var/lib/dbus/machine-id", "var/lib/dpkg/status-old", "var/lib/systemd/random-seed",
                "var/log/dpkg.log", "var/log/deep/er/x", NULL };
        static const char *const kept[] = { "etc/passwd", "etc/ssh/sshd_config", "etc/machine-id",
                "var/lib/dpkg/status", NULL };
        _cleanup_tree_ Tree *tree = tree_of(gone);

        for (size_t i = 0; kept[i]; i++)
                CHECK_OK(tree_make_text(tree, kept[i], "x", 0644, NULL));
        for (int i = 0; i < 2; i++)
                CHECK_OK(normalise_drop_state(tree, NULL));
        for (size_t i = 0; gone[i]; i++)
                if (tree_lookup(tree, gone[i]))
                        TEST_FAIL("%s is still there", gone[i]);
        for (size_t i = 0; kept[i]; i++)
                if (!tree_lookup(tree, kept[i]))
                        TEST_FAIL("%s is gone", kept[i]);
        CHECK(tree_lookup(tree, "var/log/deep/er"));
        CHECK_EQ(tree_lookup(tree, "etc/machine-id")->inode->content.size_bytes, 0);
}

TEST(settings_of_the_recipe_survive)
{
        static const char *const paths[] = { "etc/hostname", "etc/resolv.conf", "etc/apt/sources.list",
                NULL };
        _cleanup_tree_ Tree *tree = tree_of(paths);

        CHECK_OK(normalise_tree(tree, &(NormaliseOptions){ .epoch = 5 }, NULL));
        for (size_t i = 0; paths[i]; i++)
                CHECK(tree_lookup(tree, paths[i]));
        CHECK_EQ(tree_lookup(tree, "etc/hostname")->inode->mtime, 5);
        CHECK_EQ(tree_lookup(tree, "tmp")->inode->mode, S_IFDIR | 01777);
        CHECK(tree_lookup(tree, "efi"));
}

TEST(var_becomes_factory_content)
{
        static const char *const paths[] = { "var/lib/dpkg/status", "var/lib/app/data base", "var/log/x/y",
                "usr/lib/tmpfiles.d/app.conf", "root/.profile", NULL };
        _cleanup_tree_ Tree *tree = tree_of(paths);
        TreeNode *node;

        CHECK_OK(tree_make_text(tree, "usr/lib/tmpfiles.d/app.conf", "# c\nd /var/lib/declared 0755 - - -\n",
                        0644, NULL));
        CHECK_OK(tree_make_directory(tree, "var/lib/declared", 0755, NULL, NULL));
        CHECK_OK(tree_make_directory(tree, "var/lib/app/100%", 02750, &node, NULL));
        node->inode->gid = 8;
        CHECK_OK(tree_make_symlink(tree, "var/run", "/run", NULL, NULL));
        CHECK_OK(tree_make_directory(tree, "home/admin", 0700, &node, NULL));
        node->inode->uid = node->inode->gid = 1000;
        _cleanup_free_ char *again = NULL;
        for (int i = 0; i < 2; i++) {
                CHECK_OK(normalise_tree(tree, &(NormaliseOptions){ .epoch = 1 }, NULL));
                free(again);
                again = text_of(tree, "usr/lib/tmpfiles.d/bascule-factory.conf");
        }
        CHECK(again);
        const char *lines = strchr(again, '\n') + 1;
        CHECK_STR(lines, "L+ /var/lib/dpkg - - - - ../../usr/share/bascule/dpkg\n"
                         "d /var/home 0755 0 0 - -\n"
                         "d /var/home/admin :0700 :1000 :1000 - -\n"
                         "d /var/lib 0755 0 0 - -\n"
                         "d /var/lib/app 0755 0 0 - -\n"
                         "d /var/lib/app/100%% 2750 0 8 - -\n"
                         "C /var/lib/app/data\\x20base 0644 0 0 - -\n"
                         "d /var/log 0755 0 0 - -\n"
                         "d /var/log/x 0755 0 0 - -\n"
                         "d /var/roothome 0755 0 0 - -\n"
                         "C /var/roothome/.profile :0644 :0 :0 - -\n"
                         "L /var/run - - - - /run\n"
                         "d /var/srv 0755 0 0 - -\n");
        CHECK_EQ(tree_lookup(tree, "var")->inode->child_count, 0);
        CHECK(tree_lookup(tree, NORMALISE_DPKG_PATH "/status"));
        CHECK(tree_lookup(tree, "usr/share/factory/var/lib/app/data base"));
        CHECK_STR(tree_lookup(tree, "home")->inode->symlink_target, "var/home");
        CHECK(!tree_lookup(tree, "var/lib"));
}

TEST(a_journal_that_is_kept_is_kept_from_the_first_boot_on)
{
        static const char *const with[] = { "var/log/journal/x/system.journal", NULL };
        static const char *const without[] = { "var/log/dpkg.log", NULL };
        static const char settings[] = "usr/lib/systemd/journald.conf.d/50-bascule-persistent.conf";
        _cleanup_tree_ Tree *kept = tree_of(with), *not_kept = tree_of(without);

        CHECK_OK(normalise_var(kept, NULL));
        CHECK(tree_lookup(kept, settings));
        CHECK_OK(normalise_var(not_kept, NULL));
        CHECK(!tree_lookup(not_kept, settings));
}

TEST(devices_in_var_are_refused)
{
        _cleanup_tree_ Tree *tree = tree_new();

        CHECK_OK(tree_make_special(tree, "var/null", S_IFCHR, 0666, 1, 3, NULL, NULL));
        CHECK_EQ(normalise_var(tree, NULL), -EINVAL);
}

TEST(private_keys_are_refused_by_their_path)
{
        static const struct {
                const char *path, *text, *kind;
        } rows[] = {
                { "etc/ssl/private/a.key", "text\n-----BEGIN PRIVATE KEY-----\n" KEY_BODY, "a private key" },
                { "etc/b", "-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n",
                                "a private key" },
                { "srv/c", "-----BEGIN OPENSSH PRIVATE KEY-----\n" KEY_BODY, "a private key" },
                { "opt/d", "PuTTY-User-Key-File-2: ssh-rsa\n", "a private key" },
                { "etc/ssh/ssh_host_ed25519_key", "", "an ssh host key" },
                { "root/.gnupg/private-keys-v1.d/00.key", "x", "a GnuPG private key" },
                { "root/.netrc", "x", "passwords for servers" },
                { "home/ada/.git-credentials", "x", "passwords for servers" },
                { "root/.docker/config.json", "{}", "container registries" },
                { "root/.config/containers/auth.json", "{}", "container registries" },
                { "home/ada/.aws/credentials", "x", "a cloud" },
                { "root/.config/gcloud/credentials.db", "x", "a cloud" },
                { "root/.kube/config", "x", "Kubernetes" },
        };

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                _cleanup_tree_ Tree *tree = tree_new();
                char *allowed[] = { (char *)rows[i].path, NULL };
                Error error = { 0 };

                CHECK_OK(tree_make_text(tree, rows[i].path, rows[i].text, 0600, NULL));
                CHECK_OK(tree_make_text(tree, "zz/ssh_host_x_key", "", 0600, NULL));
                CHECK_EQ(normalise_refuse_secrets(tree, NULL, &error), -EPERM);
                CHECK_EQ(error.code, ERROR_REFUSED);
                CHECK(strstr(error.message, rows[i].path));
                CHECK(strstr(error.message, rows[i].kind));
                CHECK(strstr(error.message, "1 more"));
                CHECK_OK(tree_drop(tree, "zz"));
                CHECK_OK(normalise_refuse_secrets(tree, allowed, NULL));
        }
}

TEST(a_key_is_found_wherever_it_lies_in_a_large_file)
{
        static const char key[] = "\n-----BEGIN EC PRIVATE KEY-----\n" KEY_BODY;
        const size_t size = 600000, places[] = { 256 * 1024 - 20, 256 * 1024 - 600, size - sizeof(key) };
        _cleanup_free_ char *text = malloc(size);

        for (size_t i = 0; i < ELEMENTS(places); i++) {
                _cleanup_tree_ Tree *tree = tree_new();

                memset(text, 'a', size);
                memcpy(text + places[i], key, sizeof(key) - 1);
                CHECK_OK(tree_make_file(tree, "f", text, size, 0644, NULL, NULL));
                CHECK_EQ(normalise_refuse_secrets(tree, NULL, NULL), -EPERM);
        }
}

TEST(what_only_speaks_of_keys_is_no_key)
{
        static const char *const texts[] = { "-----BEGIN PRIVATE KEY-----",
                "-----BEGIN CERTIFICATE-----\n" KEY_BODY, "-----BEGIN PUBLIC KEY-----\n" KEY_BODY,
                "grep '-----BEGIN PRIVATE KEY-----' file\n",
                "-----BEGIN OPENSSH PRIVATE KEY-----\nnot base64\n",
                "\177ELF-----BEGIN PRIVATE KEY-----\n" KEY_BODY };

        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                _cleanup_tree_ Tree *tree = tree_new();

                CHECK_OK(tree_make_text(tree, "f", texts[i], 0644, NULL));
                CHECK_OK(normalise_refuse_secrets(tree, NULL, NULL));
        }
}

TEST(the_kernel_is_taken_out_and_its_modules_stay)
{
        static const char *const paths[] = { "boot/vmlinuz-6.1-x", "boot/initrd.img-6.1-x",
                "boot/config-6.1-x", "usr/lib/modules/6.1-x/kernel/a.ko", NULL };
        _cleanup_tree_ Tree *tree = tree_of(paths);
        _cleanup_tree_kernel_ TreeKernel kernel = { 0 };
        _cleanup_free_ char *image = NULL;
        size_t size;

        CHECK_OK(tree_make_symlink(tree, "vmlinuz", "boot/vmlinuz-6.1-x", NULL, NULL));
        CHECK_OK(normalise_find_kernel(tree, &kernel, NULL));
        CHECK_STR(kernel.release, "6.1-x");
        CHECK_STR(kernel.image_path, "boot/vmlinuz-6.1-x");
        CHECK_STR(kernel.modules_path, "usr/lib/modules/6.1-x");
        CHECK_OK(normalise_take_kernel(tree, &kernel, &image, &size, NULL));
        CHECK_EQ(size, 1);
        CHECK_EQ(tree_lookup(tree, "boot")->inode->child_count, 0);
        CHECK(!tree_lookup(tree, "vmlinuz"));
        CHECK(tree_lookup(tree, "usr/lib/modules/6.1-x/config"));
}

TEST(no_kernel_and_several_kernels_are_mistakes)
{
        static const char *const two[] = { "boot/vmlinuz-1", "usr/lib/modules/2/vmlinuz",
                "usr/lib/modules/1/vmlinuz", NULL };
        _cleanup_tree_ Tree *none = tree_new(), *several = tree_of(two);
        TreeKernel kernel;
        Error error = { 0 };

        CHECK_EQ(normalise_find_kernel(none, &kernel, NULL), -ENOENT);
        CHECK_EQ(normalise_find_kernel(several, &kernel, &error), -ENOTUNIQ);
        CHECK(strstr(error.message, "2 kernels, 1 and 2"));
}

TEST_MAIN
