/* SPDX-License-Identifier: Apache-2.0 */
#include "suffix-match.h"

#include <divsufsort.h>
#include <string.h>

/* A match counts when it has this many bytes more than what continuing the last run would have. */
#define GAIN_MIN 8
#define RUN_MIN 12 /* what is shorter costs more as a run than as literals */

/* While so many of the next bytes are as the last run has them, nothing better is looked for. */
#define LOOK_AHEAD 32
#define LOOK_AHEAD_SAME 27

/* Longer matches are not told apart; they are found again from where one was cut. */
#define LENGTH_MAX 4096

/* Bytes compared for each byte of the new file, beyond which positions are passed over. */
#define WORK_SHARE 2048
#define STRIDE_WHEN_TIRED 32

typedef struct Match {
        size_t position, length;
} Match;

typedef struct Matcher {
        const uint8_t *old_data, *new_data;
        size_t old_size, new_size;
        const saidx_t *suffixes;
        uint64_t work, work_max; /* bytes compared */
        SegmentList *segments;
        /* The last run begins here; what it continues to by its offset is what others have to beat. */
        size_t last_old, last_new;
        int64_t last_shift;
} Matcher;

void segment_list_done(SegmentList *segments)
{
        free(segments->list);
        *segments = (SegmentList){ 0 };
}

int segment_list_add(SegmentList *segments, uint64_t old_offset, uint64_t new_offset, uint64_t size_bytes)
{
        if (size_bytes == 0)
                return 0;
        if (segments->count == segments->capacity) {
                size_t capacity = segments->capacity > 0 ? 2 * segments->capacity : 64;
                PatchSegment *list = reallocarray(segments->list, capacity, sizeof(*list));

                if (!list)
                        return -ENOMEM;
                segments->list = list;
                segments->capacity = capacity;
        }
        segments->list[segments->count++] = (PatchSegment){ old_offset, new_offset, size_bytes };
        return 0;
}

static size_t common_length(const uint8_t *a, const uint8_t *b, size_t max)
{
        size_t n = 0;

        while (n + 8 <= max) {
                uint64_t x, y;

                memcpy(&x, a + n, 8);
                memcpy(&y, b + n, 8);
                if (x != y)
                        return n + (size_t)__builtin_ctzll(x ^ y) / 8;
                n += 8;
        }
        while (n < max && a[n] == b[n])
                n++;
        return n;
}

/* Length of the common start of a suffix and of what stands at `at` of the new file, of which `known` bytes
 * are known to be the same. */
static size_t suffix_length(Matcher *matcher, size_t suffix, size_t at, size_t known)
{
        size_t max = MIN_OF(matcher->old_size - suffix, matcher->new_size - at);
        size_t n;

        max = MIN_OF(max, (size_t)LENGTH_MAX);
        if (known >= max)
                return max;
        n = known +
            common_length(matcher->old_data + suffix + known, matcher->new_data + at + known, max - known);
        matcher->work += n - known + 8;
        return n;
}

/* Whether the suffix sorts before what stands at `at`, given the length of their common start. */
static bool sorts_before(const Matcher *matcher, size_t suffix, size_t at, size_t length)
{
        if (length >= LENGTH_MAX || at + length == matcher->new_size)
                return false;
        return suffix + length == matcher->old_size ||
               matcher->old_data[suffix + length] < matcher->new_data[at + length];
}

static Match search(Matcher *matcher, size_t at)
{
        size_t low = 0, high = matcher->old_size - 1, low_length = 0, high_length = 0;
        Match a, b;

        while (high - low >= 2) {
                size_t middle = low + (high - low) / 2, suffix = (size_t)matcher->suffixes[middle];
                size_t length = suffix_length(matcher, suffix, at, MIN_OF(low_length, high_length));

                if (sorts_before(matcher, suffix, at, length)) {
                        low = middle;
                        low_length = length;
                } else {
                        high = middle;
                        high_length = length;
                }
        }
        a = (Match){ (size_t)matcher->suffixes[low], 0 };
        b = (Match){ (size_t)matcher->suffixes[high], 0 };
        a.length = suffix_length(matcher, a.position, at, 0);
        b.length = suffix_length(matcher, b.position, at, 0);
        return a.length > b.length ? a : b;
}

/* Whether the byte at `at` is what the last run, continued, has there. */
static bool continues(const Matcher *matcher, size_t at)
{
        int64_t old_at = (int64_t)at + matcher->last_shift;

        return old_at >= 0 && (uint64_t)old_at < matcher->old_size &&
               matcher->old_data[old_at] == matcher->new_data[at];
}

static bool continues_well(const Matcher *matcher, size_t at)
{
        unsigned same = 0;

        if (matcher->new_size - at < LOOK_AHEAD)
                return false;
        for (size_t i = 0; i < LOOK_AHEAD; i++)
                same += continues(matcher, at + i);
        return same >= LOOK_AHEAD_SAME;
}

/* Goes from *at to the next place where a match is worth a run of its own, or where the last run goes on. */
static Match next_match(Matcher *matcher, size_t *at, bool *ret_is_new)
{
        size_t scored = *at, score = 0, i = *at;
        Match match = { 0 };

        *ret_is_new = true;
        while (i < matcher->new_size) {
                size_t stride = matcher->work > matcher->work_max ? STRIDE_WHEN_TIRED : 1;

                if (continues_well(matcher, i)) {
                        match.length = LOOK_AHEAD;
                        *ret_is_new = false;
                        break;
                }
                match = search(matcher, i);
                for (; scored < i + match.length; scored++)
                        score += continues(matcher, scored);
                if (match.length == score && match.length != 0) {
                        *ret_is_new = false;
                        break;
                }
                if (match.length > score + GAIN_MIN)
                        break;
                for (size_t j = 0; j < stride && i < matcher->new_size; j++, i++)
                        if (scored > i)
                                score -= continues(matcher, i);
                        else
                                scored = i + 1;
        }
        *at = i;
        return match;
}

/* How far the last run reaches forward, before `end`. */
static size_t reach_forward(const Matcher *matcher, size_t end)
{
        size_t same = 0, best_same = 0, best = 0;

        for (size_t i = 0; matcher->last_new + i < end && matcher->last_old + i < matcher->old_size;) {
                same += matcher->old_data[matcher->last_old + i] == matcher->new_data[matcher->last_new + i];
                i++;
                if ((int64_t)(2 * same) - (int64_t)i > (int64_t)(2 * best_same) - (int64_t)best) {
                        best_same = same;
                        best = i;
                }
        }
        return best;
}

/* How far a match at `at` reaches back. */
static size_t reach_back(const Matcher *matcher, size_t position, size_t at)
{
        size_t same = 0, best_same = 0, best = 0;

        for (size_t i = 1; at >= matcher->last_new + i && position >= i; i++) {
                same += matcher->old_data[position - i] == matcher->new_data[at - i];
                if ((int64_t)(2 * same) - (int64_t)i > (int64_t)(2 * best_same) - (int64_t)best) {
                        best_same = same;
                        best = i;
                }
        }
        return best;
}

/* Where two runs overlap, the border goes where most bytes are the same; returns how much of the overlap
 * the first keeps. */
static size_t settle_overlap(const Matcher *matcher, size_t forward, size_t position, size_t at, size_t back,
                size_t overlap)
{
        const uint8_t *first_new = matcher->new_data + matcher->last_new + forward - overlap;
        const uint8_t *first_old = matcher->old_data + matcher->last_old + forward - overlap;
        const uint8_t *second_new = matcher->new_data + at - back,
                      *second_old = matcher->old_data + position - back;
        int64_t balance = 0, best_balance = 0;
        size_t best = 0;

        for (size_t i = 0; i < overlap; i++) {
                balance += first_new[i] == first_old[i];
                balance -= second_new[i] == second_old[i];
                if (balance > best_balance) {
                        best_balance = balance;
                        best = i + 1;
                }
        }
        return best;
}

/* Ends the last run where the next one, at `at`, begins. */
static int end_run(Matcher *matcher, const Match *match, size_t at)
{
        size_t forward = reach_forward(matcher, at), back = 0;
        int r;

        if (at < matcher->new_size)
                back = reach_back(matcher, match->position, at);
        if (matcher->last_new + forward > at - back) {
                size_t overlap = matcher->last_new + forward - (at - back);
                size_t kept = settle_overlap(matcher, forward, match->position, at, back, overlap);

                forward -= overlap - kept;
                back -= kept;
        }
        r = forward < RUN_MIN && forward < matcher->new_size
                            ? 0
                            : segment_list_add(matcher->segments, matcher->last_old, matcher->last_new,
                                              forward);
        matcher->last_new = at - back;
        matcher->last_old = match->position - back;
        matcher->last_shift = (int64_t)match->position - (int64_t)at;
        return r;
}

static int match_all(Matcher *matcher)
{
        size_t at = 0;
        int r = 0;

        while (r >= 0 && at < matcher->new_size) {
                bool is_new;
                Match match = next_match(matcher, &at, &is_new);

                if (at == matcher->new_size)
                        break;
                if (is_new)
                        r = end_run(matcher, &match, at);
                at += match.length;
        }
        return r < 0 ? r : end_run(matcher, &(Match){ 0 }, matcher->new_size);
}

int suffix_match(const uint8_t *old_data, size_t old_size, const uint8_t *new_data, size_t new_size,
                SegmentList *ret)
{
        _cleanup_free_ saidx_t *suffixes = NULL;
        Matcher matcher = { .old_data = old_data,
                .new_data = new_data,
                .old_size = old_size,
                .new_size = new_size,
                .work_max = WORK_SHARE * (uint64_t)new_size,
                .segments = ret };

        if (old_size == 0 || new_size == 0)
                return 0;
        if (old_size > SUFFIX_MATCH_MAX)
                return -E2BIG;
        suffixes = reallocarray(NULL, old_size, sizeof(*suffixes));
        if (!suffixes || divsufsort(old_data, suffixes, (saidx_t)old_size) != 0)
                return -ENOMEM;
        matcher.suffixes = suffixes;
        return match_all(&matcher);
}
