/* SPDX-License-Identifier: Apache-2.0 */
#include "erofs-writer.h"
#include "file.h"
#include "package-files.h"
#include "size-report.h"
#include "test.h"
#include "tree.h"

#include <fcntl.h>
#include <string.h>

static char path[] = "/tmp/bascule-size-XXXXXX";

/* Two packages, one of them of the time before /usr was merged, a file of nobody's, and one file with two
 * names. */
static int make_image(void)
{
        static const struct {
                const char *path, *text;
        } files[] = {
                { "usr/bin/small", "12345" },
                { "usr/lib/large", "1234567890" },
                { "usr/share/made", "abc" },
                { "usr/share/bascule/dpkg/info/one.list", "/.\n/bin\n/bin/small\n" },
                { "usr/share/bascule/dpkg/info/two:amd64.list", "/usr\n/usr/lib/large\n/usr/lib/twice\n" },
                { "usr/share/bascule/dpkg/status", "Package: one\nStatus: install ok installed\nVersion: "
                                                   "1\nArchitecture: all\n" },
        };
        const ErofsOptions options = { .epoch = 1 };
        _cleanup_tree_ Tree *tree = tree_new();
        _cleanup_erofs_plan_ ErofsPlan *plan = NULL;
        _cleanup_fd_ int fd = mkstemp(path);
        TreeNode *node;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(files); i++)
                r = tree_make_text(tree, files[i].path, files[i].text, 0644, NULL);
        if (r >= 0)
                r = tree_make_file(tree, "usr/lib/twice", "77", 2, 0644, &node, NULL);
        if (r >= 0)
                r = tree_make_hardlink(tree, "usr/lib/zwice", node, NULL, NULL);
        if (r >= 0)
                r = erofs_plan_new(tree, &options, &plan, NULL);
        return r < 0 ? r : erofs_write(plan, fd, NULL, NULL, NULL);
}

TEST(files_are_counted_once_and_belong_to_their_package)
{
        _cleanup_diff_image_ DiffImage image = DIFF_IMAGE_CLOSED;
        _cleanup_package_files_ PackageFiles *files = NULL;
        _cleanup_(size_report_done) SizeReport report = { 0 };

        CHECK_OK(make_image());
        CHECK_OK(diff_image_open(&(DiffSource){ .name = path }, &image, NULL));
        (void)unlink(path);
        CHECK_OK(package_files_read(&image, &files, NULL));
        CHECK_STR(package_files_owner(files, "usr/bin/small"), "one");
        CHECK_STR(package_files_owner(files, "bin/small"), "one");
        CHECK_STR(package_files_owner(files, "usr/lib/large"), "two");
        CHECK(!package_files_owner(files, "usr/share/made") &&
                        !package_files_owner(files, "usr/bin/smaller"));
        CHECK_OK(size_report_make(&image, &report, NULL));
        CHECK_EQ(report.file_count, 7);
        CHECK_EQ(report.package_count, 3);
        CHECK_STR(report.packages[0].name, SIZE_UNOWNED);
        CHECK_STR(report.packages[1].name, "two");
        CHECK_EQ(report.packages[1].size_bytes, 12);
        CHECK_EQ(report.packages[1].files, 2);
        CHECK_STR(report.packages[2].name, "one");
}

TEST(a_summary_names_the_largest_and_what_grew)
{
        SizeRow old_packages[] = { { .name = (char *)"podman", .size_bytes = 30 * MIB },
                { .name = (char *)"libc6", .size_bytes = 4 * MIB },
                { .name = (char *)"gone", .size_bytes = 9 } };
        SizeRow packages[] = { { .name = (char *)"podman", .size_bytes = 31 * MIB },
                { .name = (char *)"libc6", .size_bytes = 3 * MIB },
                { .name = (char *)"fresh", .size_bytes = 2 * MIB } };
        SizeRow old_files[] = { { .name = (char *)"usr/bin/podman", .size_bytes = 30 * MIB } };
        SizeRow files[] = { { .name = (char *)"usr/bin/podman", .size_bytes = 31 * MIB } };
        const SizeReport before = {
                .packages = old_packages, .package_count = 3, .files = old_files, .file_count = 1
        };
        const SizeReport now = { .packages = packages, .package_count = 3, .files = files, .file_count = 1 };
        char text[400], small[60];

        CHECK_OK(size_report_summary(&now, &before, text, sizeof(text)));
        CHECK_STR(text, "the biggest packages are podman 31.0 MiB, libc6 3.0 MiB, fresh 2.0 MiB; the "
                        "biggest files "
                        "are /usr/bin/podman 31.0 MiB; since the previous image these packages grew: fresh "
                        "by 2.0 "
                        "MiB, podman by 1.0 MiB; and these files: /usr/bin/podman by 1.0 MiB");
        CHECK_OK(size_report_summary(&now, NULL, text, sizeof(text)));
        CHECK(!strstr(text, "grew"));
        CHECK_OK(size_report_summary(&now, NULL, small, sizeof(small)));
        CHECK_STR(small, "the biggest packages are podman 31.0 MiB, libc6 3.0 MiB");
}

TEST(a_picture_fills_its_space_without_a_gap)
{
        static char names[5][4] = { "a", "b<", "c&", "d", "e" };
        SizeRow rows[5];
        const uint64_t sizes[5] = { 6000, 3000, 2000, 900, 100 };
        SizeReport report = {
                .content_bytes = 12000, .packages = rows, .package_count = 5, .file_count = 5
        };
        _cleanup_buffer_ Buffer picture = BUFFER_WITH_CAP(1 * MIB);
        unsigned long long x, y, width, height, sum = 0, count = 0;

        for (size_t i = 0; i < 5; i++)
                rows[i] = (SizeRow){ .name = names[i], .size_bytes = sizes[i], .files = 1 };
        CHECK_OK(size_report_svg(&report, "host <1>", &picture));
        CHECK(strstr((const char *)picture.data, "host &lt;1>") &&
                        strstr((const char *)picture.data, "b&lt;") &&
                        strstr((const char *)picture.data, "c&amp;"));
        for (const char *at = (const char *)picture.data; (at = strstr(at, "<rect ")); at++, count++) {
                CHECK_EQ(sscanf(at, "<rect x=\"%llu\" y=\"%llu\" width=\"%llu\" height=\"%llu\"", &x, &y,
                                         &width, &height),
                                4);
                CHECK(x + width <= 12000 && y >= 400 && y + height <= 8400);
                sum += width * height;
        }
        CHECK_EQ(count, 5);
        CHECK(sum > 12000ULL * 8000 * 99 / 100 && sum <= 12000ULL * 8000);
}

TEST_MAIN
