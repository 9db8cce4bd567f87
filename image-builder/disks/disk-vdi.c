/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "disk-format.h"
#include "disk-source.h"
#include "file.h"
#include "raw-disk.h"

#include <string.h>

/* VirtualBox's own format, version 1.1: a header of 512 bytes, a table of blocks, and those blocks of 1 MiB
 * that are not zero. Little-endian. */

#define HEADER_SIZE 512
#define SIGNATURE UINT32_C(0xbeda107f)
#define VERSION UINT32_C(0x00010001)
#define BLOCK_SIZE (1 * MIB)
#define TYPE_DYNAMIC 1

static void make_header(const DiskSource *source, uint32_t blocks, uint32_t used, uint64_t data_offset,
                uint8_t header[static HEADER_SIZE])
{
        DiskGeometry geometry = disk_geometry(source->size_bytes);

        memset(header, 0, HEADER_SIZE);
        (void)snprintf((char *)header, 64, "<<< Oracle VM VirtualBox Disk Image >>>\n");
        write_le32(header + 64, SIGNATURE);
        write_le32(header + 68, VERSION);
        write_le32(header + 72, 400); /* of the header, from here on */
        write_le32(header + 76, TYPE_DYNAMIC);
        write_le32(header + 340, HEADER_SIZE); /* where the table is */
        write_le32(header + 344, (uint32_t)data_offset);
        write_le32(header + 360, DISK_SECTOR);
        write_le64(header + 368, source->size_bytes);
        write_le32(header + 376, BLOCK_SIZE);
        write_le32(header + 384, blocks);
        write_le32(header + 388, used);
        raw_disk_uuid("vdi", source->seed, header + 392);
        raw_disk_uuid("vdi-snapshot", source->seed, header + 408);
        write_le32(header + 456, geometry.cylinders);
        write_le32(header + 460, geometry.heads);
        write_le32(header + 464, geometry.sectors);
        write_le32(header + 468, DISK_SECTOR);
}

static int write_blocks(
                const DiskSource *source, int fd, uint8_t *table, uint64_t data_offset, uint32_t *ret_used)
{
        _cleanup_free_ uint8_t *block = malloc(BLOCK_SIZE);
        uint32_t used = 0;
        uint64_t offset = 0;
        int r;

        if (!block)
                return -ENOMEM;
        while ((r = disk_source_next(source, &offset, block, BLOCK_SIZE)) > 0) {
                write_le32(table + 4 * (offset / BLOCK_SIZE), used);
                r = pwrite_full(fd, block, BLOCK_SIZE, data_offset + (uint64_t)used * BLOCK_SIZE);
                if (r < 0)
                        return r;
                used++;
                offset += BLOCK_SIZE;
        }
        *ret_used = used;
        return r;
}

int disk_write_vdi(const DiskSource *source, int fd, Error *error)
{
        uint64_t blocks = disk_units(source->size_bytes, BLOCK_SIZE);
        uint64_t data_offset = disk_units(HEADER_SIZE + 4 * blocks, BLOCK_SIZE) * BLOCK_SIZE;
        _cleanup_free_ uint8_t *table = NULL;
        uint8_t header[HEADER_SIZE];
        uint32_t used = 0;
        int r;

        if (blocks >= UINT32_MAX / 4)
                return error_set(error, ERROR_CONFIG, EFBIG, "the disk is too large for the format vdi");
        table = malloc(4 * blocks);
        if (!table)
                return error_oom(error);
        memset(table, 0xff, 4 * blocks);
        r = write_blocks(source, fd, table, data_offset, &used);
        if (r >= 0)
                r = pwrite_full(fd, table, 4 * blocks, HEADER_SIZE);
        make_header(source, (uint32_t)blocks, used, data_offset, header);
        if (r >= 0)
                r = pwrite_full(fd, header, sizeof(header), 0);
        return r < 0 ? disk_write_failed("vdi", r, error) : 0;
}
