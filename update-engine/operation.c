/* SPDX-License-Identifier: Apache-2.0 */
#include "operation.h"

#include "clock.h"
#include "strv.h"

#include <poll.h>
#include <string.h>

int operation_check(const Operation *operation, Error *error)
{
        struct pollfd cancel = { .fd = operation->cancel_fd, .events = POLLIN };
        if (operation->cancel_fd >= 0 && poll(&cancel, 1, 0) > 0)
                return error_set(error, ERROR_CANCELLED, ECANCELED, "the operation was cancelled");
        return 0;
}

void operation_enter(Operation *operation, EngineEvent event, const char *version, uint64_t total_bytes)
{
        operation->progress.done_bytes = 0;
        operation->progress.total_bytes = total_bytes;
        if (operation->enter)
                operation->enter(operation->data, event, version);
        if (operation->tell)
                operation->tell(operation->data, &operation->progress);
}

void operation_tell(Operation *operation, uint64_t done_bytes)
{
        operation->progress.done_bytes = done_bytes;
        if (operation->tell)
                operation->tell(operation->data, &operation->progress);
}

int operation_start_role(Operation *operation, RoleName role, const RoleLimits *limits, const RoleFd *fds,
                size_t fd_count, RoleProcess *ret, Error *error)
{
        const RoleService service = { operation->fetch_socket, operation->cancel_fd };
        Error problem = { 0 };
        int r = role_start(role, &service, limits, fds, fd_count, ret, &problem);
        if (r >= 0)
                return 0;
        int cancelled = operation_check(operation, error);
        if (cancelled < 0)
                return cancelled;
        return error_set(error, problem.code, -r, "%s", problem.message);
}

void operation_order_mirrors(const Operation *operation, MirrorOrder *ret)
{
        static const MirrorMemory nothing;
        const MirrorMemory *memory = operation->mirrors ? operation->mirrors : &nothing;
        *ret = (MirrorOrder){ .count = strv_length(operation->config->repositories) };
        mirrors_order(memory, ret->count, monotonic_seconds(), ret->numbers);
}

int operation_note_mirror(Operation *operation, MirrorOrder *order, Frame *frame, Error *error)
{
        uint64_t number, is_good;
        if (frame_take_u64(frame, &number) < 0 || frame_take_u64(frame, &is_good) < 0 ||
                        frame_end(frame) < 0 || number >= order->count || is_good > 1)
                return error_set(error, ERROR_FAILED, EBADMSG, "fetch sent a frame that makes no sense");
        if (is_good)
                order->serving = (size_t)number;
        if (operation->mirrors && is_good)
                mirrors_served(operation->mirrors, order->numbers[number]);
        else if (operation->mirrors)
                mirrors_failed(operation->mirrors, order->numbers[number], monotonic_seconds());
        return 0;
}

void operation_distrust_mirror(Operation *operation, const MirrorOrder *order)
{
        if (operation->mirrors && order->count > 0)
                mirrors_failed(operation->mirrors, order->numbers[order->serving], monotonic_seconds());
}

static int role_ended(RoleProcess *process, Error *error)
{
        int r = role_wait(process, ROLE_DEATH_MS, error);
        return r < 0 ? r : error_set(error, ERROR_FAILED, EPIPE, "a role ended before its work was done");
}

int operation_receive(Operation *operation, RoleProcess *process, FrameReader *reader, uint64_t timeout_ms,
                Frame *ret, Error *error)
{
        for (;;) {
                int r = frame_reader_next(reader, ret);
                if (r < 0)
                        return error_set(error, ERROR_FAILED, -r, "a role sent a frame that makes no sense");
                if (r > 0 && ret->type == FRAME_FAILED)
                        return frame_take_error(ret, error);
                if (r > 0)
                        return 0;
                struct pollfd wait[2] = { { .fd = process->control_fd, .events = POLLIN },
                        { .fd = operation->cancel_fd, .events = POLLIN } };
                r = poll(wait, 2, (int)timeout_ms);
                if (r < 0 && errno != EINTR)
                        return error_set(error, ERROR_FAILED, errno, "cannot wait: %s", strerror(errno));
                if (r == 0)
                        return error_set(error, ERROR_NETWORK, ETIMEDOUT,
                                        "nothing came from the repository for %u s",
                                        (unsigned)(timeout_ms / 1000));
                r = operation_check(operation, error);
                if (r < 0)
                        return r;
                if (!(wait[0].revents & (POLLIN | POLLHUP | POLLERR)))
                        continue;
                ssize_t n = frame_reader_fill(reader, process->control_fd);
                if (n == 0 || n == -ECONNRESET)
                        return role_ended(process, error);
                if (n < 0 && n != -EAGAIN)
                        return error_set(error, ERROR_FAILED, (int)-n, "cannot read from a role: %s",
                                        strerror((int)-n));
        }
}
