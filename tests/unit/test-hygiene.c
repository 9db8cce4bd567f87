/* SPDX-License-Identifier: Apache-2.0 */
#include "hygiene.h"
#include "test.h"

#include <string.h>

static char *const nothing[] = { NULL };

static void put(Tree *tree, const char *path, const char *text, mode_t mode)
{
        if (tree_make_text(tree, path, text, mode, NULL) < 0)
                abort();
}

TEST(files_with_more_rights_must_be_named)
{
        _cleanup_tree_ Tree *tree = tree_new();
        char *some[] = { (char *)"/usr/bin/su", (char *)"usr/bin/ping", NULL };
        char *all[] = { (char *)"/usr/bin/*", (char *)"/usr/lib/helper", NULL };
        Error error = { 0 };

        put(tree, "usr/bin/su", "x", 04755);
        put(tree, "usr/bin/plain", "x", 0755);
        put(tree, "usr/lib/helper", "x", 02755);
        put(tree, "usr/bin/ping", "x", 0755);
        CHECK_OK(tree_set_xattr(tree_lookup(tree, "usr/bin/ping")->inode, "security.capability", "x", 1));
        CHECK_OK(tree_make_directory(tree, "var/mail", 02775, NULL, NULL));
        CHECK_EQ(hygiene_check_privileges(tree, nothing, &error), -EPERM);
        CHECK_EQ(error.code, ERROR_REFUSED);
        CHECK_STR(error.message,
                        "the image has files that give whoever runs them more rights (setuid, setgid or "
                        "capabilities) "
                        "and that the recipe does not name: leave them out with Remove=, or allow them: "
                        "Setuid=/usr/bin/ping /usr/bin/su /usr/lib/helper");
        error = (Error){ 0 };
        CHECK_EQ(hygiene_check_privileges(tree, some, &error), -EPERM);
        CHECK(strstr(error.message, "Setuid=/usr/lib/helper"));
        CHECK_OK(hygiene_check_privileges(tree, all, NULL));
}

TEST(a_path_too_long_to_be_told_whole_is_refused_too)
{
        _cleanup_tree_ Tree *tree = tree_new();
        char path[3 * 201] = { 0 };
        Error error = { 0 };

        memset(path, 'd', sizeof(path) - 1);
        path[200] = path[400] = '/';
        put(tree, path, "x", 04755);
        CHECK_EQ(hygiene_check_privileges(tree, nothing, &error), -EPERM);
        CHECK(strstr(error.message, "Setuid=/ddd"));
        put(tree, "z", "x", 02755);
        error = (Error){ 0 };
        CHECK_EQ(hygiene_check_privileges(tree, nothing, &error), -EPERM);
        CHECK(strstr(error.message, "ddd (and 1 more)"));
}

/* What is said of a line of an account file; "" when nothing is. */
static const char *said_of(const char *path, const char *line)
{
        static Error error;
        _cleanup_tree_ Tree *tree = tree_new();
        RecipeUser user = { .name = (char *)"ada", .password_hash = (char *)"$6$salt$hash" };
        Recipe recipe = { .users = &user, .user_count = 1 };

        error = (Error){ 0 };
        put(tree, path, line, 0600);
        return hygiene_check_passwords(tree, &recipe, &error) < 0 ? error.message : "";
}

TEST(passwords_must_be_declared)
{
        static const char *const refused[][2] = {
                { "etc/shadow", "bin:*::\neve:$6$salt$other:19000:0:99999:7:::\n" },
                { "etc/shadow", "ada:$6$salt$guess:::::::\n" },
                { "etc/shadow", "eve:!$y$j9T$x:::::::\n" },
                { "etc/shadow", "eve:sXbqOLMyOnvIQ:::::::\n" },
                { "etc/gshadow", "wheel:$6$salt$hash::\n" },
                { "etc/passwd", "eve:$1$a$b:1000:1000::/home/eve:/bin/sh\n" },
        };

        for (size_t i = 0; i < ELEMENTS(refused); i++)
                if (!strstr(said_of(refused[i][0], refused[i][1]), "that the recipe does not declare"))
                        TEST_FAIL("%s: %s", refused[i][0], refused[i][1]);
        CHECK_STR(said_of("etc/shadow", "eve::::::::\n"),
                        "/etc/shadow in the image lets eve in without a password: put a '*' in its place");
        CHECK(strstr(said_of("etc/passwd", "eve::0:0::/:/bin/sh\n"), "without a password"));
        CHECK_STR(said_of("etc/shadow", "root:*:1:::::\nx:!:::::::\nada:$6$salt$hash:::::::\n"), "");
        CHECK_STR(said_of("etc/gshadow", "wheel:::\n"), "");
        CHECK_STR(said_of("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"), "");
}

TEST(accounts_that_cannot_be_searched_are_refused)
{
        static const char hidden[] = "root:*:::::::\n\0\neve:$6$salt$other:::::::\n";
        const Recipe recipe = { 0 };
        _cleanup_tree_ Tree *tree = tree_new(), *folder = tree_new(), *large = tree_new();
        Error error = { 0 };

        CHECK_OK(hygiene_check_passwords(tree, &recipe, NULL));
        CHECK_OK(tree_make_file(tree, "etc/shadow", hidden, sizeof(hidden) - 1, 0640, NULL, NULL));
        CHECK_EQ(hygiene_check_passwords(tree, &recipe, &error), -EPERM);
        CHECK_EQ(error.code, ERROR_REFUSED);
        CHECK(strstr(error.message, "/etc/shadow in the image has a NUL byte"));
        CHECK_OK(tree_make_directory(folder, "etc/gshadow", 0755, NULL, NULL));
        CHECK_EQ(hygiene_check_passwords(folder, &recipe, NULL), -EISDIR);
        CHECK_OK(tree_make_backed_file(large, "etc/passwd", 0, 0, MIB + 1, 0644, NULL, NULL));
        CHECK_EQ(hygiene_check_passwords(large, &recipe, NULL), -E2BIG);
}

TEST(state_of_apt_is_refused)
{
        static const char *const places[] = { "etc/apt/auth.conf", "etc/apt/auth.conf.d/private.conf",
                "var/lib/apt/lists/mirror_dists_InRelease", "var/cache/apt/archives/x_1_amd64.deb" };

        for (size_t i = 0; i < ELEMENTS(places); i++) {
                _cleanup_tree_ Tree *tree = tree_new();
                Error error = { 0 };

                CHECK_OK(tree_make_directory(tree, "var/lib/apt/lists", 0755, NULL, NULL));
                CHECK_OK(hygiene_check_apt(tree, NULL));
                put(tree, places[i], "x", 0644);
                CHECK_EQ(hygiene_check_apt(tree, &error), -EPERM);
                if (!strstr(error.message, places[i]) || !strstr(error.message, "leave it out"))
                        TEST_FAIL("%s: %s", places[i], error.message);
        }
}

/* ---- ports ---- */

#define UNITS "usr/lib/systemd/system/"

static Tree *with_unit(const char *name, const char *text)
{
        Tree *tree = tree_new();
        char path[128], link[128];

        if (!tree)
                abort();
        (void)snprintf(path, sizeof(path), UNITS "%s", name);
        (void)snprintf(link, sizeof(link), "etc/systemd/system/sockets.target.wants/%s", name);
        put(tree, path, text, 0644);
        if (tree_make_symlink(tree, link, "x", NULL, NULL) < 0)
                abort();
        return tree;
}

static bool is_refused(Tree *tree, char *const *allowed)
{
        Error error = { 0 };
        int r = hygiene_check_ports(tree, allowed, &error);

        if (r < 0 && (r != -EPERM || error.code != ERROR_REFUSED || !strstr(error.message, "Listen=")))
                abort();
        return r < 0;
}

TEST(sockets_that_others_reach_must_be_named)
{
        static const struct {
                const char *text;
                bool is_open;
        } cases[] = {
                { "[Socket]\nListenStream=/run/x\n", false },
                { "[Socket]\nListenStream=@x\nListenDatagram=%t/x\n", false },
                { "[Socket]\nListenStream=127.0.0.1:80\nListenStream=[::1]:80\n", false },
                { "[Socket]\nListenNetlink=route 1\n", false },
                { "[Socket]\nListenStream=22\n", true },
                { "[Socket]\nListenStream=/run/x\nListenDatagram = 0.0.0.0:69\n", true },
                { "[Socket]\nListenSequentialPacket=[::]:7\n", true },
                { "[Socket]\nListenStream=vsock::22\n", true },
                { "[Socket]\nListenStream=22\nListenStream=\nListenStream=/run/x\n", false },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_tree_ Tree *tree = with_unit("x.socket", cases[i].text);

                if (is_refused(tree, nothing) != cases[i].is_open)
                        TEST_FAIL("%s", cases[i].text);
        }
}

TEST(dropins_count_and_what_is_not_enabled_does_not)
{
        _cleanup_tree_ Tree *tree = with_unit("x.socket", "[Socket]\nListenStream=/run/x\n");
        char *allowed[] = { (char *)"x.socket", NULL };

        CHECK(!is_refused(tree, nothing));
        put(tree, UNITS "idle.socket", "[Socket]\nListenStream=22\n", 0644);
        CHECK(!is_refused(tree, nothing));
        put(tree, "etc/systemd/system/x.socket.d/10-port.conf", "[Socket]\nListenStream=8080\n", 0644);
        CHECK(is_refused(tree, nothing));
        CHECK(!is_refused(tree, allowed));
        CHECK_OK(tree_make_symlink(tree, "etc/systemd/system/x.socket", "/dev/null", NULL, NULL));
        CHECK_OK(tree_drop(tree, "etc/systemd/system/x.socket.d"));
        CHECK(!is_refused(tree, nothing));
}

TEST(services_that_are_known_to_listen_must_be_named)
{
        _cleanup_tree_ Tree *server = with_unit("ssh.service", "[Service]\nExecStart=-/usr/sbin/sshd -D\n");
        _cleanup_tree_ Tree *other = with_unit("x.service", "[Service]\nExecStart=/usr/bin/true sshd\n");
        char *by_unit[] = { (char *)"ssh.service", NULL }, *by_name[] = { (char *)"ssh", NULL };
        Error error = { 0 };

        CHECK_EQ(hygiene_check_ports(server, nothing, &error), -EPERM);
        CHECK_STR(error.message, "ssh.service is enabled and listens on the network (it runs "
                                 "-/usr/sbin/sshd -D): disable "
                                 "or mask it, or name it in the recipe: Listen=ssh.service");
        CHECK(!is_refused(server, by_unit) && !is_refused(server, by_name));
        CHECK(!is_refused(other, nothing));
}

TEST(the_resolver_must_not_answer_its_neighbours)
{
        static const struct {
                const char *etc, *of_etc, *of_usr; /* resolved.conf, z.conf in /etc, m.conf in /usr */
                bool is_open;
        } cases[] = {
                { NULL, NULL, NULL, true },
                { "[Resolve]\n#LLMNR=no\n", NULL, NULL, true },
                { "[Resolve]\nLLMNR=resolve\n", NULL, NULL, true },
                { "LLMNR=no\n", NULL, NULL, true },
                { "[Other]\nLLMNR=no\n", NULL, NULL, true },
                { "[Resolve]\nLLMNR=no\nLLMNR=yes\n", NULL, NULL, true },
                { "[Resolve]\nLLMNR=no\nLLMNR=\n", NULL, NULL, true },
                { "[Resolve]\nLLMNRX=no\nMulticastDNS=no\n", NULL, NULL, true },
                { "[Resolve]\n LLMNR = No \r\n", NULL, NULL, false },
                { "[Resolve]\nLLMNR=yes\n", NULL, "[Resolve]\nLLMNR=false\n", false },
                { "[Resolve]\nLLMNR=no\n", NULL, "[Resolve]\nLLMNR=yes\n", true },
                { NULL, "[Resolve]\nLLMNR=0\n", "[Resolve]\nLLMNR=yes\n", false },
                { NULL, "[Resolve]\nLLMNR=yes\n", "[Resolve]\nLLMNR=no\n", true },
        };
        char *allowed[] = { (char *)"systemd-resolved", NULL };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_tree_ Tree *tree = with_unit("systemd-resolved.service",
                                "[Service]\nExecStart=!!/lib/systemd/systemd-resolved\n");

                if (cases[i].etc)
                        put(tree, "etc/systemd/resolved.conf", cases[i].etc, 0644);
                if (cases[i].of_etc)
                        put(tree, "etc/systemd/resolved.conf.d/z.conf", cases[i].of_etc, 0644);
                if (cases[i].of_usr)
                        put(tree, "usr/lib/systemd/resolved.conf.d/m.conf", cases[i].of_usr, 0644);
                if (is_refused(tree, nothing) != cases[i].is_open || is_refused(tree, allowed))
                        TEST_FAIL("case %zu", i);
        }
}

TEST(a_main_file_of_the_resolver_counts_in_etc_only)
{
        _cleanup_tree_ Tree *tree = with_unit(
                        "systemd-resolved.service", "[Service]\nExecStart=/lib/systemd/systemd-resolved\n");

        put(tree, "usr/lib/systemd/resolved.conf", "[Resolve]\nLLMNR=no\n", 0644);
        CHECK(is_refused(tree, nothing));
}

TEST(a_setting_of_the_resolver_that_is_masked_does_not_count)
{
        _cleanup_tree_ Tree *tree = with_unit(
                        "systemd-resolved.service", "[Service]\nExecStart=/lib/systemd/systemd-resolved\n");

        put(tree, "usr/lib/systemd/resolved.conf.d/no-llmnr.conf", "[Resolve]\nLLMNR=no\n", 0644);
        put(tree, "usr/lib/systemd/resolved.conf.d/zz.txt", "[Resolve]\nLLMNR=yes\n", 0644);
        CHECK(!is_refused(tree, nothing));
        put(tree, "usr/local/lib/systemd/resolved.conf.d/a.conf", "[Resolve]\nLLMNR=yes\n", 0644);
        CHECK(!is_refused(tree, nothing));
        put(tree, "usr/local/lib/systemd/resolved.conf.d/o.conf", "[Resolve]\nLLMNR=yes\n", 0644);
        CHECK(is_refused(tree, nothing));
        put(tree, "etc/systemd/resolved.conf.d/o.conf", "", 0644);
        CHECK(!is_refused(tree, nothing));
        CHECK_OK(tree_make_symlink(
                        tree, "etc/systemd/resolved.conf.d/no-llmnr.conf", "/dev/null", NULL, NULL));
        CHECK(is_refused(tree, nothing));
}

TEST_MAIN
