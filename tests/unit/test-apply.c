/* SPDX-License-Identifier: Apache-2.0 */
/* Role apply in a process of its own, with this test in the place of basculed and fetch. */
#include "apply.h"
#include "payload-sample.h"
#include "roles.h"
#include "test.h"
#include "transfer-frames.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

typedef struct Run {
        pid_t pid;
        int control, data;
        FrameReader reader;
        uint64_t served[APPLY_PAYLOADS_MAX]; /* bytes */
        uint64_t right, written;
        Error error;
} Run;

static void child_main(int control, int data, int target, int source)
{
        int high[4] = { fcntl(control, F_DUPFD, 50), fcntl(data, F_DUPFD, 50), fcntl(target, F_DUPFD, 50),
                source >= 0 ? fcntl(source, F_DUPFD, 50) : -1 };
        (void)dup2(high[0], ROLE_FD_CONTROL);
        (void)dup2(high[1], ROLE_FD_DATA);
        (void)dup2(high[2], ROLE_FD_TARGET);
        if (high[3] >= 0)
                (void)dup2(high[3], ROLE_FD_SOURCES);
        /* No copy of our own ends, or the end of the pipe would never be seen. */
        (void)close_range(ROLE_FD_SOURCES + 1, UINT32_MAX, 0);
        _exit(apply_main());
}

static void begin(Run *run, int target, int source)
{
        int sockets[2], pipes[2];
        *run = (Run){ .reader = FRAME_READER(4096) };
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) < 0 || pipe(pipes) < 0)
                abort();
        (void)fcntl(pipes[1], F_SETPIPE_SZ, 1 << 20);
        run->pid = fork();
        if (run->pid == 0)
                child_main(sockets[1], pipes[0], target, source);
        (void)close(sockets[1]);
        (void)close(pipes[0]);
        run->control = sockets[0];
        run->data = pipes[1];
}

/* Serves what is asked for, up to `most` bytes. 0 when everything was applied. */
static int serve(Run *run, const Buffer *const *payloads, uint64_t most)
{
        for (;;) {
                Frame frame;
                uint64_t number = 0, offset = 0, size = 0;
                int r = frame_receive(&run->reader, run->control, &frame);
                if (r < 0)
                        return r;
                if (frame.type == FRAME_FAILED)
                        return frame_take_error(&frame, &run->error);
                if (frame.type != FRAME_NEED) {
                        (void)frame_take_u64(&frame, &run->right);
                        (void)frame_take_u64(&frame, &run->written);
                        if (frame.type == FRAME_APPLIED)
                                return 0;
                        continue;
                }
                if (frame_take_u64(&frame, &number) < 0 || frame_take_u64(&frame, &offset) < 0 ||
                                frame_take_u64(&frame, &size) < 0 || number >= APPLY_PAYLOADS_MAX ||
                                offset + size > payloads[number]->size)
                        return -EBADMSG;
                run->served[number] += size;
                if (run->served[number] > most) {
                        run->data = fd_close(run->data);
                        continue;
                }
                r = write_full(run->data, payloads[number]->data + offset, (size_t)size);
                if (r < 0)
                        return r;
        }
}

static int end(Run *run)
{
        int status = 0;
        (void)fd_close(run->control);
        (void)fd_close(run->data);
        frame_reader_done(&run->reader);
        (void)waitpid(run->pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The whole image as one group of plain bytes: what a host falls back on. */
static void make_full(const Sample *sample, Buffer *ret, size_t *ret_index_size)
{
        _cleanup_buffer_ Buffer ops = BUFFER_WITH_CAP(4096);
        const PayloadOp raw = {
                .number = PAYLOAD_OP_RAW, .target_size_bytes = TARGET_SIZE, .blob_size_bytes = TARGET_SIZE
        };
        PayloadOpCursor cursor;
        payload_op_cursor_init(&cursor, NULL, 0, 0);
        (void)payload_op_append(&cursor, &raw, &ops);
        PayloadSketch sketch = { .group_count = 1 };
        sketch.groups[0] = (SketchGroup){ TARGET_SIZE, TARGET_SIZE, ops.size, sample->target, sample->target,
                ops.data };
        sketch_build(&sketch, ret, ret_index_size);
}

typedef struct Fixture {
        Sample sample;
        Buffer full;
        ApplySetup setup;
        const Buffer *payloads[2];
        int target;
} Fixture;

static void fixture_done(Fixture *fixture)
{
        sample_done(&fixture->sample);
        buffer_done(&fixture->full);
        (void)fd_close(fixture->target);
}

#define TARGET_OFFSET 777

static void fixture_make(Fixture *fixture)
{
        size_t index_size = 0;
        *fixture = (Fixture){ .full = BUFFER_WITH_CAP(MIB) };
        Sample *sample = &fixture->sample;
        sample_make(sample);
        make_full(sample, &fixture->full, &index_size);
        fixture->payloads[0] = &sample->file;
        fixture->payloads[1] = &fixture->full;
        fixture->setup = (ApplySetup){
                .target_offset = TARGET_OFFSET, .target_size_bytes = TARGET_SIZE, .payload_count = 2
        };
        fixture->setup.sources[0] = (ApplySource){ true, 0, SOURCE_SIZE };
        fixture->setup.payloads[0] = expect_as_told(sample->file.data, sample->index_size);
        fixture->setup.payloads[1] = expect_as_told(fixture->full.data, index_size);
        fixture->target = memfd_create("target", MFD_CLOEXEC);
}

static int apply(Fixture *fixture, Run *run, uint64_t most)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(4096);
        begin(run, fixture->target, fixture->sample.source_fd);
        int r = apply_setup_put(&body, &fixture->setup);
        if (r >= 0)
                r = frame_send(run->control, FRAME_APPLY_SETUP, &body);
        if (r >= 0)
                r = serve(run, fixture->payloads, most);
        int status = end(run);
        return r >= 0 && status != 0 ? -ECHILD : r;
}

static bool target_is_right(const Fixture *fixture)
{
        uint8_t data[TARGET_SIZE], before[TARGET_OFFSET];
        static const uint8_t zeros[TARGET_OFFSET];
        uint64_t size = 0;
        return pread_full(fixture->target, data, sizeof(data), TARGET_OFFSET) >= 0 &&
               pread_full(fixture->target, before, sizeof(before), 0) >= 0 &&
               fd_size(fixture->target, &size) >= 0 && size == TARGET_OFFSET + TARGET_SIZE &&
               memcmp(data, fixture->sample.target, TARGET_SIZE) == 0 &&
               memcmp(before, zeros, sizeof(before)) == 0;
}

#define WITH_FIXTURE                                                                                        \
        _cleanup_(fixture_done) Fixture f;                                                                  \
        Run run;                                                                                            \
        fixture_make(&f)

TEST(makes_the_target_and_nothing_else)
{
        WITH_FIXTURE;
        CHECK_OK(apply(&f, &run, UINT64_MAX));
        CHECK(target_is_right(&f));
        CHECK_EQ(run.written, TARGET_SIZE);
        CHECK_EQ(run.served[0], f.sample.file.size);
        CHECK_EQ(run.served[1], 0);
}

TEST(what_is_there_is_not_asked_for)
{
        WITH_FIXTURE;
        CHECK_OK(apply(&f, &run, UINT64_MAX));
        CHECK_OK(apply(&f, &run, UINT64_MAX));
        CHECK_EQ(run.served[0], f.sample.index_size);
        CHECK_EQ(run.written, 0);
        CHECK_EQ(run.right, TARGET_SIZE);
        CHECK_OK(pwrite_full(f.target, "?", 1, TARGET_OFFSET + GROUP0_SIZE + 3));
        CHECK_OK(apply(&f, &run, UINT64_MAX));
        CHECK_EQ(run.served[0], f.sample.index_size + f.sample.blob1_size);
        CHECK(target_is_right(&f));
}

TEST(a_cut_transfer_fails_and_goes_on)
{
        WITH_FIXTURE;
        CHECK(apply(&f, &run, f.sample.index_size) < 0);
        CHECK_EQ(run.error.code, ERROR_NETWORK);
        CHECK(apply(&f, &run, 0) < 0);
        CHECK_OK(apply(&f, &run, UINT64_MAX));
        CHECK(target_is_right(&f));
}

TEST(a_damaged_source_falls_back_to_the_full_payload)
{
        WITH_FIXTURE;
        CHECK_OK(pwrite_full(f.sample.source_fd, "?", 1, 6));
        CHECK_OK(apply(&f, &run, UINT64_MAX));
        CHECK(target_is_right(&f));
        CHECK_EQ(run.served[1], f.full.size);
}

TEST(a_missing_source_falls_back_to_the_full_payload)
{
        WITH_FIXTURE;
        f.setup.sources[0].exists = false;
        CHECK_OK(apply(&f, &run, UINT64_MAX));
        CHECK(target_is_right(&f));
        CHECK_EQ(run.served[0], f.sample.index_size);
}

TEST(without_a_full_payload_a_damaged_source_is_an_error)
{
        WITH_FIXTURE;
        f.setup.payload_count = 1;
        CHECK_OK(pwrite_full(f.sample.source_fd, "?", 1, 6));
        CHECK_EQ(apply(&f, &run, UINT64_MAX), -ESTALE);
        CHECK_EQ(run.error.code, ERROR_CORRUPT);
}

TEST(changed_bytes_are_refused)
{
        WITH_FIXTURE;
        f.sample.file.data[f.sample.file.size - 1] ^= 1;
        CHECK(apply(&f, &run, UINT64_MAX) < 0);
        CHECK_EQ(run.error.code, ERROR_UNTRUSTED);
        f.sample.file.data[f.sample.file.size - 1] ^= 1;
        f.sample.file.data[f.sample.index_size - 1] ^= 1;
        CHECK(apply(&f, &run, UINT64_MAX) < 0);
        CHECK_EQ(run.error.code, ERROR_UNTRUSTED);
}

#if defined(__SANITIZE_ADDRESS__)
#define FLIPS 1000 /* a sanitized process takes long to begin */
#else
#define FLIPS 10000
#endif

/* xorshift64*: the same places in every run. */
static uint64_t next_random(uint64_t *state)
{
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        return *state * UINT64_C(0x2545f4914f6cdd1d);
}

/* Wherever in header, op table or groups it is: role apply never says APPLIED, without which no boot entry
 * is made. */
TEST(random_bits_of_a_payload_are_refused)
{
        WITH_FIXTURE;
        uint64_t random = UINT64_C(0x62617363756c65), in_index = 0;
        Buffer *file = &f.sample.file;
        f.setup.payload_count = 1;
        printf("# %d bits, seed 0x%" PRIx64 "\n", FLIPS, random);
        for (unsigned i = 0; i < FLIPS; i++) {
                uint64_t bit = next_random(&random) % (file->size * 8);
                in_index += bit / 8 < f.sample.index_size;
                file->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
                CHECK_EQ(ftruncate(f.target, 0), 0);
                int r = apply(&f, &run, UINT64_MAX);
                if (r >= 0 || run.error.code != ERROR_UNTRUSTED || target_is_right(&f))
                        TEST_FAIL("bit %" PRIu64 " was changed unnoticed", bit);
                file->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        CHECK(in_index > FLIPS / 100 && in_index < FLIPS - FLIPS / 100);
        CHECK_OK(apply(&f, &run, UINT64_MAX));
        CHECK(target_is_right(&f));
}

TEST_MAIN
