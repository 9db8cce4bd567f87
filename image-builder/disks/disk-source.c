/* SPDX-License-Identifier: Apache-2.0 */
#include "disk-source.h"
#include "file.h"
#include "sparse.h"

#include <string.h>

#define CYLINDERS_MAX 65535

int disk_source_next(const DiskSource *source, uint64_t *offset, void *ret, size_t unit_bytes)
{
        while (*offset < source->size_bytes) {
                uint64_t begin, end;
                size_t size;
                int r = sparse_next(source->fd, *offset, source->size_bytes, &begin, &end);

                if (r < 0)
                        return r;
                *offset = MAX_OF(*offset, begin / unit_bytes * unit_bytes);
                if (*offset >= source->size_bytes || begin >= source->size_bytes)
                        break;
                size = (size_t)MIN_OF((uint64_t)unit_bytes, source->size_bytes - *offset);
                memset(ret, 0, unit_bytes);
                r = pread_full(source->fd, ret, size, *offset);
                if (r < 0)
                        return r;
                if (!sparse_is_zero(ret, size))
                        return 1;
                *offset += unit_bytes;
        }
        return 0;
}

DiskGeometry disk_geometry(uint64_t size_bytes)
{
        DiskGeometry geometry = { .heads = 255, .sectors = 63 };
        uint64_t cylinders = size_bytes / DISK_SECTOR / (255 * 63);

        geometry.cylinders = (uint32_t)MIN_OF(cylinders, (uint64_t)CYLINDERS_MAX);
        return geometry;
}
