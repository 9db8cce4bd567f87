/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#include "file.h"
#include "partition-role.h"
#include "uuid.h"

#include <libfdisk.h>
#include <string.h>

DEFINE_CLEANUP(struct fdisk_context *, fdisk_unref_context)
DEFINE_CLEANUP(struct fdisk_partition *, fdisk_unref_partition)
DEFINE_CLEANUP(struct fdisk_parttype *, fdisk_unref_parttype)

/* Larger than any disk; keeps every sum inside 64 bits. */
#define SIZE_MAX_BYTES (UINT64_C(1) << 56)

static uint64_t round_up(uint64_t bytes)
{
        return (bytes + DISK_LAYOUT_ALIGNMENT - 1) / DISK_LAYOUT_ALIGNMENT * DISK_LAYOUT_ALIGNMENT;
}

static uint64_t role_size(const DiskLayout *layout, PartitionRole role)
{
        uint64_t slot_size = round_up(layout->slot_size_bytes);

        switch (role) {
        case PARTITION_ESP:
                return round_up(layout->esp_size_bytes);
        case PARTITION_ROOT_A:
        case PARTITION_ROOT_B:
                return slot_size;
        case PARTITION_ROOT_A_VERITY:
        case PARTITION_ROOT_B_VERITY:
                return round_up(verity_hash_area_size(slot_size));
        default:
                return round_up(layout->var_size_bytes);
        }
}

void disk_layout_partition(const DiskLayout *layout, PartitionRole role, Partition *ret)
{
        Partition partition = {
                .exists = true, .number = (unsigned)role + 1, .offset_bytes = DISK_LAYOUT_ALIGNMENT
        };

        for (unsigned before = 0; before < (unsigned)role; before++)
                partition.offset_bytes += role_size(layout, (PartitionRole)before);
        partition.size_bytes = role_size(layout, role);
        memcpy(partition.uuid, layout->partition_uuids[role], UUID_SIZE);
        *ret = partition;
}

uint64_t disk_layout_size(const DiskLayout *layout)
{
        Partition last;

        disk_layout_partition(layout, PARTITION_VAR, &last);
        return last.offset_bytes + last.size_bytes + DISK_LAYOUT_ALIGNMENT;
}

static int check_uuids(const DiskLayout *layout, Error *error)
{
        for (unsigned i = 0; i < PARTITION_ROLE_MAX; i++) {
                if (uuid_is_nil(layout->partition_uuids[i]))
                        return error_set(error, ERROR_CONFIG, EINVAL, "partition %s has no UUID",
                                        partition_role_name((PartitionRole)i));
                for (unsigned j = 0; j < i; j++)
                        if (memcmp(layout->partition_uuids[i], layout->partition_uuids[j], UUID_SIZE) == 0)
                                return error_set(error, ERROR_CONFIG, EINVAL,
                                                "partitions %s and %s have the same UUID",
                                                partition_role_name((PartitionRole)j),
                                                partition_role_name((PartitionRole)i));
        }
        if (uuid_is_nil(layout->disk_uuid))
                return error_set(error, ERROR_CONFIG, EINVAL, "the disk has no UUID");
        return 0;
}

int disk_layout_check(const DiskLayout *layout, Error *error)
{
        const struct {
                const char *what;
                uint64_t bytes;
        } sizes[] = {
                { "the ESP", layout->esp_size_bytes },
                { "a slot", layout->slot_size_bytes },
                { "var", layout->var_size_bytes },
        };

        if (layout->sector_size_bytes != 512 && layout->sector_size_bytes != 4096)
                return error_set(error, ERROR_CONFIG, EINVAL, "sectors have 512 or 4096 bytes, not %u",
                                layout->sector_size_bytes);
        if (!layout->architecture || !partition_role_type(PARTITION_ROOT_A, layout->architecture))
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "no partition types are known for architecture \"%s\"",
                                layout->architecture ? layout->architecture : "");
        for (size_t i = 0; i < ELEMENTS(sizes); i++)
                if (sizes[i].bytes == 0 || sizes[i].bytes > SIZE_MAX_BYTES ||
                                verity_hash_area_size(round_up(sizes[i].bytes)) == 0)
                        return error_set(error, ERROR_CONFIG, EINVAL, "%ju bytes are no size for %s",
                                        (uintmax_t)sizes[i].bytes, sizes[i].what);
        return check_uuids(layout, error);
}

static int set_type(struct fdisk_context *context, struct fdisk_partition *partition, const char *guid)
{
        _cleanup_(fdisk_unref_parttypep) struct fdisk_parttype *type =
                        fdisk_label_parse_parttype(fdisk_get_label(context, "gpt"), guid);

        return type ? fdisk_partition_set_type(partition, type) : -ENOMEM;
}

static int add_partition(struct fdisk_context *context, const DiskLayout *layout, PartitionRole role)
{
        _cleanup_(fdisk_unref_partitionp) struct fdisk_partition *partition = fdisk_new_partition();
        char uuid[UUID_TEXT_SIZE];
        Partition place;
        int r;

        if (!partition)
                return -ENOMEM;
        disk_layout_partition(layout, role, &place);
        (void)fdisk_partition_size_explicit(partition, 1);
        r = set_type(context, partition, partition_role_type(role, layout->architecture));
        if (r >= 0)
                r = fdisk_partition_set_partno(partition, place.number - 1);
        if (r >= 0)
                r = fdisk_partition_set_start(partition, place.offset_bytes / layout->sector_size_bytes);
        if (r >= 0)
                r = fdisk_partition_set_size(partition, place.size_bytes / layout->sector_size_bytes);
        if (r >= 0)
                r = fdisk_partition_set_name(partition, partition_role_name(role));
        if (r >= 0)
                r = fdisk_partition_set_uuid(partition, uuid_format(place.uuid, uuid));
        return r < 0 ? r : fdisk_add_partition(context, partition, NULL);
}

static int write_table(const DiskLayout *layout, struct fdisk_context *context)
{
        char uuid[UUID_TEXT_SIZE];
        int r = fdisk_create_disklabel(context, "gpt");

        if (r >= 0)
                r = fdisk_set_disklabel_id_from_string(context, uuid_format(layout->disk_uuid, uuid));
        for (unsigned role = 0; r >= 0 && role < PARTITION_ROLE_MAX; role++)
                r = add_partition(context, layout, (PartitionRole)role);
        return r < 0 ? r : fdisk_write_disklabel(context);
}

int disk_layout_write(const DiskLayout *layout, int fd, Error *error)
{
        _cleanup_(fdisk_unref_contextp) struct fdisk_context *context = NULL;
        int r = disk_layout_check(layout, error);

        if (r < 0)
                return r;
        if (ftruncate(fd, (off_t)disk_layout_size(layout)) < 0)
                return error_set(error, errno == ENOSPC || errno == EFBIG ? ERROR_NO_SPACE : ERROR_IO, errno,
                                "cannot make the disk image as large as it must be: %s", strerror(errno));
        context = fdisk_new_context();
        if (!context)
                return error_oom(error);
        (void)fdisk_disable_dialogs(context, 1);
        r = fdisk_save_user_sector_size(context, layout->sector_size_bytes, layout->sector_size_bytes);
        if (r >= 0)
                r = fdisk_assign_device_by_fd(context, fd, "the disk image", 0);
        if (r >= 0) {
                r = write_table(layout, context);
                (void)fdisk_deassign_device(context, 1);
        }
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot write the partition table: %s", strerror(-r));
        return 0;
}
