/* SPDX-License-Identifier: Apache-2.0 */
#include "gpt.h"

#include "bytes.h"
#include "gpt-codec.h"
#include "gpt-format.h"

#include <string.h>

static size_t put_utf8(char *to, uint32_t code)
{
        if (code < 0x80) {
                to[0] = (char)code;
                return 1;
        }
        if (code < 0x800) {
                to[0] = (char)(0xc0 | code >> 6);
                to[1] = (char)(0x80 | (code & 0x3f));
                return 2;
        }
        if (code < 0x10000) {
                to[0] = (char)(0xe0 | code >> 12);
                to[1] = (char)(0x80 | (code >> 6 & 0x3f));
                to[2] = (char)(0x80 | (code & 0x3f));
                return 3;
        }
        to[0] = (char)(0xf0 | code >> 18);
        to[1] = (char)(0x80 | (code >> 12 & 0x3f));
        to[2] = (char)(0x80 | (code >> 6 & 0x3f));
        to[3] = (char)(0x80 | (code & 0x3f));
        return 4;
}

static void decode_name(const uint8_t *raw, char ret[static GPT_NAME_MAX + 1])
{
        size_t used = 0;

        for (size_t i = 0; i < GPT_ENTRY_NAME_UNITS; i++) {
                uint32_t unit = read_le16(raw + 2 * i);
                uint32_t next = i + 1 < GPT_ENTRY_NAME_UNITS ? read_le16(raw + 2 * i + 2) : 0;

                if (unit == 0)
                        break;
                if (unit >= 0xd800 && unit < 0xdc00 && next >= 0xdc00 && next < 0xe000) {
                        unit = 0x10000 + ((unit - 0xd800) << 10) + (next - 0xdc00);
                        i++;
                } else if (unit < 0x20 || unit == 0x7f || (unit >= 0xd800 && unit < 0xe000)) {
                        unit = '?';
                }
                used += put_utf8(ret + used, unit);
        }
        ret[used] = 0;
}

static uint8_t *entry_at(const Gpt *gpt, uint32_t index)
{
        return gpt->entries + (size_t)index * GPT_ENTRY_SIZE;
}

bool gpt_get(const Gpt *gpt, uint32_t index, GptEntry *ret)
{
        const uint8_t *raw;
        GptEntry entry;

        if (index >= gpt->entry_count)
                return false;
        raw = entry_at(gpt, index);
        gpt_uuid_swap(raw + GPT_ENTRY_TYPE_AT, entry.type);
        if (uuid_is_nil(entry.type))
                return false;
        gpt_uuid_swap(raw + GPT_ENTRY_UUID_AT, entry.uuid);
        entry.first_lba = read_le64(raw + GPT_ENTRY_FIRST_AT);
        entry.last_lba = read_le64(raw + GPT_ENTRY_LAST_AT);
        entry.flags = read_le64(raw + GPT_ENTRY_FLAGS_AT);
        decode_name(raw + GPT_ENTRY_NAME_AT, entry.name);
        *ret = entry;
        return true;
}

void gpt_set_uuid(Gpt *gpt, uint32_t index, const uint8_t uuid[static UUID_SIZE])
{
        gpt_uuid_swap(uuid, entry_at(gpt, index) + GPT_ENTRY_UUID_AT);
}

void gpt_set_last_lba(Gpt *gpt, uint32_t index, uint64_t last_lba)
{
        write_le64(entry_at(gpt, index) + GPT_ENTRY_LAST_AT, last_lba);
}

void gpt_set_flags(Gpt *gpt, uint32_t index, uint64_t flags)
{
        write_le64(entry_at(gpt, index) + GPT_ENTRY_FLAGS_AT, flags);
}

int gpt_put(Gpt *gpt, uint32_t index, const GptEntry *entry)
{
        uint8_t *raw;

        if (index >= gpt->entry_count)
                return -ERANGE;
        raw = entry_at(gpt, index);
        memset(raw, 0, GPT_ENTRY_SIZE);
        gpt_uuid_swap(entry->type, raw + GPT_ENTRY_TYPE_AT);
        gpt_uuid_swap(entry->uuid, raw + GPT_ENTRY_UUID_AT);
        write_le64(raw + GPT_ENTRY_FIRST_AT, entry->first_lba);
        write_le64(raw + GPT_ENTRY_LAST_AT, entry->last_lba);
        write_le64(raw + GPT_ENTRY_FLAGS_AT, entry->flags);
        for (size_t i = 0; i < GPT_ENTRY_NAME_UNITS && entry->name[i]; i++)
                write_le16(raw + GPT_ENTRY_NAME_AT + 2 * i, (uint8_t)entry->name[i]);
        return 0;
}

void gpt_clear(Gpt *gpt, uint32_t index)
{
        if (index < gpt->entry_count)
                memset(entry_at(gpt, index), 0, GPT_ENTRY_SIZE);
}

/* Whether every partition begins and ends with a sector of the other table, in its usable area. */
static bool fits(const Gpt *gpt, const Gpt *other)
{
        GptEntry entry;

        for (uint32_t i = 0; i < gpt->entry_count; i++) {
                uint64_t begin, end;

                if (!gpt_get(gpt, i, &entry))
                        continue;
                if (MUL_OVERFLOWS(entry.first_lba, (uint64_t)gpt->sector_size_bytes, &begin) ||
                                MUL_OVERFLOWS(entry.last_lba + 1, (uint64_t)gpt->sector_size_bytes, &end) ||
                                begin % other->sector_size_bytes != 0 ||
                                end % other->sector_size_bytes != 0 ||
                                begin / other->sector_size_bytes < other->first_usable_lba ||
                                end / other->sector_size_bytes > other->last_usable_lba + 1)
                        return false;
        }
        return true;
}

int gpt_convert(Gpt *gpt, unsigned sector_size_bytes)
{
        uint64_t before = gpt->sector_size_bytes, first;
        Gpt next = *gpt;
        GptEntry entry;

        if (sector_size_bytes != 512 && sector_size_bytes != 4096)
                return -EINVAL;
        next.sector_size_bytes = sector_size_bytes;
        next.disk_sectors = gpt->disk_sectors * before / sector_size_bytes;
        first = (gpt->first_usable_lba * before + sector_size_bytes - 1) / sector_size_bytes;
        next.first_usable_lba = MAX_OF(first, 2 + gpt_entries_sectors(gpt->entry_count, sector_size_bytes));
        next.last_usable_lba = gpt_last_usable_lba(&next, next.disk_sectors);
        next.primary_entries_lba = 2;
        next.backup_entries_lba = 0;
        if (!fits(gpt, &next))
                return -EINVAL;
        for (uint32_t i = 0; i < gpt->entry_count; i++)
                if (gpt_get(gpt, i, &entry)) {
                        write_le64(entry_at(gpt, i) + GPT_ENTRY_FIRST_AT,
                                        entry.first_lba * before / sector_size_bytes);
                        gpt_set_last_lba(gpt, i, (entry.last_lba + 1) * before / sector_size_bytes - 1);
                }
        *gpt = next;
        return 0;
}

uint64_t gpt_last_usable_lba(const Gpt *gpt, uint64_t disk_sectors)
{
        uint64_t taken = gpt_entries_sectors(gpt->entry_count, gpt->sector_size_bytes) + 1;

        return disk_sectors > taken + 1 ? disk_sectors - taken - 1 : 0;
}

int gpt_check(const Gpt *gpt, Error *error)
{
        for (uint32_t i = 0; i < gpt->entry_count; i++) {
                GptEntry entry, other;

                if (!gpt_get(gpt, i, &entry))
                        continue;
                if (entry.last_lba < entry.first_lba || entry.first_lba < gpt->first_usable_lba ||
                                entry.last_lba > gpt->last_usable_lba)
                        return error_set(error, ERROR_CORRUPT, EBADMSG,
                                        "partition %u of the table does not lie in the usable area of the "
                                        "disk",
                                        i + 1);
                for (uint32_t j = 0; j < i; j++)
                        if (gpt_get(gpt, j, &other) && entry.first_lba <= other.last_lba &&
                                        other.first_lba <= entry.last_lba)
                                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                                "partitions %u and %u of the table overlap", j + 1, i + 1);
        }
        return 0;
}
