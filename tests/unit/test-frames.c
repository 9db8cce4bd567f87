/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "frames.h"
#include "test.h"
#include "transfer-frames.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

/* This program's own: nothing ever becomes ready, and that is known at once. Who would wait for ever is let
 * go on by emptying the other end. */
static int polled_ms, other_end = -1;

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
        char bytes[4096];
        polled_ms = timeout_ms;
        while (timeout_ms < 0 && recv(other_end, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
                continue;
        return timeout_ms < 0 ? (int)count : 0;
}

TEST(carries_fields)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(1024);
        _cleanup_frame_reader_ FrameReader reader = FRAME_READER(1024);
        int pair[2];
        Frame frame;
        uint64_t number;
        char text[16];
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        CHECK_OK(frame_put_u64(&body, UINT64_C(0x1122334455667788)));
        CHECK_OK(frame_put_text(&body, "name"));
        CHECK_OK(frame_put_bytes(&body, "a\0b", 3));
        CHECK_OK(frame_send(pair[0], FRAME_METADATA, &body));
        CHECK_OK(frame_send(pair[0], FRAME_REFRESHED, NULL));
        CHECK_OK(frame_receive(&reader, pair[1], &frame));
        CHECK_EQ(frame.type, FRAME_METADATA);
        CHECK_OK(frame_take_u64(&frame, &number));
        CHECK_EQ(number, 0x1122334455667788);
        CHECK_OK(frame_take_text(&frame, text, sizeof(text)));
        CHECK_STR(text, "name");
        CHECK_EQ(frame_end(&frame), -EBADMSG);
        CHECK_EQ(frame_take_text(&frame, text, sizeof(text)), -EBADMSG);
        CHECK_OK(frame_take_fixed(&frame, text, 3));
        CHECK_OK(frame_end(&frame));
        CHECK_EQ(frame_take_u64(&frame, &number), -EBADMSG);
        CHECK_OK(frame_receive(&reader, pair[1], &frame));
        CHECK_EQ(frame.type, FRAME_REFRESHED);
        (void)close(pair[0]);
        CHECK_EQ(frame_receive(&reader, pair[1], &frame), -EPIPE);
        (void)close(pair[1]);
}

/* A role that was taken over, or stands still, does not read. */
TEST(a_socket_that_nobody_reads_is_given_up)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(FRAME_BODY_MAX);
        int pair[2];
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        CHECK_OK(fcntl(pair[0], F_SETFL, O_NONBLOCK));
        other_end = pair[1];
        CHECK_OK(buffer_append_zeros(&body, FRAME_BODY_MAX));
        CHECK_EQ(frame_send(pair[0], FRAME_METADATA, &body), -ETIMEDOUT);
        CHECK(polled_ms > 0 && polled_ms <= 60000);
        (void)close(pair[0]);
        (void)close(pair[1]);
}

TEST(waits_for_no_rest_of_a_frame)
{
        _cleanup_frame_reader_ FrameReader reader = FRAME_READER(64);
        static const uint8_t bytes[] = { 3, 0, 0, 0, FRAME_TARGET, 0, 0, 0, 'a', 'b', 'c', 0, 0, 0, 0,
                FRAME_NEED, 0, 0, 0 };
        Frame frame;
        unsigned frames = 0;
        for (size_t i = 0; i < sizeof(bytes); i++) {
                CHECK_OK(frame_reader_feed(&reader, &bytes[i], 1));
                int r = frame_reader_next(&reader, &frame);
                CHECK_OK(r);
                frames += (unsigned)r;
        }
        CHECK_EQ(frames, 2);
}

TEST(rejects_lengths_above_the_cap)
{
        _cleanup_frame_reader_ FrameReader reader = FRAME_READER(64);
        static const uint8_t bytes[] = { 65, 0, 0, 0, FRAME_TARGET, 0, 0, 0 };
        Frame frame;
        CHECK_OK(frame_reader_feed(&reader, bytes, sizeof(bytes)));
        CHECK_EQ(frame_reader_next(&reader, &frame), -EBADMSG);
}

TEST(rejects_reserved_bytes_that_are_set)
{
        _cleanup_frame_reader_ FrameReader reader = FRAME_READER(64);
        static const uint8_t bytes[] = { 0, 0, 0, 0, FRAME_TARGET, 0, 1, 0 };
        Frame frame;
        CHECK_OK(frame_reader_feed(&reader, bytes, sizeof(bytes)));
        CHECK_EQ(frame_reader_next(&reader, &frame), -EBADMSG);
}

TEST(rejects_fields_longer_than_the_body)
{
        uint8_t body[8];
        const uint8_t *data;
        size_t size;
        write_le32(body, UINT32_MAX);
        Frame frame = { .data = body, .size = sizeof(body) };
        CHECK_EQ(frame_take_bytes(&frame, &data, &size), -EBADMSG);
        CHECK_EQ(frame.size, sizeof(body));
        write_le32(body, 5);
        CHECK_EQ(frame_take_bytes(&frame, &data, &size), -EBADMSG);
        write_le32(body, 4);
        CHECK_OK(frame_take_bytes(&frame, &data, &size));
        CHECK_EQ(size, 4);
}

TEST(rejects_text_with_a_nul)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(64);
        char text[16];
        CHECK_OK(frame_put_bytes(&body, "a\0b", 3));
        Frame frame = { .data = body.data, .size = body.size };
        CHECK_EQ(frame_take_text(&frame, text, sizeof(text)), -EBADMSG);
}

TEST(errors_survive_the_way)
{
        _cleanup_frame_reader_ FrameReader reader = FRAME_READER(4096);
        int pair[2];
        Frame frame;
        Error sent = { 0 }, got = { 0 };
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        int r = error_set(&sent, ERROR_UNTRUSTED, EBADMSG, "the sentence");
        CHECK_OK(frame_send_error(pair[0], r, &sent));
        CHECK_OK(frame_receive(&reader, pair[1], &frame));
        CHECK_EQ(frame.type, FRAME_FAILED);
        CHECK_EQ(frame_take_error(&frame, &got), -EBADMSG);
        CHECK_EQ(got.code, ERROR_UNTRUSTED);
        CHECK_STR(got.message, "the sentence");
        (void)close(pair[0]);
        (void)close(pair[1]);
}

TEST(errors_that_make_no_sense_are_failures)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(64);
        Error error = { 0 };
        CHECK_OK(frame_put_u64(&body, 0));
        CHECK_OK(frame_put_u64(&body, UINT64_MAX));
        CHECK_OK(frame_put_text(&body, "x"));
        Frame frame = { .data = body.data, .size = body.size };
        CHECK_EQ(frame_take_error(&frame, &error), -EIO);
        CHECK_EQ(error.code, ERROR_FAILED);
        Frame empty = { .data = body.data, .size = 3 };
        Error other = { 0 };
        CHECK_EQ(frame_take_error(&empty, &other), -EBADMSG);
}

static ApplySetup example(void)
{
        ApplySetup setup = { .target_offset = 4096, .target_size_bytes = 8192, .payload_count = 2 };
        setup.sources[2] = (ApplySource){ true, 512, 1024 };
        for (size_t i = 0; i < 2; i++)
                setup.payloads[i] = (PayloadExpectation){ .payload_size_bytes = 100 + i,
                        .index_size_bytes = 40,
                        .target_size_bytes = 8192,
                        .memory_max_bytes = 1 * MIB };
        return setup;
}

TEST(apply_setup_survives_the_way)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(4096);
        ApplySetup setup = example(), got;
        CHECK_OK(apply_setup_put(&body, &setup));
        Frame frame = { .type = FRAME_APPLY_SETUP, .data = body.data, .size = body.size };
        CHECK_OK(apply_setup_take(&frame, &got));
        CHECK_EQ(got.target_offset, 4096);
        CHECK(got.sources[2].exists && !got.sources[0].exists);
        CHECK_EQ(got.sources[2].size_bytes, 1024);
        CHECK_EQ(got.payloads[1].payload_size_bytes, 101);
        for (size_t size = 0; size < body.size; size++) {
                Frame cut = { .type = FRAME_APPLY_SETUP, .data = body.data, .size = size };
                CHECK_EQ(apply_setup_take(&cut, &got), -EBADMSG);
        }
}

TEST(apply_setup_rejects_what_cannot_be)
{
        for (unsigned kind = 0; kind < 5; kind++) {
                _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(4096);
                ApplySetup setup = example(), got;
                if (kind == 0)
                        setup.target_offset = INT64_MAX;
                if (kind == 1)
                        setup.sources[2].size_bytes = UINT64_MAX;
                if (kind == 2)
                        setup.payloads[0].index_size_bytes = 0;
                if (kind == 3)
                        setup.payloads[1].target_size_bytes = 1;
                if (kind == 4)
                        setup.payloads[0].index_size_bytes = PAYLOAD_INDEX_MAX + 1;
                CHECK_OK(apply_setup_put(&body, &setup));
                Frame frame = { .type = FRAME_APPLY_SETUP, .data = body.data, .size = body.size };
                CHECK_EQ(apply_setup_take(&frame, &got), -EBADMSG);
        }
}

TEST_MAIN
