/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "image-folder.h"
#include "image-info.h"
#include "test.h"

#include <fcntl.h>

static char folder[] = "/tmp/test-image-info-XXXXXX";

static ImageInfo sample(ImageInfoPackage *packages)
{
        packages[0] = (ImageInfoPackage){ (char *)"bash", (char *)"5.2.15-2+b7", (char *)"amd64" };
        packages[1] = (ImageInfoPackage){ (char *)"zlib1g", (char *)"1:1.2.13", (char *)"amd64" };
        return (ImageInfo){
                .image_id = (char *)"host",
                .version = (char *)"1.2",
                .architecture = (char *)"x86-64",
                .root_file = (char *)"root.erofs",
                .verity_file = (char *)"root.verity",
                .uki_file = (char *)"host_1.2.efi",
                .qcow2_file = (char *)"disk.qcow2",
                .root_size_bytes = 8192,
                .uki_size_bytes = 77,
                .root_sha256 = { 1 },
                .uki_sha256 = { 2 },
                .verity = { .salt = { 3, 4 }, .salt_size = 2, .root_hash = { 5 } },
                .packages = packages,
                .package_count = 2,
        };
}

TEST(what_is_written_is_read_back)
{
        _cleanup_(image_info_freep) ImageInfo *again = NULL;
        ImageInfoPackage packages[2];
        ImageInfo info = sample(packages);

        CHECK(mkdtemp(folder));
        CHECK_OK(image_folder_describe(folder, &info));
        CHECK_OK(image_info_read(folder, &again, NULL));
        CHECK_STR(again->version, "1.2");
        CHECK_STR(again->qcow2_file, "disk.qcow2");
        CHECK(!again->disk_file);
        CHECK_EQ(again->verity.salt_size, 2);
        CHECK_MEM(&again->verity, &info.verity, sizeof(info.verity));
        CHECK_EQ(again->package_count, 2);
        CHECK_STR(again->packages[1].version, "1:1.2.13");
}

TEST(a_file_outside_the_folder_is_refused)
{
        static const char *const names[] = { "../root", "/etc/passwd", "a/b", "", "." };

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                ImageInfoPackage packages[2];
                ImageInfo info = sample(packages), *again = NULL;
                Error error = { 0 };

                info.root_file = (char *)names[i];
                CHECK_OK(image_folder_describe(folder, &info));
                CHECK_EQ(image_info_read(folder, &again, &error), -EBADMSG);
                CHECK(strstr(error.message, "\"root\""));
        }
}

TEST(a_folder_without_an_image_says_so)
{
        ImageInfo *info = NULL;
        Error error = { 0 };

        CHECK_OK(tree_remove(AT_FDCWD, folder));
        CHECK_EQ(image_info_read(folder, &info, &error), -ENOENT);
        CHECK(strstr(error.message, "holds no image"));
}

TEST_MAIN
