/* SPDX-License-Identifier: Apache-2.0 */
#include "transfer-frames.h"

#include "manifest.h"

static int put_expectation(Buffer *body, const PayloadExpectation *payload)
{
        int r = frame_put_u64(body, payload->payload_size_bytes);
        if (r >= 0)
                r = frame_put_u64(body, payload->index_size_bytes);
        if (r >= 0)
                r = frame_put_bytes(body, payload->index_sha256, SHA256_SIZE);
        if (r >= 0)
                r = frame_put_u64(body, payload->target_size_bytes);
        if (r >= 0)
                r = frame_put_u64(body, payload->memory_max_bytes);
        return r;
}

int apply_setup_put(Buffer *body, const ApplySetup *setup)
{
        int r = frame_put_u64(body, setup->target_offset);
        if (r >= 0)
                r = frame_put_u64(body, setup->target_size_bytes);
        for (size_t i = 0; i < PAYLOAD_SOURCES_MAX && r >= 0; i++) {
                r = frame_put_u64(body, setup->sources[i].exists);
                if (r >= 0)
                        r = frame_put_u64(body, setup->sources[i].offset);
                if (r >= 0)
                        r = frame_put_u64(body, setup->sources[i].size_bytes);
        }
        if (r >= 0)
                r = frame_put_u64(body, setup->payload_count);
        for (size_t i = 0; i < setup->payload_count && r >= 0; i++) {
                r = frame_put_u64(body, setup->are_pieces[i]);
                if (r >= 0)
                        r = put_expectation(body, &setup->payloads[i]);
        }
        return r;
}

static int take_extent(Frame *frame, uint64_t *ret_offset, uint64_t *ret_size)
{
        int r = frame_take_u64(frame, ret_offset);
        if (r >= 0)
                r = frame_take_u64(frame, ret_size);
        if (r >= 0 && (*ret_size > INT64_MAX || *ret_offset > INT64_MAX - *ret_size))
                r = -EBADMSG;
        return r;
}

static int take_expectation(Frame *frame, PayloadExpectation *ret)
{
        int r = frame_take_u64(frame, &ret->payload_size_bytes);
        if (r >= 0)
                r = frame_take_u64(frame, &ret->index_size_bytes);
        if (r >= 0)
                r = frame_take_fixed(frame, ret->index_sha256, SHA256_SIZE);
        if (r >= 0)
                r = frame_take_u64(frame, &ret->target_size_bytes);
        if (r >= 0)
                r = frame_take_u64(frame, &ret->memory_max_bytes);
        if (r >= 0 && (ret->index_size_bytes == 0 || ret->index_size_bytes > PAYLOAD_INDEX_MAX ||
                                      ret->index_size_bytes > ret->payload_size_bytes ||
                                      ret->payload_size_bytes > INT64_MAX))
                r = -EBADMSG;
        return r;
}

int apply_setup_take(Frame *frame, ApplySetup *ret)
{
        ApplySetup setup = { 0 };
        uint64_t exists, count;
        int r = take_extent(frame, &setup.target_offset, &setup.target_size_bytes);
        for (size_t i = 0; i < PAYLOAD_SOURCES_MAX && r >= 0; i++) {
                r = frame_take_u64(frame, &exists);
                if (r >= 0 && exists > 1)
                        r = -EBADMSG;
                if (r >= 0)
                        r = take_extent(frame, &setup.sources[i].offset, &setup.sources[i].size_bytes);
                setup.sources[i].exists = r >= 0 && exists == 1;
        }
        if (r >= 0)
                r = frame_take_u64(frame, &count);
        if (r >= 0 && (count == 0 || count > APPLY_PAYLOADS_MAX))
                r = -EBADMSG;
        for (size_t i = 0; r >= 0 && i < count; i++) {
                uint64_t are_pieces;
                r = frame_take_u64(frame, &are_pieces);
                if (r >= 0 && (are_pieces > 1 || (are_pieces == 1 && i + 1 == count)))
                        r = -EBADMSG;
                setup.are_pieces[i] = r >= 0 && are_pieces == 1;
                if (r >= 0)
                        r = take_expectation(frame, &setup.payloads[i]);
                if (r >= 0 && setup.payloads[i].target_size_bytes != setup.target_size_bytes)
                        r = -EBADMSG;
        }
        if (r >= 0)
                r = frame_end(frame);
        if (r < 0)
                return r;
        setup.payload_count = (size_t)count;
        *ret = setup;
        return 0;
}
