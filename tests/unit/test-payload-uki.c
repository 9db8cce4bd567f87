/* SPDX-License-Identifier: Apache-2.0 */
#include "cpio.h"
#include "erofs-writer.h"
#include "file.h"
#include "payload-encode.h"
#include "payload-match.h"
#include "recomp-sample.h"
#include "test.h"

#include <fcntl.h>
#include <sys/mman.h>

/* Releases made by hand. A kernel has a setup, a payload of LZ4 whose content differs a little from release
 * to release, and code behind it; a kernel image has a header, an archive with modules, and the kernel. */

#define SETUP_SECTORS 5
#define SETUP_SIZE ((SETUP_SECTORS + 1) * 512)
#define CONTENT_SIZE ((size_t)(900 * KIB))
#define MODULE_SIZE 10000
#define MODULE "usr/lib/modules/6.1/kernel/m%u.ko"
#define KERNEL "usr/lib/modules/6.1/vmlinuz"

static char folder[] = "/tmp/test-payload-uki-XXXXXX";

static bool make_kernel(unsigned number, Buffer *ret)
{
        const RecompCoding coding = { RECOMP_LZ4, { 9 } };
        _cleanup_free_ uint8_t *content = malloc(CONTENT_SIZE), *packed = NULL;
        size_t packed_size;
        uint8_t behind[5000];

        if (!content)
                return false;
        sample_fill(content, CONTENT_SIZE);
        /* A few bytes early on, so that nearly all of it packs to something else. */
        for (size_t at = 1000; number > 1 && at < CONTENT_SIZE; at += 5000)
                memset(content + at, (int)(at / 5000 + number), 3);
        packed = sample_pack(&coding, content, CONTENT_SIZE, &packed_size);
        memset(behind, 0xcc, sizeof(behind));
        *ret = BUFFER_WITH_CAP(4 * MIB);
        if (!packed || buffer_append_zeros(ret, SETUP_SIZE) < 0 ||
                        buffer_append(ret, packed, packed_size) < 0 ||
                        buffer_append_u32(ret, CONTENT_SIZE) < 0 ||
                        buffer_append(ret, behind, sizeof(behind)) < 0)
                return false;
        memcpy(ret->data, "MZ", 2);
        ret->data[0x1f1] = SETUP_SECTORS;
        write_le16(ret->data + 0x1fe, 0xaa55);
        memcpy(ret->data + 0x202, "HdrS", 4);
        write_le16(ret->data + 0x206, 0x20f);
        write_le32(ret->data + 0x24c, (uint32_t)packed_size + 4);
        return true;
}

static void make_module(unsigned release, unsigned number, uint8_t *ret)
{
        uint32_t state = release * 100 + number;

        for (size_t i = 0; i < MODULE_SIZE; i++)
                ret[i] = (uint8_t)sample_random(&state);
}

static int make_uki_with(unsigned number, unsigned kernel_number)
{
        _cleanup_buffer_ Buffer image = BUFFER_WITH_CAP(8 * MIB), archive = BUFFER_WITH_CAP(MIB),
                                kernel = { 0 };
        CpioWriter writer = { .out = &archive };
        int fd = memfd_create("uki", MFD_CLOEXEC);

        if (!make_kernel(kernel_number, &kernel) ||
                        buffer_printf(&image, "MZ header of release %u", number) < 0 ||
                        buffer_append_zeros(&image, 4096 - image.size) < 0)
                return -1;
        for (unsigned i = 0; i < 5; i++) {
                uint8_t module[MODULE_SIZE];
                char path[64];

                make_module(number, i, module);
                (void)snprintf(path, sizeof(path), MODULE, i);
                if (cpio_add_file(&writer, path, 0644, module, sizeof(module)) < 0)
                        return -1;
        }
        if (cpio_finish(&writer) < 0 || buffer_append(&image, archive.data, archive.size) < 0 ||
                        buffer_append_zeros(&image, 4096 - image.size % 4096) < 0 ||
                        buffer_append(&image, kernel.data, kernel.size) < 0 ||
                        pwrite_full(fd, image.data, image.size, 0) < 0)
                return -1;
        return fd;
}

static int make_uki(unsigned number)
{
        return make_uki_with(number, number);
}

static int make_root(unsigned number, bool with_kernel)
{
        const ErofsOptions options = { .uuid = { 1 }, .epoch = 1700000000, .label = "test" };
        _cleanup_(tree_freep) Tree *tree = tree_new();
        _cleanup_erofs_plan_ ErofsPlan *plan = NULL;
        _cleanup_buffer_ Buffer kernel = { 0 };
        int fd = memfd_create("root", MFD_CLOEXEC);
        int r = make_kernel(number, &kernel) ? 0 : -ENOMEM;

        for (unsigned i = 0; r >= 0 && i < 5; i++) {
                uint8_t module[MODULE_SIZE];
                char path[64];

                make_module(number, i, module);
                (void)snprintf(path, sizeof(path), MODULE, i);
                r = tree_make_file(tree, path, module, sizeof(module), 0644, NULL, NULL);
        }
        if (r >= 0 && with_kernel)
                r = tree_make_file(tree, KERNEL, kernel.data, kernel.size, 0644, NULL, NULL);
        if (r >= 0)
                r = tree_set_times(tree, options.epoch);
        if (r >= 0)
                r = erofs_plan_new(tree, &options, &plan, NULL);
        if (r >= 0)
                r = erofs_write(plan, fd, NULL, NULL, NULL);
        return r < 0 ? r : fd;
}

static PayloadSource source_of(int fd)
{
        PayloadSource source = { .fd = fd };

        if (fd >= 0 && fd_size(fd, &source.size_bytes) < 0)
                source.fd = -1;
        return source;
}

typedef int Matcher(int fd, uint64_t size, const PayloadSource *sources, uint64_t group_size,
                PayloadPlan **ret, Error *error);

/* Makes a delta, which proves it. */
static int encode(Matcher *matcher, int target, int old_root, int old_uki, int new_root, PayloadReport *ret)
{
        _cleanup_(payload_plan_freep) PayloadPlan *plan = NULL;
        _cleanup_free_ char *path = path_join(folder, "delta");
        const PayloadInputs inputs = { .target_fd = target,
                .sources = { source_of(old_root), source_of(old_uki), source_of(new_root) },
                .level = 3 };
        Error error = { 0 };
        uint64_t size;
        int r = fd_size(target, &size);

        if (r >= 0)
                r = matcher(target, size, inputs.sources, 0, &plan, &error);
        if (r >= 0)
                r = payload_encode(&inputs, plan, 1, path, NULL, NULL, ret, &error);
        if (r < 0)
                printf("# %s\n", error.message);
        return r;
}

TEST(a_kernel_and_modules_of_the_new_root_cost_nothing)
{
        _cleanup_fd_ int old = make_uki(1), new = make_uki(2), root = make_root(2, true);
        PayloadReport report;

        CHECK(mkdtemp(folder));
        CHECK_OK(encode(payload_match_uki, new, -1, old, root, &report));
        CHECK(report.size_bytes < 1000);
        CHECK_EQ(report.target_bytes[PAYLOAD_OP_RECOMP], 0);
}

/* As Bascule's own images: the kernel is in the kernel image alone. */
TEST(a_kernel_that_is_nowhere_else_is_patched_in_the_clear)
{
        _cleanup_fd_ int old = make_uki(1), new = make_uki(2), root = make_root(2, false);
        PayloadReport report;

        CHECK_OK(encode(payload_match_uki, new, -1, old, root, &report));
        CHECK(report.target_bytes[PAYLOAD_OP_RECOMP] > 100 * KIB);
        CHECK(report.size_bytes < 4000);
        /* Modules are noise that only the new root has. */
        CHECK_OK(encode(payload_match_uki, new, -1, old, -1, &report));
        CHECK(report.target_bytes[PAYLOAD_OP_RECOMP] > 100 * KIB);
        CHECK(report.size_bytes > 5 * MODULE_SIZE && report.size_bytes < 5 * MODULE_SIZE + 4000);
}

/* A new command line or initrd, as of most releases: a host that need not pack a kernel again is done
 * sooner. */
TEST(a_kernel_that_stayed_the_same_is_copied)
{
        _cleanup_fd_ int old = make_uki(1), new = make_uki_with(2, 1), root = make_root(2, false);
        PayloadReport report;

        CHECK_OK(encode(payload_match_uki, new, -1, old, root, &report));
        CHECK_EQ(report.target_bytes[PAYLOAD_OP_RECOMP], 0);
        CHECK(report.size_bytes < 1000);
}

TEST(a_kernel_in_a_root_image_is_patched_in_the_clear)
{
        _cleanup_fd_ int old = make_root(1, true), new = make_root(2, true);
        PayloadReport report;

        CHECK_OK(encode(payload_match_files, new, old, -1, -1, &report));
        CHECK(report.target_bytes[PAYLOAD_OP_RECOMP] > 100 * KIB);
        CHECK(report.size_bytes > 5 * MODULE_SIZE && report.size_bytes < 5 * MODULE_SIZE + 5000);
}

TEST(without_sources_all_is_new)
{
        _cleanup_fd_ int new = make_uki(2);
        PayloadReport report;

        CHECK_OK(encode(payload_match_uki, new, -1, -1, -1, &report));
        CHECK(report.size_bytes > 5 * MODULE_SIZE + 100 * KIB);
        CHECK_OK(tree_remove(AT_FDCWD, folder));
}

TEST(what_is_no_kernel_image_is_left_to_others)
{
        _cleanup_(payload_plan_freep) PayloadPlan *plan = NULL;
        _cleanup_fd_ int root = make_root(1, false);
        const PayloadSource none[PAYLOAD_SOURCE_TARGET] = { { -1, 0, 0 }, { -1, 0, 0 }, { -1, 0, 0 } };
        uint64_t size;

        CHECK_OK(fd_size(root, &size));
        CHECK_EQ(payload_match_uki(root, size, none, 0, &plan, NULL), -EOPNOTSUPP);
}

TEST(members_of_archives_are_recognised)
{
        _cleanup_buffer_ Buffer archive = BUFFER_WITH_CAP(64 * KIB);
        CpioWriter writer = { .out = &archive };
        CpioMember member;

        CHECK_OK(cpio_add_file(&writer, "a/file", 0644, "content", 7));
        CHECK_EQ(cpio_member_at(archive.data, archive.size, &member), 1);
        CHECK_STR(member.path, "a/file");
        CHECK_EQ(member.size_bytes, 7);
        CHECK_EQ(member.mode, 0100644);
        CHECK_MEM(archive.data + member.data_offset, "content", 7);
        /* Cut inside content, name and header. */
        CHECK_EQ(cpio_member_at(archive.data, member.data_offset + 6, &member), 0);
        CHECK_EQ(cpio_member_at(archive.data, 112, &member), 0);
        CHECK_EQ(cpio_member_at(archive.data, 109, &member), 0);
        archive.data[6 + 8 * 11 + 7] = '0';
        CHECK_EQ(cpio_member_at(archive.data, archive.size, &member), 0);
        archive.data[6 + 8 * 11] = 'f';
        CHECK_EQ(cpio_member_at(archive.data, archive.size, &member), 0);
        archive.data[6 + 8 * 11] = 'x';
        CHECK_EQ(cpio_member_at(archive.data, archive.size, &member), 0);
}

TEST_MAIN
