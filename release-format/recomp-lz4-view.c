/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "recomp-codec.h"

#include <lz4.h>
#include <string.h>

/* Random access to an LZ4 legacy stream. Once it is unpacked from front to back, and at the beginning of
 * each page (128 KiB of clear bytes) a mark is left: where the decoder stands in the packed bytes, inside
 * which sequence, and the 64 KiB before that it may refer to, themselves packed. Any page can then be made
 * from its mark; those used last are kept. A kernel of 53 MB takes 11 MB so.
 *
 * A block is a row of sequences (LZ4 Block Format): a token, whose halves are the number of literals and the
 * length of a match, each with more bytes when it is 15; the literals; the distance of the match, 2 bytes.
 * The last sequence of a block ends after its literals. Each block begins without history. */

#define PAGE ((size_t)(128 * KIB))
#define HISTORY ((size_t)(64 * KIB))
#define SLOTS 16
#define MATCH_MIN 4
#define PACKED_BLOCK_MAX (RECOMP_LZ4_BLOCK + RECOMP_LZ4_BLOCK / 255 + 16)

_Static_assert(RECOMP_LZ4_BLOCK % PAGE == 0, "a page must not lie in two blocks");

typedef enum Phase { PHASE_TOKEN, PHASE_LITERALS, PHASE_MATCH } Phase;

typedef struct State {
        uint64_t at;         /* in the packed bytes */
        uint32_t block_left; /* packed bytes of the block from there */
        uint32_t literals, match;
        uint16_t distance;
        uint8_t phase;
} State;

typedef struct Mark {
        State state;
        uint8_t *history; /* packed; NULL where a block begins */
        uint32_t history_size;
} Mark;

typedef struct Slot {
        uint8_t *bytes; /* HISTORY, then the page */
        size_t page, size;
        uint64_t last_used;
} Slot;

struct Lz4View {
        const PatchView *packed;
        uint64_t size_bytes, memory, memory_max, clock;
        Mark *marks;
        size_t page_count, mark_capacity;
        Slot slots[SLOTS];
        State state;
        uint8_t *input;
        size_t input_next, input_end;
};

Lz4View *lz4_view_free(Lz4View *view)
{
        if (!view)
                return NULL;
        for (size_t i = 0; i < view->page_count; i++)
                free(view->marks[i].history);
        for (size_t i = 0; i < SLOTS; i++)
                free(view->slots[i].bytes);
        free(view->marks);
        free(view->input);
        free(view);
        return NULL;
}

static int fill_input(Lz4View *view, Error *error)
{
        uint64_t left = view->packed->size_bytes - view->state.at;
        size_t size = (size_t)MIN_OF(left, RECOMP_PIECE);
        int r;

        if (size == 0)
                return recomp_malformed("lz4", error);
        r = view->packed->read(view->packed->data, view->state.at, view->input, size, error);
        if (r < 0)
                return r;
        view->input_next = 0;
        view->input_end = size;
        return 0;
}

/* The next `size` packed bytes, without regard to blocks. */
static int take(Lz4View *view, uint8_t *ret, size_t size, Error *error)
{
        while (size > 0) {
                size_t now = MIN_OF(size, view->input_end - view->input_next);

                if (now == 0) {
                        int r = fill_input(view, error);

                        if (r < 0)
                                return r;
                        continue;
                }
                memcpy(ret, view->input + view->input_next, now);
                view->input_next += now;
                view->state.at += now;
                ret += now;
                size -= now;
        }
        return 0;
}

static int take_in_block(Lz4View *view, uint8_t *ret, size_t size, Error *error)
{
        if (size > view->state.block_left)
                return recomp_malformed("lz4", error);
        view->state.block_left -= (uint32_t)size;
        return take(view, ret, size, error);
}

/* What follows a length of 15. Its sum cannot overflow: a block is too short for that. */
static int take_length(Lz4View *view, uint32_t *length, Error *error)
{
        uint8_t byte = 255;

        for (bool more = *length == 15; more; more = byte == 255) {
                int r = take_in_block(view, &byte, 1, error);

                if (r < 0)
                        return r;
                *length += byte;
        }
        return 0;
}

static int begin_sequence(Lz4View *view, Error *error)
{
        uint8_t token;
        int r = take_in_block(view, &token, 1, error);

        if (r < 0)
                return r;
        view->state.literals = token >> 4;
        view->state.match = token & 15;
        view->state.phase = PHASE_LITERALS;
        return take_length(view, &view->state.literals, error);
}

static int begin_match(Lz4View *view, size_t history, Error *error)
{
        State *state = &view->state;
        uint8_t distance[2];
        int r = take_in_block(view, distance, sizeof(distance), error);

        if (r >= 0)
                r = take_length(view, &state->match, error);
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
static int step(Lz4View *view, uint8_t *to, size_t room, size_t history, size_t *ret_size, Error *error)
{
        State *state = &view->state;
        size_t size = 0;
        int r = 0;

        if (state->phase == PHASE_TOKEN) {
                r = begin_sequence(view, error);
        } else if (state->phase == PHASE_MATCH) {
                size = MIN_OF(state->match, room);
                copy_match(to, state->distance, size);
                state->match -= (uint32_t)size;
                if (state->match == 0)
                        state->phase = PHASE_TOKEN;
        } else if (state->literals > 0) {
                size = MIN_OF(state->literals, room);
                r = take_in_block(view, to, size, error);
                state->literals -= (uint32_t)size;
        } else {
                r = begin_match(view, history, error);
        }
        /* So that a block's end looks alike wherever a page ends. */
        if (state->phase == PHASE_LITERALS && state->literals == 0 && state->block_left == 0)
                state->phase = PHASE_TOKEN;
        *ret_size = size;
        return r;
}

/* Makes a page, behind its history, from where the decoder stands. It is shorter only at a block's end. */
static int decode_page(Lz4View *view, size_t page, Slot *slot, Error *error)
{
        size_t before = (size_t)MIN_OF(page * PAGE % RECOMP_LZ4_BLOCK, HISTORY), done = 0;

        while (done < PAGE && (view->state.phase != PHASE_TOKEN || view->state.block_left > 0)) {
                size_t size;
                int r = step(view, slot->bytes + HISTORY + done, PAGE - done, before + done, &size, error);

                if (r < 0)
                        return r;
                done += size;
        }
        slot->page = page;
        slot->size = done;
        return 0;
}

static int add_history(Lz4View *view, const Slot *previous, Mark *mark, Error *error)
{
        char packed[LZ4_COMPRESSBOUND(HISTORY)];
        int size = LZ4_compress_default(
                        (const char *)previous->bytes + PAGE, packed, (int)HISTORY, sizeof(packed));

        if (size <= 0)
                return error_oom(error);
        view->memory += (uint64_t)size;
        if (view->memory > view->memory_max)
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "a stream of lz4 needs more memory than was promised");
        mark->history = malloc((size_t)size);
        if (!mark->history)
                return error_oom(error);
        mark->history_size = (uint32_t)size;
        memcpy(mark->history, packed, (size_t)size);
        return 0;
}

/* Marks where the decoder stands as the beginning of the next page. `previous` is the page before, or NULL
 * where a block begins. */
static int add_mark(Lz4View *view, const Slot *previous, Error *error)
{
        if (view->page_count == view->mark_capacity) {
                size_t capacity = view->mark_capacity == 0 ? 64 : 2 * view->mark_capacity;
                Mark *marks;

                view->memory += (capacity - view->mark_capacity) * sizeof(*marks);
                marks = view->memory > view->memory_max
                                        ? NULL
                                        : reallocarray(view->marks, capacity, sizeof(*marks));
                if (!marks)
                        return view->memory > view->memory_max ? recomp_malformed("lz4", error)
                                                               : error_oom(error);
                view->marks = marks;
                view->mark_capacity = capacity;
        }
        view->marks[view->page_count] = (Mark){ .state = view->state };
        view->page_count++;
        return previous ? add_history(view, previous, &view->marks[view->page_count - 1], error) : 0;
}

/* All pages of one block. The first slot is written again and again. */
static int scan_block(Lz4View *view, Error *error)
{
        Slot *slot = &view->slots[0];
        uint64_t block_size = 0;
        uint8_t length[4];
        int r = take(view, length, sizeof(length), error);

        if (r < 0)
                return r;
        view->state.block_left = read_le32(length);
        if (view->state.block_left == 0 || view->state.block_left > PACKED_BLOCK_MAX)
                return recomp_malformed("lz4", error);
        while (view->state.phase != PHASE_TOKEN || view->state.block_left > 0) {
                if (block_size >= RECOMP_LZ4_BLOCK)
                        return recomp_malformed("lz4", error);
                r = add_mark(view, block_size > 0 ? slot : NULL, error);
                if (r < 0)
                        return r;
                if (block_size > 0)
                        memcpy(slot->bytes, slot->bytes + PAGE, HISTORY);
                r = decode_page(view, view->page_count - 1, slot, error);
                if (r < 0)
                        return r;
                if (slot->size == 0)
                        return recomp_malformed("lz4", error);
                block_size += slot->size;
        }
        view->size_bytes += block_size;
        return 0;
}

static int scan(Lz4View *view, Error *error)
{
        uint8_t magic[4];
        int r = take(view, magic, sizeof(magic), error);

        if (r < 0)
                return r;
        if (read_le32(magic) != LZ4_LEGACY_MAGIC)
                return recomp_malformed("lz4", error);
        while (view->state.at < view->packed->size_bytes) {
                /* Only the last block is shorter than the others. */
                if (view->size_bytes % RECOMP_LZ4_BLOCK != 0)
                        return recomp_malformed("lz4", error);
                r = scan_block(view, error);
                if (r < 0)
                        return r;
        }
        return 0;
}

int lz4_view_new(const PatchView *packed, uint64_t memory_max_bytes, Lz4View **ret, Error *error)
{
        _cleanup_(lz4_view_freep) Lz4View *view = calloc(1, sizeof(*view));
        int r;

        if (!view)
                return error_oom(error);
        view->packed = packed;
        view->memory_max = memory_max_bytes;
        view->memory = sizeof(*view) + RECOMP_PIECE + SLOTS * (HISTORY + PAGE);
        view->input = malloc(RECOMP_PIECE);
        if (!view->input)
                return error_oom(error);
        for (size_t i = 0; i < SLOTS; i++) {
                view->slots[i].page = SIZE_MAX;
                view->slots[i].bytes = malloc(HISTORY + PAGE);
                if (!view->slots[i].bytes)
                        return error_oom(error);
        }
        r = scan(view, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(view);
        return 0;
}

static int load_page(Lz4View *view, size_t page, Slot *slot, Error *error)
{
        const Mark *mark = &view->marks[page];

        slot->page = SIZE_MAX;
        if (mark->history && LZ4_decompress_safe((const char *)mark->history, (char *)slot->bytes,
                                             (int)mark->history_size, (int)HISTORY) != (int)HISTORY)
                return recomp_malformed("lz4", error);
        view->state = mark->state;
        view->input_next = view->input_end = 0;
        return decode_page(view, page, slot, error);
}

static int find_page(Lz4View *view, size_t page, Slot **ret, Error *error)
{
        Slot *oldest = &view->slots[0];
        int r;

        for (size_t i = 0; i < SLOTS; i++) {
                Slot *slot = &view->slots[i];

                if (slot->page == page) {
                        slot->last_used = ++view->clock;
                        *ret = slot;
                        return 0;
                }
                if (slot->last_used < oldest->last_used)
                        oldest = slot;
        }
        r = load_page(view, page, oldest, error);
        if (r < 0)
                return r;
        oldest->last_used = ++view->clock;
        *ret = oldest;
        return 0;
}

int lz4_view_read(Lz4View *view, uint64_t offset, void *ret, size_t size, Error *error)
{
        uint8_t *to = ret;

        while (size > 0) {
                size_t within = (size_t)(offset % PAGE), now;
                Slot *slot;
                int r = find_page(view, (size_t)(offset / PAGE), &slot, error);

                if (r < 0)
                        return r;
                /* The packed bytes may have changed since they were scanned. */
                if (within >= slot->size)
                        return recomp_malformed("lz4", error);
                now = MIN_OF(size, slot->size - within);
                memcpy(to, slot->bytes + HISTORY + within, now);
                to += now;
                offset += now;
                size -= now;
        }
        return 0;
}

uint64_t lz4_view_size(const Lz4View *view)
{
        return view->size_bytes;
}

uint64_t lz4_view_memory(const Lz4View *view)
{
        return view->memory;
}
