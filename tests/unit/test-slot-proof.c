/* SPDX-License-Identifier: Apache-2.0 */
/* How an install proves a slot: on a disk in memory, with an apply that says that all is written (zeros are
 * what the image holds, and what the slot holds). This program's fsync() and posix_fadvise() tell what is
 * asked of the kernel, and let the disk change what it was given. */
#include "check.h"
#include "disk-image.h"
#include "fake-roles.h"
#include "install.h"
#include "test.h"
#include "verity-format.h"

#include <sys/syscall.h>

#define ROOT_SIZE (64 * KIB)
#define UKI_SIZE (8 * KIB)

static int fake_fetch(FrameReader *reader)
{
        return fake_fetch_waits(reader);
}

static int fake_apply(const ApplySetup *setup)
{
        return fake_apply_tells(FRAME_APPLIED, setup->target_size_bytes, 0) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A host on which release 1 runs from slot a, and release 2 comes into slot b. */
typedef struct Scene {
        int image;
        char disk_path[64], folder[32];
        Extent data, hash; /* of slot b; borrowed descriptors */
        bool is_proving;   /* the root image was transferred */
        unsigned flushes;  /* since then */
        bool is_flushed;   /* ... and before the slot is read */
        bool is_uuid_changed;
} Scene;

static Scene scene;

int fsync(int fd)
{
        scene.flushes += scene.is_proving;
        return (int)syscall(SYS_fsync, fd);
}

/* The engine asks for what lies on the disk: the moment before it reads it back. */
int posix_fadvise(int fd, off_t offset, off_t size, int advice)
{
        if (scene.is_proving && (uint64_t)offset == scene.data.offset_bytes && scene.flushes > 0)
                scene.is_flushed = true;
        if (scene.is_uuid_changed && (uint64_t)offset == scene.hash.offset_bytes)
                image_damage(scene.image, scene.hash.offset_bytes + VERITY_SB_UUID_AT);
        return 0;
}

static void on_enter(void *data, EngineEvent event, const char *version)
{
        scene.is_proving |= event == ENGINE_EVENT_VERIFY;
}

static void must(int r)
{
        if (r < 0)
                abort();
}

static void scene_begin(void)
{
        _cleanup_(disk_freep) Disk *disk = NULL;
        _cleanup_free_ char *entry = NULL;

        scene = (Scene){ .image = image_new(512), .folder = "/tmp/bascule-proof-XXXXXX" };
        must(mkdtemp(scene.folder) ? 0 : -1);
        (void)image_path(scene.image, scene.disk_path);
        must(disk_open(scene.disk_path, &disk, NULL));
        for (int i = 0; i < 2; i++) {
                const Partition *partition =
                                &disk->partitions[i == 0 ? PARTITION_ROOT_B : PARTITION_ROOT_B_VERITY];
                *(i == 0 ? &scene.data : &scene.hash) =
                                (Extent){ scene.image, partition->offset_bytes, partition->size_bytes };
        }
        entry = string_format("%s/EFI/Linux", scene.folder);
        must(entry ? directory_make(AT_FDCWD, entry, 0755) : -1);
        free(entry);
        entry = string_format("%s/EFI/Linux/host_1.efi", scene.folder);
        must(entry ? file_replace(AT_FDCWD, entry, "x", 1, 0644) : -1);
}

static void scene_end(void)
{
        scene.is_proving = scene.is_uuid_changed = false;
        scene.image = fd_close(scene.image);
        must(tree_remove(AT_FDCWD, scene.folder));
}

static int install(Error *error)
{
        static const char text[] = "[Update]\nRepository=http://localhost/\n";
        PayloadReference payload = { .size_bytes = 4096, .index_size_bytes = 128 };
        char image_id[] = "host", running[] = "1", version[] = "2", path[] = "payloads/x";
        Host host = { .disk_path = scene.disk_path,
                .esp_folder = scene.folder,
                .state_folder = scene.folder,
                .image_id = image_id,
                .running_version = running,
                .boot = &boot_backend_systemd_boot };
        Manifest manifest = { .version = version,
                .images = { { .size_bytes = ROOT_SIZE, .payloads = &payload, .payload_count = 1 },
                                { .size_bytes = UKI_SIZE, .payloads = &payload, .payload_count = 1 } } };
        HostFacts facts = { .running = { .slot = SLOT_A }, .has_other_slot = true, .other_slot = SLOT_B };
        Plan plan = { 0 };
        CheckResult check = { .plan = &plan, .manifest = &manifest };
        _cleanup_(config_freep) Config *config = NULL;
        Operation operation = { .host = &host, .cancel_fd = -1, .enter = on_enter };

        for (int kind = 0; kind < IMAGE_KIND_MAX; kind++) {
                check.payloads[kind][0] = &payload;
                check.paths[kind][0] = path;
                check.payload_counts[kind] = 1;
        }
        must(config_parse("engine.conf", text, strlen(text), &config, NULL));
        operation.config = config;
        must(verity_build(scene.image, scene.data.offset_bytes, ROOT_SIZE, NULL, 0, -1, 0,
                        manifest.images[IMAGE_ROOT].verity.root_hash, NULL, NULL, NULL));
        return install_run(&operation, &facts, &check, error);
}

/* The word of an apply that was taken over is not enough: what it has only put into memory would be read
 * back from there. */
TEST(the_slot_is_flushed_by_who_proves_it)
{
        VeritySuperblock superblock;
        Error error = { 0 };

        scene_begin();
        CHECK(install(&error) < 0);
        CHECK(strstr(error.message, "read back the UKI")); /* which has no content here */
        CHECK(scene.is_flushed);
        CHECK_OK(verity_superblock_read(scene.image, scene.hash.offset_bytes, &superblock));
        scene_end();
}

/* The initrd finds a slot by it. */
TEST(a_superblock_that_comes_back_with_another_uuid_makes_no_slot)
{
        VeritySuperblock superblock;
        Error error = { 0 };

        scene_begin();
        scene.is_uuid_changed = true;
        CHECK_EQ(install(&error), -EBADMSG);
        CHECK(strstr(error.message, "slot b does not read back"));
        CHECK_EQ(verity_superblock_read(scene.image, scene.hash.offset_bytes, &superblock), -ENODATA);
        scene_end();
}

TEST_MAIN
