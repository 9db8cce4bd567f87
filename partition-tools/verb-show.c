/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs.h"

#include "file.h"
#include "hex.h"
#include "json.h"
#include "printable.h"
#include "probe.h"

#include <fcntl.h>

/* What of the table is not as it should be, in words; NULL when all is well. */
static const char *table_trouble(const GptReport *report)
{
        if (report->primary != GPT_COPY_GOOD)
                return "the primary copy is damaged; \"bascule-disk repair\" mends it from the backup";
        if (report->backup == GPT_COPY_ASTRAY)
                return "the backup copy is not at the end of the disk, or differs; \"bascule-disk grow\" or "
                       "\"repair\" "
                       "puts it right";
        if (report->backup != GPT_COPY_GOOD)
                return "the backup copy is damaged; \"bascule-disk repair\" mends it from the primary";
        if (!report->has_protective_mbr)
                return "the protective MBR is damaged; \"bascule-disk repair\" mends it";
        if (!report->has_right_mbr_size)
                return "the protective MBR tells another disk size; \"bascule-disk repair\" mends it";
        return NULL;
}

static char *content_of(const Disk *disk, PartitionRole role)
{
        _cleanup_extent_ Extent extent = { .fd = -1 };
        char *text = NULL;

        if (disk_open_partition(disk, role, O_RDONLY, &extent, NULL) < 0 ||
                        probe_content(extent.fd, extent.offset_bytes, extent.size_bytes, &text) < 0)
                return NULL;
        return text;
}

static void print_partitions(const Disk *disk)
{
        printf("%-3s %-14s %12s %12s  %-36s %s\n", "NO", "ROLE", "OFFSET", "SIZE", "PARTUUID", "CONTENT");
        for (unsigned role = 0; role < PARTITION_ROLE_MAX; role++) {
                const Partition *partition = &disk->partitions[role];
                _cleanup_free_ char *content = NULL;
                char offset[SIZE_TEXT_MAX], size[SIZE_TEXT_MAX], uuid[UUID_TEXT_SIZE];

                if (!partition->exists)
                        continue;
                content = content_of(disk, (PartitionRole)role);
                printf("%-3u %-14s %12s %12s  %-36s %s\n", partition->number,
                                partition_role_name((PartitionRole)role),
                                size_format(partition->offset_bytes, offset),
                                size_format(partition->size_bytes, size), uuid_format(partition->uuid, uuid),
                                content ? content : "");
        }
}

static int print_slots(const Disk *disk, Error *error)
{
        for (unsigned slot = 0; slot < SLOT_NAME_MAX; slot++) {
                char hash[2 * UUID_SIZE + 1], size[SIZE_TEXT_MAX];
                SlotContent content;
                int r = slot_read(disk, (SlotName)slot, &content, error);

                if (r < 0)
                        return r;
                hex_encode(content.superblock.uuid, UUID_SIZE, hash);
                if (content.is_valid)
                        printf("Slot %s: %s, root hash %s...\n", slot_name((SlotName)slot),
                                        size_format(content.data_size_bytes, size), hash);
                else
                        printf("Slot %s: empty\n", slot_name((SlotName)slot));
        }
        return 0;
}

static int print_text(const Disk *disk, Error *error)
{
        char size[SIZE_TEXT_MAX], uuid[UUID_TEXT_SIZE];
        const char *trouble = table_trouble(&disk->table);

        printf("%s: %s, sectors of %u bytes, disk %s\n\n", disk->path, size_format(disk->size_bytes, size),
                        disk->sector_size_bytes, uuid_format(disk->uuid, uuid));
        print_partitions(disk);
        (void)putchar('\n');
        if (trouble)
                printf("Partition table: %s.\n", trouble);
        return print_slots(disk, error);
}

static json_t *partitions_json(const Disk *disk)
{
        json_t *list = json_array();

        for (unsigned role = 0; role < PARTITION_ROLE_MAX; role++) {
                const Partition *partition = &disk->partitions[role];
                _cleanup_free_ char *content = NULL;
                char uuid[UUID_TEXT_SIZE];

                if (!partition->exists)
                        continue;
                content = content_of(disk, (PartitionRole)role);
                (void)json_array_append_new(
                                list, json_pack("{s:s,s:i,s:s,s:I,s:I,s:s}", "role",
                                                      partition_role_name((PartitionRole)role), "number",
                                                      (int)partition->number, "uuid",
                                                      uuid_format(partition->uuid, uuid), "offset_bytes",
                                                      (json_int_t)partition->offset_bytes, "size_bytes",
                                                      (json_int_t)partition->size_bytes, "content",
                                                      content ? content : ""));
        }
        return list;
}

static int slots_json(const Disk *disk, json_t *list, Error *error)
{
        for (unsigned slot = 0; slot < SLOT_NAME_MAX; slot++) {
                char hash[2 * UUID_SIZE + 1];
                SlotContent content;
                int r = slot_read(disk, (SlotName)slot, &content, error);

                if (r < 0)
                        return r;
                hex_encode(content.superblock.uuid, UUID_SIZE, hash);
                (void)json_array_append_new(list,
                                content.is_valid ? json_pack("{s:s,s:b,s:I,s:s}", "name",
                                                                   slot_name((SlotName)slot), "valid", 1,
                                                                   "data_size_bytes",
                                                                   (json_int_t)content.data_size_bytes,
                                                                   "root_hash_prefix", hash)
                                                 : json_pack("{s:s,s:b}", "name", slot_name((SlotName)slot),
                                                                   "valid", 0));
        }
        return 0;
}

static int print_json(const Disk *disk, Error *error)
{
        _cleanup_json_ json_t *json = NULL;
        _cleanup_free_ char *path = printable_copy(disk->path);
        json_t *slots = json_array();
        char uuid[UUID_TEXT_SIZE];

        if (!path) {
                json_decref(slots);
                return error_oom(error);
        }
        json = json_pack("{s:s,s:b,s:I,s:i,s:s,s:{s:s,s:s,s:b,s:b},s:o,s:o}", "path", path, "block_device",
                        disk->is_block_device, "size_bytes", (json_int_t)disk->size_bytes,
                        "sector_size_bytes", (int)disk->sector_size_bytes, "uuid",
                        uuid_format(disk->uuid, uuid), "table", "primary",
                        gpt_copy_state_name(disk->table.primary), "backup",
                        gpt_copy_state_name(disk->table.backup), "protective_mbr",
                        disk->table.has_protective_mbr, "good", gpt_report_is_good(&disk->table),
                        "partitions", partitions_json(disk), "slots", slots);
        if (!json)
                return error_oom(error);
        if (slots_json(disk, slots, error) < 0)
                return -EIO;
        (void)json_dumpf(json, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        return 0;
}

int verb_show(int argc, char **argv)
{
        bool json = false;
        const Option options[] = {
                { "json", 'j', OPTION_FLAG, &json, NULL, "Print JSON" },
                { 0 },
        };
        _cleanup_(disk_freep) Disk *disk = NULL;
        _cleanup_free_ char *path = NULL;
        Error error = { 0 };
        int r = verb_disk_argument(argc, argv, options, "show [OPTION...] [DISK]",
                        "Shows the partitions of a disk or disk image, and what each slot holds.", &path,
                        &error);

        if (r > 0)
                return 0;
        if (r >= 0)
                r = disk_open(path, &disk, &error);
        if (r >= 0)
                r = json ? print_json(disk, &error) : print_text(disk, &error);
        return program_exit(PROGRAM_NAME, r, &error, json);
}
