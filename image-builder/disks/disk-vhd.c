/* SPDX-License-Identifier: Apache-2.0 */
#include "disk-format.h"
#include "disk-source.h"
#include "file.h"
#include "raw-disk.h"
#include "sparse.h"

#include <string.h>

/* Microsoft's Virtual Hard Disk Image Format Specification, 1.0, of the fixed kind: the raw disk, and after
 * it a footer of 512 bytes, big-endian. */

#define FOOTER_SIZE 512
#define EPOCH_2000 946684800
#define CHECKSUM_AT 64

static void put32(uint8_t *at, uint32_t value)
{
        for (unsigned i = 0; i < 4; i++)
                at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void put64(uint8_t *at, uint64_t value)
{
        put32(at, (uint32_t)(value >> 32));
        put32(at + 4, (uint32_t)value);
}

/* The specification's own way to a geometry, down to its quirks. */
static void put_geometry(uint8_t *at, uint64_t size_bytes)
{
        uint64_t total = MIN_OF(size_bytes / DISK_SECTOR, UINT64_C(65535) * 16 * 255), tracks;
        uint32_t sectors, heads;

        if (total >= UINT64_C(65535) * 16 * 63) {
                sectors = 255;
                heads = 16;
                tracks = total / sectors;
        } else {
                sectors = 17;
                tracks = total / sectors;
                heads = (uint32_t)MAX_OF((tracks + 1023) / 1024, (uint64_t)4);
                if (tracks >= (uint64_t)heads * 1024 || heads > 16) {
                        sectors = 31;
                        heads = 16;
                        tracks = total / sectors;
                }
                if (tracks >= (uint64_t)heads * 1024) {
                        sectors = 63;
                        heads = 16;
                        tracks = total / sectors;
                }
        }
        at[0] = (uint8_t)(tracks / heads >> 8);
        at[1] = (uint8_t)(tracks / heads);
        at[2] = (uint8_t)heads;
        at[3] = (uint8_t)sectors;
}

static void make_footer(const DiskSource *source, uint8_t footer[static FOOTER_SIZE])
{
        uint32_t sum = 0;

        memset(footer, 0, FOOTER_SIZE);
        memcpy(footer, "conectix", 8);
        put32(footer + 8, 2);           /* features: the bit that is always set */
        put32(footer + 12, 0x00010000); /* version */
        put64(footer + 16, UINT64_MAX); /* no further header */
        put32(footer + 24, source->epoch > EPOCH_2000 ? (uint32_t)(source->epoch - EPOCH_2000) : 0);
        /* Readers take the size from the footer, and not from its geometry, when Windows is named as
         * creator. */
        memcpy(footer + 28, "win ", 4);
        put32(footer + 32, 0x000a0000);
        memcpy(footer + 36, "Wi2k", 4);
        put64(footer + 40, source->size_bytes);
        put64(footer + 48, source->size_bytes);
        put_geometry(footer + 56, source->size_bytes);
        put32(footer + 60, 2); /* fixed */
        raw_disk_uuid("vhd", source->seed, footer + 68);
        for (size_t i = 0; i < FOOTER_SIZE; i++)
                sum += footer[i];
        put32(footer + CHECKSUM_AT, ~sum);
}

int disk_write_vhd(const DiskSource *source, int fd, Error *error)
{
        uint8_t footer[FOOTER_SIZE];
        int r = ftruncate(fd, (off_t)(source->size_bytes + FOOTER_SIZE)) < 0 ? -errno : 0;

        if (r >= 0)
                r = sparse_copy(source->fd, 0, fd, 0, source->size_bytes);
        make_footer(source, footer);
        if (r >= 0)
                r = pwrite_full(fd, footer, sizeof(footer), source->size_bytes);
        return r < 0 ? disk_write_failed("vhd", r, error) : 0;
}
