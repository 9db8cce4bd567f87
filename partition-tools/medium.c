/* SPDX-License-Identifier: Apache-2.0 */
#include "medium.h"

#include "disk.h"
#include "gpt-codec.h"
#include "layout.h"
#include "partition-role.h"

#include <string.h>

#define LARGE_SECTOR 4096

/* Index of the first entry with this name and type. */
static int find(const Gpt *gpt, const char *name, const char *type, uint32_t *ret_index, GptEntry *ret)
{
        char text[UUID_TEXT_SIZE];

        for (uint32_t i = 0; i < gpt->entry_count; i++)
                if (gpt_get(gpt, i, ret) && strcmp(ret->name, name) == 0 &&
                                strcmp(uuid_format(ret->type, text), type) == 0) {
                        *ret_index = i;
                        return 0;
                }
        return -ENOENT;
}

static const char *esp_type(void)
{
        return partition_role_type(PARTITION_ESP, "x86-64"); /* any has the same */
}

bool medium_is(const Gpt *gpt)
{
        GptEntry entry;
        uint32_t index;

        return find(gpt, MEDIUM_ESP_NAME, esp_type(), &index, &entry) >= 0 &&
               find(gpt, MEDIUM_ESP_4096_NAME, MEDIUM_ESP_4096_TYPE, &index, &entry) >= 0;
}

int medium_find_esp(const Gpt *gpt, unsigned *ret_number, GptEntry *ret)
{
        uint32_t index;
        int r = find(gpt, MEDIUM_ESP_NAME, esp_type(), &index, ret);

        if (r >= 0)
                *ret_number = index + 1;
        return r;
}

static uint64_t size_of(const Gpt *gpt, const GptEntry *entry)
{
        return (entry->last_lba - entry->first_lba + 1) * gpt->sector_size_bytes;
}

int medium_take_out(Gpt *gpt, unsigned sector_size_bytes, uint64_t *ret_esp_at, Error *error)
{
        uint32_t own_index = 0, large_index = 0, esp_index = 0;
        GptEntry own, large, esp;
        uint64_t esp_at;

        if (find(gpt, MEDIUM_ESP_NAME, esp_type(), &own_index, &own) < 0 ||
                        find(gpt, MEDIUM_ESP_4096_NAME, MEDIUM_ESP_4096_TYPE, &large_index, &large) < 0 ||
                        find(gpt, partition_role_name(PARTITION_ESP), esp_type(), &esp_index, &esp) < 0 ||
                        size_of(gpt, &esp) != size_of(gpt, &large))
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "the installer's partitions do not fit each other; write it to its medium "
                                "again");
        esp_at = (sector_size_bytes == LARGE_SECTOR ? large : esp).first_lba * gpt->sector_size_bytes;
        gpt_clear(gpt, own_index);
        gpt_clear(gpt, large_index);
        gpt_set_flags(gpt, esp_index, esp.flags & ~GPT_FLAG_NO_BLOCK_IO);
        if (gpt_convert(gpt, sector_size_bytes) < 0)
                return error_set(error, ERROR_INCOMPATIBLE, ENOTSUP,
                                "the disk that the installer carries cannot have sectors of %u bytes",
                                sector_size_bytes);
        *ret_esp_at = esp_at;
        return 0;
}

int medium_plan(const Gpt *gpt, uint64_t esp_size_bytes, MediumPlan *ret, Error *error)
{
        MediumPlan plan = { .esp_size_bytes = esp_size_bytes };
        uint64_t end = 0;
        GptEntry entry;
        uint32_t index;

        if (find(gpt, partition_role_name(PARTITION_ESP), esp_type(), &index, &entry) < 0)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "the disk has no ESP");
        plan.target_esp_size_bytes = size_of(gpt, &entry);
        for (uint32_t i = 0; i < gpt->entry_count; i++)
                if (gpt_get(gpt, i, &entry))
                        end = MAX_OF(end, (entry.last_lba + 1) * gpt->sector_size_bytes);
        plan.target_esp_4096_at = end;
        plan.esp_at = plan.target_esp_4096_at + plan.target_esp_size_bytes;
        plan.esp_at_4096 = plan.esp_at + esp_size_bytes;
        plan.size_bytes = plan.esp_at_4096 + esp_size_bytes + DISK_LAYOUT_ALIGNMENT;
        *ret = plan;
        return 0;
}

/* Index of the first entry that is not used; that of the end when all are. */
static uint32_t first_free(const Gpt *gpt)
{
        GptEntry entry;
        uint32_t index = 0;

        while (gpt_get(gpt, index, &entry))
                index++;
        return index;
}

static int put(Gpt *gpt, uint32_t index, const char *name, const char *type, uint64_t flags,
                const uint8_t uuid[static UUID_SIZE], uint64_t at, uint64_t size)
{
        GptEntry entry = { .first_lba = at / gpt->sector_size_bytes,
                .last_lba = (at + size) / gpt->sector_size_bytes - 1,
                .flags = flags };

        memcpy(entry.uuid, uuid, UUID_SIZE);
        (void)uuid_parse(type, entry.type);
        (void)snprintf(entry.name, sizeof(entry.name), "%s", name);
        return gpt_put(gpt, index, &entry);
}

/* Where the table for this size of sectors lies, so that neither is in the other's way. Those of 4096 bytes
 * are at their usual places, header at 4096 and entries at 8192, and so at the end; those of 512 have only
 * their headers there, and their entries beside the others'. */
static void place_table(Gpt *gpt, const MediumPlan *plan)
{
        uint64_t entries_512 = gpt_entries_sectors(gpt->entry_count, 512);
        uint64_t taken_4096 = 2 + gpt_entries_sectors(gpt->entry_count, LARGE_SECTOR);

        gpt->disk_sectors = plan->size_bytes / gpt->sector_size_bytes;
        gpt->first_usable_lba = DISK_LAYOUT_ALIGNMENT / gpt->sector_size_bytes;
        gpt->last_usable_lba = (plan->size_bytes - DISK_LAYOUT_ALIGNMENT) / gpt->sector_size_bytes - 1;
        gpt->primary_entries_lba = 2;
        gpt->backup_entries_lba = 0;
        gpt->report.primary = GPT_COPY_GOOD;
        if (gpt->sector_size_bytes == LARGE_SECTOR)
                return;
        gpt->primary_entries_lba = taken_4096 * LARGE_SECTOR / gpt->sector_size_bytes;
        gpt->backup_entries_lba =
                        (plan->size_bytes - (taken_4096 - 1) * LARGE_SECTOR) / gpt->sector_size_bytes -
                        entries_512;
}

/* Room for the entries of both, at either end. */
static bool has_room(const Gpt *gpt)
{
        return ((2 + gpt_entries_sectors(gpt->entry_count, LARGE_SECTOR)) * LARGE_SECTOR +
                               gpt_entries_sectors(gpt->entry_count, 512) * 512) <= DISK_LAYOUT_ALIGNMENT;
}

/* The one for 512 bytes goes last: a sector of the other holds both headers at the end of the disk. */
static int write_both(int fd, Gpt *gpt, const MediumPlan *plan, const uint8_t uuids[3][UUID_SIZE],
                uint32_t own_index, Error *error)
{
        static const unsigned sector_sizes[] = { LARGE_SECTOR, 512 };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(sector_sizes); i++) {
                bool is_large = sector_sizes[i] == LARGE_SECTOR;

                gpt_clear(gpt, own_index);
                if (gpt_convert(gpt, sector_sizes[i]) < 0)
                        return error_set(error, ERROR_FAILED, EINVAL,
                                        "the disk's partitions do not begin and end with sectors of %u "
                                        "bytes",
                                        sector_sizes[i]);
                r = put(gpt, own_index, MEDIUM_ESP_NAME, esp_type(), 0, uuids[is_large ? 1 : 0],
                                is_large ? plan->esp_at_4096 : plan->esp_at, plan->esp_size_bytes);
                place_table(gpt, plan);
                r = r < 0 ? error_set(error, ERROR_FAILED, -r, "the partition table is full")
                          : gpt_write(fd, gpt, error);
        }
        return r;
}

int medium_write_tables(
                int fd, Gpt *gpt, const MediumPlan *plan, const uint8_t uuids[3][UUID_SIZE], Error *error)
{
        uint32_t esp_index = 0;
        GptEntry esp;
        int r;

        if (!has_room(gpt) ||
                        find(gpt, partition_role_name(PARTITION_ESP), esp_type(), &esp_index, &esp) < 0)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "the disk has no table of ours");
        gpt_set_flags(gpt, esp_index, esp.flags | GPT_FLAG_NO_BLOCK_IO);
        gpt->disk_sectors = plan->size_bytes / gpt->sector_size_bytes;
        r = put(gpt, first_free(gpt), MEDIUM_ESP_4096_NAME, MEDIUM_ESP_4096_TYPE, GPT_FLAG_NO_BLOCK_IO,
                        uuids[2], plan->target_esp_4096_at, plan->target_esp_size_bytes);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "the partition table is full");
        return write_both(fd, gpt, plan, uuids, first_free(gpt), error);
}
