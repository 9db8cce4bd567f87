/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "cpio.h"
#include "file.h"
#include "image-files.h"
#include "payload-match.h"
#include "recomp-match.h"
#include "sort.h"

#include <string.h>
#include <sys/stat.h>

#define GROUP_DEFAULT (32 * MIB)
#define UKI_SIZE_MAX (256 * MIB)

/* Kernels stand at such places in a kernel image. */
#define KERNEL_ALIGNMENT 512
#define KERNEL_SIZE_MIN (64 * KIB)

typedef struct UkiPlanner {
        uint8_t *data, *old_data; /* new and old image; the old one may be NULL */
        size_t size, old_size;
        uint64_t root_base; /* of the new root in the sources joined; the old image is first */
        ImageFiles root;
        SegmentList segments; /* sorted by tidy() */
        RecompPair streams;   /* offsets in the images */
        bool has_streams;
} UkiPlanner;

static void planner_done(UkiPlanner *planner)
{
        free(planner->data);
        free(planner->old_data);
        image_files_done(&planner->root);
        segment_list_done(&planner->segments);
}

static int read_image(int fd, uint64_t offset, uint64_t size, uint8_t **ret, Error *error)
{
        _cleanup_free_ uint8_t *data = malloc(size + 1);
        int r;

        if (!data)
                return error_oom(error);
        r = pread_full(fd, data, size, offset);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read a kernel image: %s", strerror(-r));
        *ret = TAKE_PTR(data);
        return 0;
}

/* ---- what the new root has ---- */

/* Adds the content of a file as what stands at `at`, if it does: 1, or 0. */
static int add_file(UkiPlanner *planner, const ErofsInode *inode, size_t at, Error *error)
{
        _cleanup_free_ uint8_t *content = NULL;
        int r;

        if (inode->size_bytes == 0 || inode->size_bytes > planner->size - at)
                return 0;
        content = malloc(inode->size_bytes);
        if (!content)
                return error_oom(error);
        r = erofs_read(planner->root.image, inode, 0, content, inode->size_bytes, error);
        if (r < 0)
                return r;
        if (memcmp(content, planner->data + at, inode->size_bytes) != 0)
                return 0;
        if (segment_list_add(&planner->segments, planner->root_base + inode->data_offset, at,
                            inode->data_bytes) < 0 ||
                        segment_list_add(&planner->segments, planner->root_base + inode->tail_offset,
                                        at + inode->data_bytes, inode->tail_bytes) < 0)
                return error_oom(error);
        return 1;
}

static const ImageFile *find_path(const ImageFiles *files, const char *path)
{
        size_t low = 0, high = files->count;

        while (low < high) {
                size_t middle = (low + high) / 2;
                int order = strcmp(path, files->list[middle].path);

                if (order == 0)
                        return &files->list[middle];
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

/* The files of archives in the image, wherever these stand: a header says what follows it. */
static int add_members(UkiPlanner *planner, Error *error)
{
        size_t at = 0;

        while (at < planner->size) {
                CpioMember member;
                const ImageFile *file;
                int r = cpio_member_at(planner->data + at, planner->size - at, &member);

                if (r == 0) {
                        at += CPIO_ALIGNMENT;
                        continue;
                }
                file = S_ISREG(member.mode) ? find_path(&planner->root, member.path) : NULL;
                if (file && file->inode.size_bytes == member.size_bytes) {
                        r = add_file(planner, &file->inode, at + member.data_offset, error);
                        if (r < 0)
                                return r;
                }
                at += member.data_offset +
                      (member.size_bytes + CPIO_ALIGNMENT - 1) / CPIO_ALIGNMENT * CPIO_ALIGNMENT;
        }
        return 0;
}

/* ---- the kernel ---- */

/* Where an image has its kernel; `size` when it has none. */
static size_t find_kernel(const uint8_t *data, size_t size)
{
        for (size_t at = 0; at + KERNEL_SIZE_MIN <= size; at += KERNEL_ALIGNMENT)
                if (recomp_is_kernel(data + at, size - at))
                        return at;
        return size;
}

static bool is_kernel_file(const ImageFile *file)
{
        const char *name = strrchr(file->path, '/');

        return S_ISREG(file->inode.mode) && file->inode.size_bytes >= KERNEL_SIZE_MIN &&
               strncmp(name ? name + 1 : file->path, "vmlinuz", strlen("vmlinuz")) == 0;
}

/* As it is, where the old image has the same: 1, or 0. Neither end then unpacks what it would only pack
 * again. */
static int add_same_stream(UkiPlanner *planner, size_t old_kernel, size_t kernel)
{
        const uint8_t *old_data = planner->old_data + old_kernel, *data = planner->data + kernel;
        RecompStream old, new;

        if (!recomp_locate(old_data, planner->old_size - old_kernel, &old) ||
                        !recomp_locate(data, planner->size - kernel, &new) ||
                        old.size_bytes != new.size_bytes ||
                        memcmp(old_data + old.offset, data + new.offset, new.size_bytes) != 0)
                return 0;
        if (segment_list_add(&planner->segments, old_kernel + old.offset, kernel + new.offset,
                            new.size_bytes) < 0)
                return -ENOMEM;
        return 1;
}

/* As a file of the new root, as it was, or else as a stream that can be patched in the clear. */
static int add_kernel(UkiPlanner *planner, Error *error)
{
        size_t kernel = find_kernel(planner->data, planner->size);
        size_t old_kernel = find_kernel(planner->old_data, planner->old_size);
        int r = 0;

        if (kernel == planner->size)
                return 0;
        for (size_t i = 0; r == 0 && i < planner->root.count; i++)
                if (is_kernel_file(&planner->root.list[i]))
                        r = add_file(planner, &planner->root.list[i].inode, kernel, error);
        if (r != 0 || old_kernel == planner->old_size)
                return MIN_OF(r, 0);
        r = add_same_stream(planner, old_kernel, kernel);
        if (r != 0)
                return r < 0 ? error_oom(error) : 0;
        r = recomp_match_bytes(planner->old_data + old_kernel, planner->old_size - old_kernel,
                        planner->data + kernel, planner->size - kernel, &planner->streams, error);
        if (r <= 0)
                return r;
        planner->has_streams = true;
        planner->streams.old_stream.offset += old_kernel;
        planner->streams.new_stream.offset += kernel;
        return 0;
}

/* ---- the rest ---- */

/* What is left of the new image, joined, and where each part is from. */
typedef struct Rest {
        uint8_t *data;
        size_t size;
        PatchSegment *parts; /* old_offset: in the joined bytes */
        size_t part_count;
} Rest;

static void rest_done(Rest *rest)
{
        free(rest->data);
        free(rest->parts);
}

static void add_part(const UkiPlanner *planner, Rest *rest, size_t from, size_t end)
{
        if (end <= from)
                return;
        memcpy(rest->data + rest->size, planner->data + from, end - from);
        rest->parts[rest->part_count++] = (PatchSegment){ rest->size, from, end - from };
        rest->size += end - from;
}

static int by_new_offset(const void *a, const void *b)
{
        const PatchSegment *x = a, *y = b;

        return x->new_offset < y->new_offset ? -1 : x->new_offset > y->new_offset;
}

/* All that no segment and no stream makes. */
static int collect_rest(UkiPlanner *planner, Rest *ret)
{
        SegmentList *done = &planner->segments;
        const RecompStream *stream = &planner->streams.new_stream;
        size_t at = 0;

        sort_in_place(done->list, done->count, sizeof(*done->list), by_new_offset);
        ret->data = malloc(planner->size + 1);
        ret->parts = calloc(done->count + 2, sizeof(*ret->parts));
        if (!ret->data || !ret->parts)
                return -ENOMEM;
        for (size_t i = 0; i < done->count; i++) {
                add_part(planner, ret, at, done->list[i].new_offset);
                at = done->list[i].new_offset + done->list[i].size_bytes;
        }
        if (planner->has_streams && stream->offset >= at) {
                add_part(planner, ret, at, stream->offset);
                at = stream->offset + stream->size_bytes;
        }
        add_part(planner, ret, at, planner->size);
        return 0;
}

/* The old image less its stream, joined. */
typedef struct OldRest {
        uint8_t *data;
        size_t size, cut_at, cut_size;
} OldRest;

static void old_rest_done(OldRest *rest)
{
        free(rest->data);
}

static int collect_old_rest(const UkiPlanner *planner, OldRest *ret)
{
        size_t kernel = find_kernel(planner->old_data, planner->old_size);
        RecompStream stream = { 0 };

        ret->cut_at = planner->old_size;
        if (kernel < planner->old_size &&
                        recomp_locate(planner->old_data + kernel, planner->old_size - kernel, &stream)) {
                ret->cut_at = kernel + stream.offset;
                ret->cut_size = stream.size_bytes;
        }
        ret->size = planner->old_size - ret->cut_size;
        ret->data = malloc(ret->size + 1);
        if (!ret->data)
                return -ENOMEM;
        if (planner->old_size == 0)
                return 0;
        memcpy(ret->data, planner->old_data, ret->cut_at);
        memcpy(ret->data + ret->cut_at, planner->old_data + ret->cut_at + ret->cut_size,
                        ret->size - ret->cut_at);
        return 0;
}

static int add_old(UkiPlanner *planner, const OldRest *old_rest, uint64_t old_offset, uint64_t new_offset,
                uint64_t size)
{
        uint64_t before = old_offset < old_rest->cut_at ? MIN_OF(size, old_rest->cut_at - old_offset) : 0;
        int r = segment_list_add(&planner->segments, old_offset, new_offset, before);

        return r < 0 ? r
                     : segment_list_add(&planner->segments, old_offset + before + old_rest->cut_size,
                                       new_offset + before, size - before);
}

/* Adds a run of the rest as what it is in the images. */
static int add_run(UkiPlanner *planner, const OldRest *old_rest, const Rest *rest, const PatchSegment *run)
{
        for (size_t i = 0; i < rest->part_count; i++) {
                const PatchSegment *part = &rest->parts[i];
                uint64_t from = MAX_OF(part->old_offset, run->new_offset);
                uint64_t end = MIN_OF(
                                part->old_offset + part->size_bytes, run->new_offset + run->size_bytes);
                int r = from < end ? add_old(planner, old_rest, run->old_offset + (from - run->new_offset),
                                                     part->new_offset + (from - part->old_offset),
                                                     end - from)
                                   : 0;

                if (r < 0)
                        return r;
        }
        return 0;
}

/* Looks for the rest in the old image, but not in what is packed there. */
static int match_rest(UkiPlanner *planner)
{
        _cleanup_(segment_list_done) SegmentList runs = { 0 };
        _cleanup_(old_rest_done) OldRest old_rest = { 0 };
        _cleanup_(rest_done) Rest rest = { 0 };
        int r = collect_rest(planner, &rest);

        if (r >= 0)
                r = collect_old_rest(planner, &old_rest);
        if (r >= 0)
                r = suffix_match(old_rest.data, old_rest.size, rest.data, rest.size, &runs);
        for (size_t i = 0; r >= 0 && i < runs.count; i++)
                r = add_run(planner, &old_rest, &rest, &runs.list[i]);
        sort_in_place(planner->segments.list, planner->segments.count, sizeof(*planner->segments.list),
                        by_new_offset);
        return r;
}

/* ---- groups ---- */

/* Adds the op that makes [from, end) by runs of the sources. */
static int add_whole(const UkiPlanner *planner, PlanGroup *group, uint64_t from, uint64_t end)
{
        const SegmentList *all = &planner->segments;
        PlanOp *op;
        int r;

        if (from >= end)
                return 0;
        r = plan_group_add_op(group, PAYLOAD_OP_PATCH, end - from, NULL, 0);
        if (r < 0)
                return r;
        op = &group->ops[group->op_count - 1];
        for (size_t i = 0; r >= 0 && i < all->count && all->list[i].new_offset < end; i++) {
                uint64_t begin = MAX_OF(all->list[i].new_offset, from);
                uint64_t stop = MIN_OF(all->list[i].new_offset + all->list[i].size_bytes, end);

                if (begin < stop)
                        r = segment_list_add(&op->segments,
                                        all->list[i].old_offset + (begin - all->list[i].new_offset),
                                        begin - from, stop - begin);
        }
        return r;
}

static int fill_group(const UkiPlanner *planner, PlanGroup *group)
{
        const RecompPair *streams = &planner->streams;
        uint64_t at = group->target_offset, end = at + group->target_size_bytes;
        uint64_t stream_end = streams->new_stream.offset + streams->new_stream.size_bytes;
        int r;

        if (!planner->has_streams || streams->new_stream.offset < at || stream_end > end)
                return add_whole(planner, group, at, end);
        r = add_whole(planner, group, at, streams->new_stream.offset);
        if (r >= 0)
                r = recomp_add_op(group, streams, PAYLOAD_SOURCE_OLD_UKI, streams->old_stream.offset,
                                "kernel");
        return r < 0 ? r : add_whole(planner, group, stream_end, end);
}

/* The stream has a group of its own, with the rest of its first and last block. */
static uint64_t group_end(const UkiPlanner *planner, uint64_t from, uint64_t group_size)
{
        const RecompStream *stream = &planner->streams.new_stream;
        uint64_t begin = stream->offset / PAYLOAD_BLOCK_SIZE * PAYLOAD_BLOCK_SIZE;
        uint64_t stop = (stream->offset + stream->size_bytes + PAYLOAD_BLOCK_SIZE - 1) / PAYLOAD_BLOCK_SIZE *
                        PAYLOAD_BLOCK_SIZE;
        uint64_t end = MIN_OF(from + group_size, (uint64_t)planner->size);

        if (!planner->has_streams || from >= stop)
                return end;
        return from < begin ? MIN_OF(end, begin) : MIN_OF(stop, (uint64_t)planner->size);
}

static int make_groups(const UkiPlanner *planner, uint64_t group_size, PayloadPlan *plan)
{
        int r = 0;

        for (uint64_t at = 0; r >= 0 && at < planner->size;) {
                uint64_t end = group_end(planner, at, group_size);
                PlanGroup *group;

                r = payload_plan_add_group(plan, end - at, &group);
                if (r >= 0)
                        r = fill_group(planner, group);
                at = end;
        }
        return r;
}

/* ---- all of it ---- */

static int open_all(UkiPlanner *planner, int target_fd, uint64_t size, const PayloadSource *sources,
                PayloadPlan *plan, Error *error)
{
        const PayloadSource *old = &sources[PAYLOAD_SOURCE_OLD_UKI],
                            *root = &sources[PAYLOAD_SOURCE_NEW_ROOT];
        int r = read_image(target_fd, 0, size, &planner->data, error);

        planner->size = size;
        if (r >= 0 && planner->size > 2 && memcmp(planner->data, "MZ", 2) != 0)
                return -EOPNOTSUPP;
        if (r >= 0 && old->fd >= 0 && old->size_bytes <= UKI_SIZE_MAX) {
                r = read_image(old->fd, old->offset, old->size_bytes, &planner->old_data, error);
                planner->old_size = old->size_bytes;
                plan->source_size_bytes[PAYLOAD_SOURCE_OLD_UKI] = old->size_bytes;
        }
        planner->root_base = planner->old_size;
        if (r < 0 || root->fd < 0 || root->offset != 0)
                return r;
        r = image_files_open(root->fd, &planner->root, NULL);
        if (r == -ENOMEM)
                return error_oom(error);
        plan->source_size_bytes[PAYLOAD_SOURCE_NEW_ROOT] = r < 0 ? 0 : root->size_bytes;
        return 0;
}

int payload_match_uki(int target_fd, uint64_t target_size_bytes, const PayloadSource *sources,
                uint64_t group_size_bytes, PayloadPlan **ret, Error *error)
{
        uint64_t group_size = group_size_bytes > 0 ? group_size_bytes : GROUP_DEFAULT;
        _cleanup_(payload_plan_freep) PayloadPlan *plan = payload_plan_new(target_size_bytes);
        _cleanup_(planner_done) UkiPlanner planner = { 0 };
        int r;

        if (!plan)
                return error_oom(error);
        if (target_size_bytes > UKI_SIZE_MAX)
                return -EOPNOTSUPP;
        r = open_all(&planner, target_fd, target_size_bytes, sources, plan, error);
        if (r >= 0)
                r = add_members(&planner, error);
        if (r >= 0)
                r = add_kernel(&planner, error);
        if (r < 0)
                return r;
        planner.has_streams =
                        planner.has_streams &&
                        planner.streams.new_stream.size_bytes <= PAYLOAD_GROUP_MAX - 2 * PAYLOAD_BLOCK_SIZE;
        r = match_rest(&planner);
        if (r >= 0)
                r = make_groups(&planner, group_size, plan);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "cannot plan a kernel image: %s", strerror(-r));
        *ret = TAKE_PTR(plan);
        return 0;
}
