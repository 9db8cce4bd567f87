/* SPDX-License-Identifier: Apache-2.0 */
#include "deb.h"
#include "file.h"
#include "lock.h"
#include "strv.h"
#include "test.h"

#include <string.h>
#include <sys/mman.h>

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* What lock_format() makes. */
static const char good[] =
                "{\n  \"format\": 1,\n  \"request\": [\n    \"Architecture=x86-64\",\n    \"Areas=main\",\n"
                "    \"Install=a\",\n    \"Recommended=no\",\n    \"Suites=s\"\n  ],\n  \"sources\": [\n"
                "    {\"suite\": \"s\", \"mirror\": \"http://m.example/debian\", \"date\": "
                "\"2026-01-02T03:04:05Z\", "
                "\"sha256\": \"" HASH
                "\", \"indexes\": [{\"name\": \"main/binary-amd64/Packages\", \"sha256\": \"" HASH
                "\"}]}\n  ],\n  \"packages\": [\n"
                "    {\"name\": \"a\", \"version\": \"1:2~rc1-3+b1\", \"architecture\": \"amd64\", "
                "\"size\": 5, "
                "\"sha256\": \"" HASH "\", \"source\": 0, \"path\": \"pool/a_2.deb\"},\n"
                "    {\"name\": \"libb++\", \"version\": \"1\", \"architecture\": \"all\", \"size\": 7, "
                "\"sha256\": \"" HASH "\", \"source\": 0, \"path\": \"pool/libb%2b%2b.deb\"}\n  ]\n}\n";

static Lock *parse(const char *text)
{
        Lock *lock = NULL;

        return lock_parse(text, strlen(text), "test", &lock, NULL) < 0 ? NULL : lock;
}

/* The good lock with one piece of it replaced. */
static Lock *parse_with(const char *old, const char *new)
{
        static char text[8192];
        const char *at = strstr(good, old);

        if (!at)
                abort();
        (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, new, at + strlen(old));
        return parse(text);
}

TEST(a_lock_that_was_read_is_written_as_it_was)
{
        _cleanup_lock_ Lock *lock = parse(good);
        _cleanup_free_ char *text = NULL;
        size_t size;

        CHECK(lock);
        CHECK_EQ(lock->package_count, 2);
        CHECK_STR(lock->packages[1].name, "libb++");
        CHECK_EQ(lock_time(lock), 1767323045);
        CHECK_EQ(lock_size_bytes(lock), 12);
        CHECK_OK(lock_format(lock, &text, &size));
        CHECK_STR(text, good);
        CHECK_EQ(size, sizeof(good) - 1);
}

TEST(what_a_lock_may_not_hold_is_refused)
{
        static const struct {
                const char *rule, *old, *new;
        } cases[] = {
                { "another format", "\"format\": 1", "\"format\": 2" },
                { "no hash", "\"sha256\": \"" HASH "\", \"source\": 0, \"path\": \"pool/a",
                                "\"source\": 0, \"path\": \"pool/a" },
                { "a short hash", HASH "\", \"source\": 0, \"path\": \"pool/a",
                                "0011\", \"source\": 0, \"path\": \"pool/a" },
                { "a path above the mirror", "pool/a_2.deb", "../a_2.deb" },
                { "a path above the mirror, further in", "pool/a_2.deb", "pool/../../a_2.deb" },
                { "an absolute path", "pool/a_2.deb", "/pool/a_2.deb" },
                { "an empty part of a path", "pool/a_2.deb", "pool//a_2.deb" },
                { "a path with a space", "pool/a_2.deb", "pool/a 2.deb" },
                { "a path with a query", "pool/a_2.deb", "pool/a?2.deb" },
                { "a name with a slash", "\"name\": \"a\"", "\"name\": \"../a\"" },
                { "a name with a comma", "\"name\": \"a\"", "\"name\": \"a,b\"" },
                { "a name that is an option", "\"name\": \"a\"", "\"name\": \"-oDir::Bin::dpkg=x\"" },
                { "a name that is a short option", "\"name\": \"a\"", "\"name\": \"-y\"" },
                { "a name that asks for removal", "\"name\": \"a\"", "\"name\": \"a-\"" },
                { "a name that begins with a dot", "\"name\": \"a\"", "\"name\": \".a\"" },
                { "a name with a capital", "\"name\": \"a\"", "\"name\": \"A\"" },
                { "a version that is an option", "1:2~rc1-3+b1", "-1" },
                { "an architecture that is an option", "\"amd64\"", "\"-a\"" },
                { "an empty name", "\"name\": \"a\"", "\"name\": \"\"" },
                { "a version with a newline", "1:2~rc1-3+b1", "1\\nX: y" },
                { "an architecture with a space", "\"amd64\"", "\"amd 64\"" },
                { "an empty package", "\"size\": 5", "\"size\": 0" },
                { "an enormous package", "\"size\": 5", "\"size\": 4294967297" },
                { "a negative size", "\"size\": 5", "\"size\": -1" },
                { "a source that is not there", "\"source\": 0", "\"source\": 1" },
                { "a package twice", "\"libb++\", \"version\": \"1\", \"architecture\": \"all\"",
                                "\"a\", \"version\": \"1\", \"architecture\": \"amd64\"" },
                { "a mirror that is an option", "http://m.example/debian", "-ohttp://m" },
                { "a mirror without a scheme", "http://m.example/debian", "m.example" },
                { "a mirror with a space", "http://m.example/debian", "http://m x/" },
                { "no date", "2026-01-02T03:04:05Z", "yesterday" },
                { "no sources", "\"sources\": [", "\"saurces\": [" },
                { "a request that is no text", "\"Areas=main\"", "7" },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_lock_ Lock *lock = parse_with(cases[i].old, cases[i].new);

                if (lock)
                        TEST_FAIL("%s is taken", cases[i].rule);
        }
        CHECK(!parse(""));
        CHECK(!parse("[]"));
}

TEST(a_stale_lock_names_what_is_different)
{
        _cleanup_lock_ Lock *lock = parse(good);
        char architecture[] = "x86-64", path[] = "r.conf", s[] = "s", main_area[] = "main", a[] = "a",
             b[] = "b";
        char *suites[] = { s, NULL }, *areas[] = { main_area, NULL }, *packages[] = { a, a, NULL },
             *more[] = { b, a, NULL };
        Recipe recipe = { .path = path, .architecture = architecture, .suites = suites, .areas = areas };
        Error error = { 0 };

        CHECK(lock);
        recipe.packages = packages;
        CHECK_OK(lock_check_request(lock, &recipe, NULL, &error));
        recipe.packages = more;
        CHECK_EQ(lock_check_request(lock, &recipe, NULL, &error), -ESTALE);
        CHECK(strstr(error.message, "the recipe has Install=b,") && strstr(error.message, "without it"));
        error_clear(&error);
        recipe.packages = NULL;
        CHECK_EQ(lock_check_request(lock, &recipe, NULL, &error), -ESTALE);
        CHECK(strstr(error.message, "the recipe has no Install=a,"));
}

TEST(the_difference_of_two_locks_is_in_the_order_of_names)
{
        _cleanup_lock_ Lock *before = parse(good), *after = parse_with("\"name\": \"a\"", "\"name\": \"c\""),
                            *other = parse_with("\"size\": 7, \"sha256\": \"00",
                                            "\"size\": 7, \"sha256\": \"01");
        _cleanup_free_ LockChange *changes = NULL, *one = NULL, *none = NULL, *all = NULL;
        size_t count;

        CHECK(before && after && other);
        CHECK_OK(lock_compare(before, after, &changes, &count));
        CHECK_EQ(count, 2);
        CHECK(changes[0].kind == LOCK_REMOVED && changes[1].kind == LOCK_ADDED);
        CHECK_STR(changes[1].after->name, "c");
        CHECK_OK(lock_compare(before, other, &one, &count));
        CHECK_EQ(count, 1);
        CHECK(one[0].kind == LOCK_CHANGED && strcmp(one[0].before->name, "libb++") == 0);
        CHECK_OK(lock_compare(before, before, &none, &count));
        CHECK(count == 0 && !none);
        CHECK_OK(lock_compare(NULL, before, &all, &count));
        CHECK_EQ(count, 2);
}

static void package_done(LockPackage *package)
{
        free(package->name);
        free(package->version);
        free(package->architecture);
        free(package->path);
}

TEST(a_line_of_apt_is_understood)
{
        _cleanup_lock_ Lock *lock = parse(good);
        _cleanup_(package_done) LockPackage package = { 0 };

        CHECK(lock);
        CHECK_EQ(lock_parse_uri("Reading package lists...", lock, &package), 1);
        CHECK_OK(lock_parse_uri("'http://m.example/debian/pool/g/libg%2b%2b_1.2_amd64.deb' "
                                "libg%2b%2b_1%3a1.2_amd64.deb "
                                "42 SHA256:" HASH,
                        lock, &package));
        CHECK_STR(package.name, "libg++");
        CHECK_STR(package.version, "1:1.2");
        CHECK_STR(package.architecture, "amd64");
        CHECK_STR(package.path, "pool/g/libg%2b%2b_1.2_amd64.deb");
        CHECK_EQ(package.size_bytes, 42);
}

TEST(other_lines_of_apt_are_refused)
{
        static const char *const lines[] = { "'", "'http://m.example/debian/a.deb",
                "'http://m.example/debian/a.deb'", "'http://m.example/debian/a.deb' a_1_all.deb",
                "'http://m.example/debian/a.deb' a_1_all.deb 5",
                "'http://m.example/debian/a.deb' a_1_all.deb 5 MD5Sum:00112233445566778899aabbccddeeff",
                "'http://m.example/debian/a.deb' a_1.deb 5 SHA256:" HASH,
                "'http://m.example/debian/a.deb' a_1_all.dab 5 SHA256:" HASH,
                "'http://m.example/debian/a.deb' a_1_all.deb -5 SHA256:" HASH,
                "'http://m.example/debianic/a.deb' a_1_all.deb 5 SHA256:" HASH,
                "'http://other.example/a.deb' a_1_all.deb 5 SHA256:" HASH };
        _cleanup_lock_ Lock *lock = parse(good);

        CHECK(lock);
        for (size_t i = 0; i < ELEMENTS(lines); i++) {
                LockPackage package = { 0 };

                if (lock_parse_uri(lines[i], lock, &package) != -EBADMSG)
                        TEST_FAIL("%s is taken", lines[i]);
        }
}

/* ---- packages ---- */

#define AR(name, size) name "0           0     0     100644  " size "`\n"

static const char *read_control(const char *data, size_t size)
{
        static Error error;
        _cleanup_free_ char *control = NULL;
        _cleanup_fd_ int fd = memfd_create("deb", MFD_CLOEXEC);

        error = (Error){ 0 };
        if (fd < 0 || pwrite_full(fd, data, size, 0) < 0)
                abort();
        return deb_read_control(fd, &control, &error) < 0 ? error.message : "";
}

TEST(damaged_packages_are_refused)
{
        static const struct {
                const char *data, *says;
        } cases[] = {
                { "", "does not begin like one" },
                { "!<arch>\n", "ends early" },
                { "!<arch>\n" AR("other           ", "4         ") "2.0\n", "its first member is another" },
                { "!<arch>\n" AR("debian-binary   ", "4         ") "2.0\n", "ends early" },
                { "!<arch>\n" AR("debian-binary   ", "400       ") "2.0\n", "goes past its end" },
                { "!<arch>\n" AR("debian-binary   ", "          ") "2.0\n", "has no size" },
                { "!<arch>\n" AR("debian-binary   ", "4 4       ") "2.0\n", "has no size" },
                { "!<arch>\n" AR("debian-binary   ", "4         ") "2.0\n" AR(
                                  "control.tar.lz  ", "4         ") "abcd",
                                "compressed in an unknown way" },
                { "!<arch>\n" AR("debian-binary   ", "4         ") "2.0\n" AR(
                                  "control.tar.xz  ", "4         ") "abcd",
                                "the package's control archive" },
                { "!<arch>\n" AR("debian-binary   ", "4         ") "2.0\n" AR(
                                  "control.tar.gz  ", "4         ") "\x1f\x8b\x08\x01",
                                "control archive: its compressed bytes are damaged" },
                { "!<arch>\n" AR("debian-binary   ", "4         ") "2.0\n" AR(
                                  "control.tar.zst ", "5         ") "\x28\xb5\x2f\xfd\x01",
                                "control archive: its compressed bytes are damaged" },
                { "!<arch>\n" AR("debian-binary   ", "4         ") "2.0\n" AR(
                                  "control.tar     ", "0         "),
                                "impossible size" },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                const char *said = read_control(cases[i].data, strlen(cases[i].data));

                if (!strstr(said, cases[i].says))
                        TEST_FAIL("\"%s\" instead of \"%s\"", said, cases[i].says);
        }
}

TEST_MAIN
