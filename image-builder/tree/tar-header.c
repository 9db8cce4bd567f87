/* SPDX-License-Identifier: Apache-2.0 */
#include "tar-header.h"

#include <string.h>

void tar_header_number(uint8_t *field, size_t size, uint64_t value)
{
        size_t digits = size - 1;

        if (3 * digits >= 64 || value >> 3 * digits == 0) {
                field[digits] = 0;
                for (size_t i = digits; i > 0; i--, value >>= 3)
                        field[i - 1] = (uint8_t)('0' + (value & 7));
                return;
        }
        for (size_t i = size; i > 0; i--, value >>= 8)
                field[i - 1] = (uint8_t)value;
        field[0] |= 0x80;
}

int tar_header_fill(const TarHeader *header, uint8_t block[static TAR_BLOCK_SIZE])
{
        size_t name_length = strlen(header->name), link_length = header->link ? strlen(header->link) : 0;

        if (name_length > TAR_NAME_SIZE || link_length > TAR_LINK_SIZE)
                return -ENAMETOOLONG;
        if (header->mtime < 0)
                return -ERANGE;
        memset(block, 0, TAR_BLOCK_SIZE);
        memcpy(block + TAR_NAME_AT, header->name, name_length);
        tar_header_number(block + TAR_MODE_AT, TAR_MODE_SIZE, header->mode);
        tar_header_number(block + TAR_UID_AT, TAR_UID_SIZE, header->uid);
        tar_header_number(block + TAR_GID_AT, TAR_GID_SIZE, header->gid);
        tar_header_number(block + TAR_SIZE_AT, TAR_SIZE_SIZE, header->size_bytes);
        tar_header_number(block + TAR_MTIME_AT, TAR_MTIME_SIZE, (uint64_t)header->mtime);
        block[TAR_TYPE_AT] = (uint8_t)header->type;
        if (link_length > 0)
                memcpy(block + TAR_LINK_AT, header->link, link_length);
        memcpy(block + TAR_MAGIC_AT,
                        header->is_gnu ? "ustar  "
                                       : "ustar\0"
                                         "00",
                        TAR_MAGIC_SIZE);
        if (header->type == TAR_TYPE_CHARACTER || header->type == TAR_TYPE_BLOCK) {
                tar_header_number(block + TAR_MAJOR_AT, TAR_MAJOR_SIZE, header->major);
                tar_header_number(block + TAR_MINOR_AT, TAR_MINOR_SIZE, header->minor);
        }
        return 0;
}

void tar_header_seal(uint8_t block[static TAR_BLOCK_SIZE])
{
        uint32_t sum = 0;

        memset(block + TAR_CHECKSUM_AT, ' ', TAR_CHECKSUM_SIZE);
        for (size_t i = 0; i < TAR_BLOCK_SIZE; i++)
                sum += block[i];
        (void)snprintf((char *)block + TAR_CHECKSUM_AT, TAR_CHECKSUM_SIZE, "%06o", sum);
        block[TAR_CHECKSUM_AT + TAR_CHECKSUM_SIZE - 1] = ' ';
}
