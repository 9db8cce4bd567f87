/* SPDX-License-Identifier: Apache-2.0 */
/* The limits that role apply is given are made of what the manifest says; what needs all of that must not
 * fail. */
#include "payload-sample.h"
#include "roles.h"
#include "test.h"
#include "transfer-frames.h"

#include <fcntl.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

/* Before main(): this program is role apply, too. */
__attribute__((constructor)) static void be_a_role(int argc, char **argv)
{
        int status;
        if (role_dispatch(argc, argv, &status))
                exit(status);
}

/* The least memory that an index may declare; it stands in the file afterwards. */
static uint64_t declare_least_memory(Buffer *file, size_t index_size)
{
        uint64_t least = 0, most = PAYLOAD_MEMORY_MAX;
        while (least < most) {
                uint64_t middle = (least + most) / 2;
                PayloadIndex *index = NULL;
                write_le64(file->data + PAYLOAD_AT_MEMORY, middle);
                PayloadExpectation expectation = expect_as_told(file->data, index_size);
                if (payload_index_parse(file->data, index_size, &expectation, &index, NULL) >= 0)
                        most = middle;
                else
                        least = middle + 1;
                payload_index_free(index);
        }
        write_le64(file->data + PAYLOAD_AT_MEMORY, least);
        return least;
}

/* Gives role apply what it asks for, to the end. */
static int serve_apply(RoleProcess *process, int data_fd, const Buffer *file, Error *error)
{
        _cleanup_frame_reader_ FrameReader reader = FRAME_READER(4096);
        (void)fcntl(process->control_fd, F_SETFL, 0);
        for (;;) {
                uint64_t number, offset, size;
                Frame frame;
                int r = frame_receive(&reader, process->control_fd, &frame);
                if (r < 0)
                        return r;
                if (frame.type == FRAME_APPLIED)
                        return role_wait(process, ROLE_END_MS, error);
                if (frame.type == FRAME_FAILED)
                        return frame_take_error(&frame, error);
                if (frame.type != FRAME_NEED)
                        continue;
                if (frame_take_u64(&frame, &number) < 0 || frame_take_u64(&frame, &offset) < 0 ||
                                frame_take_u64(&frame, &size) < 0 || offset + size > file->size)
                        return -EBADMSG;
                r = write_full(data_fd, file->data + offset, (size_t)size);
                if (r < 0)
                        return r;
        }
}

/* In a process of its own, with the limits that transfer.c sets, which are made of what was signed. */
static int apply_within_limits(
                const Buffer *file, size_t index_size, int target_fd, uint64_t file_size, Error *error)
{
        ApplySetup setup = { .payload_count = 1, .payloads = { expect_as_told(file->data, index_size) } };
        const PayloadExpectation *payload = &setup.payloads[0];
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(4096);
        RoleProcess process = ROLE_PROCESS_NONE;
        int pipe_fds[2];
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        _cleanup_fd_ int reading = pipe_fds[0], writing = pipe_fds[1];
        const RoleFd fds[] = { { reading, ROLE_FD_DATA }, { target_fd, ROLE_FD_TARGET } };
        setup.target_size_bytes = payload->target_size_bytes;
        setup.payloads[0].memory_max_bytes = read_le64(file->data + PAYLOAD_AT_MEMORY);
        RoleLimits limits = { .memory_bytes = payload->memory_max_bytes + 2 * index_size + PAYLOAD_GROUP_MAX,
                .file_size_bytes = file_size };
        int r = role_spawn(ROLE_APPLY, &limits, fds, ELEMENTS(fds), &process, error);
        if (r >= 0)
                r = apply_setup_put(&body, &setup);
        if (r >= 0)
                r = frame_send(process.control_fd, FRAME_APPLY_SETUP, &body);
        if (r >= 0)
                r = serve_apply(&process, writing, file, error);
        role_stop(&process);
        return r;
}

#define NOISE_SIZE (20 * MIB)

/* The greatest group, with a large blob. */
static int make_large(uint8_t *image, Buffer *ret, size_t *ret_index_size)
{
        _cleanup_buffer_ Buffer ops = BUFFER_WITH_CAP(64);
        const PayloadOp list[] = {
                { .number = PAYLOAD_OP_RAW, .target_size_bytes = NOISE_SIZE, .blob_size_bytes = NOISE_SIZE },
                { .number = PAYLOAD_OP_ZERO, .target_size_bytes = PAYLOAD_GROUP_MAX - NOISE_SIZE }
        };
        PayloadSketch sketch = { .group_count = 1, .memory = PAYLOAD_MEMORY_MAX };
        PayloadOpCursor cursor;
        int r = 0;

        if (!image)
                return -ENOMEM;
        fill(image, NOISE_SIZE, 5);
        payload_op_cursor_init(&cursor, NULL, 0, 0);
        for (size_t i = 0; i < ELEMENTS(list) && r >= 0; i++)
                r = payload_op_append(&cursor, &list[i], &ops);
        sketch.groups[0] = (SketchGroup){ PAYLOAD_GROUP_MAX, NOISE_SIZE, ops.size, image, image, ops.data };
        sketch_build(&sketch, ret, ret_index_size);
        return r;
}

/* Not a byte more is granted than it must declare. */
TEST(a_ceiling_that_refuses_a_valid_payload)
{
        _cleanup_free_ uint8_t *image = calloc(1, PAYLOAD_GROUP_MAX);
        _cleanup_buffer_ Buffer file = BUFFER_WITH_CAP(64 * MIB);
        _cleanup_fd_ int target = memfd_create("target", MFD_CLOEXEC);
        uint8_t wanted[SHA256_SIZE], sha256[SHA256_SIZE];
        PayloadIndex *bad = NULL;
        Error error = { 0 };
        size_t index_size = 0;

        CHECK_OK(make_large(image, &file, &index_size));
        uint64_t least = declare_least_memory(&file, index_size);
        CHECK(least > PAYLOAD_GROUP_MAX + NOISE_SIZE && least < PAYLOAD_MEMORY_MAX);
        PayloadExpectation expectation = expect_as_told(file.data, index_size);
        expectation.memory_max_bytes = least - 1;
        CHECK_EQ(payload_index_parse(file.data, index_size, &expectation, &bad, NULL), -E2BIG);
        int r = apply_within_limits(&file, index_size, target, PAYLOAD_GROUP_MAX, &error);
        if (r < 0)
                TEST_FAIL("refused: %s", error.message);
        sha256_of(image, PAYLOAD_GROUP_MAX, wanted);
        CHECK_OK(sha256_of_fd(target, 0, PAYLOAD_GROUP_MAX, sha256));
        CHECK_MEM(sha256, wanted, SHA256_SIZE);
}

TEST(no_file_grows_past_its_ceiling)
{
        _cleanup_free_ uint8_t *image = calloc(1, PAYLOAD_GROUP_MAX);
        _cleanup_buffer_ Buffer file = BUFFER_WITH_CAP(64 * MIB);
        _cleanup_fd_ int target = memfd_create("target", MFD_CLOEXEC);
        uint64_t size = 0;
        size_t index_size = 0;

        CHECK_OK(make_large(image, &file, &index_size));
        CHECK(apply_within_limits(&file, index_size, target, MIB, NULL) < 0);
        CHECK_OK(fd_size(target, &size));
        CHECK(size <= MIB);
}

/* The line of /proc/PID/limits that begins so; UINT64_MAX: no limit, or no such process. */
static uint64_t limit_of(pid_t pid, const char *name)
{
        char path[64], line[256];
        uint64_t limit = UINT64_MAX;
        (void)snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
        FILE *file = fopen(path, "re");
        while (file && fgets(line, sizeof(line), file))
                if (strncmp(line, name, strlen(name)) == 0 &&
                                sscanf(line + strlen(name), " %*s %" SCNu64, &limit) != 1)
                        limit = UINT64_MAX;
        if (file)
                (void)fclose(file);
        return limit;
}

/* A role sets its limits in its own time, but before the first byte it reads; the one for memory is the
 * last. */
static uint64_t await_memory_limit(pid_t pid)
{
        uint64_t limit = UINT64_MAX;
        for (unsigned tries = 0; tries < 12000 && limit == UINT64_MAX; tries++) {
                limit = limit_of(pid, "Max address space");
                (void)usleep(10000);
        }
        return limit;
}

/* The limit of memory is what program and libraries need, and what was signed. */
TEST(no_role_grows_past_its_ceiling)
{
        const RoleLimits limits[] = { { .file_size_bytes = 1 },
                { .memory_bytes = 10 * MIB, .file_size_bytes = 1 } };
        uint64_t found[ELEMENTS(limits)] = { 0 };

        if (IS_SANITIZED)
                TEST_SKIP("a sanitizer needs all addresses");
        for (size_t i = 0; i < ELEMENTS(limits); i++) {
                RoleProcess process = ROLE_PROCESS_NONE;
                CHECK_OK(role_spawn(ROLE_APPLY, &limits[i], NULL, 0, &process, NULL));
                found[i] = await_memory_limit(process.pid);
                uint64_t file_size = limit_of(process.pid, "Max file size"),
                         core = limit_of(process.pid, "Max core file size");
                role_stop(&process);
                CHECK_EQ(file_size, 1);
                CHECK_EQ(core, 0);
        }
        CHECK(found[0] > 0 && found[0] < 128 * MIB);
        CHECK_EQ(found[1], found[0] + 10 * MIB);
}

TEST_MAIN
