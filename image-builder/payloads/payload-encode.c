/* SPDX-License-Identifier: Apache-2.0 */
#include "payload-encode.h"

#include "bytes.h"
#include "file.h"
#include "ordered-work.h"
#include "output-file.h"

#include <fcntl.h>
#include <string.h>
#include <zstd.h>

/* The table is small and mostly hashes, so the slowest level costs nothing. */
#define TABLE_LEVEL 19

typedef struct Encoding {
        const PayloadInputs *inputs;
        const PayloadPlan *plan;
        unsigned threads;
        PayloadCoder *coders[ORDERED_WORK_THREADS_MAX];
        CodedGroup *window; /* by slot */
        size_t window_size;
        int blobs_fd; /* all blobs so far */
        uint64_t blobs_size;
        Buffer sizes, hashes, ops; /* the parts of the table */
        PayloadMemory memory;
        unsigned sources; /* that any op reads, which may be fewer than were planned */
        PayloadProgress progress;
        void *progress_data;
        PayloadReport report;
} Encoding;

static void encoding_done(Encoding *encoding)
{
        for (size_t i = 0; i < ELEMENTS(encoding->coders); i++)
                encoding->coders[i] = payload_coder_free(encoding->coders[i]);
        for (size_t i = 0; i < encoding->window_size; i++)
                coded_group_done(&encoding->window[i]);
        free(TAKE_PTR(encoding->window));
        encoding->blobs_fd = fd_close(encoding->blobs_fd);
        buffer_done(&encoding->sizes);
        buffer_done(&encoding->hashes);
        buffer_done(&encoding->ops);
}

static int produce(void *data, size_t item, unsigned thread, Error *error)
{
        Encoding *encoding = data;

        return payload_coder_run(encoding->coders[thread], &encoding->plan->groups[item],
                        &encoding->window[item % encoding->window_size], error);
}

static int add_to_table(Encoding *encoding, const CodedGroup *coded)
{
        int r = buffer_append_varint(&encoding->sizes, coded->group.target_size_bytes);

        if (r >= 0)
                r = buffer_append_varint(&encoding->sizes, coded->group.blob_size_bytes);
        if (r >= 0)
                r = buffer_append_varint(&encoding->sizes, coded->ops.size);
        if (r >= 0 && coded->group.blob_size_bytes > 0)
                r = buffer_append(&encoding->hashes, coded->group.blob_sha256, SHA256_SIZE);
        if (r >= 0)
                r = buffer_append(&encoding->hashes, coded->group.target_sha256, SHA256_SIZE);
        return r < 0 ? r : buffer_append(&encoding->ops, coded->ops.data, coded->ops.size);
}

static void add_costs(PayloadReport *report, const CodedGroup *coded)
{
        for (size_t i = 0; i < PAYLOAD_STREAMS_MAX; i++) {
                report->streams.full[i] += coded->stream_sizes.full[i];
                report->streams.stored[i] += coded->stream_sizes.stored[i];
        }
        for (size_t i = 0; i < coded->costs.count; i++) {
                const OpCost *cost = &coded->costs.list[i];
                uint64_t bytes = cost_of(cost, &coded->stream_sizes);

                report->target_bytes[cost->number] += cost->target_bytes;
                report->blob_bytes[cost->number] += bytes;
                if (cost->name)
                        dearest_files_add(&report->dearest, cost->name, cost->target_bytes, bytes);
        }
}

static int consume(void *data, size_t item, Error *error)
{
        Encoding *encoding = data;
        const CodedGroup *coded = &encoding->window[item % encoding->window_size];
        int r = pwrite_full(encoding->blobs_fd, coded->blob.data, coded->blob.size, encoding->blobs_size);

        if (r < 0)
                return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r,
                                "cannot write the payload: %s", strerror(-r));
        r = add_to_table(encoding, coded);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "the payload's index grows too long: %s",
                                strerror(-r));
        encoding->blobs_size += coded->blob.size;
        payload_memory_add_group(&encoding->memory, &coded->memory, coded->group.target_size_bytes,
                        coded->group.blob_size_bytes);
        encoding->sources |= coded->sources;
        for (unsigned i = 0; i < PAYLOAD_SOURCE_TARGET; i++)
                if (coded->reads_all && encoding->plan->source_size_bytes[i] > 0)
                        encoding->sources |= 1U << i;
        add_costs(&encoding->report, coded);
        if (encoding->progress)
                encoding->progress(encoding->progress_data,
                                coded->group.target_offset + coded->group.target_size_bytes);
        return 0;
}

static int code_groups(Encoding *encoding, const char *path, Error *error)
{
        const OrderedWork work = { .count = encoding->plan->group_count,
                .produce = produce,
                .consume = consume,
                .data = encoding };
        int r = scratch_file_open(path, &encoding->blobs_fd, error);

        if (r < 0)
                return r;
        encoding->window_size = ordered_work_window(encoding->threads);
        encoding->window = calloc(encoding->window_size, sizeof(*encoding->window));
        if (!encoding->window)
                return error_oom(error);
        for (unsigned i = 0; i < encoding->threads; i++) {
                r = payload_coder_new(encoding->inputs, encoding->plan, &encoding->coders[i], error);
                if (r < 0)
                        return r;
        }
        return ordered_work_run(&work, encoding->threads, error);
}

/* Header and compressed table into *index. */
static int make_index(Encoding *encoding, Buffer *index, Error *error)
{
        _cleanup_buffer_ Buffer table = BUFFER_WITH_CAP(PAYLOAD_TABLE_MAX);
        uint8_t header[PAYLOAD_HEADER_SIZE] = PAYLOAD_MAGIC;
        PayloadReport *report = &encoding->report;
        size_t packed;

        if (buffer_append(&table, encoding->sizes.data, encoding->sizes.size) < 0 ||
                        buffer_append(&table, encoding->hashes.data, encoding->hashes.size) < 0 ||
                        buffer_append(&table, encoding->ops.data, encoding->ops.size) < 0)
                return error_set(error, ERROR_FAILED, E2BIG, "the payload's index is longer than %llu bytes",
                                (unsigned long long)PAYLOAD_TABLE_MAX);
        if (buffer_append(index, header, sizeof(header)) < 0 ||
                        buffer_reserve(index, ZSTD_compressBound(table.size)) < 0)
                return error_oom(error);
        packed = ZSTD_compress(index->data + index->size, ZSTD_compressBound(table.size), table.data,
                        table.size, TABLE_LEVEL);
        if (ZSTD_isError(packed))
                return error_oom(error);
        index->size += packed;
        report->memory_bytes = payload_memory_needed(table.size, report->group_count, &encoding->memory);
        if (report->memory_bytes > PAYLOAD_MEMORY_MAX)
                return error_set(error, ERROR_FAILED, E2BIG,
                                "a decoder would need %llu bytes of memory, more than any may",
                                (unsigned long long)report->memory_bytes);
        report->index_size_bytes = index->size;
        report->size_bytes = index->size + encoding->blobs_size;
        write_le32(index->data + PAYLOAD_AT_FORMAT, PAYLOAD_FORMAT);
        write_le32(index->data + PAYLOAD_AT_GROUP_COUNT, (uint32_t)report->group_count);
        write_le64(index->data + PAYLOAD_AT_SIZE, report->size_bytes);
        write_le64(index->data + PAYLOAD_AT_TARGET_SIZE, report->target_size_bytes);
        for (size_t i = 0; i < PAYLOAD_SOURCE_TARGET; i++)
                write_le64(index->data + PAYLOAD_AT_SOURCE_SIZE + 8 * i,
                                (encoding->sources >> i & 1) ? encoding->plan->source_size_bytes[i] : 0);
        write_le64(index->data + PAYLOAD_AT_MEMORY, report->memory_bytes);
        write_le32(index->data + PAYLOAD_AT_TABLE_SIZE, (uint32_t)packed);
        write_le32(index->data + PAYLOAD_AT_TABLE_FULL, (uint32_t)table.size);
        sha256_of(index->data, index->size, report->index_sha256);
        return 0;
}

static int copy_blobs(const Encoding *encoding, int fd, Error *error)
{
        loff_t from = 0, to = (loff_t)encoding->report.index_size_bytes;

        while ((uint64_t)from < encoding->blobs_size) {
                ssize_t n = copy_file_range(encoding->blobs_fd, &from, fd, &to,
                                encoding->blobs_size - (uint64_t)from, 0);

                if (n <= 0)
                        return error_set(error, n < 0 && errno == ENOSPC ? ERROR_NO_SPACE : ERROR_IO,
                                        n < 0 ? errno : EIO, "cannot write the payload: %s",
                                        n < 0 ? strerror(errno) : "its scratch file is too short");
        }
        return 0;
}

/* The proof: what a host would do with the file, compared with the image. */
static int prove(const PayloadInputs *inputs, int fd, PayloadIndex **ret, PayloadExpectation *expectation,
                PayloadProgress progress, void *progress_data, Error *error)
{
        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
        PayloadSource sources[PAYLOAD_SOURCES_MAX] = { { 0 } };
        uint64_t size;
        int r = fd_size(inputs->target_fd, &size);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the image: %s", strerror(-r));
        r = payload_file_open(fd, &index, expectation, error);
        if (r < 0)
                return r;
        if (payload_target_size_bytes(index) != size)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "the payload is that of another image");
        memcpy(sources, inputs->sources, sizeof(inputs->sources));
        r = payload_file_compare(fd, index, sources, inputs->target_fd, progress, progress_data, error);
        if (r >= 0)
                *ret = TAKE_PTR(index);
        return r;
}

int payload_prove(const PayloadInputs *inputs, const char *path, PayloadProgress progress,
                void *progress_data, PayloadReport *ret, Error *error)
{
        _cleanup_(payload_index_freep) PayloadIndex *index = NULL;
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        PayloadExpectation expectation;
        PayloadReport report = { 0 };
        int r;

        if (fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open \"%s\": %s", path, strerror(errno));
        r = prove(inputs, fd, &index, &expectation, progress, progress_data, error);
        if (r >= 0)
                r = sha256_of_fd(fd, 0, expectation.payload_size_bytes, report.sha256);
        if (r < 0)
                return r;
        report.size_bytes = expectation.payload_size_bytes;
        report.index_size_bytes = expectation.index_size_bytes;
        memcpy(report.index_sha256, expectation.index_sha256, SHA256_SIZE);
        report.memory_bytes = payload_index_header(index)->memory_bytes;
        report.target_size_bytes = expectation.target_size_bytes;
        report.group_count = payload_group_count(index);
        *ret = report;
        return 0;
}

static int write_payload(Encoding *encoding, const char *path, Error *error)
{
        _cleanup_output_file_ OutputFile file = OUTPUT_FILE_CLOSED;
        _cleanup_buffer_ Buffer index = BUFFER_WITH_CAP(2 * PAYLOAD_INDEX_MAX);
        _cleanup_(payload_index_freep) PayloadIndex *proved = NULL;
        PayloadExpectation expectation;
        int r = output_file_open(path, 0644, &file, error);

        if (r >= 0)
                r = make_index(encoding, &index, error);
        if (r < 0)
                return r;
        r = pwrite_full(file.fd, index.data, index.size, 0);
        if (r < 0)
                return error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r,
                                "cannot write \"%s\": %s", path, strerror(-r));
        r = copy_blobs(encoding, file.fd, error);
        if (r >= 0)
                r = prove(encoding->inputs, file.fd, &proved, &expectation, encoding->progress,
                                encoding->progress_data, error);
        if (r < 0)
                return error_prefix(error, r, "payload \"%s\"", path);
        r = sha256_of_fd(file.fd, 0, encoding->report.size_bytes, encoding->report.sha256);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read \"%s\": %s", path, strerror(-r));
        return output_file_commit(&file, error);
}

int payload_encode(const PayloadInputs *inputs, const PayloadPlan *plan, unsigned threads, const char *path,
                PayloadProgress progress, void *progress_data, PayloadReport *ret, Error *error)
{
        _cleanup_(encoding_done) Encoding encoding = {
                .inputs = inputs,
                .plan = plan,
                .threads = threads > 0 ? MIN_OF(threads, (unsigned)ORDERED_WORK_THREADS_MAX)
                                       : processor_count(),
                .blobs_fd = -1,
                .sizes = BUFFER_WITH_CAP(PAYLOAD_TABLE_MAX),
                .hashes = BUFFER_WITH_CAP(PAYLOAD_TABLE_MAX),
                .ops = BUFFER_WITH_CAP(PAYLOAD_TABLE_MAX),
                .progress = progress,
                .progress_data = progress_data,
                .report = { .target_size_bytes = plan->target_size_bytes, .group_count = plan->group_count },
        };
        int r;

        if (plan->group_count == 0 || plan->group_count > PAYLOAD_GROUPS_MAX)
                return error_set(error, ERROR_FAILED, EINVAL, "a payload cannot have %zu groups",
                                plan->group_count);
        r = code_groups(&encoding, path, error);
        if (r >= 0)
                r = write_payload(&encoding, path, error);
        if (r >= 0)
                *ret = encoding.report;
        return r;
}
