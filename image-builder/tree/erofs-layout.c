/* SPDX-License-Identifier: Apache-2.0 */
#include "erofs-plan.h"

#include <search.h>
#include <string.h>

/* Where things lie. Without a previous image: inodes first (with their tails), in order of the walk, then
 * the blocks of folders, then those of files. With one: whatever can stay where it was does, and the rest
 * fills what became free before the image grows, so that a slot that holds an older release is written as
 * little as can be. Nothing here depends on content, so planning is quick. */

#define FIRST_BLOCK 1 /* block 0 is the superblock's */
#define SLOTS_PER_BLOCK (EROFS_BLOCK_SIZE / EROFS_SLOT_SIZE)

/* A layout kept from a previous image may be larger than a fresh one by this and no more. */
#define WASTE_SHARE 16
#define WASTE_BLOCKS 1024

/* ---- free space ---- */

typedef struct Run {
        uint64_t blocks, first;
} Run;

typedef struct Gaps {
        uint64_t *offsets;
        size_t count, capacity;
} Gaps;

typedef struct Space {
        void *runs;                     /* free whole blocks before end_block: Runs by length and place */
        Gaps gaps[SLOTS_PER_BLOCK + 1]; /* free parts of blocks that hold inodes, by their length in slots */
        uint64_t end_block;
} Space;

static int compare_runs(const void *a, const void *b)
{
        const Run *x = a, *y = b;

        if (x->blocks != y->blocks)
                return x->blocks < y->blocks ? -1 : 1;
        return x->first < y->first ? -1 : x->first > y->first;
}

typedef struct RunSearch {
        uint64_t blocks;
        const Run *best;
} RunSearch;

/* Leads tfind() down to the smallest run that is large enough, which it notes on the way. */
static int search_run(const void *key, const void *item)
{
        RunSearch *search = (RunSearch *)key;
        const Run *run = item;

        if (run->blocks < search->blocks)
                return 1;
        if (!search->best || compare_runs(run, search->best) < 0)
                search->best = run;
        return -1;
}

static void space_done(Space *space)
{
        while (space->runs) {
                Run *run = *(Run **)space->runs;

                (void)tdelete(run, &space->runs, compare_runs);
                free(run);
        }
        for (size_t i = 0; i < ELEMENTS(space->gaps); i++)
                free(space->gaps[i].offsets);
}

static int add_run(Space *space, uint64_t first, uint64_t blocks)
{
        Run *run = malloc(sizeof(*run));
        if (!run)
                return -ENOMEM;
        *run = (Run){ .blocks = blocks, .first = first };
        if (!tsearch(run, &space->runs, compare_runs)) {
                free(run);
                return -ENOMEM;
        }
        return 0;
}

static int add_gap(Space *space, uint64_t offset, uint64_t bytes)
{
        Gaps *gaps = &space->gaps[bytes / EROFS_SLOT_SIZE];

        if (bytes < EROFS_SLOT_SIZE)
                return 0;
        if (gaps->count == gaps->capacity) {
                size_t capacity = MAX_OF(2 * gaps->capacity, (size_t)16);
                uint64_t *grown = reallocarray(gaps->offsets, capacity, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                gaps->offsets = grown;
                gaps->capacity = capacity;
        }
        gaps->offsets[gaps->count++] = offset;
        return 0;
}

/* Frees the bytes from `start` up to `end`: part of a block, whole blocks, part of a block. */
static int add_free(Space *space, uint64_t start, uint64_t end)
{
        uint64_t whole = (start + EROFS_BLOCK_SIZE - 1) / EROFS_BLOCK_SIZE * EROFS_BLOCK_SIZE;
        uint64_t whole_end = end / EROFS_BLOCK_SIZE * EROFS_BLOCK_SIZE;
        int r = 0;

        if (start >= end)
                return 0;
        if (whole >= end)
                return add_gap(space, start, end - start);
        if (start < whole)
                r = add_gap(space, start, whole - start);
        if (r >= 0 && whole < whole_end)
                r = add_run(space, whole / EROFS_BLOCK_SIZE, (whole_end - whole) / EROFS_BLOCK_SIZE);
        if (r >= 0 && whole_end < end)
                r = add_gap(space, whole_end, end - whole_end);
        return r;
}

static int take_blocks(Space *space, uint64_t blocks, uint64_t *ret_first)
{
        RunSearch search = { .blocks = blocks };

        (void)tfind(&search, &space->runs, search_run);
        if (!search.best) {
                *ret_first = space->end_block;
                space->end_block += blocks;
                return 0;
        }
        Run run = *search.best;
        (void)tdelete(search.best, &space->runs, compare_runs);
        free((Run *)search.best);
        *ret_first = run.first;
        return run.blocks > blocks ? add_run(space, run.first + blocks, run.blocks - blocks) : 0;
}

/* Room for an inode with xattrs and tail: within one block if it is no larger, in the tightest gap. */
static int take_slots(Space *space, uint64_t bytes, uint64_t *ret_offset)
{
        uint64_t slots = (bytes + EROFS_SLOT_SIZE - 1) / EROFS_SLOT_SIZE, first;

        for (uint64_t i = slots; i <= SLOTS_PER_BLOCK; i++) {
                Gaps *gaps = &space->gaps[i];

                if (gaps->count == 0)
                        continue;
                *ret_offset = gaps->offsets[--gaps->count];
                return add_gap(space, *ret_offset + slots * EROFS_SLOT_SIZE, (i - slots) * EROFS_SLOT_SIZE);
        }
        uint64_t blocks = (slots + SLOTS_PER_BLOCK - 1) / SLOTS_PER_BLOCK;
        int r = take_blocks(space, blocks, &first);
        if (r < 0)
                return r;
        *ret_offset = first * EROFS_BLOCK_SIZE;
        return add_gap(space, *ret_offset + slots * EROFS_SLOT_SIZE,
                        (blocks * SLOTS_PER_BLOCK - slots) * EROFS_SLOT_SIZE);
}

/* ---- what stays ---- */

/* A place that an item would keep. */
typedef struct Claim {
        uint64_t start, end;
        uint64_t *place; /* ErofsItem.offset or .first_block */
} Claim;

static int compare_claims(const void *a, const void *b)
{
        const Claim *x = a, *y = b;

        if (x->start != y->start)
                return x->start < y->start ? -1 : 1;
        return x->place < y->place ? -1 : x->place > y->place;
}

static uint64_t inode_bytes(const ErofsItem *item)
{
        uint64_t bytes = (uint64_t)item->header_bytes + item->tail_bytes;

        return (bytes + EROFS_SLOT_SIZE - 1) / EROFS_SLOT_SIZE * EROFS_SLOT_SIZE;
}

static bool inode_may_lie_at(const ErofsItem *item, uint64_t offset)
{
        uint64_t bytes = inode_bytes(item), within = offset % EROFS_BLOCK_SIZE;

        return offset % EROFS_SLOT_SIZE == 0 &&
               (bytes > EROFS_BLOCK_SIZE ? within == 0 : within + bytes <= EROFS_BLOCK_SIZE);
}

static size_t collect_claims(ErofsPlan *plan, Claim *claims)
{
        size_t count = 0;

        for (size_t i = 0; i < plan->item_count; i++) {
                ErofsItem *item = &plan->items[i];

                if (item->offset != EROFS_UNPLACED && inode_may_lie_at(item, item->offset))
                        claims[count++] = (Claim){ item->offset, item->offset + inode_bytes(item),
                                &item->offset };
                else
                        item->offset = EROFS_UNPLACED;
                if (item->first_block != EROFS_UNPLACED && item->block_count > 0)
                        claims[count++] = (Claim){ item->first_block * EROFS_BLOCK_SIZE,
                                (item->first_block + item->block_count) * EROFS_BLOCK_SIZE,
                                &item->first_block };
        }
        qsort(claims, count, sizeof(*claims), compare_claims);
        return count;
}

/* Grants claims in order of place, takes the place from those that overlap one before, and frees what is
 * between. The root is the first item and has been put where its number fits the superblock's 16 bits. */
static int settle_claims(ErofsPlan *plan, Space *space)
{
        uint64_t root_start = plan->items[0].offset, root_end = root_start + inode_bytes(&plan->items[0]);
        uint64_t end = FIRST_BLOCK * EROFS_BLOCK_SIZE;
        int r = 0;

        _cleanup_free_ Claim *claims = calloc(plan->item_count, 2 * sizeof(*claims));
        if (!claims)
                return -ENOMEM;
        size_t count = collect_claims(plan, claims);
        for (size_t i = 0; r >= 0 && i < count; i++) {
                bool is_root = claims[i].place == &plan->items[0].offset;
                bool meets_root = claims[i].start < root_end && claims[i].end > root_start;

                if (!is_root && (claims[i].start < end || meets_root)) {
                        *claims[i].place = EROFS_UNPLACED;
                        continue;
                }
                r = add_free(space, end, claims[i].start);
                end = claims[i].end;
        }
        space->end_block = (end + EROFS_BLOCK_SIZE - 1) / EROFS_BLOCK_SIZE;
        return r < 0 ? r : add_free(space, end, space->end_block * EROFS_BLOCK_SIZE);
}

/* ---- placing ---- */

static int place_contents(ErofsPlan *plan, Space *space, bool folders)
{
        for (size_t i = 0; i < plan->item_count; i++) {
                ErofsItem *item = &plan->items[i];

                if (S_ISDIR(item->node->inode->mode) != folders || item->block_count == 0 ||
                                item->first_block != EROFS_UNPLACED)
                        continue;
                int r = take_blocks(space, item->block_count, &item->first_block);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int place_all(ErofsPlan *plan)
{
        _cleanup_(space_done) Space space = { 0 };

        plan->items[0].offset = FIRST_BLOCK * EROFS_BLOCK_SIZE;
        int r = settle_claims(plan, &space);
        for (size_t i = 0; r >= 0 && i < plan->item_count; i++)
                if (plan->items[i].offset == EROFS_UNPLACED)
                        r = take_slots(&space, inode_bytes(&plan->items[i]), &plan->items[i].offset);
        if (r >= 0)
                r = place_contents(plan, &space, true);
        if (r >= 0)
                r = place_contents(plan, &space, false);
        plan->block_count = space.end_block;
        return r;
}

/* Blocks that the items cannot do without. */
static uint64_t blocks_needed(const ErofsPlan *plan)
{
        uint64_t blocks = FIRST_BLOCK, bytes = 0;

        for (size_t i = 0; i < plan->item_count; i++) {
                blocks += plan->items[i].block_count;
                bytes += inode_bytes(&plan->items[i]);
        }
        return blocks + bytes / EROFS_BLOCK_SIZE;
}

static void forget_places(ErofsPlan *plan)
{
        for (size_t i = 0; i < plan->item_count; i++)
                plan->items[i].offset = plan->items[i].first_block = EROFS_UNPLACED;
}

int erofs_layout(ErofsPlan *plan, Error *error)
{
        uint64_t needed = blocks_needed(plan);
        int r = 0;

        if (plan->options.previous)
                r = erofs_keep_places(plan, error);
        if (r >= 0)
                r = place_all(plan);
        if (r >= 0 && plan->options.previous &&
                        plan->block_count > needed + needed / WASTE_SHARE + WASTE_BLOCKS) {
                forget_places(plan);
                r = place_all(plan);
        }
        if (r < 0)
                return error_is_set(error) ? r : error_oom(error);
        if (plan->block_count > UINT32_MAX)
                return error_set(error, ERROR_NO_SPACE, EFBIG,
                                "The image would be larger than EROFS can address");
        return 0;
}
