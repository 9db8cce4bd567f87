/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "file.h"
#include "fuzz.h"
#include "payload-op.h"

#include <string.h>
#include <sys/mman.h>
#include <zstd.h>

/* The input is a payload with its table unpacked, so that a fuzzer can reach it: the fixed header, then
 * table and blobs as they are. Lengths that the header must get right are put right here, and no hash is
 * compared: every codec sees what a fuzzer makes of its blob. */

#define SOURCE_SIZE 65536

static int make_source(void)
{
        uint8_t data[4096];
        int fd = memfd_create("source", MFD_CLOEXEC);

        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t)(i * 7 + i / 256);
        for (uint64_t at = 0; fd >= 0 && at < SOURCE_SIZE; at += sizeof(data))
                if (pwrite_full(fd, data, sizeof(data), at) < 0)
                        abort();
        return fd;
}

static void decode_all(const PayloadIndex *index, const uint8_t *blobs, int source_fd)
{
        const PayloadSource sources[PAYLOAD_SOURCES_MAX] = {
                { source_fd, 0, SOURCE_SIZE },
                { source_fd, 0, SOURCE_SIZE },
                { source_fd, 0, SOURCE_SIZE },
                { source_fd, 0, payload_target_size_bytes(index) },
        };
        PayloadDecoder *decoder = NULL;
        Error error = { 0 };

        if (payload_decoder_new(index, sources, PAYLOAD_SOURCES_MAX, &decoder, &error) < 0)
                return;
        for (size_t i = 0; i < payload_group_count(index); i++) {
                const PayloadGroup *group = payload_group(index, i);
                uint8_t *blob = malloc(group->blob_size_bytes + 1);
                const uint8_t *target;

                if (!blob)
                        abort();
                memcpy(blob, blobs + group->blob_offset - payload_index_header(index)->index_size_bytes,
                                group->blob_size_bytes);
                error_clear(&error);
                (void)payload_group_run(decoder, i, blob, &target, &error);
                free(blob);
        }
        (void)payload_decoder_free(decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static int source_fd = -1;
        PayloadExpectation expectation = { .memory_max_bytes = PAYLOAD_MEMORY_MAX };
        size_t table_size, packed;
        PayloadIndex *index = NULL;
        uint8_t *file;
        Error error = { 0 };

        if (source_fd < 0)
                source_fd = make_source();
        if (size < PAYLOAD_HEADER_SIZE)
                return 0;
        table_size = read_le32(data + PAYLOAD_AT_TABLE_FULL);
        if (table_size > size - PAYLOAD_HEADER_SIZE)
                return 0;
        file = malloc(PAYLOAD_HEADER_SIZE + ZSTD_compressBound(table_size));
        if (!file)
                abort();
        memcpy(file, data, PAYLOAD_HEADER_SIZE);
        packed = ZSTD_compress(file + PAYLOAD_HEADER_SIZE, ZSTD_compressBound(table_size),
                        data + PAYLOAD_HEADER_SIZE, table_size, 1);
        write_le32(file + PAYLOAD_AT_TABLE_SIZE, (uint32_t)packed);
        expectation.index_size_bytes = PAYLOAD_HEADER_SIZE + packed;
        expectation.payload_size_bytes =
                        expectation.index_size_bytes + size - PAYLOAD_HEADER_SIZE - table_size;
        expectation.target_size_bytes = read_le64(file + PAYLOAD_AT_TARGET_SIZE);
        write_le64(file + PAYLOAD_AT_SIZE, expectation.payload_size_bytes);
        sha256_of(file, expectation.index_size_bytes, expectation.index_sha256);
        if (payload_index_parse(file, expectation.index_size_bytes, &expectation, &index, &error) >= 0)
                decode_all(index, data + PAYLOAD_HEADER_SIZE + table_size, source_fd);
        (void)payload_index_free(index);
        free(file);
        return 0;
}
