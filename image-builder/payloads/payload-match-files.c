/* SPDX-License-Identifier: Apache-2.0 */
#include "image-files.h"
#include "image-runs.h"
#include "payload-match.h"
#include "recomp-match.h"

#include <string.h>
#include <sys/stat.h>

#define GROUP_DEFAULT (32 * MIB)

/* Larger files are not compared byte by byte. */
#define COMPARED_MAX (256 * MIB)

/* A stream whose op takes more has a group of its own. */
#define STREAM_MEMORY_SHARED (2 * MIB)

/* Of a program's old version, as much of the end as its new tail can come from. */
#define OLD_END_MAX (16 * KIB)

/* A program whose blocks get an op of their own. */
typedef struct Carve {
        uint64_t offset, size_bytes;
        const ImageFile *file, *old_file;
        size_t hole;         /* in its group, from 1; 0: its tail is elsewhere, or nowhere */
        RecompPair *streams; /* NULL: a program. Else a stream inside a file, which has a group of its own */
} Carve;

typedef struct FilePlanner {
        int target_fd;
        uint64_t target_size;
        const PayloadSource *old_root;
        ImageFiles old_files, new_files;
        const ImageFile **pairs;
        SegmentList segments; /* of the whole image */
        Carve *carves;
        size_t carve_count;
        uint64_t carve_max;
} FilePlanner;

static void planner_done(FilePlanner *planner)
{
        image_files_done(&planner->old_files);
        image_files_done(&planner->new_files);
        free(planner->pairs);
        segment_list_done(&planner->segments);
        for (size_t i = 0; i < planner->carve_count; i++)
                free(planner->carves[i].streams);
        free(planner->carves);
}

static int add(FilePlanner *planner, uint64_t old_offset, uint64_t new_offset, uint64_t size)
{
        return segment_list_add(&planner->segments, old_offset, new_offset, size);
}

/* Adds what a run of a file's content is in the image: content is in at most two places, on both sides. */
static int add_content(FilePlanner *planner, const ErofsInode *old_inode, const ErofsInode *new_inode,
                const PatchSegment *run)
{
        uint64_t old_at = run->old_offset, new_at = run->new_offset, left = run->size_bytes;
        int r = 0;

        while (r >= 0 && left > 0) {
                bool old_tail = old_at >= old_inode->data_bytes, new_tail = new_at >= new_inode->data_bytes;
                uint64_t old_left = old_tail ? left : old_inode->data_bytes - old_at;
                uint64_t new_left = new_tail ? left : new_inode->data_bytes - new_at;
                uint64_t part = MIN_OF(left, MIN_OF(old_left, new_left));

                r = add(planner,
                                old_tail ? old_inode->tail_offset + (old_at - old_inode->data_bytes)
                                         : old_inode->data_offset + old_at,
                                new_tail ? new_inode->tail_offset + (new_at - new_inode->data_bytes)
                                         : new_inode->data_offset + new_at,
                                part);
                old_at += part;
                new_at += part;
                left -= part;
        }
        return r;
}

/* A part of a file's content. */
typedef struct Part {
        const ImageFile *file;
        uint64_t from, size;
} Part;

static Part part_from(const ImageFile *file, uint64_t from)
{
        return (Part){ file, from, file->inode.size_bytes - from };
}

static int read_content(const ImageFiles *files, const Part *part, uint8_t **ret, Error *error)
{
        _cleanup_free_ uint8_t *data = malloc(part->size + 1);
        int r;

        if (!data)
                return error_oom(error);
        r = erofs_read(files->image, &part->file->inode, part->from, data, part->size, error);
        if (r >= 0)
                *ret = TAKE_PTR(data);
        return r;
}

/* Compares a part of an old file with one of a new file. */
static int match_content(FilePlanner *planner, Part old_part, Part part, Error *error)
{
        _cleanup_(segment_list_done) SegmentList runs = { 0 };
        _cleanup_free_ uint8_t *old_data = NULL, *new_data = NULL;
        int r = read_content(&planner->old_files, &old_part, &old_data, error);

        if (r >= 0)
                r = read_content(&planner->new_files, &part, &new_data, error);
        if (r < 0)
                return r;
        r = suffix_match(old_data, old_part.size, new_data, part.size, &runs);
        for (size_t i = 0; r >= 0 && i < runs.count; i++) {
                runs.list[i].old_offset += old_part.from;
                runs.list[i].new_offset += part.from;
                r = add_content(planner, &old_part.file->inode, &part.file->inode, &runs.list[i]);
        }
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "cannot compare \"%s\" with an old file: %s",
                                       part.file->path, strerror(-r))
                     : 0;
}

static bool is_program(const ImageFiles *files, const ImageFile *file)
{
        static const uint8_t magic[4] = { 0x7f, 'E', 'L', 'F' };
        uint8_t start[4];

        return file->inode.data_bytes > 0 &&
               erofs_read(files->image, &file->inode, 0, start, 4, NULL) >= 0 &&
               memcmp(start, magic, 4) == 0;
}

/* A program's blocks become an op of their own; its tail stays with the other inodes. */
static int add_program(FilePlanner *planner, const ImageFile *old_file, const ImageFile *file, Error *error)
{
        uint64_t old_size = old_file->inode.size_bytes;

        planner->carves[planner->carve_count++] =
                        (Carve){ file->inode.data_offset, file->inode.data_bytes, file, old_file, 0, NULL };
        if (file->inode.tail_bytes == 0)
                return 0;
        return match_content(planner, part_from(old_file, old_size - MIN_OF(old_size, OLD_END_MAX)),
                        part_from(file, file->inode.data_bytes), error);
}

/* What stands before and behind a stream is compared as it is. */
static int add_stream(FilePlanner *planner, const ImageFile *old_file, const ImageFile *file,
                const RecompPair *streams, Error *error)
{
        const RecompStream *old_stream = &streams->old_stream, *stream = &streams->new_stream;
        RecompPair *copy = malloc(sizeof(*copy));
        int r;

        if (!copy)
                return error_oom(error);
        *copy = *streams;
        planner->carves[planner->carve_count++] = (Carve){ file->inode.data_offset + stream->offset,
                stream->size_bytes, file, old_file, 0, copy };
        r = match_content(planner, (Part){ old_file, 0, old_stream->offset },
                        (Part){ file, 0, stream->offset }, error);
        return r < 0 ? r
                     : match_content(planner,
                                       part_from(old_file, old_stream->offset + old_stream->size_bytes),
                                       part_from(file, stream->offset + stream->size_bytes), error);
}

static int add_regular(FilePlanner *planner, const ImageFile *old_file, const ImageFile *file, Error *error)
{
        PatchSegment all = { 0, 0, file->inode.size_bytes };
        RecompPair streams;
        int r = image_files_same(&planner->old_files, old_file, &planner->new_files, file, error);

        if (r < 0)
                return r;
        if (r > 0)
                return add_content(planner, &old_file->inode, &file->inode, &all) < 0 ? error_oom(error) : 0;
        if (file->inode.data_bytes <= planner->carve_max && is_program(&planner->new_files, file) &&
                        is_program(&planner->old_files, old_file))
                return add_program(planner, old_file, file, error);
        r = recomp_match(&planner->old_files, &old_file->inode, &planner->new_files, &file->inode, &streams,
                        error);
        if (r != 0 && streams.new_stream.size_bytes <= planner->carve_max - PAYLOAD_BLOCK_SIZE)
                return r < 0 ? r : add_stream(planner, old_file, file, &streams, error);
        if (MAX_OF(file->inode.size_bytes, old_file->inode.size_bytes) > COMPARED_MAX)
                return 0;
        return match_content(planner, part_from(old_file, 0), part_from(file, 0), error);
}

static int add_file(FilePlanner *planner, const ImageFile *old_file, const ImageFile *file, Error *error)
{
        uint64_t head = MIN_OF(old_file->head_bytes, file->head_bytes);

        if (add(planner, old_file->inode.offset, file->inode.offset, head) < 0)
                return error_oom(error);
        if (file->inode.size_bytes == 0 || old_file->inode.size_bytes == 0)
                return 0;
        return S_ISREG(file->inode.mode)
                               ? add_regular(planner, old_file, file, error)
                               : match_content(planner, part_from(old_file, 0), part_from(file, 0), error);
}

static int by_carve_offset(const void *a, const void *b)
{
        const Carve *x = a, *y = b;

        return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Blocks that have an op of their own are no business of the runs of the whole. */
static int tidy(FilePlanner *planner)
{
        _cleanup_free_ uint64_t *borders = calloc(planner->carve_count + 1, sizeof(*borders));
        ImageRuns image = { .runs = planner->segments,
                .target_fd = planner->target_fd,
                .old_root = planner->old_root,
                .borders = borders,
                .border_count = planner->carve_count };
        int r;

        if (!borders)
                return -ENOMEM;
        for (size_t i = 0; i < planner->carve_count; i++)
                borders[i] = planner->carves[i].offset;
        r = image_runs_tidy(&image);
        planner->segments = image.runs;
        return r;
}

static int find_runs(FilePlanner *planner, Error *error)
{
        int r;

        /* The superblock stays where it is. */
        if (add(planner, 0, 0, MIN_OF(planner->old_root->size_bytes, (uint64_t)1152)) < 0)
                return error_oom(error);
        planner->carves = calloc(planner->new_files.count + 1, sizeof(*planner->carves));
        if (!planner->carves)
                return error_oom(error);
        for (size_t i = 0; i < planner->new_files.count; i++) {
                if (!planner->pairs[i])
                        continue;
                r = add_file(planner, planner->pairs[i], &planner->new_files.list[i], error);
                if (r < 0)
                        return r;
        }
        qsort(planner->carves, planner->carve_count, sizeof(*planner->carves), by_carve_offset);
        r = tidy(planner);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot compare the images: %s", strerror(-r)) : 0;
}

/* ---- groups ---- */

/* Adds the op that makes [from, end) of the image by runs of the whole. */
static int add_whole(FilePlanner *planner, PlanGroup *group, uint64_t from, uint64_t end, size_t *segment)
{
        const SegmentList *all = &planner->segments;
        PlanOp *op;
        int r;

        if (from == end)
                return 0;
        r = plan_group_add_op(group, PAYLOAD_OP_PATCH, end - from, NULL, 0);
        if (r < 0)
                return r;
        op = &group->ops[group->op_count - 1];
        while (*segment < all->count &&
                        all->list[*segment].new_offset + all->list[*segment].size_bytes <= from)
                (*segment)++;
        for (size_t i = *segment; r >= 0 && i < all->count && all->list[i].new_offset < end; i++) {
                uint64_t begin = MAX_OF(all->list[i].new_offset, from);
                uint64_t stop = MIN_OF(all->list[i].new_offset + all->list[i].size_bytes, end);

                r = segment_list_add(&op->segments,
                                all->list[i].old_offset + (begin - all->list[i].new_offset), begin - from,
                                stop - begin);
        }
        return r;
}

static int add_program_op(PlanGroup *group, const Carve *carve)
{
        const ErofsInode *old_inode = &carve->old_file->inode, *inode = &carve->file->inode;
        const PayloadRange ranges[] = {
                { PAYLOAD_SOURCE_OLD_ROOT, old_inode->data_offset, old_inode->data_bytes },
                { PAYLOAD_SOURCE_OLD_ROOT, old_inode->tail_offset, old_inode->tail_bytes },
        };
        int r = plan_group_add_op(group, PAYLOAD_OP_PATCH_ELF, carve->size_bytes, ranges,
                        old_inode->tail_bytes > 0 ? 2 : 1);
        PlanOp *op;

        if (r < 0)
                return r;
        op = &group->ops[group->op_count - 1];
        op->rest = (PayloadRange){ PAYLOAD_SOURCE_TARGET, inode->tail_offset, inode->tail_bytes };
        op->parameters[PAYLOAD_PATCH_HOLE] = carve->hole;
        op->name = strdup(carve->file->path);
        return op->name ? 0 : -ENOMEM;
}

static int add_carve(PlanGroup *group, const Carve *carve)
{
        return carve->streams ? recomp_add_op(group, carve->streams, PAYLOAD_SOURCE_OLD_ROOT,
                                                carve->old_file->inode.data_offset +
                                                                carve->streams->old_stream.offset,
                                                carve->file->path)
                              : add_program_op(group, carve);
}

/* Where the group that begins at `from` ends: no program is cut, and a stream that takes much memory is by
 * itself. */
static uint64_t group_end(const FilePlanner *planner, uint64_t from, size_t carve, uint64_t group_size)
{
        uint64_t limit = MIN_OF(from + group_size, planner->target_size);

        for (; carve < planner->carve_count && planner->carves[carve].offset < limit; carve++) {
                const Carve *next = &planner->carves[carve];
                uint64_t begin = next->offset - next->offset % PAYLOAD_BLOCK_SIZE;
                uint64_t end = next->offset + next->size_bytes;
                bool is_alone = next->streams && next->streams->memory_bytes > STREAM_MEMORY_SHARED;

                if (begin > from && (is_alone || end > limit))
                        return begin;
                if (is_alone)
                        return MIN_OF(planner->target_size,
                                        end + PAYLOAD_BLOCK_SIZE - 1 -
                                                        (end + PAYLOAD_BLOCK_SIZE - 1) % PAYLOAD_BLOCK_SIZE);
        }
        return limit;
}

/* What stands in a group besides runs of the whole: programs, and their tails. */
typedef struct Piece {
        uint64_t offset, size_bytes;
        Carve *carve;
        bool is_tail;
} Piece;

static int by_piece_offset(const void *a, const void *b)
{
        const Piece *x = a, *y = b;

        return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The programs of [from, end), and those of their tails that lie there too. */
static size_t find_pieces(FilePlanner *planner, uint64_t from, uint64_t end, size_t *carve, Piece *pieces)
{
        size_t count = 0, holes = 0;

        for (; *carve < planner->carve_count && planner->carves[*carve].offset < end; (*carve)++) {
                Carve *this = &planner->carves[*carve];
                const ErofsInode *inode = &this->file->inode;

                pieces[count++] = (Piece){ this->offset, this->size_bytes, this, false };
                if (inode->tail_bytes > 0 && inode->tail_offset >= from &&
                                inode->tail_offset + inode->tail_bytes <= end)
                        pieces[count++] = (Piece){ inode->tail_offset, inode->tail_bytes, this, true };
        }
        qsort(pieces, count, sizeof(*pieces), by_piece_offset);
        for (size_t i = 0; i < count; i++)
                if (pieces[i].is_tail)
                        pieces[i].carve->hole = ++holes;
        return count;
}

static int fill_group(
                FilePlanner *planner, PlanGroup *group, const Piece *pieces, size_t count, size_t *segment)
{
        uint64_t at = group->target_offset, end = at + group->target_size_bytes;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < count; i++) {
                r = add_whole(planner, group, at, pieces[i].offset, segment);
                if (r >= 0)
                        r = pieces[i].is_tail ? plan_group_add_op(group, PAYLOAD_OP_HOLE,
                                                                pieces[i].size_bytes, NULL, 0)
                                              : add_carve(group, pieces[i].carve);
                at = pieces[i].offset + pieces[i].size_bytes;
        }
        return r < 0 ? r : add_whole(planner, group, at, end, segment);
}

static int make_groups(FilePlanner *planner, uint64_t group_size, PayloadPlan *plan)
{
        _cleanup_free_ Piece *pieces = calloc(2 * planner->carve_count + 1, sizeof(*pieces));
        size_t carve = 0, segment = 0;
        int r = pieces ? 0 : -ENOMEM;

        for (uint64_t at = 0; r >= 0 && at < planner->target_size;) {
                uint64_t end = group_end(planner, at, carve, group_size);
                size_t count = find_pieces(planner, at, end, &carve, pieces);
                PlanGroup *group;

                r = payload_plan_add_group(plan, end - at, &group);
                if (r >= 0)
                        r = fill_group(planner, group, pieces, count, &segment);
                at = end;
        }
        return r;
}

int payload_match_files(int target_fd, uint64_t target_size_bytes, const PayloadSource *sources,
                uint64_t group_size_bytes, PayloadPlan **ret, Error *error)
{
        uint64_t group_size = group_size_bytes > 0 ? group_size_bytes : GROUP_DEFAULT;
        _cleanup_(payload_plan_freep) PayloadPlan *plan = payload_plan_new(target_size_bytes);
        _cleanup_(planner_done) FilePlanner planner = { .target_fd = target_fd,
                .target_size = target_size_bytes,
                .old_root = &sources[PAYLOAD_SOURCE_OLD_ROOT],
                .carve_max = group_size - PAYLOAD_BLOCK_SIZE };
        int r;

        if (!plan)
                return error_oom(error);
        r = image_files_open(planner.old_root->fd, &planner.old_files, error);
        if (r >= 0)
                r = image_files_open(target_fd, &planner.new_files, error);
        if (r >= 0)
                r = image_files_pair(&planner.old_files, &planner.new_files, &planner.pairs, error);
        if (r >= 0)
                r = find_runs(&planner, error);
        if (r < 0)
                return r;
        r = make_groups(&planner, group_size, plan);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "cannot plan a group: %s", strerror(-r));
        plan->source_size_bytes[PAYLOAD_SOURCE_OLD_ROOT] = planner.old_root->size_bytes;
        *ret = TAKE_PTR(plan);
        return 0;
}
