/* SPDX-License-Identifier: Apache-2.0 */
#include "raw-disk.h"

#include "boot.h"
#include "fat-move.h"
#include "file.h"
#include "layout.h"
#include "process.h"
#include "secure-boot-keys.h"
#include "sparse.h"
#include "uuid.h"

#include <fcntl.h>
#include <string.h>

#define ESP_OVERHEAD (4 * MIB)           /* two FATs, loader and folders */
#define FAT_EPOCH_MIN INT64_C(315532800) /* 1980: the first year of FAT */
#define ESP_ENTRIES "::/EFI/Linux"
#define LOADER_CONF "timeout 0\neditor no\n"
#define LOADER_CONF_ENROLL "secure-boot-enroll force\n"

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

/* A new file of this size, all hole. */
static int make_empty(const char *path, uint64_t size, int *ret_fd, Error *error)
{
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        int r = fd < 0 ? -errno : 0;

        if (r >= 0 && ftruncate(fd, (off_t)size) < 0)
                r = -errno;
        if (r < 0) {
                fd_close(fd);
                return write_error(path, r, error);
        }
        *ret_fd = fd;
        return 0;
}

static int copy_to_esp(const char *esp, const char *source, const char *target,
                const ProcessOptions *options, Error *error)
{
        return process_check(
                        (const char *const[]){ "mcopy", "-i", esp, source, target, NULL }, options, error);
}

/* Where systemd-boot looks for keys when the firmware is in setup mode. */
static int add_enrolment(
                const RawDiskParts *parts, const char *esp, const ProcessOptions *options, Error *error)
{
        int r = process_check((const char *const[]){ "mmd", "-i", esp, "::/loader/keys",
                                              "::/loader/keys/auto", NULL },
                        options, error);

        for (size_t i = 0; r >= 0 && i < ELEMENTS(secure_boot_variables); i++) {
                const char *name = secure_boot_variables[i];
                _cleanup_free_ char *source =
                                string_format("%s/%s" SECURE_BOOT_AUTH_SUFFIX, parts->enroll_folder, name);
                _cleanup_free_ char *target =
                                string_format("::/loader/keys/auto/%s" SECURE_BOOT_AUTH_SUFFIX, name);

                r = source && target ? copy_to_esp(esp, source, target, options, error) : error_oom(error);
        }
        return r;
}

/* A folder keeps the clusters that a long name took; here they follow each other. */
static int widen_entries(const char *esp, const char *file, const ProcessOptions *options, Error *error)
{
        char path[sizeof(ESP_ENTRIES) + FAT_MOVE_ROOM_LENGTH + 1] = ESP_ENTRIES "/";
        int r;

        memset(path + sizeof(ESP_ENTRIES), '_', FAT_MOVE_ROOM_LENGTH);
        r = copy_to_esp(esp, file, path, options, error);
        return r < 0 ? r
                     : process_check((const char *const[]){ "mdel", "-i", esp, path, NULL }, options, error);
}

/* The entry comes to its place as an update brings it there, so that firmware can rename it safely. */
static int add_entry(const RawDiskParts *parts, const char *esp, int fd, const ProcessOptions *options,
                Error *error)
{
        BootEntry entry = { .is_counted = true, .tries_left = BOOT_TRIES_DEFAULT };
        char name[256];
        int r;

        (void)snprintf(entry.image_id, sizeof(entry.image_id), "%s", parts->image_id);
        (void)snprintf(entry.version, sizeof(entry.version), "%s", parts->version);
        r = boot_entry_format_name(&entry, name);
        if (r < 0)
                return error_set(error, ERROR_CONFIG, -r,
                                "image id and version do not make a boot entry's name");
        r = copy_to_esp(esp, parts->uki_path, "::/EFI/bascule/incoming.efi", options, error);
        if (r < 0)
                return r;
        r = fat_move(fd, "EFI/bascule", "incoming.efi", "EFI/Linux", name, entry.tries_left);
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "cannot name the boot entry: %s", strerror(-r))
                     : 0;
}

static int fill_esp(const RawDiskParts *parts, const char *esp, int fd, const char *conf,
                const ProcessOptions *options, Error *error)
{
        int r = process_check((const char *const[]){ "mmd", "-i", esp, "::/EFI", "::/EFI/BOOT", ESP_ENTRIES,
                                              "::/EFI/bascule", "::/EFI/systemd", "::/loader", NULL },
                        options, error);
        if (r >= 0)
                r = widen_entries(esp, conf, options, error);
        if (r >= 0)
                r = copy_to_esp(esp, parts->boot_loader_path, "::/EFI/BOOT/BOOTX64.EFI", options, error);
        if (r >= 0)
                r = copy_to_esp(esp, parts->boot_loader_path, "::/EFI/systemd/systemd-bootx64.efi", options,
                                error);
        if (r >= 0)
                r = copy_to_esp(esp, conf, "::/loader/loader.conf", options, error);
        if (r >= 0 && parts->enroll_folder)
                r = add_enrolment(parts, esp, options, error);
        return r < 0 ? r : add_entry(parts, esp, fd, options, error);
}

static int make_esp(
                const RawDiskParts *parts, const char *esp, const char *scratch, int log_fd, Error *error)
{
        int64_t epoch = MAX_OF(parts->epoch, FAT_EPOCH_MIN);
        _cleanup_free_ char *conf = path_join(scratch, "loader.conf");
        char time_setting[64], serial[9]; /* mtools takes the first for the time of all it makes */
        const char *environment[] = { time_setting, "MTOOLSRC=/dev/null", NULL };
        const ProcessOptions options = { .environment = environment, .log_fd = log_fd };
        _cleanup_fd_ int fd = -1;
        uint8_t uuid[16];
        int r;

        if (!conf)
                return error_oom(error);
        raw_disk_uuid("esp-serial", parts->root_hash, uuid);
        (void)snprintf(serial, sizeof(serial), "%02x%02x%02x%02x", uuid[0], uuid[1], uuid[2], uuid[3]);
        (void)snprintf(time_setting, sizeof(time_setting), "SOURCE_DATE_EPOCH=%lld", (long long)epoch);
        r = make_empty(esp, parts->esp_size_bytes, &fd, error);
        if (r >= 0)
                r = process_check((const char *const[]){ "mkfs.vfat", "--invariant", "-F", "32", "-S", "512",
                                                  "-n", "ESP", "-i", serial, esp, NULL },
                                &options, error);
        if (r >= 0)
                r = write_text(conf, parts->enroll_folder ? LOADER_CONF LOADER_CONF_ENROLL : LOADER_CONF,
                                error);
        return r < 0 ? r : fill_esp(parts, esp, fd, conf, &options, error);
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
                r = make_empty(var, parts->var_size_bytes, &fd, error);
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
        r = make_empty(path, disk_layout_size(&layout), &fd, error);
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
        r = make_esp(parts, esp, scratch, log_fd, error);
        if (r >= 0)
                r = make_var(parts, var, scratch, log_fd, error);
        return r < 0 ? r : assemble(parts, path, esp, var, error);
}
