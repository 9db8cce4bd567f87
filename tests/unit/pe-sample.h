/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A small program for EFI, as far as its form goes: headers of 512 bytes and two sections. */

#include "bytes.h"
#include "file.h"

#include <string.h>
#include <sys/mman.h>

#define PE_SAMPLE_SIZE 1024
#define PE_SAMPLE_CHECKSUM (64 + 24 + 64)
#define PE_SAMPLE_DIRECTORY (64 + 24 + 144)
#define PE_SAMPLE_TABLE (64 + 24 + 152)

static inline void pe_sample_fill(uint8_t ret[static PE_SAMPLE_SIZE])
{
        uint8_t *coff = ret + 64, *optional = coff + 24, *table = ret + PE_SAMPLE_TABLE;

        memset(ret, 0, PE_SAMPLE_SIZE);
        memcpy(ret, "MZ", 2);
        write_le32(ret + 0x3c, 64);
        memcpy(coff, "PE\0\0", 4);
        write_le16(coff + 6, 2);
        write_le16(coff + 20, 152);
        write_le16(optional, 0x20b);
        write_le32(optional + 60, 512);
        write_le32(optional + 108, 5);
        write_le32(ret + PE_SAMPLE_CHECKSUM, 0x12345678);
        for (unsigned i = 0; i < 2; i++, table += 40) {
                memcpy(table, i == 0 ? ".text" : ".cmdline", i == 0 ? 5 : 8);
                write_le32(table + 8, 256);
                write_le32(table + 16, 256);
                write_le32(table + 20, 512 + 256 * i);
                memset(ret + 512 + (size_t)256 * i, 'a' + (int)i, 256);
        }
}

/* As a file in memory, with `extra` more bytes at its end. */
static inline int pe_sample_open(size_t extra)
{
        uint8_t bytes[PE_SAMPLE_SIZE + 64] = { 0 };
        int fd = memfd_create("program", MFD_CLOEXEC);

        pe_sample_fill(bytes);
        return fd >= 0 && pwrite_full(fd, bytes, PE_SAMPLE_SIZE + extra, 0) >= 0 ? fd : -1;
}
