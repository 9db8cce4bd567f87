/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor of a transfer believes of apply. */
#include "fake-roles.h"
#include "test.h"
#include "transfer.h"

#include <fcntl.h>
#include <sys/mman.h>

/* Sizes of targets, by which fake_apply() knows what to do. */
enum { GETS_ON = 4096, SAYS_ONLY_THAT_IT_LIVES = 8192, WRITES_WITHOUT_END = 12288 };

#define SIGNS 2000

static int fake_fetch(FrameReader *reader)
{
        return fake_fetch_waits(reader);
}

static int fake_apply(const ApplySetup *setup)
{
        uint64_t size = setup->target_size_bytes;
        for (uint64_t i = 1; i <= SIGNS; i++) {
                uint64_t right = size == GETS_ON ? i : 0, written = size == WRITES_WITHOUT_END ? i << 20 : 0;
                if (!fake_apply_tells(FRAME_PROGRESS, right, written))
                        return EXIT_FAILURE;
        }
        return fake_apply_tells(FRAME_APPLIED, size, size) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int transfer(uint64_t size, Error *error)
{
        static const char text[] = "[Update]\nRepository=http://localhost/\n";
        static const PayloadReference payload = { .size_bytes = 4096, .index_size_bytes = 128 };
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_fd_ int target = memfd_create("target", MFD_CLOEXEC);
        TransferRequest request = { .target = { target, 0, size },
                .payloads = { { &payload, "payloads/x", false } },
                .payload_count = 1 };
        Operation operation = { .cancel_fd = -1 };
        int r = config_parse("engine.conf", text, strlen(text), &config, error);

        for (size_t i = 0; i < PAYLOAD_SOURCES_MAX; i++)
                request.sources[i].fd = -1;
        operation.config = config;
        return r < 0 ? r : transfer_run(&operation, &request, error);
}

TEST(an_apply_that_gets_on_may_say_so_as_often_as_it_likes)
{
        Error error = { 0 };
        int r = transfer(GETS_ON, &error);
        if (r < 0)
                TEST_FAIL("%s", error.message);
}

/* It would hold the engine up for ever. */
TEST(an_apply_that_only_says_that_it_lives_is_stopped)
{
        Error error = { 0 };
        CHECK_EQ(transfer(SAYS_ONLY_THAT_IT_LIVES, &error), -EBADMSG);
        CHECK(strstr(error.message, "gets no further"));
}

TEST(an_apply_that_writes_without_end_is_stopped)
{
        Error error = { 0 };
        CHECK_EQ(transfer(WRITES_WITHOUT_END, &error), -EBADMSG);
        CHECK(strstr(error.message, "gets no further"));
}

TEST_MAIN
