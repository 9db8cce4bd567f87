/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A test program that includes this is the roles, too, as basculed is: the test's fake_fetch() and
 * fake_apply(), which may say whatever a fetch or an apply that was taken over might. */

#include "frames.h"
#include "roles.h"
#include "transfer-frames.h"

#include <stdlib.h>
#include <string.h>

/* What fetch does, from its first order on; the exit status. */
static int fake_fetch(FrameReader *reader);
/* What apply does with its orders; the exit status. */
static int fake_apply(const ApplySetup *setup);

/* A fetch that only waits for its end. */
static inline int fake_fetch_waits(FrameReader *reader)
{
        Frame frame;

        while (frame_receive(reader, ROLE_FD_CONTROL, &frame) >= 0)
                continue;
        return EXIT_SUCCESS;
}

/* FRAME_PROGRESS or FRAME_APPLIED. False when nobody listens any more. */
static inline bool fake_apply_tells(FrameType type, uint64_t right_bytes, uint64_t written_bytes)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(64);

        return frame_put_u64(&body, right_bytes) >= 0 && frame_put_u64(&body, written_bytes) >= 0 &&
               frame_send(ROLE_FD_CONTROL, type, &body) >= 0;
}

static inline int fake_role(bool is_apply)
{
        _cleanup_frame_reader_ FrameReader reader = FRAME_READER(FRAME_BODY_MAX);
        ApplySetup setup;
        Frame frame;

        if (!is_apply)
                return fake_fetch(&reader);
        if (frame_receive(&reader, ROLE_FD_CONTROL, &frame) < 0 || frame.type != FRAME_APPLY_SETUP ||
                        apply_setup_take(&frame, &setup) < 0)
                return EXIT_FAILURE;
        return fake_apply(&setup);
}

/* Before main(): a role must not run the tests. */
__attribute__((constructor)) static void fake_roles_begin(int argc, char **argv)
{
        bool is_apply = argc > 1 && strcmp(argv[1], "--role=apply") == 0;

        if (is_apply || (argc > 1 && strcmp(argv[1], "--role=fetch") == 0))
                exit(fake_role(is_apply));
}
