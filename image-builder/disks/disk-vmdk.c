/* SPDX-License-Identifier: Apache-2.0 */
#include "disk-vmdk.h"
#include "bytes.h"
#include "disk-format.h"
#include "disk-source.h"
#include "file.h"

#include <string.h>
#include <zlib.h>

/* VMware's Virtual Disk Format 5.0, "streamOptimized": a header, a text that describes the disk, grains of
 * 64 KiB compressed on their own, each behind a marker, tables of 512 grains behind theirs, a directory of
 * tables, and the header again at the end. Little-endian; places and sizes count sectors. */

#define MAGIC UINT32_C(0x564d444b)
#define FLAGS UINT32_C(0x00030001) /* newline test is valid, grains are compressed, there are markers */
#define GRAIN_SIZE (64 * KIB)
#define GRAIN_SECTORS (GRAIN_SIZE / DISK_SECTOR)
#define TABLE_GRAINS 512
#define TABLE_SIZE (4 * TABLE_GRAINS)
#define DESCRIPTOR_AT 1
#define DESCRIPTOR_SECTORS 20
#define OVERHEAD_SECTORS 128
#define DIRECTORY_AT_END UINT64_MAX
#define LEVEL 6

enum { MARKER_END = 0, MARKER_TABLE = 1, MARKER_DIRECTORY = 2, MARKER_FOOTER = 3 };

typedef struct Writer {
        const DiskSource *source;
        int fd;
        uint64_t begin, at; /* bytes of the output file */
        uint8_t *grain, *packed;
        size_t packed_size;
        uint8_t table[TABLE_SIZE];
        uint64_t table_number;
        bool has_grains; /* in the present table */
        uint8_t *directory;
        size_t table_count;
} Writer;

static uint64_t sector_of(const Writer *writer)
{
        return (writer->at - writer->begin) / DISK_SECTOR;
}

/* Whole sectors, the last padded with zeros. */
static int put(Writer *writer, const void *data, size_t size)
{
        static const uint8_t zeros[DISK_SECTOR];
        size_t rest = size % DISK_SECTOR;
        int r = pwrite_full(writer->fd, data, size, writer->at);

        if (r >= 0 && rest > 0)
                r = pwrite_full(writer->fd, zeros, DISK_SECTOR - rest, writer->at + size);
        writer->at += size + (rest > 0 ? DISK_SECTOR - rest : 0);
        return r;
}

static int put_marker(Writer *writer, uint64_t sectors, uint32_t type)
{
        uint8_t marker[DISK_SECTOR] = { 0 };

        write_le64(marker, sectors);
        write_le32(marker + 12, type);
        return put(writer, marker, sizeof(marker));
}

static int put_header(Writer *writer, uint64_t directory_sector)
{
        uint8_t header[DISK_SECTOR] = { 0 };

        write_le32(header, MAGIC);
        write_le32(header + 4, 3);
        write_le32(header + 8, FLAGS);
        write_le64(header + 12, writer->source->size_bytes / DISK_SECTOR);
        write_le64(header + 20, GRAIN_SECTORS);
        write_le64(header + 28, DESCRIPTOR_AT);
        write_le64(header + 36, DESCRIPTOR_SECTORS);
        write_le32(header + 44, TABLE_GRAINS);
        write_le64(header + 56, directory_sector);
        write_le64(header + 64, OVERHEAD_SECTORS);
        memcpy(header + 73, "\n \r\n", 4); /* what a transfer as text would spoil */
        header[77] = 1;                    /* deflate */
        return put(writer, header, sizeof(header));
}

static int put_descriptor(Writer *writer)
{
        char text[DESCRIPTOR_SECTORS * DISK_SECTOR] = "";
        DiskGeometry geometry = disk_geometry(writer->source->size_bytes);
        const uint8_t *seed = writer->source->seed;

        (void)snprintf(text, sizeof(text),
                        "# Disk DescriptorFile\nversion=1\nCID=%02x%02x%02x%02x\nparentCID=ffffffff\n"
                        "createType=\"streamOptimized\"\n\n# Extent description\nRW %llu SPARSE \"%s\"\n\n"
                        "# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"13\"\n"
                        "ddb.adapterType = \"lsilogic\"\nddb.geometry.cylinders = \"%u\"\n"
                        "ddb.geometry.heads = \"%u\"\nddb.geometry.sectors = \"%u\"\n",
                        seed[0], seed[1], seed[2], seed[3] & 0xfe,
                        (unsigned long long)(writer->source->size_bytes / DISK_SECTOR), DISK_VMDK_FILE,
                        geometry.cylinders, geometry.heads, geometry.sectors);
        return put(writer, text, sizeof(text));
}

static int finish_table(Writer *writer)
{
        int r;

        if (!writer->has_grains)
                return 0;
        r = put_marker(writer, TABLE_SIZE / DISK_SECTOR, MARKER_TABLE);
        if (r < 0)
                return r;
        write_le32(writer->directory + 4 * writer->table_number, (uint32_t)sector_of(writer));
        r = put(writer, writer->table, TABLE_SIZE);
        memset(writer->table, 0, TABLE_SIZE);
        writer->has_grains = false;
        return r;
}

/* Its marker stands before the compressed bytes, in the same sector. */
static int put_grain(Writer *writer, uint64_t number)
{
        uLongf size = (uLongf)writer->packed_size - 12;

        if (compress2(writer->packed + 12, &size, writer->grain, GRAIN_SIZE, LEVEL) != Z_OK)
                return -ENOMEM;
        write_le64(writer->packed, number * GRAIN_SECTORS);
        write_le32(writer->packed + 8, (uint32_t)size);
        write_le32(writer->table + 4 * (number % TABLE_GRAINS), (uint32_t)sector_of(writer));
        writer->has_grains = true;
        return put(writer, writer->packed, size + 12);
}

static int put_grains(Writer *writer)
{
        uint64_t offset = 0;
        int r;

        while ((r = disk_source_next(writer->source, &offset, writer->grain, GRAIN_SIZE)) > 0) {
                uint64_t number = offset / GRAIN_SIZE;

                if (number / TABLE_GRAINS != writer->table_number)
                        r = finish_table(writer);
                writer->table_number = number / TABLE_GRAINS;
                if (r >= 0)
                        r = put_grain(writer, number);
                if (r < 0)
                        return r;
                offset += GRAIN_SIZE;
        }
        return r < 0 ? r : finish_table(writer);
}

static int put_end(Writer *writer)
{
        size_t size = (size_t)disk_units(4 * writer->table_count, DISK_SECTOR) * DISK_SECTOR;
        uint64_t directory_sector;
        int r = put_marker(writer, size / DISK_SECTOR, MARKER_DIRECTORY);

        directory_sector = sector_of(writer);
        if (r >= 0)
                r = put(writer, writer->directory, size);
        if (r >= 0)
                r = put_marker(writer, 1, MARKER_FOOTER);
        if (r >= 0)
                r = put_header(writer, directory_sector);
        return r < 0 ? r : put_marker(writer, 0, MARKER_END);
}

static int put_all(Writer *writer)
{
        int r = put_header(writer, DIRECTORY_AT_END);

        if (r >= 0)
                r = put_descriptor(writer);
        writer->at = writer->begin + OVERHEAD_SECTORS * DISK_SECTOR;
        if (r >= 0)
                r = put_grains(writer);
        return r < 0 ? r : put_end(writer);
}

int disk_put_vmdk(const DiskSource *source, int fd, uint64_t offset, uint64_t *ret_size_bytes)
{
        Writer writer = { .source = source, .fd = fd, .begin = offset, .at = offset };
        int r = -ENOMEM;

        writer.table_count = (size_t)disk_units(source->size_bytes, GRAIN_SIZE * TABLE_GRAINS);
        writer.packed_size = compressBound(GRAIN_SIZE) + 12;
        writer.directory = calloc(disk_units(4 * writer.table_count, DISK_SECTOR), DISK_SECTOR);
        writer.grain = malloc(GRAIN_SIZE);
        writer.packed = malloc(writer.packed_size);
        if (writer.directory && writer.grain && writer.packed)
                r = put_all(&writer);
        free(writer.directory);
        free(writer.grain);
        free(writer.packed);
        if (r >= 0)
                *ret_size_bytes = writer.at - offset;
        return r;
}

int disk_write_vmdk(const DiskSource *source, int fd, Error *error)
{
        uint64_t size;
        int r = disk_put_vmdk(source, fd, 0, &size);

        return r < 0 ? disk_write_failed("vmdk", r, error) : 0;
}
