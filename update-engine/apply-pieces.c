/* SPDX-License-Identifier: Apache-2.0 */
#include "apply-internal.h"
#include "file.h"
#include "piece-finder.h"
#include "roles.h"

#include <string.h>

/* Blobs that are not needed are fetched along with their neighbours up to this length: another request costs
 * as much. */
#define GAP_MAX (2 * KIB)
/* The full payload's index is looked at only if the pieces to be fetched come to so many times its length.
 */
#define INDEX_PAYS 8

typedef struct Work {
        Apply *apply;
        size_t payload;
        PiecesIndex *index;
        PiecePlace *places;
        PieceDecoder *decoder;
        Ranges *left;
        uint64_t streamed; /* blobs have been asked for up to here, and read up to `received` */
        uint64_t received;
        uint8_t *prefix; /* of the segment at hand */
        uint64_t prefix_offset;
        uint8_t *made; /* pieces in a row, not written yet */
        uint64_t made_offset, made_size;
} Work;

static void work_done(Work *work)
{
        pieces_index_free(work->index);
        piece_decoder_free(work->decoder);
        free(work->places);
        free(work->prefix);
        free(work->made);
}

static int load(Work *work, Error *error)
{
        const PayloadExpectation *expectation = &work->apply->setup.payloads[work->payload];
        size_t size = (size_t)expectation->index_size_bytes;
        _cleanup_free_ uint8_t *data = malloc(size);
        int r = data ? apply_need(work->payload, 0, size) : error_oom(error);

        if (r >= 0)
                r = apply_receive(data, size, error);
        if (r >= 0)
                r = pieces_index_parse(data, size, expectation, &work->index, error);
        if (r >= 0)
                r = piece_decoder_new(&work->decoder, error);
        if (r < 0)
                return r;
        work->places = calloc(work->index->count, sizeof(*work->places));
        work->prefix = malloc(work->index->segment_bytes);
        work->made = malloc(work->index->segment_bytes);
        work->prefix_offset = UINT64_MAX;
        return work->places && work->prefix && work->made ? 0 : error_oom(error);
}

static int tick(void *data)
{
        return apply_tell(data, FRAME_PROGRESS, true);
}

static int find(Work *work, const Ranges *wanted, Error *error)
{
        const PiecesIndex *index = work->index;
        PayloadSource sources[PAYLOAD_SOURCES_MAX];
        uint64_t right = 0;

        for (size_t i = 0; i < index->count; i++) {
                const Piece *piece = &index->list[i];

                if (!ranges_meet(wanted, piece->offset, piece->offset + piece->size_bytes))
                        work->places[i].state = PIECE_DONE;
        }
        memcpy(sources, work->apply->sources, sizeof(sources));
        int r = piece_finder_run(index, sources, work->places, tick, work->apply, error);
        for (size_t i = 0; r >= 0 && i < index->count; i++)
                right += work->places[i].state == PIECE_DONE ? index->list[i].size_bytes : 0;
        work->apply->right_bytes = MAX_OF(work->apply->right_bytes, right);
        return r;
}

/* ---- what is cheaper ---- */

static uint64_t wanted_bytes(const Work *work, uint64_t start, uint64_t end)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < work->index->count; i++) {
                const Piece *piece = &work->index->list[i];

                if (work->places[i].state == PIECE_WANTED && piece->offset >= start && piece->offset < end)
                        sum += piece->blob_size_bytes;
        }
        return sum;
}

/* Pieces of what will be written first are no longer sources, nor to be made. */
static void leave_to_groups(Work *work, const Ranges *groups)
{
        for (size_t i = 0; i < work->index->count; i++) {
                const Piece *piece = &work->index->list[i];
                PiecePlace *place = &work->places[i];

                if (place->state == PIECE_FOUND && place->source == PAYLOAD_SOURCE_TARGET &&
                                ranges_meet(groups, place->offset, place->offset + piece->size_bytes))
                        place->state = PIECE_WANTED;
                for (size_t j = 0; j < groups->count; j++)
                        if (piece->offset >= groups->list[j].start &&
                                        piece->offset + piece->size_bytes <= groups->list[j].end)
                                place->state = PIECE_DONE;
        }
}

/* Groups of the full payload that cost less than the pieces that are wanted of them. */
static int take_groups(Work *work, size_t full, Error *error)
{
        _cleanup_ranges_ Ranges groups = { 0 };
        const PayloadIndex *index;
        uint64_t cost = wanted_bytes(work, 0, UINT64_MAX);
        int r;

        if (cost < INDEX_PAYS * work->apply->setup.payloads[full].index_size_bytes)
                return 0;
        r = apply_load_index(work->apply, full, &index, error);
        for (size_t i = 0; r >= 0 && i < payload_group_count(index); i++) {
                const PayloadGroup *group = payload_group(index, i);
                uint64_t end = group->target_offset + group->target_size_bytes;

                if (wanted_bytes(work, group->target_offset, end) >= group->blob_size_bytes)
                        r = ranges_add(&groups, group->target_offset, end, error);
        }
        if (r < 0 || groups.count == 0)
                return r;
        leave_to_groups(work, &groups);
        return apply_groups(work->apply, full, &groups, NULL, error);
}

/* ---- making pieces ---- */

static int flush(Work *work, Error *error)
{
        int r = work->made_size == 0 ? 0
                                     : apply_write(work->apply, work->made_offset, work->made,
                                                       work->made_size, error);

        work->made_size = 0;
        return r;
}

/* Where the next piece is to be made. */
static int make_room(Work *work, const Piece *piece, uint8_t **ret, Error *error)
{
        int r = 0;

        if (work->made_size > 0 &&
                        (work->made_offset + work->made_size != piece->offset ||
                                        work->made_size + piece->size_bytes > work->index->segment_bytes))
                r = flush(work, error);
        if (work->made_size == 0)
                work->made_offset = piece->offset;
        *ret = work->made + work->made_size;
        return r;
}

static int copy_piece(Work *work, const Piece *piece, const PiecePlace *place, uint8_t *target, Error *error)
{
        const PayloadSource *source = &work->apply->sources[place->source];

        if (pread_full(source->fd, target, piece->size_bytes, source->offset + place->offset) < 0 ||
                        piece_hash(target, piece->size_bytes) != piece->hash)
                return error_set(error, ERROR_CORRUPT, ESTALE, "a piece is no longer where it was found");
        return 0;
}

static bool is_fetched(const Work *work, size_t number)
{
        return work->places[number].state == PIECE_WANTED && work->index->list[number].blob_size_bytes > 0;
}

/* Asks for this piece's blob and for those that follow it closely. */
static int ask(Work *work, size_t number)
{
        const Piece *list = work->index->list;
        uint64_t start = list[number].blob_offset, end = start + list[number].blob_size_bytes;

        for (size_t i = number + 1; i < work->index->count && list[i].blob_offset - end <= GAP_MAX; i++)
                if (is_fetched(work, i))
                        end = list[i].blob_offset + list[i].blob_size_bytes;
        work->received = start;
        work->streamed = end;
        return apply_need(work->payload, start, end - start);
}

static int receive_blob(Work *work, size_t number, uint8_t *blob, Error *error)
{
        const Piece *piece = &work->index->list[number];
        uint8_t gap[GAP_MAX];
        int r = piece->blob_offset < work->streamed ? 0 : ask(work, number);

        if (r >= 0 && piece->blob_offset > work->received)
                r = apply_receive(gap, piece->blob_offset - work->received, error);
        if (r >= 0)
                r = apply_receive(blob, piece->blob_size_bytes, error);
        work->received = piece->blob_offset + piece->blob_size_bytes;
        return r;
}

static int load_prefix(Work *work, const Piece *piece, size_t *ret_size, Error *error)
{
        uint64_t offset = piece_prefix(work->index, piece, ret_size);
        int r = 0;

        if (offset == work->prefix_offset && *ret_size > 0)
                return 0;
        /* It may not have been written yet. */
        r = flush(work, error);
        if (r < 0)
                return r;
        r = pread_full(ROLE_FD_TARGET, work->prefix, *ret_size, work->apply->setup.target_offset + offset);
        work->prefix_offset = r < 0 ? UINT64_MAX : offset;
        return r < 0 && *ret_size > 0 ? apply_target_error(r, "read", error) : 0;
}

/* 0, or what is wrong with it in *problem. */
static int make_piece(Work *work, size_t number, Error *problem, Error *error)
{
        const Piece *piece = &work->index->list[number];
        uint8_t blob[PIECE_BLOCKS_MAX * PIECE_BLOCK_SIZE], *target;
        size_t prefix_size = 0;
        int r = 0;

        if (is_fetched(work, number))
                r = receive_blob(work, number, blob, error);
        if (r >= 0 && is_fetched(work, number))
                r = load_prefix(work, piece, &prefix_size, error);
        if (r >= 0)
                r = make_room(work, piece, &target, error);
        if (r < 0)
                return r;
        r = work->places[number].state == PIECE_FOUND
                            ? copy_piece(work, piece, &work->places[number], target, problem)
                            : piece_decode(work->decoder, piece, blob, work->prefix, prefix_size, target,
                                              problem);
        if (r >= 0)
                work->made_size += piece->size_bytes;
        return r;
}

static int make_pieces(Work *work, Error *error)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < work->index->count; i++) {
                const Piece *piece = &work->index->list[i];
                Error problem = { 0 };

                if (work->places[i].state == PIECE_DONE)
                        continue;
                r = make_piece(work, i, &problem, error);
                if (r < 0 && problem.code == ERROR_CORRUPT && work->left)
                        r = ranges_add(work->left, piece->offset, piece->offset + piece->size_bytes, error);
                else if (r < 0 && error_is_set(&problem) && error && !error_is_set(error))
                        *error = problem;
        }
        return r < 0 ? r : flush(work, error);
}

int apply_pieces(Apply *apply, size_t payload, size_t full, const Ranges *wanted, Ranges *left, Error *error)
{
        _cleanup_(work_done) Work work = { .apply = apply, .payload = payload, .left = left };
        int r = load(&work, error);

        if (r >= 0)
                r = find(&work, wanted, error);
        if (r >= 0 && full != payload)
                r = take_groups(&work, full, error);
        return r < 0 ? r : make_pieces(&work, error);
}
