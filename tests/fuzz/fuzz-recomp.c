/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "recomp-find.h"

#include <stdlib.h>

/* The first byte says what the rest is: a file in which to look for a stream (0), or a stream of a codec. */

#define MEMORY_MAX (6 * MIB)

static void read_around(RecompView *view)
{
        PatchView clear = recomp_view_clear(view);
        uint8_t piece[4096];

        for (uint64_t at = 0; at < clear.size_bytes; at += clear.size_bytes / 7 + 1) {
                uint64_t left = clear.size_bytes - at;

                (void)clear.read(clear.data, at, piece, MIN_OF(left, sizeof(piece)), NULL);
        }
        if (clear.read(clear.data, clear.size_bytes, piece, 1, NULL) >= 0)
                abort();
}

static void open_stream(uint8_t codec, const uint8_t *data, size_t size)
{
        PatchView packed = recomp_bytes_view(data, size);
        RecompView *view;

        if (recomp_view_new(codec, &packed, MEMORY_MAX, &view, NULL) < 0)
                return;
        if (recomp_view_memory(view) > MEMORY_MAX)
                abort();
        read_around(view);
        (void)recomp_view_free(view);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        RecompStream stream = { 0 };

        if (size == 0)
                return 0;
        if (data[0] > 0)
                open_stream(data[0], data + 1, size - 1);
        else if (recomp_locate(data + 1, size - 1, &stream)) {
                if (stream.offset > size - 1 || stream.size_bytes > size - 1 - stream.offset)
                        abort();
                (void)recomp_measure(data + 1, MEMORY_MAX, &stream, NULL);
        }
        return 0;
}
