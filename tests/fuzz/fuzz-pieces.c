/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "pieces.h"

#include <string.h>

/* The input is an index of pieces, vouched for by a manifest that believed its header, and then a blob for
 * the first piece. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        PayloadExpectation expectation = { .memory_max_bytes = PAYLOAD_MEMORY_MAX };
        uint8_t target[PIECE_BLOCKS_MAX * PIECE_BLOCK_SIZE], blob[sizeof(target)] = { 0 },
                                                             prefix[PIECE_BLOCK_SIZE] = { 0 };
        PieceDecoder *decoder = NULL;
        PiecesIndex *index = NULL;
        Error error = { 0 };
        uint64_t sum = 0;

        if (pieces_header_parse(data, size, &expectation.index_size_bytes, &expectation.target_size_bytes,
                            &error) < 0 ||
                        expectation.index_size_bytes > size)
                return 0;
        for (size_t i = 0; i < 8; i++)
                expectation.payload_size_bytes |= (uint64_t)data[16 + i] << 8 * i;
        sha256_of(data, expectation.index_size_bytes, expectation.index_sha256);
        if (pieces_index_parse(data, expectation.index_size_bytes, &expectation, &index, &error) >= 0 &&
                        piece_decoder_new(&decoder, NULL) >= 0) {
                size_t left = size - expectation.index_size_bytes;

                for (size_t i = 0; i < index->count; i++)
                        sum += index->list[i].size_bytes;
                if (sum != index->image_size_bytes)
                        abort();
                memcpy(blob, data + expectation.index_size_bytes, MIN_OF(left, sizeof(blob)));
                (void)piece_decode(decoder, &index->list[0], blob, prefix, sizeof(prefix), target, NULL);
        }
        (void)piece_decoder_free(decoder);
        (void)pieces_index_free(index);
        return 0;
}
