/* SPDX-License-Identifier: Apache-2.0 */
#include "recomp-find.h"

#include "bytes.h"

#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* The Linux/x86 Boot Protocol. */
#define BOOT_SETUP_SECTORS 0x1f1
#define BOOT_FLAG_AT 0x1fe
#define BOOT_FLAG 0xaa55
#define BOOT_MAGIC_AT 0x202
#define BOOT_MAGIC "HdrS"
#define BOOT_VERSION 0x206
#define BOOT_VERSION_WITH_PAYLOAD 0x208
#define BOOT_PAYLOAD_OFFSET 0x248
#define BOOT_PAYLOAD_SIZE 0x24c
#define BOOT_HEADER_END RECOMP_HEAD_SIZE
#define SECTOR 512
#define SETUP_SECTORS_DEFAULT 4

/* RFC 1952. */
#define GZIP_HEADER 10
#define GZIP_TRAILER 8
#define GZIP_FLAG_CHECK 2
#define GZIP_FLAG_EXTRA 4
#define GZIP_FLAG_NAME 8
#define GZIP_FLAG_COMMENT 16

#define LZ4_MAGIC "\002\041\114\030"
#define GZIP_MAGIC "\037\213\010" /* with the only method there is */
#define XZ_MAGIC "\375\067zXZ\0"
#define ZSTD_MAGIC "\050\265\057\375"

#define LZ4_BLOCK_MAX (9 * MIB)
#define XZ_DECODER_MAX (128 * MIB)
#define SCRATCH (64 * KIB)

static bool starts_with(const uint8_t *data, size_t size, const char *magic, size_t length)
{
        return size >= length && memcmp(data, magic, length) == 0;
}

static int locate_lz4(const uint8_t *data, size_t size, RecompStream *ret)
{
        size_t at = 4;

        if (!starts_with(data, size, LZ4_MAGIC, 4))
                return 0;
        /* What does not fit any more is not a block: the length that the kernel's build puts behind. */
        while (size - at > 4) {
                uint32_t block = read_le32(data + at);

                if (block == 0 || block > LZ4_BLOCK_MAX || block > size - at - 4)
                        break;
                at += 4 + block;
        }
        *ret = (RecompStream){ .size_bytes = at, .coding.codec = RECOMP_LZ4 };
        return at > 4;
}

static size_t skip_text(const uint8_t *data, size_t size, size_t at)
{
        const uint8_t *end = at < size ? memchr(data + at, 0, size - at) : NULL;

        return end ? (size_t)(end - data) + 1 : size;
}

/* Where the deflated bytes of a .gz file begin; `size` or beyond when there are none. */
static size_t gzip_header(const uint8_t *data, size_t size)
{
        size_t at = GZIP_HEADER;
        uint8_t flags;

        if (!starts_with(data, size, GZIP_MAGIC, 3) || size < GZIP_HEADER + GZIP_TRAILER)
                return size;
        flags = data[3];
        if (flags & GZIP_FLAG_EXTRA)
                at += 2 + (size_t)read_le16(data + at);
        if (flags & GZIP_FLAG_NAME)
                at = skip_text(data, size, at);
        if (flags & GZIP_FLAG_COMMENT)
                at = skip_text(data, size, at);
        return at + (flags & GZIP_FLAG_CHECK ? 2 : 0);
}

static int locate_gzip(const uint8_t *data, size_t size, RecompStream *ret)
{
        size_t start = gzip_header(data, size);
        _cleanup_free_ uint8_t *scratch = NULL;
        z_stream stream = { 0 };
        int r;

        if (start >= size || size > UINT32_MAX || inflateInit2(&stream, -15) != Z_OK)
                return 0;
        scratch = malloc(SCRATCH);
        stream.next_in = (uint8_t *)data + start;
        stream.avail_in = (uInt)(size - start);
        do {
                stream.next_out = scratch;
                stream.avail_out = scratch ? SCRATCH : 0;
                r = inflate(&stream, Z_NO_FLUSH);
        } while (r == Z_OK);
        (void)inflateEnd(&stream);
        *ret = (RecompStream){
                .offset = start, .size_bytes = stream.total_in, .coding.codec = RECOMP_DEFLATE
        };
        return r == Z_STREAM_END;
}

static int locate_xz(const uint8_t *data, size_t size, RecompStream *ret)
{
        lzma_stream stream = LZMA_STREAM_INIT;
        _cleanup_free_ uint8_t *scratch = NULL;
        lzma_ret code;

        if (!starts_with(data, size, XZ_MAGIC, 6) ||
                        lzma_stream_decoder(&stream, XZ_DECODER_MAX, 0) != LZMA_OK)
                return 0;
        scratch = malloc(SCRATCH);
        stream.next_in = data;
        stream.avail_in = size;
        do {
                stream.next_out = scratch;
                stream.avail_out = scratch ? SCRATCH : 0;
                code = lzma_code(&stream, LZMA_RUN);
        } while (code == LZMA_OK);
        *ret = (RecompStream){ .size_bytes = stream.total_in, .coding.codec = RECOMP_XZ };
        lzma_end(&stream);
        return code == LZMA_STREAM_END;
}

static int locate_zstd(const uint8_t *data, size_t size, RecompStream *ret)
{
        size_t frame;

        if (!starts_with(data, size, ZSTD_MAGIC, 4))
                return 0;
        frame = ZSTD_findFrameCompressedSize(data, size);
        *ret = (RecompStream){ .size_bytes = frame, .coding.codec = RECOMP_ZSTD };
        return !ZSTD_isError(frame);
}

static int locate_whole(const uint8_t *data, size_t size, RecompStream *ret)
{
        static int (*const locators[])(const uint8_t *, size_t, RecompStream *) = { locate_lz4, locate_gzip,
                locate_xz, locate_zstd };

        for (size_t i = 0; i < ELEMENTS(locators); i++)
                if (locators[i](data, size, ret))
                        return 1;
        return 0;
}

static int locate_kernel(const uint8_t *data, size_t size, RecompStream *ret)
{
        uint64_t setup, start, length;

        if (size < BOOT_HEADER_END || memcmp(data + BOOT_MAGIC_AT, BOOT_MAGIC, 4) != 0 ||
                        read_le16(data + BOOT_VERSION) < BOOT_VERSION_WITH_PAYLOAD)
                return 0;
        setup = data[BOOT_SETUP_SECTORS] > 0 ? data[BOOT_SETUP_SECTORS] : SETUP_SECTORS_DEFAULT;
        start = (setup + 1) * SECTOR + read_le32(data + BOOT_PAYLOAD_OFFSET);
        length = read_le32(data + BOOT_PAYLOAD_SIZE);
        if (start > size || length > size - start || !locate_whole(data + start, length, ret))
                return 0;
        ret->offset += start;
        return 1;
}

bool recomp_is_kernel(const uint8_t *data, size_t size)
{
        return size >= BOOT_HEADER_END && read_le16(data + BOOT_FLAG_AT) == BOOT_FLAG &&
               memcmp(data + BOOT_MAGIC_AT, BOOT_MAGIC, 4) == 0;
}

bool recomp_may_hold(const uint8_t *head, size_t size)
{
        return starts_with(head, size, LZ4_MAGIC, 4) || starts_with(head, size, GZIP_MAGIC, 3) ||
               starts_with(head, size, XZ_MAGIC, 6) || starts_with(head, size, ZSTD_MAGIC, 4) ||
               (size >= BOOT_HEADER_END && memcmp(head + BOOT_MAGIC_AT, BOOT_MAGIC, 4) == 0);
}

int recomp_locate(const uint8_t *data, size_t size, RecompStream *ret)
{
        RecompStream stream;

        if (!locate_kernel(data, size, &stream) && !locate_whole(data, size, &stream))
                return 0;
        *ret = stream;
        return 1;
}
