/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-map.h"

#include "sort.h"

#define BUCKETS_MAX 65536u
#define BUCKET_SHIFT_MIN 10
#define PROBES 4
#define FILTER_BITS 19 /* 64 KiB, which stay in a near cache when the table does not */

typedef struct Run {
        uint32_t old_offset, size, new_offset;
} Run;

struct PatchProjection {
        Run *runs; /* in order of old_offset, without overlap */
        size_t count;
        unsigned bucket_shift;
        size_t bucket_count;
        uint32_t *buckets; /* for each 1 << bucket_shift bytes the first run that ends behind their start */
};

static int compare_runs(const void *a, const void *b)
{
        const Run *x = a, *y = b;

        if (x->old_offset != y->old_offset)
                return x->old_offset < y->old_offset ? -1 : 1;
        if (x->size != y->size)
                return x->size > y->size ? -1 : 1;
        return x->new_offset < y->new_offset ? -1 : x->new_offset > y->new_offset;
}

static void run_cut_front(Run *run, uint32_t size)
{
        run->old_offset += size;
        run->new_offset += size;
        run->size -= size;
}

/* Of runs that overlap, the longer one keeps what both have. Each run is pushed once and popped at most
 * once. */
static size_t resolve_overlaps(Run *runs, size_t count)
{
        size_t kept = 0;

        for (size_t i = 0; i < count; i++) {
                Run run = runs[i];

                while (run.size > 0 && kept > 0 &&
                                runs[kept - 1].old_offset + runs[kept - 1].size > run.old_offset) {
                        Run *last = &runs[kept - 1];
                        uint32_t common = last->old_offset + last->size - run.old_offset;

                        if (last->size >= run.size) {
                                run_cut_front(&run, MIN_OF(common, run.size));
                                continue;
                        }
                        last->size -= MIN_OF(common, last->size);
                        if (last->size > 0)
                                break;
                        kept--;
                }
                if (run.size > 0)
                        runs[kept++] = run;
        }
        return kept;
}

static void fill_buckets(PatchProjection *projection)
{
        size_t run = 0;

        for (size_t i = 0; i <= projection->bucket_count; i++) {
                uint64_t start = (uint64_t)i << projection->bucket_shift;

                while (run < projection->count &&
                                (uint64_t)projection->runs[run].old_offset + projection->runs[run].size <=
                                                start)
                        run++;
                projection->buckets[i] = (uint32_t)run;
        }
}

static bool take_runs(PatchProjection *projection, uint64_t old_size, uint64_t new_size,
                const PatchSegment *segments, size_t count)
{
        uint64_t at = 0;

        for (size_t i = 0; i < count; i++) {
                const PatchSegment *s = &segments[i];

                if (s->new_offset < at || s->new_offset > new_size ||
                                s->size_bytes > new_size - s->new_offset || s->old_offset > old_size ||
                                s->size_bytes > old_size - s->old_offset)
                        return false;
                at = s->new_offset + s->size_bytes;
                projection->runs[i] = (Run){ (uint32_t)s->old_offset, (uint32_t)s->size_bytes,
                        (uint32_t)s->new_offset };
        }
        return true;
}

int patch_projection_new(uint64_t old_size, uint64_t new_size, const PatchSegment *segments, size_t count,
                PatchProjection **ret)
{
        PatchProjection *projection;

        if (old_size > UINT32_MAX || new_size > UINT32_MAX || count > PATCH_SEGMENTS_MAX)
                return -EBADMSG;
        projection = calloc(1, sizeof(*projection));
        if (!projection)
                return -ENOMEM;
        projection->runs = malloc((count + 1) * sizeof(Run));
        projection->bucket_shift = BUCKET_SHIFT_MIN;
        while (old_size >> projection->bucket_shift >= BUCKETS_MAX)
                projection->bucket_shift++;
        projection->bucket_count = (size_t)(old_size >> projection->bucket_shift) + 1;
        projection->buckets = malloc((projection->bucket_count + 1) * sizeof(uint32_t));
        if (!projection->runs || !projection->buckets ||
                        !take_runs(projection, old_size, new_size, segments, count)) {
                int r = projection->runs && projection->buckets ? -EBADMSG : -ENOMEM;

                (void)patch_projection_free(projection);
                return r;
        }
        sort_in_place(projection->runs, count, sizeof(Run), compare_runs);
        projection->count = resolve_overlaps(projection->runs, count);
        fill_buckets(projection);
        *ret = projection;
        return 0;
}

PatchProjection *patch_projection_free(PatchProjection *projection)
{
        if (projection) {
                free(projection->runs);
                free(projection->buckets);
                free(projection);
        }
        return NULL;
}

uint64_t patch_projection_memory_bytes(size_t count)
{
        return sizeof(PatchProjection) + (count + 1) * sizeof(Run) + (BUCKETS_MAX + 1) * sizeof(uint32_t);
}

uint64_t patch_project(const PatchProjection *projection, uint64_t old_offset, bool *ret_exact)
{
        uint64_t bucket = MIN_OF(old_offset >> projection->bucket_shift, (uint64_t)projection->bucket_count);
        size_t at = projection->buckets[bucket], end;
        const Run *run, *before;

        *ret_exact = false;
        if (projection->count == 0)
                return old_offset;
        /* The first run that ends behind the offset lies between those of two buckets. */
        end = bucket < projection->bucket_count ? projection->buckets[bucket + 1] : projection->count;
        while (at < end) {
                size_t middle = at + (end - at) / 2;

                if ((uint64_t)projection->runs[middle].old_offset + projection->runs[middle].size <=
                                old_offset)
                        at = middle + 1;
                else
                        end = middle;
        }
        run = at < projection->count ? &projection->runs[at] : NULL;
        if (run && run->old_offset <= old_offset) {
                *ret_exact = true;
                return old_offset - run->old_offset + run->new_offset;
        }
        before = at > 0 ? &projection->runs[at - 1] : NULL;
        if (!before || (run && old_offset - (before->old_offset + before->size) >=
                                                       run->old_offset - old_offset))
                before = run;
        return old_offset - before->old_offset + before->new_offset;
}

struct PatchLearned {
        unsigned shift; /* of the hash, leaving the number of the slot */
        size_t mask;
        uint32_t *slots;                        /* pairs: tag (0: empty), value */
        uint8_t filter[(1 << FILTER_BITS) / 8]; /* a bit for each hash that was put */
};

PatchLearned *patch_learned_new(unsigned log2_slots)
{
        PatchLearned *learned = calloc(1, sizeof(*learned));

        if (!learned)
                return NULL;
        learned->shift = 64 - log2_slots;
        learned->mask = ((size_t)1 << log2_slots) - 1;
        learned->slots = calloc((size_t)2 << log2_slots, sizeof(uint32_t));
        return learned->slots ? learned : patch_learned_free(learned);
}

PatchLearned *patch_learned_free(PatchLearned *learned)
{
        if (learned) {
                free(learned->slots);
                free(learned);
        }
        return NULL;
}

static uint64_t hash_of(uint64_t key)
{
        key ^= key >> 32;
        key *= UINT64_C(0x9e3779b97f4a7c15);
        key ^= key >> 29;
        return key * UINT64_C(0xbf58476d1ce4e5b9);
}

static uint32_t tag_of(uint64_t hash)
{
        return (uint32_t)hash | 1;
}

bool patch_learned_get(const PatchLearned *learned, uint64_t key, uint32_t *ret_value)
{
        uint64_t hash = hash_of(key);
        uint32_t tag = tag_of(hash), bit = (uint32_t)(hash >> (64 - FILTER_BITS));

        if (!(learned->filter[bit / 8] >> bit % 8 & 1))
                return false;
        for (size_t i = 0; i < PROBES; i++) {
                const uint32_t *slot = &learned->slots[2 * (((hash >> learned->shift) + i) & learned->mask)];

                if (slot[0] == tag) {
                        *ret_value = slot[1];
                        return true;
                }
                if (slot[0] == 0)
                        return false;
        }
        return false;
}

void patch_learned_put(PatchLearned *learned, uint64_t key, uint32_t value)
{
        uint64_t hash = hash_of(key);
        uint32_t tag = tag_of(hash);
        uint32_t *slot = NULL, bit = (uint32_t)(hash >> (64 - FILTER_BITS));

        learned->filter[bit / 8] |= (uint8_t)(1 << bit % 8);
        for (size_t i = 0; i < PROBES; i++) {
                slot = &learned->slots[2 * (((hash >> learned->shift) + i) & learned->mask)];
                if (slot[0] == tag || slot[0] == 0)
                        break;
        }
        slot[0] = tag;
        slot[1] = value;
}
