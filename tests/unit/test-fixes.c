/* SPDX-License-Identifier: Apache-2.0 */
#include "deb.h"
#include "debian-version.h"
#include "file.h"
#include "fixes.h"
#include "hex.h"
#include "json.h"
#include "output-file.h"
#include "test.h"
#include "tree-archive.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>

/* ---- versions ---- */

TEST(versions_have_the_order_of_dpkg)
{
        /* Ascending. */
        static const char *const versions[] = { "0~~", "0~~a", "0~", "0", "1.0~rc1-1", "1.0~rc1-1+b1", "1.0",
                "1.0-0.1", "1.0-1~deb12u1", "1.0-1", "1.0-1+b1", "1.0-1+deb12u1", "1.0-1+deb12u2",
                "1.0-1+deb12u10", "1.0-1.1", "1.0-2", "1.0a-1", "1.0+dfsg-1", "1.0.1-1", "1.2-1-1", "1.10-1",
                "18446744073709551617-1", "1:0.1-1", "2:0.1", "10:0" };
        static const char *const equals[][2] = { { "1.0", "1.0-0" }, { "0:1.0-1", "1.0-1" },
                { "1.00-01", "1.0-1" }, { "", "0" } };

        for (size_t i = 0; i < ELEMENTS(versions); i++)
                for (size_t j = 0; j < ELEMENTS(versions); j++) {
                        int order = debian_version_compare(versions[i], versions[j]);

                        if ((order > 0) != (i > j) || (order < 0) != (i < j))
                                TEST_FAIL("%s and %s: %d", versions[i], versions[j], order);
                }
        for (size_t i = 0; i < ELEMENTS(equals); i++)
                CHECK_EQ(debian_version_compare(equals[i][0], equals[i][1]), 0);
}

TEST(what_is_no_version_is_known)
{
        static const char *const wrong[] = { "", "a1", "1 2", "1(2", "1/2", "1\n", "\xc3\xa4" };
        char longest[DEBIAN_VERSION_MAX + 2];

        CHECK(debian_version_is_valid("1:2.3~rc1+dfsg-4+b1", 19));
        for (size_t i = 0; i < ELEMENTS(wrong); i++)
                CHECK(!debian_version_is_valid(wrong[i], strlen(wrong[i])));
        CHECK(!debian_version_is_valid("1\0002", 3));
        memset(longest, '1', sizeof(longest));
        CHECK(debian_version_is_valid(longest, DEBIAN_VERSION_MAX));
        CHECK(!debian_version_is_valid(longest, DEBIAN_VERSION_MAX + 1));
}

/* ---- changelogs ---- */

#define TRAILER "\n -- A <a@test.example>  Mon, 02 Jan 2006 15:04:05 +0000\n\n"

static const char changelog[] =
                "# a remark\n"
                "tool (1:2.0-3) unstable; urgency=high\n\n  * CVE-2024-10000, CVE-2024-9999 (Closes: #1)\n"
                "  * again: cve-2024-9999/CVE-2023-0001" TRAILER
                "tool (1:2.0-2) unstable; urgency=low\n\n  * Nothing of interest." TRAILER
                "tool (1:2.0-1) unstable; urgency=low\n\n  * CVE-2022-1234: a hole." TRAILER
                "tool (1.0-1) unstable; urgency=low\n\n  * CVE-2020-0001 CVE-2022-1234." TRAILER
                "Old changelog: CVE-2001-0001\n"
                "  * CVE-2001-0002\n"
                "former-tool (9) unstable; urgency=low\n\n  * CVE-2000-0001" TRAILER
                "tool (0.1) unstable; urgency=low\n\n  * CVE-2000-0002" TRAILER;

static char *read_text(const char *text, const char *source)
{
        _cleanup_json_ json_t *json = NULL;

        if (fixes_read_changelog(text, source, &json) < 0)
                return strdup("failed");
        return json ? json_dumps(json, JSON_COMPACT) : strdup("nothing");
}

TEST(a_changelog_tells_which_version_names_which_number)
{
        _cleanup_free_ char *found = read_text(changelog, "tool"), *other = read_text(changelog, "library");

        CHECK_STR(found, "{\"entries\":["
                         "{\"version\":\"1:2.0-3\",\"cves\":[\"CVE-2023-0001\",\"CVE-2024-9999\",\"CVE-2024-"
                         "10000\"]},"
                         "\"1:2.0-2\",{\"version\":\"1:2.0-1\",\"cves\":[\"CVE-2022-1234\"]},"
                         "{\"version\":\"1.0-1\",\"cves\":[\"CVE-2020-0001\",\"CVE-2022-1234\"]}]}");
        CHECK_STR(other, "nothing");
}

TEST(a_signed_kernel_goes_on_with_the_changelog_of_the_kernel)
{
        static const char log[] = "linux-signed-amd64 (6.1.9+2) s\n  * Sign kernel. CVE-2024-0003\n"
                                  "linux (6.1.9-1) s\n  * CVE-2024-0002\n"
                                  "linux (6.1.8-3) s\n  * CVE-2024-0001\n"
                                  "linux-2.6 (2.6.39-3) s\n  * CVE-2011-0001\n";
        _cleanup_free_ char *found = read_text(log, "linux-signed-amd64"), *other = read_text(log, "linux");

        CHECK_STR(found, "{\"entries\":["
                         "{\"version\":\"6.1.9+2\",\"cves\":[\"CVE-2024-0003\"]},"
                         "{\"version\":\"6.1.9+1\",\"cves\":[\"CVE-2024-0002\"]},"
                         "{\"version\":\"6.1.8+3\",\"cves\":[\"CVE-2024-0001\"]}]}");
        CHECK_STR(other, "nothing");
}

TEST(what_only_looks_like_a_number_or_an_entry_is_passed_over)
{
        static const struct {
                const char *text, *found;
        } cases[] = {
                { "", "nothing" },
                { "\n\n\n", "nothing" },
                { "  * CVE-2020-0001\n", "nothing" },
                { "tool", "nothing" },
                { "tool (", "nothing" },
                { "tool ()\n", "nothing" },
                { "tool (1", "nothing" },
                { "tool (x1) s\n", "nothing" },
                { "tool (1 2) s\n", "nothing" },
                { "tool\n(1) s\n", "nothing" },
                { "tool (1\n) s\n  * CVE-2020-0001\n", "nothing" },
                { " tool (1) s\n  * CVE-2020-0001\n", "nothing" },
                { "Tool (1) s\n", "nothing" },
                { "tools (1) s\ntool (1) s\n", "nothing" },
                { "tool (1)", "{\"entries\":[\"1\"]}" },
                { "tool (1) s\n  * CVE-2020-001 CVE-20201-0001 CVE-2020- CVE- CVE-2020-x XCVE-2020-0001 "
                  "1CVE-2020-0001 CVE-2020_0001 CVE-2020-12345678901234567890 CVE\n-2020-0001\n",
                                "{\"entries\":[\"1\"]}" },
                { "tool (1) s\n  * (CVE-2020-0001).\xff\xfe\x01 CVE-2020-1234567890123456789",
                                "{\"entries\":[{\"version\":\"1\",\"cves\":[\"CVE-2020-0001\","
                                "\"CVE-2020-1234567890123456789\"]}]}" },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_free_ char *found = read_text(cases[i].text, "tool");

                if (!found || strcmp(found, cases[i].found) != 0)
                        TEST_FAIL("%s: %s", cases[i].text, found ? found : "");
        }
}

/* What the last entry says. */
static const char *last_version(const json_t *json)
{
        const json_t *entries = json_object_get(json, "entries"),
                     *entry = json_array_get(entries, json_array_size(entries) - 1);

        return json_string_value(json_is_string(entry) ? entry : json_object_get(entry, "version"));
}

static size_t count_cves(const json_t *json)
{
        json_t *entry;
        size_t i, count = 0;

        json_array_foreach(json_object_get(json, "entries"), i, entry) count +=
                        json_array_size(json_object_get(entry, "cves"));
        return count;
}

TEST(a_changelog_without_end_is_cut_where_an_entry_ends)
{
        _cleanup_buffer_ Buffer many = BUFFER_WITH_CAP(64 * MIB), wide = BUFFER_WITH_CAP(64 * MIB);
        _cleanup_json_ json_t *json = NULL, *other = NULL;

        for (unsigned i = 0; i < 3 * FIXES_ENTRIES_MAX; i++)
                CHECK_OK(buffer_printf(&many, "tool (%u) s\n  * %s-2020-%04u\n", 10000 - i,
                                i % 2 ? "CVE" : "CAN", i));
        CHECK_OK(fixes_read_changelog((const char *)many.data, "tool", &json));
        CHECK_EQ(json_array_size(json_object_get(json, "entries")), FIXES_ENTRIES_MAX);
        CHECK_EQ(count_cves(json), FIXES_ENTRIES_MAX / 2);
        CHECK_EQ(atoi(last_version(json)), 10001 - FIXES_ENTRIES_MAX);
        for (unsigned i = 0; i < 3; i++) {
                CHECK_OK(buffer_printf(&wide, "tool (%u) s\n", 3 - i));
                for (unsigned j = 0; j < FIXES_CVES_MAX / 2; j++)
                        CHECK_OK(buffer_printf(&wide, "  * CVE-2020-%05u\n", i * FIXES_CVES_MAX + j));
        }
        CHECK_OK(fixes_read_changelog((const char *)wide.data, "tool", &other));
        CHECK_EQ(count_cves(other), FIXES_CVES_MAX);
        CHECK_STR(last_version(other), "2");
        /* Not even the first entry fits. */
        buffer_clear(&wide);
        CHECK_OK(buffer_append_string(&wide, "tool (1) s\n"));
        for (unsigned j = 0; j < FIXES_CVES_MAX + 10; j++)
                CHECK_OK(buffer_printf(&wide, "  * CVE-2020-%05u\n", j));
        json_decref(other);
        CHECK_OK(fixes_read_changelog((const char *)wide.data, "tool", &other));
        CHECK(!other);
}

/* ---- papers ---- */

#define IN_ENTRIES(entry) "{\"format\": 2, \"sources\": {\"a\": {\"entries\": [\"2\", " entry "]}}}"

TEST(a_paper_that_says_more_than_versions_and_numbers_is_refused)
{
        static const char right[] = IN_ENTRIES("{\"version\": \"1\", \"cves\": [\"CVE-2020-0001\"]}, \"1\"");
        static const char *const wrong[] = {
                "",
                "[]",
                "{}",
                "{\"format\": 2}",
                "{\"format\": \"2\", \"sources\": {}}",
                "{\"format\": 2, \"sources\": []}",
                "{\"format\": 2, \"sources\": {\"a\": []}}",
                "{\"format\": 2, \"sources\": {\"a\": {}}}",
                "{\"format\": 2, \"sources\": {\"a\": {\"entries\": {}}}}",
                "{\"format\": 2, \"sources\": {\"a\": {\"entries\": []}}}",
                IN_ENTRIES("1"),
                IN_ENTRIES("\"x\""),
                IN_ENTRIES("null"),
                IN_ENTRIES("[\"1\"]"),
                IN_ENTRIES("{\"version\": \"1\"}"),
                IN_ENTRIES("{\"cves\": []}"),
                IN_ENTRIES("{\"version\": \"\\u001b[2J\", \"cves\": []}"),
                IN_ENTRIES("\"\\u001b[2J\""),
                IN_ENTRIES("{\"version\": \"1\", \"cves\": [1]}"),
                IN_ENTRIES("{\"version\": \"1\", \"cves\": [\"CVE-2020-0001 \"]}"),
                IN_ENTRIES("{\"version\": \"1\", \"cves\": [\"cve-2020-0001\"]}"),
                IN_ENTRIES("{\"version\": \"1\", \"cves\": [\"CVE-2020-0001\\u0000x\"]}"),
        };
        _cleanup_json_ json_t *fixes = NULL;

        CHECK_OK(fixes_parse(right, strlen(right), "paper", &fixes, NULL));
        for (size_t i = 0; i < ELEMENTS(wrong); i++) {
                _cleanup_json_ json_t *json = NULL;
                Error error = { 0 };

                if (fixes_parse(wrong[i], strlen(wrong[i]), "paper", &json, &error) != -EBADMSG ||
                                !error_is_set(&error))
                        TEST_FAIL("taken: %s", wrong[i]);
        }
}

/* ---- packages ---- */

static void pack(const char *text, Buffer *ret)
{
        static uint8_t packed[256 * 1024];
        z_stream stream = { .next_in = (Bytef *)(uintptr_t)text,
                .avail_in = (uInt)strlen(text),
                .next_out = packed,
                .avail_out = sizeof(packed) };

        if (deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
                        deflate(&stream, Z_FINISH) != Z_STREAM_END ||
                        buffer_append(ret, packed, sizeof(packed) - stream.avail_out) < 0)
                abort();
        (void)deflateEnd(&stream);
}

static void add_member(Buffer *deb, const char *name, const void *data, size_t size)
{
        if (buffer_printf(deb, "%-16s%-12s%-6s%-6s%-8s%-10zu`\n", name, "0", "0", "0", "100644", size) < 0 ||
                        buffer_append(deb, data, size) < 0 ||
                        (size % 2 && buffer_append_byte(deb, '\n') < 0))
                abort();
}

static void add_tree(Buffer *deb, const char *name, Tree *tree)
{
        _cleanup_fd_ int fd = memfd_create("tree", MFD_CLOEXEC);
        _cleanup_free_ char *data = NULL;
        uint64_t size;

        if (fd < 0 || tree_write_archive(tree, fd, NULL) < 0 || fd_size(fd, &size) < 0)
                abort();
        data = malloc(size);
        if (!data || pread_full(fd, data, size, 0) < 0)
                abort();
        add_member(deb, name, data, size);
}

/* With a file at `path`, which holds `text` in gzip if it is so called, or is a link if `text` begins with
 * "->". */
static void make_deb(Buffer *deb, const char *control, const char *path, const char *text)
{
        _cleanup_tree_ Tree *fields = tree_new(), *data = tree_new();
        _cleanup_buffer_ Buffer content = BUFFER_WITH_CAP(1 * MIB);
        size_t length = path ? strlen(path) : 0;
        int r = fields && data ? tree_make_text(fields, "control", control, 0644, NULL) : -ENOMEM;

        if (path && strncmp(text, "->", 2) == 0)
                r = tree_make_symlink(data, path, text + 2, NULL, NULL);
        else if (path) {
                if (length > 3 && strcmp(path + length - 3, ".gz") == 0)
                        pack(text, &content);
                else
                        r = buffer_append_string(&content, text);
                if (r >= 0)
                        r = tree_make_file(data, path, content.data, content.size, 0644, NULL, NULL);
        }
        if (r < 0 || buffer_append_string(deb, "!<arch>\n") < 0)
                abort();
        add_member(deb, "debian-binary", "2.0\n", 4);
        add_tree(deb, "control.tar", fields);
        add_tree(deb, "data.tar", data);
}

static int read_deb(const Buffer *deb, const char *name, char **ret, Error *error)
{
        _cleanup_fd_ int fd = memfd_create("deb", MFD_CLOEXEC),
                         scratch = memfd_create("scratch", MFD_CLOEXEC);
        size_t size;
        int r;

        if (fd < 0 || scratch < 0 || pwrite_full(fd, deb->data, deb->size, 0) < 0)
                abort();
        r = deb_read_changelog(fd, name, scratch, ret, &size, error);
        return r < 0 || strlen(*ret) == size ? r : -EIO;
}

#define CONTROL(name) "Package: " name "\nVersion: 2\nArchitecture: all\n"

TEST(the_changelog_of_a_package_is_found)
{
        static const char *const paths[] = { "usr/share/doc/tool/changelog.Debian.gz",
                "usr/share/doc/tool/changelog.Debian", "usr/share/doc/tool/changelog.gz",
                "usr/share/doc/tool/changelog" };
        static const char *const others[] = { NULL, "usr/share/doc/tool/changelog.Debian.amd64.gz",
                "usr/share/doc/other/changelog.gz", "usr/share/doc/tool/changelog.gz/file",
                "usr/share/doc/tool/NEWS.gz" };

        for (size_t i = 0; i < ELEMENTS(paths); i++) {
                _cleanup_buffer_ Buffer deb = BUFFER_WITH_CAP(1 * MIB);
                _cleanup_free_ char *text = NULL;

                make_deb(&deb, CONTROL("tool"), paths[i], changelog);
                CHECK_OK(read_deb(&deb, "tool", &text, NULL));
                CHECK_STR(text, changelog);
        }
        for (size_t i = 0; i < ELEMENTS(others); i++) {
                _cleanup_buffer_ Buffer deb = BUFFER_WITH_CAP(1 * MIB);
                _cleanup_free_ char *text = NULL;
                Error error = { 0 };

                make_deb(&deb, CONTROL("tool"), others[i], changelog);
                CHECK_EQ(read_deb(&deb, "tool", &text, &error), -ENOENT);
                CHECK(!error_is_set(&error));
        }
}

TEST(a_hostile_changelog_is_bounded_and_stays_in_its_package)
{
        static const char *const links[] = { "->/etc/passwd", "->../../../../../../etc/passwd",
                "->changelog.gz", "->/" };
        _cleanup_buffer_ Buffer deb = BUFFER_WITH_CAP(1 * MIB), bomb = BUFFER_WITH_CAP(1 * MIB);
        _cleanup_tree_ Tree *tree = tree_new(), *fields = tree_new();
        _cleanup_free_ char *text = NULL, *zeros = malloc(DEB_CHANGELOG_MAX + 2);
        Error error = { 0 };

        for (size_t i = 0; i < ELEMENTS(links); i++) {
                buffer_clear(&deb);
                make_deb(&deb, CONTROL("tool"), "usr/share/doc/tool/changelog.gz", links[i]);
                CHECK_EQ(read_deb(&deb, "tool", &text, &error), -ENOENT);
        }
        /* Damaged after its first bytes. */
        buffer_clear(&deb);
        make_deb(&deb, CONTROL("tool"), "usr/share/doc/tool/changelog", "\x1f\x8b\x08 and no more");
        CHECK_EQ(read_deb(&deb, "tool", &text, &error), -EBADMSG);
        CHECK_EQ(error.code, ERROR_CORRUPT);
        CHECK(zeros && tree && fields);
        memset(zeros, 'x', DEB_CHANGELOG_MAX + 1);
        zeros[DEB_CHANGELOG_MAX + 1] = 0;
        pack(zeros, &bomb);
        CHECK_OK(tree_make_text(fields, "control", CONTROL("tool"), 0644, NULL));
        CHECK_OK(tree_make_file(
                        tree, "usr/share/doc/tool/changelog.gz", bomb.data, bomb.size, 0644, NULL, NULL));
        buffer_clear(&deb);
        CHECK_OK(buffer_append_string(&deb, "!<arch>\n"));
        add_member(&deb, "debian-binary", "2.0\n", 4);
        add_tree(&deb, "control.tar", fields);
        add_tree(&deb, "data.tar", tree);
        error_clear(&error);
        CHECK_EQ(read_deb(&deb, "tool", &text, &error), -EFBIG);
        CHECK_EQ(error.code, ERROR_REFUSED);
        /* No data archive at all. */
        deb.size = 8 + 60 + 4;
        error_clear(&error);
        CHECK_EQ(read_deb(&deb, "tool", &text, &error), -EBADMSG);
}

/* ---- a lock's packages ---- */

#define PACKAGES 6
#define LINE "  * Nothing that would be of interest to anybody but to those who did it.\n"
#define LONG LINE LINE LINE LINE LINE LINE LINE LINE

static int put_package(const char *cache, LockPackage *package, const Buffer *deb)
{
        _cleanup_free_ char *path = NULL;

        sha256_of(deb->data, deb->size, package->sha256);
        package->size_bytes = deb->size;
        path = lock_cached_path(cache, package);
        return path ? file_replace(AT_FDCWD, path, deb->data, deb->size, 0644) : -ENOMEM;
}

static int damage_known(const char *cache, const LockPackage *package)
{
        char hex[SHA256_HEX_SIZE];
        _cleanup_free_ char *path = NULL;
        struct stat status;

        hex_encode(package->sha256, SHA256_SIZE, hex);
        path = string_format("%s/changelogs/%d-%s", cache, FIXES_READER, hex);
        return path && stat(path, &status) == 0 && (status.st_mode & 0777) == 0644
                               ? file_replace(AT_FDCWD, path, "{\"format\": 2", 12, 0644)
                               : -ENOENT;
}

TEST(the_smallest_package_of_the_newest_version_that_has_a_changelog_is_read)
{
        static const struct {
                const char *name, *control, *path, *text;
        } packages[PACKAGES] = {
                { "large", CONTROL("large") "Source: tool (1:2.0-3)\n", "usr/share/doc/large/changelog",
                                "tool (1:2.0-3) s\n  * CVE-1999-0001\n" LONG LONG LONG LONG },
                { "linked", CONTROL("linked") "Source: tool (1:2.0-3)\n", "usr/share/doc/linked",
                                "->small" },
                { "small", CONTROL("small") "Source: tool (1:2.0-3)\n",
                                "usr/share/doc/small/changelog.Debian.gz", changelog },
                { "behind", CONTROL("behind") "Source: tool (1:2.0-2)\n", "usr/share/doc/behind/changelog",
                                "tool (1:2.0-2) s\n  * CVE-1999-0002\n" },
                { "library", CONTROL("library"), "usr/share/doc/library/changelog",
                                "library (2) s\n  * CVE-2021-4321\n" },
                { "without", CONTROL("without"), NULL, NULL },
        };
        _cleanup_free_ char *folder = scratch_path("test-fixes-XXXXXX"), *debs = NULL;
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(FIXES_MAX), again = BUFFER_WITH_CAP(FIXES_MAX);
        _cleanup_json_ json_t *fixes = NULL;
        LockPackage locked[PACKAGES] = { 0 };
        Lock lock = { .packages = locked, .package_count = PACKAGES };
        json_t *sources, *entry;

        CHECK(folder && mkdtemp(folder) && (debs = path_join(folder, "debs")));
        CHECK_OK(directory_make(AT_FDCWD, debs, 0755));
        for (size_t i = 0; i < PACKAGES; i++) {
                _cleanup_buffer_ Buffer deb = BUFFER_WITH_CAP(1 * MIB);

                make_deb(&deb, packages[i].control, packages[i].path, packages[i].text);
                locked[i].name = (char *)(uintptr_t)packages[i].name;
                locked[i].version = locked[i].architecture = (char *)(uintptr_t) "2";
                CHECK_OK(put_package(folder, &locked[i], &deb));
        }
        CHECK_OK(fixes_collect(&lock, folder, folder, &text, NULL));
        /* Of what was kept, one is damaged and is read again. */
        CHECK_EQ(damage_known(folder, &locked[4]), 0);
        CHECK_OK(fixes_collect(&lock, folder, folder, &again, NULL));
        CHECK_EQ(text.size, again.size);
        CHECK_MEM(text.data, again.data, text.size);
        /* What was kept does not stand for packages that are gone. */
        CHECK_OK(tree_remove(AT_FDCWD, debs));
        CHECK(fixes_collect(&lock, folder, folder, &again, NULL) < 0);
        CHECK_OK(tree_remove(AT_FDCWD, folder));
        CHECK_OK(fixes_parse((const char *)text.data, text.size, "paper", &fixes, NULL));
        sources = json_object_get(fixes, "sources");
        CHECK_EQ(json_object_size(sources), 2);
        entry = json_array_get(json_object_get(json_object_get(sources, "tool"), "entries"), 0);
        CHECK_STR(json_string_value(json_array_get(json_object_get(entry, "cves"), 0)), "CVE-2023-0001");
        CHECK(json_object_get(sources, "library"));
}

TEST_MAIN
