/* SPDX-License-Identifier: Apache-2.0 */
#include "transfer.h"

#include "clock.h"
#include "session.h"
#include "strv.h"
#include "transfer-frames.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#define POLL_MS 5000
#define PAUSES_SECONDS 300 /* that fetch may spend waiting between its rounds */
#define LAST_WORDS_MS 1000 /* that one role has after the other failed */
#define FRAME_SMALL_MAX (4 * KIB)
#define RETRIES_MAX 3             /* times that each byte may come from the servers of one attempt */
#define FETCHED_SLACK (1 * MIB)   /* headers, and what was under way when a connection was given up */
#define WRITTEN_SLACK (1 * MIB)   /* groups that end within a block */
#define IDLE_SIGN_BYTES (4 * MIB) /* apply reads at least so much before it says that it is alive */
#define IDLE_SIGNS_MIN 16

/* One side of the pipe. */
typedef struct Side {
        RoleProcess process;
        FrameReader reader;
        Error error;
        int result; /* negative errno once it failed */
} Side;

typedef struct Transfer {
        Operation *operation;
        const TransferRequest *request;
        Side fetch, apply;
        MirrorOrder order;
        bool is_asked[ELEMENTS(((TransferRequest *)0)->payloads)];
        uint64_t fetched_before, written_before;
        uint64_t needed_bytes;    /* that apply has asked for */
        uint64_t fetchable_bytes; /* that fetch can have had a reason to receive */
        uint64_t fetched_bytes;
        uint64_t right_bytes, written_bytes; /* the most that apply told of */
        uint64_t idle_signs;                 /* of life by apply, when neither grew */
        bool is_alive;                       /* something came since the last look */
        bool is_applied;
} Transfer;

static void side_init(Side *side)
{
        *side = (Side){ .process = ROLE_PROCESS_NONE, .reader = FRAME_READER(FRAME_SMALL_MAX) };
}

static void side_done(Side *side)
{
        role_stop(&side->process);
        frame_reader_done(&side->reader);
}

static void transfer_done(Transfer *transfer)
{
        side_done(&transfer->fetch);
        side_done(&transfer->apply);
}

static PayloadExpectation expectation(const PayloadReference *payload, uint64_t target_size_bytes)
{
        PayloadExpectation expected = { .payload_size_bytes = payload->size_bytes,
                .index_size_bytes = payload->index_size_bytes,
                .target_size_bytes = target_size_bytes,
                .memory_max_bytes = payload->memory_bytes };
        memcpy(expected.index_sha256, payload->index_sha256, SHA256_SIZE);
        return expected;
}

static int send_setup(Transfer *transfer, Error *error)
{
        const TransferRequest *request = transfer->request;
        ApplySetup setup = { .target_offset = request->target.offset_bytes,
                .target_size_bytes = request->target.size_bytes,
                .payload_count = request->payload_count };
        _cleanup_buffer_ Buffer apply = BUFFER_WITH_CAP(FRAME_SMALL_MAX),
                                fetch = BUFFER_WITH_CAP(FETCH_SETUP_MAX);

        for (size_t i = 0; i < request->payload_count; i++) {
                setup.payloads[i] = expectation(request->payloads[i].reference, request->target.size_bytes);
                setup.are_pieces[i] = request->payloads[i].is_pieces;
        }
        for (size_t i = 0; i < PAYLOAD_SOURCES_MAX; i++) {
                const Extent *source = &request->sources[i];
                if (source->fd >= 0)
                        setup.sources[i] = (ApplySource){ true, source->offset_bytes, source->size_bytes };
        }
        operation_order_mirrors(transfer->operation, &transfer->order);
        int r = fetch_setup_put(&fetch, transfer->operation->config, &transfer->order, error);
        if (r < 0)
                return r;
        r = apply_setup_put(&apply, &setup);
        if (r >= 0)
                r = frame_send(transfer->apply.process.control_fd, FRAME_APPLY_SETUP, &apply);
        if (r >= 0)
                r = frame_send(transfer->fetch.process.control_fd, FRAME_FETCH_SETUP, &fetch);
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "cannot give the roles their orders: %s",
                                       strerror(-r))
                     : 0;
}

/* What the signed manifest grants: the decoder's memory, the index twice (as it comes, and unpacked), a
 * blob. */
static RoleLimits apply_limits(const TransferRequest *request)
{
        RoleLimits limits = { .file_size_bytes = request->target.offset_bytes + request->target.size_bytes };
        uint64_t pieces = 0;
        for (size_t i = 0; i < request->payload_count; i++) {
                const PayloadReference *payload = request->payloads[i].reference;
                uint64_t memory = payload->memory_bytes + 2 * payload->index_size_bytes + PAYLOAD_GROUP_MAX;
                limits.memory_bytes = MAX_OF(limits.memory_bytes, memory);
                /* Groups of the full payload are made while the pieces are at hand. */
                pieces += request->payloads[i].is_pieces ? payload->memory_bytes : 0;
        }
        limits.memory_bytes += pieces;
        return limits;
}

static int start(Transfer *transfer, Error *error)
{
        const TransferRequest *request = transfer->request;
        int pipe_fds[2];
        RoleFd fds[2 + PAYLOAD_SOURCES_MAX];
        size_t count = 0;

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot make a pipe: %s", strerror(errno));
        _cleanup_fd_ int reading = pipe_fds[0], writing = pipe_fds[1];
        (void)fcntl(writing, F_SETPIPE_SZ, 1024 * 1024);
        fds[count++] = (RoleFd){ reading, ROLE_FD_DATA };
        fds[count++] = (RoleFd){ request->target.fd, ROLE_FD_TARGET };
        for (int i = 0; i < PAYLOAD_SOURCES_MAX; i++)
                if (request->sources[i].fd >= 0)
                        fds[count++] = (RoleFd){ request->sources[i].fd, ROLE_FD_SOURCES + i };
        RoleLimits limits = apply_limits(request), none = { 0 };
        int r = operation_start_role(transfer->operation, ROLE_APPLY, &limits, fds, count,
                        &transfer->apply.process, error);
        if (r < 0)
                return r;
        RoleFd data = { writing, ROLE_FD_DATA };
        r = operation_start_role(
                        transfer->operation, ROLE_FETCH, &none, &data, 1, &transfer->fetch.process, error);
        return r < 0 ? r : send_setup(transfer, error);
}

static uint64_t payload_sizes(const TransferRequest *request)
{
        uint64_t sum = 0;
        for (size_t i = 0; i < request->payload_count; i++)
                sum += request->payloads[i].reference->size_bytes;
        return sum;
}

/* apply asks for bytes; what it asks for must lie in a payload that it was given. */
static int on_need(Transfer *transfer, Frame *frame, Error *error)
{
        const TransferRequest *request = transfer->request;
        uint64_t number, offset, size;
        if (frame_take_u64(frame, &number) < 0 || frame_take_u64(frame, &offset) < 0 ||
                        frame_take_u64(frame, &size) < 0 || frame_end(frame) < 0 ||
                        number >= request->payload_count)
                return error_set(error, ERROR_FAILED, EBADMSG,
                                "apply asked for something that makes no sense");
        uint64_t payload_size = request->payloads[number].reference->size_bytes;
        if (size == 0 || offset > payload_size || size > payload_size - offset)
                return error_set(error, ERROR_FAILED, EBADMSG,
                                "apply asked for bytes beyond the end of the payload");
        /* Neither role can keep an operation going for ever: apply needs each byte once, and fetch may
         * receive it a few times, and each file once more from its start (a server without ranges). */
        transfer->needed_bytes += size;
        transfer->fetchable_bytes += size * RETRIES_MAX + (transfer->is_asked[number] ? 0 : payload_size);
        transfer->is_asked[number] = true;
        if (transfer->needed_bytes > payload_sizes(request))
                return error_set(
                                error, ERROR_FAILED, EBADMSG, "apply asked for more than the payload holds");
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(FRAME_SMALL_MAX);
        int r = frame_put_text(&body, request->payloads[number].download_path);
        if (r >= 0)
                r = frame_put_u64(&body, offset);
        if (r >= 0)
                r = frame_put_u64(&body, size);
        if (r >= 0)
                r = frame_send(transfer->fetch.process.control_fd, FRAME_FETCH_STREAM, &body);
        return r < 0 ? error_set(error, ERROR_NETWORK, -r, "role fetch is gone") : 0;
}

/* An apply that reads what is there gets no further meanwhile. It has reason to read all of it a few times.
 */
static uint64_t idle_signs_max(const TransferRequest *request)
{
        uint64_t size = request->target.size_bytes;
        for (size_t i = 0; i < PAYLOAD_SOURCES_MAX; i++)
                size += request->sources[i].fd >= 0 ? request->sources[i].size_bytes : 0;
        return IDLE_SIGNS_MIN + RETRIES_MAX * (size / IDLE_SIGN_BYTES);
}

static int on_apply(Transfer *transfer, Frame *frame, Error *error)
{
        Operation *operation = transfer->operation;
        uint64_t right, written;
        if (frame->type == FRAME_NEED)
                return on_need(transfer, frame, error);
        if ((frame->type != FRAME_PROGRESS && frame->type != FRAME_APPLIED) ||
                        frame_take_u64(frame, &right) < 0 || frame_take_u64(frame, &written) < 0 ||
                        right > transfer->request->target.size_bytes)
                return error_set(error, ERROR_FAILED, EBADMSG, "apply sent a frame that makes no sense");
        if (right <= transfer->right_bytes && written <= transfer->written_bytes)
                transfer->idle_signs++;
        if (transfer->idle_signs > idle_signs_max(transfer->request) ||
                        written > RETRIES_MAX * transfer->request->target.size_bytes + WRITTEN_SLACK)
                return error_set(error, ERROR_FAILED, EBADMSG, "apply works on and gets no further");
        transfer->right_bytes = MAX_OF(transfer->right_bytes, right);
        transfer->written_bytes = MAX_OF(transfer->written_bytes, written);
        transfer->is_alive = true;
        transfer->is_applied = frame->type == FRAME_APPLIED;
        operation->progress.written_bytes = transfer->written_before + written;
        operation_tell(operation, right);
        return 0;
}

static int on_fetch(Transfer *transfer, Frame *frame, Error *error)
{
        uint64_t fetched;
        if (frame->type == FRAME_STREAMED)
                return 0;
        if (frame->type == FRAME_MIRROR)
                return operation_note_mirror(transfer->operation, &transfer->order, frame, error);
        if (frame->type != FRAME_FETCHED || frame_take_u64(frame, &fetched) < 0)
                return error_set(error, ERROR_FAILED, EBADMSG, "fetch sent a frame that makes no sense");
        if (fetched > transfer->fetchable_bytes + FETCHED_SLACK)
                return error_set(error, ERROR_NETWORK, EOVERFLOW,
                                "the servers sent %" PRIu64 " bytes where %" PRIu64
                                " are needed; run the update again, or name another Repository=",
                                fetched, transfer->needed_bytes);
        if (fetched > transfer->fetched_bytes)
                transfer->is_alive = true;
        transfer->fetched_bytes = fetched;
        transfer->operation->progress.fetched_bytes = transfer->fetched_before + fetched;
        operation_tell(transfer->operation, transfer->operation->progress.done_bytes);
        return 0;
}

/* Handles every frame that a side has sent. Its failure is kept in the side. */
static void pump_side(Transfer *transfer, Side *side, int (*on_frame)(Transfer *, Frame *, Error *))
{
        while (side->result == 0) {
                Frame frame;
                int r = frame_reader_next(&side->reader, &frame);
                if (r == 0)
                        return;
                if (r < 0)
                        r = error_set(&side->error, ERROR_FAILED, -r,
                                        "a role sent a frame that makes no sense");
                else if (frame.type == FRAME_FAILED)
                        r = frame_take_error(&frame, &side->error);
                else
                        r = on_frame(transfer, &frame, &side->error);
                side->result = MIN_OF(r, 0);
        }
}

static void read_side(Transfer *transfer, Side *side, int (*on_frame)(Transfer *, Frame *, Error *))
{
        ssize_t n = frame_reader_fill(&side->reader, side->process.control_fd);
        if (n > 0)
                pump_side(transfer, side, on_frame);
        if (n == -EAGAIN || n > 0)
                return;
        if (transfer->is_applied || side->result < 0)
                return;
        if (n < 0 && n != -ECONNRESET) {
                side->result = error_set(&side->error, ERROR_FAILED, (int)-n, "cannot read from a role: %s",
                                strerror((int)-n));
                return;
        }
        /* The end of the stream, without a word why. */
        side->result = role_wait(&side->process, ROLE_DEATH_MS, &side->error);
        if (side->result >= 0)
                side->result = error_set(
                                &side->error, ERROR_FAILED, EPIPE, "a role ended before its work was done");
}

static int poll_sides(Transfer *transfer, int timeout_ms, Error *error)
{
        struct pollfd wait[3] = {
                { .fd = transfer->apply.result < 0 ? -1 : transfer->apply.process.control_fd,
                                .events = POLLIN },
                { .fd = transfer->fetch.result < 0 ? -1 : transfer->fetch.process.control_fd,
                                .events = POLLIN },
                { .fd = transfer->operation->cancel_fd, .events = POLLIN },
        };
        int n = poll(wait, 3, timeout_ms);
        if (n < 0 && errno != EINTR)
                return error_set(error, ERROR_FAILED, errno, "cannot wait: %s", strerror(errno));
        if (n <= 0)
                return n == 0 ? -ETIMEDOUT : 0;
        int r = operation_check(transfer->operation, error);
        if (r < 0)
                return r;
        if (wait[0].revents)
                read_side(transfer, &transfer->apply, on_apply);
        if (wait[1].revents)
                read_side(transfer, &transfer->fetch, on_fetch);
        return 0;
}

/* Whichever side has the better reason: when one dies, the other one finds its pipe broken. */
static int choose_error(Transfer *transfer, Error *error)
{
        const Side *fetch = &transfer->fetch, *apply = &transfer->apply;
        bool is_apply_victim = apply->result == 0 || apply->result == -EPIPE;
        const Side *side = is_apply_victim && fetch->result < 0 ? fetch : apply;
        if (side->result == 0)
                side = fetch;
        if (error && !error_is_set(error))
                *error = side->error;
        return side->result;
}

/* How long nothing may happen at all. fetch gives up on its servers before that; this is for a fetch that
 * does not. */
static uint64_t patience_seconds(const Config *config)
{
        uint64_t mirrors = MAX_OF(strv_length(config->repositories), (size_t)1);
        return config->timeout_seconds * 4 * mirrors + PAUSES_SECONDS;
}

static int pump(Transfer *transfer, Error *error)
{
        uint64_t patience = patience_seconds(transfer->operation->config), alive = monotonic_seconds();
        while (!transfer->is_applied) {
                bool has_failed = transfer->fetch.result < 0 || transfer->apply.result < 0;
                if (transfer->fetch.result < 0 && transfer->apply.result < 0)
                        return choose_error(transfer, error);
                int r = poll_sides(transfer, has_failed ? LAST_WORDS_MS : POLL_MS, error);
                if (r == -ETIMEDOUT && has_failed)
                        return choose_error(transfer, error);
                if (r < 0 && r != -ETIMEDOUT)
                        return r;
                if (transfer->is_alive)
                        alive = monotonic_seconds();
                transfer->is_alive = false;
                if (monotonic_seconds() - alive > patience)
                        return error_set(error, ERROR_NETWORK, ETIMEDOUT,
                                        "the transfer stood still for %" PRIu64 " s", patience);
        }
        return role_wait(&transfer->apply.process, ROLE_END_MS, error);
}

static int attempt(Operation *operation, const TransferRequest *request, bool *ret_may_differ, Error *error)
{
        _cleanup_(transfer_done) Transfer transfer = { .operation = operation,
                .request = request,
                .fetched_before = operation->progress.fetched_bytes,
                .written_before = operation->progress.written_bytes };
        side_init(&transfer.fetch);
        side_init(&transfer.apply);
        int r = start(&transfer, error);
        if (r >= 0)
                r = pump(&transfer, error);
        /* fetch has tried all mirrors for what it could not get; bytes that are wrong only show here. */
        *ret_may_differ = r < 0 && (error->code == ERROR_UNTRUSTED || error->code == ERROR_CORRUPT);
        if (*ret_may_differ)
                operation_distrust_mirror(operation, &transfer.order);
        return r;
}

static int run_with_mirrors(Operation *operation, const TransferRequest *request, Error *error)
{
        size_t mirrors = MAX_OF(strv_length(operation->config->repositories), (size_t)1);
        for (size_t tried = 1;; tried++) {
                Error problem = { 0 };
                bool may_differ = false;
                int r = attempt(operation, request, &may_differ, &problem);
                if (may_differ && tried < mirrors)
                        continue;
                if (r < 0 && error && !error_is_set(error))
                        *error = problem;
                return r;
        }
}

/* No mirror has a payload as it was signed, or none that this engine can use. */
static bool is_payload_lost(int r, const Error *error)
{
        return error->code == ERROR_UNTRUSTED || error->code == ERROR_CORRUPT ||
               error->code == ERROR_INCOMPATIBLE || r == -ENOENT;
}

int transfer_run(Operation *operation, const TransferRequest *request, Error *error)
{
        Error problem = { 0 };
        int r = run_with_mirrors(operation, request, &problem);

        if (r < 0 && request->payload_count > 1 && is_payload_lost(r, &problem)) {
                TransferRequest rest = *request;

                rest.payload_count--;
                memmove(rest.payloads, request->payloads + 1, rest.payload_count * sizeof(rest.payloads[0]));
                return transfer_run(operation, &rest, error);
        }
        if (r < 0 && error && !error_is_set(error))
                *error = problem;
        return r;
}
