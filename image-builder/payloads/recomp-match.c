/* SPDX-License-Identifier: Apache-2.0 */
#include "recomp-match.h"

#include <string.h>

/* Smaller ones are cheaper as they are. */
#define STREAM_MIN (4 * KIB)
#define FILE_MAX (128 * MIB)

/* Of the 60 MiB of a decoder, what the stream itself, unpacking and making it, and the patch may take:
 * leaves room for the streams of a group, its blob and the table. */
#define MEMORY_MAX (42 * MIB)
#define RUNS_EXPECTED 20000

/* All of a file that is not too large for it; *ret stays NULL for others. */
static int read_file(const ImageFiles *files, const ErofsInode *inode, uint8_t **ret, Error *error)
{
        _cleanup_free_ uint8_t *data = NULL;
        int r;

        if (inode->size_bytes > FILE_MAX || inode->data_bytes < STREAM_MIN)
                return 0;
        data = malloc(inode->size_bytes);
        if (!data)
                return error_oom(error);
        r = erofs_read(files->image, inode, 0, data, inode->size_bytes, error);
        if (r >= 0)
                *ret = TAKE_PTR(data);
        return r;
}

/* Whether a look at the first bytes says that reading the others may be worth it. */
static int looks_packed(const ImageFiles *files, const ErofsInode *inode, Error *error)
{
        uint8_t head[RECOMP_HEAD_SIZE];
        size_t size = MIN_OF(inode->size_bytes, sizeof(head));
        int r = erofs_read(files->image, inode, 0, head, size, error);

        return r < 0 ? r : recomp_may_hold(head, size);
}

/* What an op for the pair takes; UINT64_MAX for more than anybody has. Of memory that is left, a view of LZ4
 * makes good use: there a kernel's code stays packed. */
static uint64_t plan_memory(RecompPair *pair)
{
        const PatchPlan plan = { .new_size_bytes = pair->new_stream.clear_size_bytes,
                .segment_count = RUNS_EXPECTED,
                .shape_bytes = 1 };
        uint64_t recomp = recomp_memory(pair->old_stream.coding.codec, pair->old_stream.view_memory_bytes,
                        &pair->new_stream.coding, pair->new_stream.clear_size_bytes);
        uint64_t besides = pair->new_stream.size_bytes +
                           patch_reader_memory_bytes(&plan, pair->old_stream.clear_size_bytes);
        uint64_t extra;

        if (recomp > MEMORY_MAX || besides > MEMORY_MAX - recomp)
                return UINT64_MAX;
        extra = MIN_OF(pair->old_stream.clear_size_bytes / 5, MEMORY_MAX - recomp - besides);
        if (pair->old_stream.coding.codec != RECOMP_LZ4)
                return recomp;
        pair->old_stream.view_memory_bytes += extra;
        return recomp + extra;
}

int recomp_match_bytes(const uint8_t *old_data, size_t old_size, const uint8_t *new_data, size_t new_size,
                RecompPair *ret, Error *error)
{
        RecompPair pair;
        int r;

        if (!recomp_locate(new_data, new_size, &pair.new_stream) ||
                        !recomp_locate(old_data, old_size, &pair.old_stream) ||
                        pair.new_stream.size_bytes < STREAM_MIN)
                return 0;
        r = recomp_measure(old_data, MEMORY_MAX, &pair.old_stream, error);
        if (r > 0)
                r = recomp_prove(new_data, MEMORY_MAX, &pair.new_stream, error);
        if (r <= 0)
                return r;
        pair.memory_bytes = plan_memory(&pair);
        if (pair.memory_bytes == UINT64_MAX)
                return 0;
        *ret = pair;
        return 1;
}

static bool is_in_blocks(const ErofsInode *inode, const RecompStream *stream)
{
        return stream->offset + stream->size_bytes <= inode->data_bytes;
}

int recomp_match(const ImageFiles *old_files, const ErofsInode *old_inode, const ImageFiles *new_files,
                const ErofsInode *new_inode, RecompPair *ret, Error *error)
{
        _cleanup_free_ uint8_t *old_data = NULL, *new_data = NULL;
        RecompPair pair;
        int r = looks_packed(new_files, new_inode, error);

        if (r > 0)
                r = looks_packed(old_files, old_inode, error);
        if (r <= 0)
                return r;
        r = read_file(new_files, new_inode, &new_data, error);
        if (r >= 0)
                r = read_file(old_files, old_inode, &old_data, error);
        if (r < 0 || !old_data || !new_data)
                return r;
        r = recomp_match_bytes(
                        old_data, old_inode->size_bytes, new_data, new_inode->size_bytes, &pair, error);
        if (r <= 0 || !is_in_blocks(old_inode, &pair.old_stream) ||
                        !is_in_blocks(new_inode, &pair.new_stream))
                return MIN_OF(r, 0);
        *ret = pair;
        return 1;
}

int recomp_add_op(PlanGroup *group, const RecompPair *pair, uint8_t source, uint64_t old_offset,
                const char *name)
{
        const PayloadRange range = { source, old_offset, pair->old_stream.size_bytes };
        int r = plan_group_add_op(group, PAYLOAD_OP_RECOMP, pair->new_stream.size_bytes, &range, 1);
        PlanOp *op;

        if (r < 0)
                return r;
        op = &group->ops[group->op_count - 1];
        op->parameters[PAYLOAD_RECOMP_CODING] = recomp_coding_pack(&pair->new_stream.coding);
        op->parameters[PAYLOAD_RECOMP_CLEAR] = pair->new_stream.clear_size_bytes;
        op->parameters[PAYLOAD_RECOMP_OLD_CODEC] = pair->old_stream.coding.codec;
        op->parameters[PAYLOAD_RECOMP_OLD_CLEAR] = pair->old_stream.clear_size_bytes;
        op->parameters[PAYLOAD_RECOMP_OLD_VIEW] = pair->old_stream.view_memory_bytes;
        op->name = strdup(name);
        return op->name ? 0 : -ENOMEM;
}
