/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "fuzz.h"
#include "payload-format.h"

/* The input is an index as it stands in a file, vouched for by a manifest that believed its header. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        PayloadExpectation expectation = { .index_size_bytes = size,
                .memory_max_bytes = PAYLOAD_MEMORY_MAX };
        PayloadIndex *index = NULL;
        PayloadHeader header;
        Error error = { 0 };

        sha256_of(data, size, expectation.index_sha256);
        if (payload_header_parse(data, size, &header, &error) >= 0) {
                expectation.payload_size_bytes = header.payload_size_bytes;
                expectation.target_size_bytes = header.target_size_bytes;
        }
        error_clear(&error);
        if (payload_index_parse(data, size, &expectation, &index, &error) >= 0)
                for (size_t i = 0; i < payload_group_count(index); i++)
                        if (payload_group(index, i)->target_size_bytes > PAYLOAD_GROUP_MAX)
                                abort();
        (void)payload_index_free(index);
        return 0;
}
