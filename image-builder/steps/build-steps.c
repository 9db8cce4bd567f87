/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"
#include "erofs-reader.h"
#include "erofs-writer.h"
#include "file.h"
#include "fixes.h"
#include "installer-disk.h"
#include "process.h"
#include "raw-disk.h"
#include "verity.h"

#include <fcntl.h>
#include <string.h>

int build_entry_write(const CacheEntry *entry, const char *name, const void *data, size_t size, Error *error)
{
        _cleanup_free_ char *path = cache_entry_file(entry, name);
        _cleanup_fd_ int fd = -1;
        int r;

        if (!path)
                return error_oom(error);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        r = fd < 0 ? -errno : write_full(fd, data, size);
        return r < 0 ? error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot write %s: %s",
                                       path, strerror(-r))
                     : 0;
}

int build_entry_read(const CacheEntry *entry, const char *name, size_t cap_bytes, char **ret,
                size_t *ret_size, Error *error)
{
        _cleanup_free_ char *path = cache_entry_file(entry, name);
        int r;

        if (!path)
                return error_oom(error);
        r = file_read(AT_FDCWD, path, cap_bytes, ret, ret_size);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

bool build_has_step(const Build *build, BuildStep step)
{
        switch (step) {
        case BUILD_BASE:
                return build->recipe->base;
        case BUILD_PACKAGES:
                return recipe_installs_packages(build->recipe);
        default:
                return true;
        }
}

bool build_has_fixes(const Build *build)
{
        return build->lock && build_has_step(build, BUILD_PACKAGES);
}

ComposeOptions build_compose_options(const Build *build)
{
        return (ComposeOptions){
                .recipe = build->recipe, .engine_root = build->options->engine_root, .epoch = build->epoch
        };
}

int build_compose(Build *build, Error *error)
{
        _cleanup_free_ char *tar = NULL, *log_path = NULL;
        _cleanup_fd_ int log_fd = -1;
        ComposeOptions options = build_compose_options(build);
        char remark[64], log_name[64];
        int r;

        if (build->is_composed)
                return 0;
        tar = cache_entry_file(
                        &build->entries[build_has_step(build, BUILD_PACKAGES) ? BUILD_PACKAGES : BUILD_BASE],
                        BASE_TREE_FILE);
        if (!tar)
                return error_oom(error);
        options.tar_path = tar;
        progress_begin(build->progress, "tree", 0);
        (void)snprintf(log_name, sizeof(log_name), "scripts-%.16s", build->keys[BUILD_ROOT].text);
        r = build->recipe->scripts ? cache_open_log(build->cache, log_name, &log_fd, &log_path, error) : 0;
        options.log_fd = log_fd;
        options.log_path = log_path;
        if (r >= 0)
                r = compose(&options, &build->composition, error);
        if (r < 0)
                return r;
        build->is_composed = true;
        r = build_check_lock(build, error);
        if (r < 0)
                return r;
        (void)snprintf(remark, sizeof(remark), "%zu packages, %zu files", build->composition.package_count,
                        tree_inode_count(build->composition.tree));
        progress_end(build->progress, remark);
        return 0;
}

static int on_progress(uint64_t done, void *data)
{
        progress_update(data, done);
        return 0;
}

static int on_verity_progress(void *data, uint64_t done)
{
        progress_update(data, done);
        return 0;
}

static int open_new(const char *path, int *ret, Error *error)
{
        *ret = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        return *ret < 0 ? error_set(error, ERROR_IO, errno, "cannot make %s: %s", path, strerror(errno)) : 0;
}

static int write_erofs(Build *build, const char *path, Error *error)
{
        _cleanup_erofs_ ErofsImage *previous = NULL;
        _cleanup_erofs_plan_ ErofsPlan *plan = NULL;
        _cleanup_fd_ int fd = -1;
        ErofsOptions options = { .epoch = build->epoch, .label = "root" };
        uint8_t seed[SHA256_SIZE] = { 0 };
        uint64_t size;
        int r;

        sha256_of(build->recipe->image_id, strlen(build->recipe->image_id), seed);
        raw_disk_uuid("erofs", seed, options.uuid);
        r = build->previous_fd >= 0 ? erofs_open(build->previous_fd, &previous, error) : 0;
        if (r < 0)
                return error_prefix(error, r, "the previous image");
        options.previous = previous;
        r = erofs_plan_new(build->composition.tree, &options, &plan, error);
        if (r < 0)
                return r;
        size = erofs_plan_size(plan);
        progress_begin(build->progress, build_step_name(BUILD_ROOT), size);
        r = open_new(path, &fd, error);
        return r < 0 ? r : erofs_write(plan, fd, on_progress, build->progress, error);
}

static int write_package_list(const Build *build, const CacheEntry *entry, Error *error)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(16 * MIB);
        const Composition *composition = &build->composition;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < composition->package_count; i++)
                if (!composition->packages[i].is_removed)
                        r = buffer_printf(&text, "%s %s %s %s %s\n", composition->packages[i].name,
                                        composition->packages[i].version,
                                        composition->packages[i].architecture,
                                        composition->packages[i].source,
                                        composition->packages[i].source_version);
        return r < 0 ? error_oom(error) : build_entry_write(entry, "packages", text.data, text.size, error);
}

/* They stay with the root filesystem, as all does that papers are made of. */
static int copy_fixes(const Build *build, const CacheEntry *entry, Error *error)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        if (!build_has_fixes(build))
                return 0;
        r = build_entry_read(
                        &build->entries[BUILD_PACKAGES], BUILD_FIXES_FILE, FIXES_MAX, &text, &size, error);
        return r < 0 ? r : build_entry_write(entry, BUILD_FIXES_FILE, text, size, error);
}

static int make_root(Build *build, const CacheEntry *entry, Error *error)
{
        _cleanup_free_ char *path = cache_entry_file(entry, BUILD_ROOT_FILE);
        const Composition *composition = &build->composition;
        int r;

        if (!path)
                return error_oom(error);
        r = write_erofs(build, path, error);
        if (r >= 0)
                r = build_entry_write(entry, "vmlinuz", composition->kernel_image, composition->kernel_size,
                                error);
        if (r >= 0)
                r = build_entry_write(entry, "kernel-release", composition->kernel.release,
                                strlen(composition->kernel.release), error);
        if (r >= 0)
                r = build_entry_write(entry, "os-release", composition->os_release,
                                strlen(composition->os_release), error);
        if (r >= 0)
                r = copy_fixes(build, entry, error);
        return r < 0 ? r : write_package_list(build, entry, error);
}

static int make_verity(Build *build, const CacheEntry *entry, Error *error)
{
        _cleanup_free_ char *root_path = cache_entry_file(&build->entries[BUILD_ROOT], BUILD_ROOT_FILE);
        _cleanup_free_ char *path = cache_entry_file(entry, BUILD_VERITY_FILE);
        _cleanup_fd_ int root_fd = -1, fd = -1;
        VeritySuperblock superblock = { .salt_size = SHA256_SIZE };
        uint8_t root_hash[SHA256_SIZE], root_sha256[SHA256_SIZE];
        uint64_t size;
        int r;

        if (!root_path || !path)
                return error_oom(error);
        root_fd = open(root_path, O_RDONLY | O_CLOEXEC);
        r = root_fd < 0 ? -errno : fd_size(root_fd, &size);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot open %s: %s", root_path, strerror(-r));
        progress_begin(build->progress, build_step_name(BUILD_VERITY), size);
        r = open_new(path, &fd, error);
        if (r >= 0)
                r = verity_build(root_fd, 0, size, build->salt, sizeof(build->salt), fd, 0, root_hash,
                                on_verity_progress, build->progress, error);
        if (r < 0)
                return r;
        memcpy(superblock.uuid, root_hash, sizeof(superblock.uuid));
        memcpy(superblock.salt, build->salt, sizeof(build->salt));
        superblock.data_blocks = size / VERITY_BLOCK_SIZE;
        r = verity_superblock_write(fd, 0, &superblock);
        if (r >= 0)
                r = sha256_of_fd(root_fd, 0, size, root_sha256);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot write %s: %s", path, strerror(-r));
        r = build_entry_write(entry, "root-hash", root_hash, sizeof(root_hash), error);
        return r < 0 ? r : build_entry_write(entry, "root-sha256", root_sha256, sizeof(root_sha256), error);
}

static int load_size(const CacheEntry *entry, const char *name, uint64_t *ret, Error *error)
{
        _cleanup_free_ char *path = cache_entry_file(entry, name);
        _cleanup_fd_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        int r = fd < 0 ? -errno : fd_size(fd, ret);

        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot read %s: %s", path ? path : name, strerror(-r))
                     : 0;
}

/* What goes to a disk, with the paths of what the steps before have made. */
typedef struct DiskInputs {
        RawDiskParts parts;
        char *root, *verity, *uki, *boot_loader;
        CacheEntry scratch; /* the folder of an entry that is never committed */
        int log_fd;
        char *log_path;
} DiskInputs;

static void disk_inputs_done(DiskInputs *inputs)
{
        free(inputs->root);
        free(inputs->verity);
        free(inputs->uki);
        free(inputs->boot_loader);
        free(inputs->log_path);
        cache_entry_done(&inputs->scratch);
        fd_close(inputs->log_fd);
}

static int open_log(Build *build, BuildStep step, int *ret_fd, char **ret_path, Error *error)
{
        char name[64];

        (void)snprintf(name, sizeof(name), "%s-%.16s", build_step_name(step), build->keys[step].text);
        return cache_open_log(build->cache, name, ret_fd, ret_path, error);
}

static int open_disk_inputs(Build *build, BuildStep step, DiskInputs *inputs, Error *error)
{
        const Recipe *recipe = build->recipe;
        int r;

        *inputs = (DiskInputs){ .root = cache_entry_file(&build->entries[BUILD_ROOT], BUILD_ROOT_FILE),
                .verity = cache_entry_file(&build->entries[BUILD_VERITY], BUILD_VERITY_FILE),
                .uki = cache_entry_file(&build->entries[BUILD_UKI], BUILD_UKI_FILE),
                .boot_loader = build_boot_loader_path(build),
                .scratch = CACHE_ENTRY_NONE,
                .log_fd = -1 };
        if (!inputs->root || !inputs->verity || !inputs->uki || !inputs->boot_loader)
                return error_oom(error);
        inputs->parts = (RawDiskParts){ .image_id = recipe->image_id,
                .version = recipe->version,
                .architecture = recipe->architecture,
                .esp_size_bytes = recipe->esp_size_bytes,
                .slot_size_bytes = recipe->slot_size_bytes,
                .var_size_bytes = recipe->var_size_bytes,
                .root_path = inputs->root,
                .verity_path = inputs->verity,
                .uki_path = inputs->uki,
                .boot_loader_path = inputs->boot_loader,
                .enroll_folder = build->enroll_folder,
                .root_size_bytes = build->root_size_bytes,
                .verity_size_bytes = build->verity_size_bytes,
                .uki_size_bytes = build->uki_size_bytes,
                .epoch = build->epoch };
        memcpy(inputs->parts.root_hash, build->root_hash, SHA256_SIZE);
        r = open_log(build, step, &inputs->log_fd, &inputs->log_path, error);
        return r < 0 ? r
                     : cache_acquire(build->cache, "scratch", &build->keys[step], &inputs->scratch, error);
}

static int make_disk(Build *build, const char *path, Error *error)
{
        _cleanup_(disk_inputs_done) DiskInputs inputs = { 0 };
        int r = open_disk_inputs(build, BUILD_DISK, &inputs, error);

        return r < 0 ? r : raw_disk_write(&inputs.parts, path, inputs.scratch.partial, inputs.log_fd, error);
}

/* The disk that was just made, or is there from before. */
static char *disk_path(const Build *build)
{
        const char *disk = build->placed[BUILD_DISK];

        return disk ? strdup(disk) : path_join(build->output, BUILD_DISK_FILE);
}

static int make_installer(Build *build, const char *path, Error *error)
{
        _cleanup_(disk_inputs_done) DiskInputs inputs = { 0 };
        _cleanup_free_ char *disk = disk_path(build),
                            *uki = cache_entry_file(&build->entries[BUILD_UKI], BUILD_INSTALLER_UKI_FILE);
        InstallerParts parts = { .disk = &inputs.parts, .disk_path = disk, .uki_path = uki };
        int r = open_disk_inputs(build, BUILD_INSTALLER, &inputs, error);

        if (r >= 0)
                r = load_size(&build->entries[BUILD_UKI], BUILD_INSTALLER_UKI_FILE, &parts.uki_size_bytes,
                                error);
        if (r < 0)
                return r;
        return disk && uki ? installer_disk_write(&parts, path, inputs.scratch.partial, inputs.log_fd, error)
                           : error_oom(error);
}

static int make_qcow2(Build *build, const char *path, Error *error)
{
        _cleanup_free_ char *disk = disk_path(build), *log_path = NULL;
        _cleanup_fd_ int log_fd = -1;
        int r;

        if (!disk)
                return error_oom(error);
        r = open_log(build, BUILD_QCOW2, &log_fd, &log_path, error);
        if (r < 0)
                return r;
        return process_check((const char *const[]){ "qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2",
                                             disk, path, NULL },
                        &(ProcessOptions){ .log_fd = log_fd }, error);
}

static int make_format(Build *build, const DiskFormat *format, const char *path, Error *error)
{
        _cleanup_free_ char *of_disk = disk_path(build);
        _cleanup_free_ char *of_root = cache_entry_file(&build->entries[BUILD_ROOT], BUILD_ROOT_FILE);
        const char *from = format->of_root ? of_root : of_disk;
        _cleanup_fd_ int fd = -1;
        DiskSource source = {
                .name = build->recipe->image_id, .version = build->recipe->version, .epoch = build->epoch
        };
        int r;

        if (!from)
                return error_oom(error);
        fd = open(from, O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? -errno : fd_size(fd, &source.size_bytes);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot open %s: %s", from, strerror(-r));
        source.fd = fd;
        memcpy(source.seed, build->root_hash, SHA256_SIZE);
        return disk_format_make(format, &source, path, error);
}

int build_make(Build *build, BuildStep step, const char *path, Error *error)
{
        const CacheEntry *entry = &build->entries[step];

        switch (step) {
        case BUILD_BASE:
                return base_make(build->base, entry, error);
        case BUILD_PACKAGES:
                return build_packages(build, entry, error);
        case BUILD_ROOT:
                return make_root(build, entry, error);
        case BUILD_VERITY:
                return make_verity(build, entry, error);
        case BUILD_INITRD:
                return build_initrd(build, entry, error);
        case BUILD_UKI:
                return build_uki(build, entry, error);
        case BUILD_DISK:
                return make_disk(build, path, error);
        case BUILD_QCOW2:
                return make_qcow2(build, path, error);
        case BUILD_INSTALLER:
                return make_installer(build, path, error);
        default:
                return make_format(build, &disk_formats[step - BUILD_FORMAT], path, error);
        }
}

/* ---- loading ---- */

static int load_hash(
                const CacheEntry *entry, const char *name, uint8_t ret[static SHA256_SIZE], Error *error)
{
        _cleanup_free_ char *data = NULL;
        size_t size;
        int r = build_entry_read(entry, name, SHA256_SIZE, &data, &size, error);

        if (r < 0)
                return r;
        if (size != SHA256_SIZE)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "the cache entry %s is damaged; remove it",
                                entry->path);
        memcpy(ret, data, SHA256_SIZE);
        return 0;
}

int build_load(Build *build, BuildStep step, Error *error)
{
        const CacheEntry *entry = &build->entries[step];
        uint64_t *size = &build->figures[step].size_bytes;
        int r = 0;

        switch (step) {
        case BUILD_BASE:
        case BUILD_PACKAGES:
                return load_size(entry, BASE_TREE_FILE, size, error);
        case BUILD_ROOT:
                r = load_size(entry, BUILD_ROOT_FILE, size, error);
                build->root_size_bytes = *size;
                /* Told before more is made of it. */
                return r < 0 || *size <= build->recipe->slot_size_bytes ? r
                                                                        : build_check_budget(build, error);
        case BUILD_VERITY:
                r = load_hash(entry, "root-hash", build->root_hash, error);
                if (r >= 0)
                        r = load_hash(entry, "root-sha256", build->root_sha256, error);
                if (r >= 0)
                        r = load_size(entry, BUILD_VERITY_FILE, size, error);
                build->verity_size_bytes = *size;
                return r;
        case BUILD_INITRD:
                return load_size(entry, "initrd", size, error);
        case BUILD_UKI:
                r = load_hash(entry, "uki-sha256", build->uki_sha256, error);
                if (r >= 0)
                        r = load_size(entry, BUILD_UKI_FILE, size, error);
                build->uki_size_bytes = *size;
                return r;
        default:
                return 0;
        }
}
