/* SPDX-License-Identifier: Apache-2.0 */
#include "install-check.h"

#include "file.h"
#include "medium.h"
#include "partition-role.h"

#include <fcntl.h>
#include <string.h>

#define ALLOW "allow it by Reinstall=yes if all that is on it may be lost"

/* One that only a host's disk has: an ESP is on any. */
static bool has_host_partition(const Gpt *gpt)
{
        char type[UUID_TEXT_SIZE];
        GptEntry entry;

        for (uint32_t i = 0; i < gpt->entry_count; i++) {
                PartitionRole role = PARTITION_ROLE_MAX;

                if (gpt_get(gpt, i, &entry))
                        role = partition_role_from(uuid_format(entry.type, type), entry.name);
                if (role != PARTITION_ROLE_MAX && role != PARTITION_ESP)
                        return true;
        }
        return false;
}

/* 0 when there is no table for sectors of this size, or one without any partition of a host. */
static int refuse_table(int fd, unsigned sector_size_bytes, const char *path, Error *error)
{
        _cleanup_(gpt_freep) Gpt *gpt = NULL;
        Error problem = { 0 };
        int r = gpt_read(fd, sector_size_bytes, &gpt, &problem);

        if (r == -ENODATA)
                return 0;
        if (r == -ENOMEM)
                return error_oom(error);
        if (r >= 0 && !has_host_partition(gpt))
                return 0;
        if (r >= 0)
                r = gpt_check(gpt, &problem);
        if (r < 0)
                return error_set(error, ERROR_REFUSED, -r,
                                "it cannot be told whether %s holds a host (%s); " ALLOW, path,
                                problem.message);
        if (!gpt_report_is_good(&gpt->report))
                return error_set(error, ERROR_REFUSED, EPERM,
                                "%s holds a host whose partition table is damaged, or what an install that "
                                "was cut off left; \"bascule-disk repair\" mends a table; " ALLOW,
                                path);
        return error_set(error, ERROR_NOTHING_TO_DO, EALREADY,
                        "%s is the disk of a host already; switch the machine off, remove the medium and "
                        "start it again, or " ALLOW,
                        path);
}

int install_refuse_host(const InstallTarget *target, Error *error)
{
        static const unsigned sector_sizes[] = { 512, 4096 };
        _cleanup_fd_ int fd = open(target->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        int r = 0;

        if (fd < 0)
                return error_set(
                                error, ERROR_IO, errno, "cannot open %s: %s", target->path, strerror(errno));
        if (!install_target_is(target, fd))
                return error_set(error, ERROR_REFUSED, ESTALE,
                                "%s is another disk than the one that was looked at; nothing was written",
                                target->path);
        /* An adapter can show a disk with other sectors than those it was laid out for. */
        for (size_t i = 0; r >= 0 && i < ELEMENTS(sector_sizes); i++)
                r = refuse_table(fd, sector_sizes[i], target->path, error);
        return r;
}

int install_refuse_copy(const Gpt *image, int target_fd, const char *path, Error *error)
{
        _cleanup_(gpt_freep) Gpt *gpt = NULL;

        if (!medium_is(image) || gpt_read(target_fd, 0, &gpt, NULL) < 0 ||
                        memcmp(gpt->disk_uuid, image->disk_uuid, UUID_SIZE) != 0)
                return 0;
        return error_set(error, ERROR_REFUSED, EPERM,
                        "%s is the medium under another name, or a copy of it; wipe its partition table "
                        "first if it is really to be overwritten",
                        path);
}

static bool find_role(const Gpt *gpt, PartitionRole role, uint64_t *ret_offset, uint64_t *ret_size)
{
        char type[UUID_TEXT_SIZE];
        GptEntry entry;

        for (uint32_t i = 0; i < gpt->entry_count; i++)
                if (gpt_get(gpt, i, &entry) &&
                                partition_role_from(uuid_format(entry.type, type), entry.name) == role) {
                        *ret_offset = entry.first_lba * gpt->sector_size_bytes;
                        *ret_size = (entry.last_lba - entry.first_lba + 1) * gpt->sector_size_bytes;
                        return true;
                }
        return false;
}

static int count_progress(void *data, uint64_t done_bytes)
{
        progress_update(data, done_bytes);
        return 0;
}

/* What the slot's superblock and tree say of each other and of the room that they have; *ret_data_size is
 * that of the image. */
static int read_slot(int fd, uint64_t data_at, uint64_t data_size, uint64_t hash_at, uint64_t hash_size,
                uint8_t ret_root_hash[static SHA256_SIZE], uint64_t *ret_data_size)
{
        VeritySuperblock superblock = { 0 };
        uint64_t size;
        int r = verity_superblock_read(fd, hash_at, &superblock);

        size = superblock.data_blocks * VERITY_BLOCK_SIZE;
        if (r >= 0 && (size > data_size || verity_hash_area_size(size) > hash_size))
                r = -EBADMSG;
        if (r >= 0)
                r = verity_stored_root_hash(fd, data_at, fd, hash_at, ret_root_hash);
        if (r >= 0 && memcmp(ret_root_hash, superblock.uuid, UUID_SIZE) != 0)
                r = -EBADMSG;
        if (r >= 0)
                *ret_data_size = size;
        return r;
}

/* *ret_is_there: the slot holds something, which is what its superblock says. */
static int verify_slot(
                const Gpt *gpt, int fd, SlotName slot, Progress *progress, bool *ret_is_there, Error *error)
{
        uint64_t data_at = 0, data_size = 0, hash_at = 0, hash_size = 0, size = 0;
        uint8_t root_hash[SHA256_SIZE];
        char step[32];
        int r;

        *ret_is_there = false;
        if (!find_role(gpt, slot_data_role(slot), &data_at, &data_size) ||
                        !find_role(gpt, slot_hash_role(slot), &hash_at, &hash_size))
                return 0;
        r = read_slot(fd, data_at, data_size, hash_at, hash_size, root_hash, &size);
        if (r == -ENODATA)
                return 0;
        if (r == -ENOMEM)
                return error_oom(error);
        if (r == -EBADMSG)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "its hash tree makes no sense");
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read it back: %s", strerror(-r));
        (void)snprintf(step, sizeof(step), "slot %s", slot_name(slot));
        progress_begin(progress, step, size);
        r = verity_verify(fd, data_at, fd, hash_at, root_hash, count_progress, progress, error);
        progress_end(progress, r < 0 ? "bad" : "good");
        *ret_is_there = r >= 0;
        return r;
}

/* What the medium gave is what was compared: a slot that is damaged came so. What cannot be read is the
 * disk. */
static int explain(SlotName slot, int r, Error *error)
{
        if (r == -EBADMSG)
                return error_prefix(error, r,
                                "the image's slot %s is damaged, and the disk was left without a partition "
                                "table; write the medium anew",
                                slot_name(slot));
        return error_prefix(
                        error, r, "the disk was left without a partition table; slot %s", slot_name(slot));
}

int install_verify(const Gpt *gpt, int target_fd, Progress *progress, Error *error)
{
        bool is_any = false;

        for (unsigned slot = 0; slot < SLOT_NAME_MAX; slot++) {
                bool is_there;
                int r = verify_slot(gpt, target_fd, (SlotName)slot, progress, &is_there, error);

                if (r < 0)
                        return explain((SlotName)slot, r, error);
                is_any = is_any || is_there;
        }
        if (!is_any)
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "the image holds no release, and the disk was left without a partition "
                                "table; write the medium anew");
        return 0;
}
