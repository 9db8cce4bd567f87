/* SPDX-License-Identifier: Apache-2.0 */
#include "raw-disk.h"

#include "boot.h"
#include "esp-file.h"
#include "file.h"
#include "layout.h"
#include "process.h"
#include "sparse.h"
#include "uuid.h"

#include <fcntl.h>
#include <string.h>

#define ESP_OVERHEAD (4 * MIB) /* two FATs, loader and folders */

/* So that what this machine's /etc/mke2fs.conf says does not matter. */
#define MKE2FS_CONF                                                                                         \
        "[defaults]\nbase_features = none\nblocksize = 4096\ninode_size = 256\ninode_ratio = 16384\n"       \
        "[fs_types]\next4 = {\nfeatures = "                                                                 \
        "has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,"                        \
        "sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum\n}\n"

void raw_disk_uuid(const char *name, const uint8_t root_hash[static SHA256_SIZE], uint8_t ret[static 16])
{
        uint8_t text[64 + SHA256_SIZE] = { 0 }, hash[SHA256_SIZE];

        memcpy(text, name, strnlen(name, 63));
        memcpy(text + 64, root_hash, SHA256_SIZE);
        sha256_of(text, sizeof(text), hash);
        memcpy(ret, hash, 16);
        ret[6] = (uint8_t)((ret[6] & 0x0f) | 0x80);
        ret[8] = (uint8_t)((ret[8] & 0x3f) | 0x80);
}

/* Slot A is named by its root hash, as the Discoverable Partitions Specification asks. */
static void make_layout(const RawDiskParts *parts, DiskLayout *ret)
{
        *ret = (DiskLayout){ .architecture = parts->architecture,
                .sector_size_bytes = 512,
                .esp_size_bytes = parts->esp_size_bytes,
                .slot_size_bytes = parts->slot_size_bytes,
                .var_size_bytes = parts->var_size_bytes };

        raw_disk_uuid("disk", parts->root_hash, ret->disk_uuid);
        for (unsigned role = 0; role < PARTITION_ROLE_MAX; role++)
                raw_disk_uuid(partition_role_name(role), parts->root_hash, ret->partition_uuids[role]);
        memcpy(ret->partition_uuids[PARTITION_ROOT_A], parts->root_hash, 16);
        memcpy(ret->partition_uuids[PARTITION_ROOT_A_VERITY], parts->root_hash + 16, 16);
}

uint64_t raw_disk_esp_needs(uint64_t uki_size_bytes)
{
        return 2 * uki_size_bytes + ESP_OVERHEAD;
}

int raw_disk_check(const RawDiskParts *parts, Error *error)
{
        uint64_t needed = raw_disk_esp_needs(parts->uki_size_bytes);
        char have[SIZE_TEXT_MAX], want[SIZE_TEXT_MAX], missing[SIZE_TEXT_MAX];

        if (needed <= parts->esp_size_bytes)
                return 0;
        return error_set(error, ERROR_NO_SPACE, ENOSPC,
                        "the ESP is too small by %s: EspSize= is %s, and two kernel images with the boot "
                        "loader need %s",
                        size_format(needed - parts->esp_size_bytes, missing),
                        size_format(parts->esp_size_bytes, have), size_format(needed, want));
}

static int write_error(const char *path, int r, Error *error)
{
        return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot write %s: %s", path,
                        strerror(-r));
}

static int write_text(const char *path, const char *text, Error *error)
{
        int r = file_replace(AT_FDCWD, path, text, strlen(text), 0644);

        return r < 0 ? write_error(path, r, error) : 0;
}

/* The ESP of a host, for a disk with sectors of this size. */
int raw_disk_make_esp(const RawDiskParts *parts, unsigned sector_size_bytes, const char *path,
                const char *scratch, int log_fd, Error *error)
{
        BootEntry entry = { .is_counted = true, .tries_left = BOOT_TRIES_DEFAULT };
        char name[256];
        EspFile esp = { .size_bytes = parts->esp_size_bytes,
                .sector_size_bytes = sector_size_bytes,
                .uki_path = parts->uki_path,
                .boot_loader_path = parts->boot_loader_path,
                .enroll_folder = parts->enroll_folder,
                .entry_name = name,
                .renames = entry.tries_left,
                .epoch = parts->epoch };
        int r;

        (void)snprintf(entry.image_id, sizeof(entry.image_id), "%s", parts->image_id);
        (void)snprintf(entry.version, sizeof(entry.version), "%s", parts->version);
        r = boot_entry_format_name(&entry, name);
        if (r < 0)
                return error_set(error, ERROR_CONFIG, -r,
                                "image id and version do not make a boot entry's name");
        raw_disk_uuid("esp-serial", parts->root_hash, esp.seed);
        return esp_file_make(&esp, path, scratch, log_fd, error);
}

static int make_var(
                const RawDiskParts *parts, const char *var, const char *scratch, int log_fd, Error *error)
{
        _cleanup_free_ char *conf = path_join(scratch, "mke2fs.conf"), *extended = NULL,
                            *config_setting = NULL;
        char time_setting[64], uuid_text[UUID_TEXT_SIZE], seed_text[UUID_TEXT_SIZE];
        const char *environment[] = { time_setting, NULL, NULL };
        const ProcessOptions options = { .environment = environment, .log_fd = log_fd };
        _cleanup_fd_ int fd = -1;
        uint8_t uuid[16];
        int r;

        raw_disk_uuid("var-filesystem", parts->root_hash, uuid);
        uuid_format(uuid, uuid_text);
        raw_disk_uuid("var-hash-seed", parts->root_hash, uuid);
        uuid_format(uuid, seed_text);
        extended = string_format(
                        "hash_seed=%s,assume_storage_prezeroed=1,nodiscard,root_owner=0:0", seed_text);
        config_setting = string_format("MKE2FS_CONFIG=%s", conf ? conf : "");
        if (!conf || !extended || !config_setting)
                return error_oom(error);
        environment[1] = config_setting;
        (void)snprintf(time_setting, sizeof(time_setting), "E2FSPROGS_FAKE_TIME=%lld",
                        (long long)MAX_OF(parts->epoch, (int64_t)1));
        r = write_text(conf, MKE2FS_CONF, error);
        if (r >= 0)
                r = sparse_make_file(var, parts->var_size_bytes, &fd, error);
        return r < 0 ? r
                     : process_check((const char *const[]){ "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096",
                                                     "-m", "1", "-L", "var", "-U", uuid_text, "-E", extended,
                                                     var, NULL },
                                       &options, error);
}

static int copy_part(
                const char *source, const DiskLayout *layout, PartitionRole role, int disk_fd, Error *error)
{
        _cleanup_fd_ int fd = open(source, O_RDONLY | O_CLOEXEC);
        Partition partition;
        uint64_t size;
        int r = fd < 0 ? -errno : fd_size(fd, &size);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot open %s: %s", source, strerror(-r));
        disk_layout_partition(layout, role, &partition);
        if (size > partition.size_bytes)
                return error_set(error, ERROR_NO_SPACE, ENOSPC, "the partition %s is too small",
                                partition_role_name(role));
        r = sparse_copy(fd, 0, disk_fd, partition.offset_bytes, size);
        return r < 0 ? write_error("the disk image", r, error) : 0;
}

static int assemble(
                const RawDiskParts *parts, const char *path, const char *esp, const char *var, Error *error)
{
        _cleanup_fd_ int fd = -1;
        DiskLayout layout;
        int r;

        make_layout(parts, &layout);
        r = sparse_make_file(path, disk_layout_size(&layout), &fd, error);
        if (r >= 0)
                r = disk_layout_write(&layout, fd, error);
        if (r >= 0)
                r = copy_part(esp, &layout, PARTITION_ESP, fd, error);
        if (r >= 0)
                r = copy_part(parts->root_path, &layout, PARTITION_ROOT_A, fd, error);
        if (r >= 0)
                r = copy_part(parts->verity_path, &layout, PARTITION_ROOT_A_VERITY, fd, error);
        if (r >= 0)
                r = copy_part(var, &layout, PARTITION_VAR, fd, error);
        return r;
}

int raw_disk_write(
                const RawDiskParts *parts, const char *path, const char *scratch, int log_fd, Error *error)
{
        _cleanup_free_ char *esp = path_join(scratch, "esp"), *var = path_join(scratch, "var");
        int r = raw_disk_check(parts, error);

        if (r < 0)
                return r;
        if (!esp || !var)
                return error_oom(error);
        r = raw_disk_make_esp(parts, 512, esp, scratch, log_fd, error);
        if (r >= 0)
                r = make_var(parts, var, scratch, log_fd, error);
        return r < 0 ? r : assemble(parts, path, esp, var, error);
}
