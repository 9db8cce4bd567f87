/* SPDX-License-Identifier: Apache-2.0 */
/* What a role that was taken over may send, fed in two pieces. */
#include "frames.h"
#include "fuzz.h"
#include "transfer-frames.h"

static void take_fields(Frame frame)
{
        const uint8_t *bytes;
        uint64_t number;
        size_t size;
        char text[32];
        uint8_t fixed[32];
        Error error = { 0 };
        ApplySetup setup;
        Frame copy = frame;

        (void)frame_take_error(&copy, &error);
        copy = frame;
        (void)apply_setup_take(&copy, &setup);
        while (frame_end(&frame) < 0) {
                if (frame_take_text(&frame, text, sizeof(text)) >= 0 ||
                                frame_take_fixed(&frame, fixed, sizeof(fixed)) >= 0 ||
                                frame_take_bytes(&frame, &bytes, &size) >= 0)
                        continue;
                if (frame_take_u64(&frame, &number) < 0)
                        return;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_frame_reader_ FrameReader reader = FRAME_READER(4096);
        size_t half = size / 2;
        Frame frame;

        for (int piece = 0; piece < 2; piece++) {
                int r = frame_reader_feed(&reader, data + (piece ? half : 0), piece ? size - half : half);
                while (r >= 0 && (r = frame_reader_next(&reader, &frame)) > 0)
                        take_fields(frame);
                if (r < 0)
                        return 0;
        }
        return 0;
}
