/* SPDX-License-Identifier: Apache-2.0 */
#include "block-index.h"
#include "file.h"
#include "payload-match.h"

#include <string.h>

#define GROUP_DEFAULT (16 * MIB)

/* A shorter run of found blocks between two that are not found stays in their frame: the frame's prefix
 * holds it, and another op would cost more. */
#define FOUND_RUN_MIN (16 * PAYLOAD_BLOCK_SIZE)

/* How much of a source before and after the place where a frame's content should be goes into its prefix. */
#define PREFIX_MARGIN (256 * KIB)

/* A run of blocks of one group. */
typedef struct Run {
        uint8_t number;        /* SAME, COPY, ZERO or ZFULL */
        uint64_t offset, size; /* in the group */
        uint8_t source;
        uint64_t source_offset; /* of SAME and COPY */
} Run;

typedef struct Matcher {
        const PayloadSource *sources;
        const BlockIndex *index;
        const uint8_t *data; /* of the group */
        uint64_t group_offset, group_size;
        Run *runs;
        size_t run_count;
        uint8_t block[PAYLOAD_BLOCK_SIZE]; /* read from a source */
        unsigned used;                     /* sources, bit 1 << number */
} Matcher;

/* Whether a source has that block there. */
static bool source_has(Matcher *matcher, size_t source, uint64_t offset, const uint8_t *block)
{
        const PayloadSource *from = &matcher->sources[source];

        return from->fd >= 0 && from->size_bytes >= PAYLOAD_BLOCK_SIZE &&
               offset <= from->size_bytes - PAYLOAD_BLOCK_SIZE &&
               pread_full(from->fd, matcher->block, PAYLOAD_BLOCK_SIZE, from->offset + offset) >= 0 &&
               memcmp(matcher->block, block, PAYLOAD_BLOCK_SIZE) == 0;
}

static bool is_zero(const uint8_t *data, size_t size)
{
        return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

/* What one block can be had from: first the place that follows the last run's, then the same place of the
 * old root, then any. */
static Run classify(Matcher *matcher, uint64_t offset, uint64_t size)
{
        const Run *last = matcher->run_count > 0 ? &matcher->runs[matcher->run_count - 1] : NULL;
        const uint8_t *block = matcher->data + offset;
        uint64_t at = matcher->group_offset + offset;
        Run run = { .offset = offset, .size = size, .number = PAYLOAD_OP_COPY };
        size_t source;

        if (is_zero(block, size)) {
                run.number = PAYLOAD_OP_ZERO;
                return run;
        }
        run.number = PAYLOAD_OP_ZFULL;
        if (size < PAYLOAD_BLOCK_SIZE)
                return run;
        if (last && last->number == PAYLOAD_OP_COPY &&
                        source_has(matcher, last->source, last->source_offset + last->size, block)) {
                run = (Run){ PAYLOAD_OP_COPY, offset, size, last->source, last->source_offset + last->size };
        } else if (source_has(matcher, PAYLOAD_SOURCE_OLD_ROOT, at, block)) {
                run = (Run){ PAYLOAD_OP_SAME, offset, size, PAYLOAD_SOURCE_OLD_ROOT, at };
        } else if (block_index_find(matcher->index, block, &source, &at) &&
                        source_has(matcher, source, at, block)) {
                run = (Run){ PAYLOAD_OP_COPY, offset, size, (uint8_t)source, at };
        }
        return run;
}

static bool continues(const Run *last, const Run *next)
{
        if (last->number != next->number)
                return false;
        return last->number != PAYLOAD_OP_COPY ||
               (last->source == next->source && last->source_offset + last->size == next->source_offset);
}

static void find_runs(Matcher *matcher)
{
        matcher->run_count = 0;
        for (uint64_t offset = 0; offset < matcher->group_size; offset += PAYLOAD_BLOCK_SIZE) {
                uint64_t size = MIN_OF(matcher->group_size - offset, (uint64_t)PAYLOAD_BLOCK_SIZE);
                Run run = classify(matcher, offset, size);
                Run *last = matcher->run_count > 0 ? &matcher->runs[matcher->run_count - 1] : NULL;

                if (last && continues(last, &run))
                        last->size += size;
                else
                        matcher->runs[matcher->run_count++] = run;
        }
}

/* Short runs between frames become part of them. */
static void merge_frames(Matcher *matcher)
{
        size_t kept = 0;

        for (size_t i = 0; i < matcher->run_count; i++) {
                Run run = matcher->runs[i];
                bool has_frame_before = kept > 0 && matcher->runs[kept - 1].number == PAYLOAD_OP_ZFULL;
                bool has_frame_after = i + 1 < matcher->run_count &&
                                       matcher->runs[i + 1].number == PAYLOAD_OP_ZFULL;

                if (run.number != PAYLOAD_OP_ZFULL && run.size < FOUND_RUN_MIN && has_frame_before &&
                                has_frame_after)
                        run.number = PAYLOAD_OP_ZFULL;
                if (run.number == PAYLOAD_OP_ZFULL && has_frame_before)
                        matcher->runs[kept - 1].size += run.size;
                else
                        matcher->runs[kept++] = run;
        }
        matcher->run_count = kept;
}

/* Where the content of a frame should be in a source: after what the run before it was found at, else before
 * what the run after it was found at, else at the same place of the old root. */
static PayloadRange expected_place(const Matcher *matcher, size_t number)
{
        const Run *run = &matcher->runs[number];
        const Run *before = number > 0 ? run - 1 : NULL,
                  *after = number + 1 < matcher->run_count ? run + 1 : NULL;
        PayloadRange place = { PAYLOAD_SOURCE_OLD_ROOT, matcher->group_offset + run->offset, run->size };

        if (before && (before->number == PAYLOAD_OP_COPY || before->number == PAYLOAD_OP_SAME)) {
                place.source = before->source;
                place.offset = before->source_offset + before->size;
        } else if (after && (after->number == PAYLOAD_OP_COPY || after->number == PAYLOAD_OP_SAME)) {
                place.source = after->source;
                place.offset = after->source_offset - MIN_OF(after->source_offset, run->size);
        }
        return place;
}

/* The prefix of a frame; size 0 when there is no source for it. */
static PayloadRange prefix_of(const Matcher *matcher, size_t number)
{
        PayloadRange place = expected_place(matcher, number);
        const PayloadSource *source = &matcher->sources[place.source];
        uint64_t begin = place.offset - MIN_OF(place.offset, PREFIX_MARGIN);
        uint64_t end = place.offset + place.size_bytes + PREFIX_MARGIN;

        end = MIN_OF(end, source->size_bytes);
        if (source->fd < 0 || end <= begin)
                return (PayloadRange){ 0 };
        return (PayloadRange){ place.source, begin, end - begin };
}

static int add_run(Matcher *matcher, PlanGroup *group, size_t number)
{
        const Run *run = &matcher->runs[number];
        PayloadRange range = { run->source, run->source_offset, run->size };

        if (run->number == PAYLOAD_OP_ZFULL)
                range = prefix_of(matcher, number);
        if (run->number != PAYLOAD_OP_ZERO && range.size_bytes > 0)
                matcher->used |= 1U << range.source;
        if (run->number == PAYLOAD_OP_COPY || run->number == PAYLOAD_OP_ZFULL)
                return plan_group_add_op(
                                group, run->number, run->size, &range, range.size_bytes > 0 ? 1 : 0);
        return plan_group_add_op(group, run->number, run->size, NULL, 0);
}

static int plan_group(Matcher *matcher, PayloadPlan *plan)
{
        PlanGroup *group;
        int r = payload_plan_add_group(plan, matcher->group_size, &group);

        find_runs(matcher);
        merge_frames(matcher);
        for (size_t i = 0; r >= 0 && i < matcher->run_count; i++)
                r = add_run(matcher, group, i);
        return r;
}

static int plan_all(Matcher *matcher, int target_fd, uint8_t *data, uint64_t group_size, PayloadPlan *plan,
                Error *error)
{
        for (uint64_t offset = 0; offset < plan->target_size_bytes; offset += group_size) {
                int r;

                matcher->group_offset = offset;
                matcher->group_size = MIN_OF(group_size, plan->target_size_bytes - offset);
                r = pread_full(target_fd, data, matcher->group_size, offset);
                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "cannot read the image: %s", strerror(-r));
                r = plan_group(matcher, plan);
                if (r < 0)
                        return error_set(error, ERROR_FAILED, -r, "cannot plan a group: %s", strerror(-r));
        }
        for (size_t i = 0; i < PAYLOAD_SOURCE_TARGET; i++)
                plan->source_size_bytes[i] = (matcher->used >> i & 1) ? matcher->sources[i].size_bytes : 0;
        return 0;
}

int payload_match_blocks(int target_fd, uint64_t target_size_bytes, const PayloadSource *sources,
                uint64_t group_size_bytes, PayloadPlan **ret, Error *error)
{
        uint64_t group_size = group_size_bytes > 0 ? group_size_bytes : GROUP_DEFAULT;
        _cleanup_(payload_plan_freep) PayloadPlan *plan = payload_plan_new(target_size_bytes);
        _cleanup_(block_index_freep) BlockIndex *index = NULL;
        _cleanup_free_ uint8_t *data = malloc(group_size);
        _cleanup_free_ Run *runs = calloc(group_size / PAYLOAD_BLOCK_SIZE + 1, sizeof(*runs));
        _cleanup_free_ Matcher *matcher = calloc(1, sizeof(*matcher));
        int r;

        if (!plan || !data || !runs || !matcher)
                return error_oom(error);
        r = block_index_new(sources, PAYLOAD_SOURCE_TARGET, &index, error);
        if (r < 0)
                return r;
        *matcher = (Matcher){ .sources = sources, .index = index, .data = data, .runs = runs };
        r = plan_all(matcher, target_fd, data, group_size, plan, error);
        if (r >= 0)
                *ret = TAKE_PTR(plan);
        return r;
}
