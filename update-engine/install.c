/* SPDX-License-Identifier: Apache-2.0 */
#include "install.h"

#include "file.h"
#include "init-etc.h"
#include "pe-image.h"
#include "prefer.h"
#include "transfer.h"
#include "uki.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

/* What the steps share. */
typedef struct Install {
        Operation *operation;
        const HostFacts *facts;
        const CheckResult *check;
        const Manifest *manifest;
        Disk *disk;
        Extent data, hash; /* the slot that is written */
        Extent old_root;   /* sources; fd -1 when not there */
        int old_uki_fd;
        uint64_t old_uki_size_bytes;
} Install;

static void install_done(Install *install)
{
        extent_done(&install->data);
        extent_done(&install->hash);
        extent_done(&install->old_root);
        install->old_uki_fd = fd_close(install->old_uki_fd);
        disk_free(install->disk);
}

static int open_extents(Install *install, Error *error)
{
        const HostFacts *facts = install->facts;
        int r = disk_open(install->operation->host->disk_path, &install->disk, error);
        if (r >= 0)
                r = disk_open_partition(install->disk, slot_data_role(facts->other_slot), O_RDWR | O_CLOEXEC,
                                &install->data, error);
        if (r >= 0)
                r = disk_open_partition(install->disk, slot_hash_role(facts->other_slot), O_RDWR | O_CLOEXEC,
                                &install->hash, error);
        /* The partition and not the verity device above it, which is opened with panic_on_corruption: a
         * damaged block of the source shows in the hash of what is made of it, and costs a download instead
         * of a crash. */
        if (r >= 0)
                r = disk_open_partition(install->disk, slot_data_role(facts->running.slot),
                                O_RDONLY | O_CLOEXEC, &install->old_root, error);
        return r;
}

/* Step 1, first half. Without entries the slot is nobody's. */
static int remove_entries(Install *install, Error *error)
{
        const Host *host = install->operation->host;
        _cleanup_(esp_closep) Esp *esp = NULL;
        _cleanup_free_ BootEntry *entries = NULL;
        size_t count = 0;
        bool is_running_there = false;

        int r = host_open_esp(host, install->disk, true, &esp, error);
        if (r >= 0)
                r = host->boot->list(esp_fd(esp), host->image_id, &entries, &count, error);
        for (size_t i = 0; i < count && r >= 0; i++)
                is_running_there |= strcmp(entries[i].version, host->running_version) == 0 &&
                                    entries[i].size_bytes > 0;
        /* Opening the ESP mends it, and what is broken on it goes. */
        if (r >= 0 && count > 0 && !is_running_there)
                return error_set(error, ERROR_CORRUPT, ENOENT,
                                "the running release %s has lost its boot entry, and the next update would "
                                "take away the only one that is left; `bascule rollback` makes that the "
                                "next "
                                "to boot",
                                host->running_version);
        for (size_t i = 0; i < count && r >= 0; i++)
                if (strcmp(entries[i].version, host->running_version) != 0)
                        r = host->boot->remove(esp_fd(esp), host->image_id, entries[i].version, error);
        return r;
}

static int io_error(int r, const char *what, Error *error)
{
        return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot %s: %s", what,
                        strerror(-r));
}

/* Layers of /etc whose release is gone, or goes now: all but that of the running one, and that which the
 * next release clones if the running one could not have one of its own. */
static int forget_layers(const Host *host)
{
        _cleanup_free_ char *path = path_join(host->state_folder, "etc"), *last = NULL;
        DIR *folder = path ? opendir(path) : NULL;
        struct dirent *item;
        int r = 0;

        if (!folder)
                return !path ? -ENOMEM : errno == ENOENT ? 0 : -errno;
        if (file_read(dirfd(folder), ETC_LAST_FILE, 2 * VERSION_MAX, &last, NULL) >= 0)
                last[strcspn(last, "\n")] = '\0';
        while (r >= 0 && (item = readdir(folder))) {
                const char *kept[] = { ".", "..", ETC_LAST_FILE, host->running_version, last ? last : "" };
                bool keep = false;
                for (size_t i = 0; i < ELEMENTS(kept); i++)
                        keep |= strcmp(item->d_name, kept[i]) == 0;
                if (!keep)
                        r = tree_remove(dirfd(folder), item->d_name);
        }
        (void)closedir(folder);
        return r;
}

/* Steps 1 and 2. */
static int take_out_of_use(Install *install, Error *error)
{
        int r = remove_entries(install, error);
        if (r < 0)
                return r;
        r = verity_superblock_erase(install->hash.fd, install->hash.offset_bytes);
        if (r < 0)
                return io_error(r, "take the slot out of use", error);
        r = forget_layers(install->operation->host);
        return r < 0 ? io_error(r, "remove the /etc of releases that are gone", error) : 0;
}

static int transfer_image(
                Install *install, ImageKind kind, const Extent *target, const Extent *new_root, Error *error)
{
        const CheckResult *check = install->check;
        const ManifestImage *image = &install->manifest->images[kind];
        TransferRequest request = { .target = *target, .payload_count = check->payload_counts[kind] };

        request.target.size_bytes = image->size_bytes;
        for (size_t i = 0; i < PAYLOAD_SOURCES_MAX; i++)
                request.sources[i].fd = -1;
        request.sources[PAYLOAD_SOURCE_OLD_ROOT] = install->old_root;
        if (install->old_uki_fd >= 0)
                request.sources[PAYLOAD_SOURCE_OLD_UKI] =
                                (Extent){ install->old_uki_fd, 0, install->old_uki_size_bytes };
        if (new_root)
                request.sources[PAYLOAD_SOURCE_NEW_ROOT] = *new_root;
        for (size_t i = 0; i < request.payload_count; i++)
                request.payloads[i] = (TransferPayload){ check->payloads[kind][i], check->paths[kind][i],
                        check->payloads[kind][i] == image->pieces };
        operation_enter(install->operation, ENGINE_EVENT_DOWNLOAD, NULL, image->size_bytes);
        int r = transfer_run(install->operation, &request, error);
        return r < 0 ? error_prefix(error, r, "%s image", image_kind_name(kind)) : 0;
}

static int hash_progress(void *data, uint64_t done_bytes)
{
        Operation *operation = data;
        operation_tell(operation, done_bytes);
        return operation_check(operation, NULL);
}

/* What the disk returns from now on comes from the disk, as far as the kernel lets itself be told. */
static void forget_cached(const Extent *extent)
{
        (void)posix_fadvise(extent->fd, (off_t)extent->offset_bytes, (off_t)extent->size_bytes,
                        POSIX_FADV_DONTNEED);
}

static int slot_error(const Install *install, Error *error)
{
        return error_set(error, ERROR_CORRUPT, EBADMSG,
                        "slot %s does not read back as it was written; run the update again, and check the "
                        "disk if it happens again",
                        slot_name(install->facts->other_slot));
}

/* The tree was made of data that the disk gave back; what it did with the tree shows here. */
static int prove_tree(Install *install, const VeritySuperblock *wanted, Error *error)
{
        const Extent *hash = &install->hash;
        VeritySuperblock found = { 0 };

        forget_cached(hash);
        int r = verity_superblock_read(hash->fd, hash->offset_bytes, &found);
        if (r >= 0 && (found.data_blocks != wanted->data_blocks || found.salt_size != wanted->salt_size ||
                                      memcmp(found.uuid, wanted->uuid, sizeof(found.uuid)) != 0))
                r = -EBADMSG;
        if (r >= 0)
                r = verity_verify(-1, 0, hash->fd, hash->offset_bytes,
                                install->manifest->images[IMAGE_ROOT].verity.root_hash, NULL, NULL, NULL);
        if (r >= 0)
                return 0;
        (void)verity_superblock_erase(hash->fd, hash->offset_bytes);
        return r == -EBADMSG || r == -ENODATA ? slot_error(install, error)
                                              : io_error(r, "read back the verity tree", error);
}

/* Step 3 after writing. */
static int prove_root(Install *install, Error *error)
{
        const ManifestImage *image = &install->manifest->images[IMAGE_ROOT];
        const VerityParameters *verity = &image->verity;
        uint8_t root_hash[SHA256_SIZE];
        VeritySuperblock superblock = { .data_blocks = image->size_bytes / VERITY_BLOCK_SIZE,
                .salt_size = verity->salt_size };

        operation_enter(install->operation, ENGINE_EVENT_VERIFY, NULL, image->size_bytes);
        /* apply has done so, if it is what it should be. What is not on the disk yet cannot be read back. */
        if (fsync(install->data.fd) < 0)
                return io_error(-errno, "flush the slot", error);
        forget_cached(&install->data);
        int r = verity_build(install->data.fd, install->data.offset_bytes, image->size_bytes, verity->salt,
                        verity->salt_size, install->hash.fd, install->hash.offset_bytes, root_hash,
                        hash_progress, install->operation, error);
        if (r == -ECANCELED)
                return operation_check(install->operation, error);
        if (r < 0)
                return r;
        if (memcmp(root_hash, verity->root_hash, SHA256_SIZE) != 0)
                return slot_error(install, error);
        if (fsync(install->hash.fd) < 0)
                return io_error(-errno, "flush the verity tree", error);
        memcpy(superblock.uuid, root_hash, sizeof(superblock.uuid));
        memcpy(superblock.salt, verity->salt, MIN_OF(verity->salt_size, sizeof(superblock.salt)));
        r = verity_superblock_write(install->hash.fd, install->hash.offset_bytes, &superblock);
        if (r >= 0 && fsync(install->hash.fd) < 0)
                r = -errno;
        return r < 0 ? io_error(r, "write the verity superblock", error)
                     : prove_tree(install, &superblock, error);
}

/* The running UKI, where a delta starts from it. */
static void open_old_uki(Install *install, int esp_fd)
{
        const HostRelease *running = &install->facts->running;
        _cleanup_free_ char *path = running->has_entry ? path_join("EFI/Linux", running->entry_file) : NULL;
        if (!path)
                return;
        install->old_uki_fd = openat(esp_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (install->old_uki_fd >= 0 && fd_size(install->old_uki_fd, &install->old_uki_size_bytes) < 0)
                install->old_uki_fd = fd_close(install->old_uki_fd);
}

/* The firmware would start the staged file. The manifest's word was enough to begin with; this is the
 * file's. */
static int prove_boot(Install *install, int fd, Error *error)
{
        _cleanup_(image_signatures_done) ImageSignatures signatures = { 0 };
        _cleanup_(secure_boot_freep) SecureBoot *secure_boot = NULL;
        int r = secure_boot_load(install->operation->host->efi_variables, &secure_boot, error);
        if (r < 0 || !secure_boot)
                return r;
        r = pe_image_read_signatures(fd, &signatures, error);
        if (r >= 0)
                r = secure_boot_judge(secure_boot, &signatures, error);
        return r < 0 ? error_prefix(error, r, "the UKI of release %s would not start",
                                       install->manifest->version)
                     : 0;
}

/* The staged file holds exactly the UKI of the manifest, and that boots the root image of the manifest. */
static int prove_uki(Install *install, int fd, Error *error)
{
        const ManifestImage *image = &install->manifest->images[IMAGE_UKI];
        uint8_t hash[SHA256_SIZE], root_hash[SHA256_SIZE];
        uint64_t size = 0;

        operation_enter(install->operation, ENGINE_EVENT_VERIFY, NULL, image->size_bytes);
        if (fsync(fd) < 0)
                return io_error(-errno, "flush the ESP", error);
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        int r = fd_size(fd, &size);
        if (r >= 0)
                r = sha256_of_fd(fd, 0, image->size_bytes, hash);
        if (r < 0)
                return io_error(r, "read back the UKI", error);
        if (size != image->size_bytes || memcmp(hash, image->sha256, SHA256_SIZE) != 0)
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "the UKI does not read back as it was written; run the update again, and "
                                "check the disk if "
                                "it happens again");
        if (uki_read_root_hash(fd, root_hash) < 0 ||
                        memcmp(root_hash, install->manifest->images[IMAGE_ROOT].verity.root_hash,
                                        SHA256_SIZE) != 0)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "the UKI of release %s does not boot the root image of that release",
                                install->manifest->version);
        return prove_boot(install, fd, error);
}

/* Steps 4 and 5. */
static int install_uki(Install *install, Error *error)
{
        const Host *host = install->operation->host;
        const Manifest *manifest = install->manifest;
        _cleanup_(esp_closep) Esp *esp = NULL;
        _cleanup_fd_ int fd = -1;
        uint64_t size = manifest->images[IMAGE_UKI].size_bytes;

        int r = host_open_esp(host, install->disk, true, &esp, error);
        if (r >= 0)
                r = host->boot->stage(esp_fd(esp), size, true, &fd, error);
        if (r < 0)
                return r;
        open_old_uki(install, esp_fd(esp));
        Extent target = { fd, 0, size };
        Extent new_root = install->data;
        new_root.size_bytes = manifest->images[IMAGE_ROOT].size_bytes;
        r = transfer_image(install, IMAGE_UKI, &target, &new_root, error);
        if (r >= 0)
                r = prove_uki(install, fd, error);
        if (r >= 0)
                r = operation_check(install->operation, error);
        if (r < 0)
                return r;
        fd = fd_close(fd);
        install->old_uki_fd = fd_close(install->old_uki_fd);
        operation_enter(install->operation, ENGINE_EVENT_FINISH, NULL, 0);
        r = host->boot->publish(
                        esp, host->image_id, manifest->version, install->operation->config->tries, error);
        if (r >= 0)
                r = prefer_release(host, esp, manifest->version, error);
        return r;
}

int install_run(Operation *operation, const HostFacts *facts, const CheckResult *check, Error *error)
{
        _cleanup_(install_done) Install install = { .operation = operation,
                .facts = facts,
                .check = check,
                .manifest = check->manifest,
                .data.fd = -1,
                .hash.fd = -1,
                .old_root.fd = -1,
                .old_uki_fd = -1 };

        operation->progress.full_bytes = check->plan->full_bytes;
        operation_enter(operation, ENGINE_EVENT_PREPARE, check->manifest->version, 0);
        int r = open_extents(&install, error);
        if (r >= 0)
                r = operation_check(operation, error);
        if (r >= 0)
                r = take_out_of_use(&install, error);
        if (r >= 0)
                r = transfer_image(&install, IMAGE_ROOT, &install.data, NULL, error);
        if (r >= 0)
                r = prove_root(&install, error);
        return r < 0 ? r : install_uki(&install, error);
}
