/* SPDX-License-Identifier: Apache-2.0 */
#include "image-runs.h"

#include "file.h"
#include "sort.h"

/* Runs at the same distance become one across so much, if most of that is the same as well. */
#define BRIDGE_MAX (8 * KIB)

static int by_new_offset(const void *a, const void *b)
{
        const PatchSegment *x = a, *y = b;

        if (x->new_offset != y->new_offset)
                return x->new_offset < y->new_offset ? -1 : 1;
        return x->size_bytes > y->size_bytes ? -1 : x->size_bytes < y->size_bytes;
}

/* How many of `size` bytes are the same in both images; `ret_first` before the first that is not. */
static int count_same(ImageRuns *image, uint64_t old_offset, uint64_t new_offset, size_t size,
                size_t *ret_first, size_t *ret_last, size_t *ret)
{
        uint8_t old_bytes[BRIDGE_MAX], new_bytes[BRIDGE_MAX];
        size_t same = 0, first = size, last = 0;
        int r = pread_full(image->old_root->fd, old_bytes, size, image->old_root->offset + old_offset);

        if (r >= 0)
                r = pread_full(image->target_fd, new_bytes, size, new_offset);
        if (r < 0)
                return r;
        for (size_t i = 0; i < size; i++) {
                bool equal = old_bytes[i] == new_bytes[i];

                same += equal;
                if (!equal && first == size)
                        first = i;
                last = equal ? last + 1 : 0;
        }
        *ret_first = first;
        *ret_last = last;
        *ret = same;
        return 0;
}

/* What lies between two runs (padding, mostly) goes to one of them where it can. */
static int close_gap(ImageRuns *image, PatchSegment *before, PatchSegment *after)
{
        uint64_t end = before->new_offset + before->size_bytes, gap = after->new_offset - end;
        uint64_t old_end = before->old_offset + before->size_bytes, size = image->old_root->size_bytes;
        size_t first, last, same, part;
        int r;

        if (gap == 0 || gap > BRIDGE_MAX)
                return 0;
        part = MIN_OF(gap, size - old_end);
        r = count_same(image, old_end, end, part, &first, &last, &same);
        if (r < 0)
                return r;
        if (after->new_offset - before->new_offset == after->old_offset - before->old_offset &&
                        part == gap && same >= gap / 2)
                first = gap;
        before->size_bytes += first;
        gap -= first;
        part = MIN_OF(gap, after->old_offset);
        r = count_same(image, after->old_offset - part, after->new_offset - part, part, &first, &last,
                        &same);
        if (r < 0)
                return r;
        after->old_offset -= last;
        after->new_offset -= last;
        after->size_bytes += last;
        return 0;
}

int image_runs_tidy(ImageRuns *image)
{
        SegmentList *all = &image->runs;
        size_t kept = 0, border = 0;

        sort_in_place(all->list, all->count, sizeof(*all->list), by_new_offset);
        for (size_t i = 0; i < all->count; i++) {
                PatchSegment next = all->list[i];
                PatchSegment *last = kept > 0 ? &all->list[kept - 1] : NULL;
                uint64_t end = last ? last->new_offset + last->size_bytes : 0;
                bool parted;
                int r;

                if (end > next.new_offset) {
                        uint64_t overlap = end - next.new_offset;

                        if (overlap >= next.size_bytes)
                                continue;
                        next = (PatchSegment){ next.old_offset + overlap, end, next.size_bytes - overlap };
                }
                while (border < image->border_count && image->borders[border] < end)
                        border++;
                parted = border < image->border_count && image->borders[border] < next.new_offset;
                if (last && !parted) {
                        r = close_gap(image, last, &next);
                        if (r < 0)
                                return r;
                        if (last->new_offset + last->size_bytes == next.new_offset &&
                                        last->old_offset + last->size_bytes == next.old_offset) {
                                last->size_bytes += next.size_bytes;
                                continue;
                        }
                }
                all->list[kept++] = next;
        }
        all->count = kept;
        return 0;
}
