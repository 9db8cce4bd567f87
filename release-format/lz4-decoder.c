/* SPDX-License-Identifier: Apache-2.0 */
#include "lz4-decoder.h"

#include "bytes.h"

#include <string.h>

#define MATCH_MIN 4
#define PACKED_BLOCK_MAX (RECOMP_LZ4_BLOCK + RECOMP_LZ4_BLOCK / 255 + 16)

/* Short sequences are copied in pieces of 16 bytes, as far as these are there on both sides. */
#define SHORT_INPUT 32
#define SHORT_OUTPUT 64

_Static_assert(RECOMP_LZ4_BLOCK % LZ4_PAGE == 0, "a page must not lie in two blocks");

typedef enum Phase { PHASE_TOKEN, PHASE_LITERALS, PHASE_MATCH } Phase;

void lz4_decoder_seek(Lz4Decoder *decoder, const Lz4State *state)
{
        decoder->state = *state;
        decoder->input_next = decoder->input_end = 0;
}

static int fill_input(Lz4Decoder *decoder, Error *error)
{
        uint64_t left = decoder->packed->size_bytes - decoder->state.at;
        size_t size = (size_t)MIN_OF(left, RECOMP_PIECE);
        int r;

        if (size == 0)
                return recomp_malformed("lz4", error);
        r = decoder->packed->read(decoder->packed->data, decoder->state.at, decoder->input, size, error);
        if (r < 0)
                return r;
        decoder->input_next = 0;
        decoder->input_end = size;
        return 0;
}

/* The next `size` packed bytes, without regard to blocks. */
static int take(Lz4Decoder *decoder, uint8_t *ret, size_t size, Error *error)
{
        while (size > 0) {
                size_t now = MIN_OF(size, decoder->input_end - decoder->input_next);

                if (now == 0) {
                        int r = fill_input(decoder, error);

                        if (r < 0)
                                return r;
                        continue;
                }
                memcpy(ret, decoder->input + decoder->input_next, now);
                decoder->input_next += now;
                decoder->state.at += now;
                ret += now;
                size -= now;
        }
        return 0;
}

static int take_in_block(Lz4Decoder *decoder, uint8_t *ret, size_t size, Error *error)
{
        if (size > decoder->state.block_left)
                return recomp_malformed("lz4", error);
        decoder->state.block_left -= (uint32_t)size;
        return take(decoder, ret, size, error);
}

/* What follows a length of 15. Its sum cannot overflow: a block is too short for that. */
static int take_length(Lz4Decoder *decoder, uint32_t *length, Error *error)
{
        uint8_t byte = 255;

        for (bool more = *length == 15; more; more = byte == 255) {
                int r = take_in_block(decoder, &byte, 1, error);

                if (r < 0)
                        return r;
                *length += byte;
        }
        return 0;
}

static int begin_sequence(Lz4Decoder *decoder, Error *error)
{
        uint8_t token;
        int r = take_in_block(decoder, &token, 1, error);

        if (r < 0)
                return r;
        decoder->state.literals = token >> 4;
        decoder->state.match = token & 15;
        decoder->state.phase = PHASE_LITERALS;
        return take_length(decoder, &decoder->state.literals, error);
}

static int begin_match(Lz4Decoder *decoder, size_t history, Error *error)
{
        Lz4State *state = &decoder->state;
        uint8_t distance[2];
        int r = take_in_block(decoder, distance, sizeof(distance), error);

        if (r >= 0)
                r = take_length(decoder, &state->match, error);
        if (r < 0)
                return r;
        state->distance = read_le16(distance);
        state->match += MATCH_MIN;
        state->phase = PHASE_MATCH;
        return state->distance == 0 || state->distance > history ? recomp_malformed("lz4", error) : 0;
}

/* A match may reach into what it makes: each round doubles what can be copied at once. */
static void copy_match(uint8_t *to, size_t distance, size_t size)
{
        const uint8_t *from = to - distance;

        while (size > 0) {
                size_t now = MIN_OF(size, (size_t)(to - from));

                memcpy(to, from, now);
                to += now;
                size -= now;
        }
}

/* One step of the decoder: what it makes goes to `to`, `room` (at least 1) bytes at most. `history` bytes of
 * the block stand before `to`. */
static int step(Lz4Decoder *decoder, uint8_t *to, size_t room, size_t history, size_t *ret_size,
                Error *error)
{
        Lz4State *state = &decoder->state;
        size_t size = 0;
        int r = 0;

        if (state->phase == PHASE_TOKEN) {
                r = begin_sequence(decoder, error);
        } else if (state->phase == PHASE_MATCH) {
                size = MIN_OF(state->match, room);
                copy_match(to, state->distance, size);
                state->match -= (uint32_t)size;
                if (state->match == 0)
                        state->phase = PHASE_TOKEN;
        } else if (state->literals > 0) {
                size = MIN_OF(state->literals, room);
                r = take_in_block(decoder, to, size, error);
                state->literals -= (uint32_t)size;
        } else {
                r = begin_match(decoder, history, error);
        }
        /* So that a block's end looks alike wherever a page ends. */
        if (state->phase == PHASE_LITERALS && state->literals == 0 && state->block_left == 0)
                state->phase = PHASE_TOKEN;
        *ret_size = size;
        return r;
}

/* Sequences that are short on all sides, the greatest part by far. Stops before any other, and before one
 * that is not sound. Returns how many bytes it made. */
static size_t run_short(Lz4Decoder *decoder, uint8_t *to, size_t room, size_t history)
{
        Lz4State *state = &decoder->state;
        const uint8_t *begin = decoder->input + decoder->input_next, *in = begin;
        const uint8_t *last = decoder->input + decoder->input_end;
        uint8_t *out = to;

        if (state->phase != PHASE_TOKEN)
                return 0;
        if (state->block_left < (size_t)(last - in))
                last = in + state->block_left;
        while (last - in >= SHORT_INPUT && room - (size_t)(out - to) >= SHORT_OUTPUT) {
                size_t literals = in[0] >> 4, match = (in[0] & 15) + MATCH_MIN, distance;

                if (literals == 15 || match == 15 + MATCH_MIN)
                        break;
                distance = read_le16(in + 1 + literals);
                if (distance == 0 || distance > history + (size_t)(out - to) + literals)
                        break;
                memcpy(out, in + 1, 16);
                in += literals + 3;
                out += literals;
                if (distance >= 16) {
                        memcpy(out, out - distance, 16);
                        memcpy(out + 16, out + 16 - distance, 16);
                } else {
                        for (size_t i = 0; i < match; i++)
                                out[i] = *(out + i - distance);
                }
                out += match;
        }
        state->at += (uint64_t)(in - begin);
        state->block_left -= (uint32_t)(in - begin);
        decoder->input_next += (size_t)(in - begin);
        return (size_t)(out - to);
}

bool lz4_decoder_in_block(const Lz4Decoder *decoder)
{
        return decoder->state.phase != PHASE_TOKEN || decoder->state.block_left > 0;
}

int lz4_decoder_page(Lz4Decoder *decoder, uint8_t *to, size_t history, size_t *ret_size, Error *error)
{
        size_t done = 0;

        while (done < LZ4_PAGE && lz4_decoder_in_block(decoder)) {
                size_t size;
                int r;

                done += run_short(decoder, to + done, LZ4_PAGE - done, history + done);
                if (!lz4_decoder_in_block(decoder))
                        break;
                r = step(decoder, to + done, LZ4_PAGE - done, history + done, &size, error);
                if (r < 0)
                        return r;
                done += size;
        }
        *ret_size = done;
        return 0;
}

int lz4_decoder_magic(Lz4Decoder *decoder, Error *error)
{
        uint8_t magic[4];
        int r = take(decoder, magic, sizeof(magic), error);

        return r < 0 ? r : read_le32(magic) == LZ4_LEGACY_MAGIC ? 0 : recomp_malformed("lz4", error);
}

int lz4_decoder_block(Lz4Decoder *decoder, Error *error)
{
        uint8_t length[4];
        int r = take(decoder, length, sizeof(length), error);

        if (r < 0)
                return r;
        decoder->state.block_left = read_le32(length);
        return decoder->state.block_left == 0 || decoder->state.block_left > PACKED_BLOCK_MAX
                               ? recomp_malformed("lz4", error)
                               : 0;
}
