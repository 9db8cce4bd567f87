/* SPDX-License-Identifier: Apache-2.0 */
#include "payload-index.h"

#include "bytes.h"
#include "zstd-frame.h"

#include <string.h>

static int refuse(Error *error, const char *rule)
{
        return error_set(error, ERROR_CORRUPT, EBADMSG, "the payload's index is malformed: %s", rule);
}

int payload_header_parse(const void *data, size_t size, PayloadHeader *ret, Error *error)
{
        const uint8_t *p = data;
        PayloadHeader header = { 0 };

        if (size < PAYLOAD_HEADER_SIZE || memcmp(p + PAYLOAD_AT_MAGIC, PAYLOAD_MAGIC, 8) != 0)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "this is not a payload");
        if (read_le32(p + PAYLOAD_AT_FORMAT) != PAYLOAD_FORMAT)
                return error_set(error, ERROR_INCOMPATIBLE, EPROTONOSUPPORT,
                                "the payload has format %u, this version reads format %u; update bascule "
                                "first",
                                (unsigned)read_le32(p + PAYLOAD_AT_FORMAT), (unsigned)PAYLOAD_FORMAT);
        header.group_count = read_le32(p + PAYLOAD_AT_GROUP_COUNT);
        header.payload_size_bytes = read_le64(p + PAYLOAD_AT_SIZE);
        header.target_size_bytes = read_le64(p + PAYLOAD_AT_TARGET_SIZE);
        for (size_t i = 0; i < PAYLOAD_SOURCE_TARGET; i++)
                header.source_size_bytes[i] = read_le64(p + PAYLOAD_AT_SOURCE_SIZE + 8 * i);
        header.memory_bytes = read_le64(p + PAYLOAD_AT_MEMORY);
        header.table_size_bytes = read_le32(p + PAYLOAD_AT_TABLE_SIZE);
        header.table_full_bytes = read_le32(p + PAYLOAD_AT_TABLE_FULL);
        header.index_size_bytes = PAYLOAD_HEADER_SIZE + header.table_size_bytes;
        if (read_le64(p + PAYLOAD_AT_RESERVED) != 0)
                return refuse(error, "reserved bytes are not zero");
        if (header.index_size_bytes > PAYLOAD_INDEX_MAX || header.table_full_bytes > PAYLOAD_TABLE_MAX)
                return refuse(error, "it is longer than allowed");
        if (header.group_count == 0 || header.group_count > PAYLOAD_GROUPS_MAX)
                return refuse(error, "impossible number of groups");
        if (header.payload_size_bytes < header.index_size_bytes)
                return refuse(error, "the payload ends inside its index");
        *ret = header;
        return 0;
}

PayloadIndex *payload_index_free(PayloadIndex *index)
{
        if (!index)
                return NULL;
        free(index->table);
        free(index->groups);
        free(index);
        return NULL;
}

static int unpack_table(PayloadIndex *index, const uint8_t *data, Error *error)
{
        const PayloadHeader *header = &index->header;
        ZSTD_DCtx *context = ZSTD_createDCtx();
        int r;

        index->table = malloc(header->table_full_bytes + 1);
        if (!index->table || !context) {
                (void)ZSTD_freeDCtx(context);
                return error_oom(error);
        }
        r = zstd_frame_decode(context, data + PAYLOAD_HEADER_SIZE, header->table_size_bytes, NULL, 0,
                        index->table, header->table_full_bytes);
        (void)ZSTD_freeDCtx(context);
        return r == -ENOMEM ? error_oom(error) : r < 0 ? refuse(error, "its table does not unpack") : 0;
}

/* Sizes of the groups, and from them where each lies in target and payload. */
static int read_groups(PayloadIndex *index, ByteReader *reader, uint64_t *ret_ops_size, Error *error)
{
        uint64_t target = 0, blob = index->header.index_size_bytes, ops = 0;

        for (size_t i = 0; i < index->header.group_count; i++) {
                PayloadGroup *group = &index->groups[i].group;
                uint64_t ops_size;

                if (reader_varint(reader, &group->target_size_bytes) < 0 ||
                                reader_varint(reader, &group->blob_size_bytes) < 0 ||
                                reader_varint(reader, &ops_size) < 0)
                        return refuse(error, "a group's sizes are malformed");
                if (group->target_size_bytes == 0 || group->target_size_bytes > PAYLOAD_GROUP_MAX)
                        return refuse(error, "a group is empty or too large");
                if (i + 1 < index->header.group_count && group->target_size_bytes % PAYLOAD_BLOCK_SIZE != 0)
                        return refuse(error, "a group before the last is not whole blocks");
                if (ops_size == 0 || ops_size > PAYLOAD_TABLE_MAX)
                        return refuse(error, "a group's list of ops is empty or too long");
                group->target_offset = target;
                group->blob_offset = blob;
                index->groups[i].ops_offset = ops;
                index->groups[i].ops_size = ops_size;
                ops += ops_size;
                if (ADD_OVERFLOWS(target, group->target_size_bytes, &target) ||
                                ADD_OVERFLOWS(blob, group->blob_size_bytes, &blob))
                        return refuse(error, "group sizes overflow");
        }
        if (target != index->header.target_size_bytes)
                return refuse(error, "the groups do not make up the target");
        if (blob != index->header.payload_size_bytes)
                return refuse(error, "the blobs do not make up the payload");
        *ret_ops_size = ops;
        return 0;
}

static int check_range(
                const PayloadIndex *index, const IndexGroup *group, const PayloadRange *range, Error *error)
{
        uint64_t end, limit = range->source == PAYLOAD_SOURCE_TARGET
                                              ? group->group.target_offset
                                              : index->header.source_size_bytes[range->source];

        if (ADD_OVERFLOWS(range->offset, range->size_bytes, &end) || end > limit)
                return refuse(error, range->source == PAYLOAD_SOURCE_TARGET
                                                     ? "an op reads target that is not written yet"
                                                     : "an op reads past the end of its source");
        return 0;
}

/* Sources that an op reads without naming them. */
static unsigned named_sources(const PayloadIndex *index)
{
        unsigned sources = 0;

        for (size_t i = 0; i < PAYLOAD_SOURCE_TARGET; i++)
                sources |= index->header.source_size_bytes[i] > 0 ? 1U << i : 0;
        return sources;
}

/* The holes of a group, and whether each is filled once. */
typedef struct Holes {
        uint64_t *sizes; /* 0 once it is filled */
        size_t count;
} Holes;

static void holes_done(Holes *holes)
{
        free(holes->sizes);
}

static int find_holes(const PayloadIndex *index, size_t group, Holes *holes, Error *error)
{
        PayloadOpCursor cursor;
        PayloadOp op;
        int r;

        payload_op_cursor(index, group, &cursor);
        while ((r = payload_op_next(&cursor, &op, error)) > 0) {
                if (!payload_codec(op.number)->is_hole)
                        continue;
                if (holes->count == PAYLOAD_HOLES_MAX)
                        return refuse(error, "a group has too many holes");
                if (!holes->sizes)
                        holes->sizes = calloc(PAYLOAD_HOLES_MAX, sizeof(*holes->sizes));
                if (!holes->sizes)
                        return error_oom(error);
                holes->sizes[holes->count++] = op.target_size_bytes;
        }
        return r;
}

static int fill_hole(Holes *holes, const PayloadOp *op, Error *error)
{
        uint64_t number = op->parameters[PAYLOAD_PATCH_HOLE];

        if (op->number != PAYLOAD_OP_PATCH_ELF || number == 0)
                return 0;
        if (number > holes->count || holes->sizes[number - 1] == 0 ||
                        holes->sizes[number - 1] != op->parameters[PAYLOAD_PATCH_REST])
                return refuse(error, "an op fills a hole that is not there");
        holes->sizes[number - 1] = 0;
        return 0;
}

static int check_filled(const Holes *holes, Error *error)
{
        for (size_t i = 0; i < holes->count; i++)
                if (holes->sizes[i] > 0)
                        return refuse(error, "no op fills a hole");
        return 0;
}

static int check_ops(PayloadIndex *index, IndexGroup *group, Error *error)
{
        _cleanup_(holes_done) Holes holes = { 0 };
        PayloadMemory memory = { 0 };
        PayloadOpCursor cursor;
        PayloadOp op;
        int r;

        r = find_holes(index, (size_t)(group - index->groups), &holes, error);
        payload_op_cursor(index, (size_t)(group - index->groups), &cursor);
        while (r >= 0 && (r = payload_op_next(&cursor, &op, error)) > 0) {
                const PayloadCodec *codec = payload_codec(op.number);

                if (cursor.target_done > group->group.target_size_bytes)
                        return refuse(error, "an op writes past the end of its group");
                if (cursor.blob_done > group->group.blob_size_bytes)
                        return refuse(error, "an op reads past the end of its group's blob");
                for (size_t i = 0; i < op.range_count; i++) {
                        r = check_range(index, group, &op.ranges[i], error);
                        if (r < 0)
                                return r;
                        group->sources |= 1U << op.ranges[i].source;
                }
                if (codec->takes_streams && op.range_count == 0)
                        group->sources |= named_sources(index);
                r = fill_hole(&holes, &op, error);
                if (r < 0)
                        return r;
                payload_memory_add_op(&memory, &op);
        }
        if (r < 0)
                return r;
        if (cursor.target_done != group->group.target_size_bytes)
                return refuse(error, "a group's ops do not fill its target");
        payload_memory_add_group(&index->memory, &memory, group->group.target_size_bytes,
                        group->group.blob_size_bytes);
        if ((cursor.blob_done < group->group.blob_size_bytes) != memory.takes_streams)
                return refuse(error, memory.takes_streams ? "a group has no streams"
                                                          : "a group's ops do not use up its blob");
        group->streams_offset = cursor.blob_done;
        return check_filled(&holes, error);
}

static int check_memory(PayloadIndex *index, uint64_t memory_max, Error *error)
{
        const PayloadHeader *header = &index->header;
        uint64_t needed;

        for (size_t i = 0; i < header->group_count; i++)
                index->sources |= index->groups[i].sources;
        for (size_t i = 0; i < PAYLOAD_SOURCE_TARGET; i++)
                if ((header->source_size_bytes[i] > 0) != ((index->sources >> i & 1) != 0))
                        return refuse(error, "it names a source that no op reads");
        needed = payload_memory_needed(header->table_full_bytes, header->group_count, &index->memory);
        if (header->memory_bytes < needed)
                return refuse(error, "it declares less memory than its ops need");
        if (header->memory_bytes > MIN_OF(memory_max, PAYLOAD_MEMORY_MAX))
                return error_set(error, ERROR_INCOMPATIBLE, E2BIG,
                                "decoding the payload needs %llu bytes of memory, more than the %llu "
                                "allowed",
                                (unsigned long long)header->memory_bytes,
                                (unsigned long long)MIN_OF(memory_max, PAYLOAD_MEMORY_MAX));
        return 0;
}

/* Room for what later versions add. */
static int skip_sections(ByteReader *reader, Error *error)
{
        while (reader_left(reader) > 0) {
                uint64_t tag, size;
                const uint8_t *bytes;

                if (reader_varint(reader, &tag) < 0 || reader_varint(reader, &size) < 0 ||
                                reader_bytes(reader, size, &bytes) < 0)
                        return refuse(error, "a section is malformed");
                if (tag % 2 == 0)
                        return error_set(error, ERROR_INCOMPATIBLE, EPROTONOSUPPORT,
                                        "the payload needs a feature (section %llu) that this version does "
                                        "not know; "
                                        "update bascule first",
                                        (unsigned long long)tag);
        }
        return 0;
}

static int read_hashes(PayloadIndex *index, ByteReader *reader, Error *error)
{
        for (size_t i = 0; i < index->header.group_count; i++) {
                PayloadGroup *group = &index->groups[i].group;
                const uint8_t *blob = NULL, *target;

                if ((group->blob_size_bytes > 0 && reader_bytes(reader, SHA256_SIZE, &blob) < 0) ||
                                reader_bytes(reader, SHA256_SIZE, &target) < 0)
                        return refuse(error, "it ends inside the hashes");
                if (blob)
                        memcpy(group->blob_sha256, blob, SHA256_SIZE);
                else
                        sha256_of("", 0, group->blob_sha256);
                memcpy(group->target_sha256, target, SHA256_SIZE);
        }
        return 0;
}

static int read_table(PayloadIndex *index, uint64_t memory_max, Error *error)
{
        ByteReader reader = BYTE_READER(index->table, index->header.table_full_bytes);
        uint64_t ops_size = 0;
        int r = read_groups(index, &reader, &ops_size, error);

        if (r < 0)
                return r;
        r = read_hashes(index, &reader, error);
        if (r < 0)
                return r;
        if (reader_bytes(&reader, ops_size, &index->ops) < 0)
                return refuse(error, "it ends inside the ops");
        for (size_t i = 0; i < index->header.group_count; i++) {
                r = check_ops(index, &index->groups[i], error);
                if (r < 0)
                        return r;
        }
        r = skip_sections(&reader, error);
        return r < 0 ? r : check_memory(index, memory_max, error);
}

static int check_expectation(
                const PayloadHeader *header, const PayloadExpectation *expectation, Error *error)
{
        if (header->index_size_bytes != expectation->index_size_bytes)
                return refuse(error, "its size is not the one expected");
        if (header->payload_size_bytes != expectation->payload_size_bytes)
                return refuse(error, "the payload's size is not the one expected");
        if (header->target_size_bytes != expectation->target_size_bytes)
                return refuse(error, "the target's size is not the one expected");
        /* Each group takes at least the hash of its target and four bytes, so a short table cannot ask for
         * much. */
        if (header->group_count > header->table_full_bytes / (SHA256_SIZE + 4))
                return refuse(error, "more groups than its table can hold");
        return 0;
}

int payload_index_parse(const void *data, size_t size, const PayloadExpectation *expectation,
                PayloadIndex **ret, Error *error)
{
        _cleanup_(payload_index_freep) PayloadIndex *index = calloc(1, sizeof(*index));
        uint8_t sha256[SHA256_SIZE];
        int r;

        if (!index)
                return error_oom(error);
        if (size != expectation->index_size_bytes)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "the payload's index is %zu bytes, not the %llu signed", size,
                                (unsigned long long)expectation->index_size_bytes);
        sha256_of(data, size, sha256);
        if (memcmp(sha256, expectation->index_sha256, SHA256_SIZE) != 0)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "the payload's index is not the one that was signed");
        r = payload_header_parse(data, size, &index->header, error);
        if (r < 0)
                return r;
        r = check_expectation(&index->header, expectation, error);
        if (r < 0)
                return r;
        index->groups = calloc(index->header.group_count, sizeof(*index->groups));
        if (!index->groups)
                return error_oom(error);
        r = unpack_table(index, data, error);
        if (r < 0)
                return r;
        r = read_table(index, expectation->memory_max_bytes, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(index);
        return 0;
}

size_t payload_group_count(const PayloadIndex *index)
{
        return index->header.group_count;
}

const PayloadGroup *payload_group(const PayloadIndex *index, size_t number)
{
        return number < index->header.group_count ? &index->groups[number].group : NULL;
}

const PayloadHeader *payload_index_header(const PayloadIndex *index)
{
        return &index->header;
}

uint64_t payload_target_size_bytes(const PayloadIndex *index)
{
        return index->header.target_size_bytes;
}

unsigned payload_group_sources(const PayloadIndex *index, size_t number)
{
        return number < index->header.group_count ? index->groups[number].sources : 0;
}

unsigned payload_sources(const PayloadIndex *index)
{
        return index->sources;
}

void payload_op_cursor(const PayloadIndex *index, size_t group, PayloadOpCursor *ret)
{
        const IndexGroup *entry = &index->groups[group];

        payload_op_cursor_init(
                        ret, index->ops + entry->ops_offset, entry->ops_size, entry->group.target_offset);
}
