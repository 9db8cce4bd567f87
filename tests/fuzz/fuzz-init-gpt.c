/* SPDX-License-Identifier: Apache-2.0 */
/* The initrd's own reading of partition tables. An input is a disk: its bytes, then nothing but zeros up to
 * 1 MiB. With the first byte odd, the checksums of the primary table are made to fit first. */

#include "fuzz.h"

#include "bytes.h"
#include "init-verity.h"

#include <string.h>

#define DISK_SIZE (1024 * 1024)

static uint8_t disk[DISK_SIZE];

static int read_disk(void *data, uint64_t offset, void *ret, size_t size)
{
        if (offset > DISK_SIZE || DISK_SIZE - offset < size)
                return -EIO;
        memcpy(ret, disk + offset, size);
        return 0;
}

static uint32_t crc32_of(const uint8_t *data, size_t size)
{
        uint32_t crc = UINT32_MAX;

        for (size_t i = 0; i < size; i++) {
                crc ^= data[i];
                for (int bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
        }
        return ~crc;
}

static void mend_checksums(void)
{
        uint8_t *header = disk + 512;
        uint64_t at = read_le64(header + 72),
                 size = (uint64_t)read_le32(header + 80) * read_le32(header + 84);
        uint32_t header_size = read_le32(header + 12);

        if (at < DISK_SIZE / 512 && size <= DISK_SIZE - at * 512)
                write_le32(header + 88, crc32_of(disk + at * 512, size));
        write_le32(header + 16, 0);
        if (header_size <= 512)
                write_le32(header + 16, crc32_of(header, header_size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        GptSource source = { .read = read_disk, .size_bytes = DISK_SIZE, .sector_size_bytes = 512 };
        static GptTable table;

        if (size == 0)
                return 0;
        memset(disk, 0, sizeof(disk));
        memcpy(disk, data + 1, MIN_OF(size - 1, sizeof(disk)));
        if (data[0] & 1)
                mend_checksums();
        if (gpt_read(&source, &table) < 0)
                return 0;
        MUST(table.count <= GPT_PARTITIONS_MAX);
        for (unsigned i = 0; i < table.count; i++) {
                const GptPartition *p = &table.partitions[i];
                VerityPair pair;

                MUST(p->size_bytes > 0 && p->offset_bytes < DISK_SIZE &&
                                p->size_bytes <= DISK_SIZE - p->offset_bytes);
                MUST(strlen(p->label) <= GPT_LABEL_MAX);
                if (p->kind == GPT_ROOT_VERITY && verity_pair(&table, p, &pair) >= 0)
                        MUST(pair.data->kind == GPT_ROOT && pair.hash == p);
        }
        return 0;
}
