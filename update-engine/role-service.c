/* SPDX-License-Identifier: Apache-2.0 */
#include "role-service.h"

#include "frames.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#define READY_MS 120000 /* systemd may have much to start */
#define BODY_MAX (2 * ERROR_MESSAGE_MAX)

/* Room for descriptors or credentials beside a message. */
typedef union Ancillary {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(FRAME_DESCRIPTORS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
} Ancillary;

/* Takes what a socket has, and what came beside it. */
static int fill(FrameReader *reader, int fd, Ancillary *ancillary, struct msghdr *ret)
{
        char bytes[512];
        struct iovec part = { bytes, sizeof(bytes) };
        ssize_t n;
        *ret = (struct msghdr){ .msg_iov = &part,
                .msg_iovlen = 1,
                .msg_control = ancillary->bytes,
                .msg_controllen = sizeof(ancillary->bytes) };
        do
                n = recvmsg(fd, ret, 0);
        while (n < 0 && errno == EINTR);
        if (n <= 0)
                return n < 0 ? -errno : -EPIPE;
        if (ret->msg_flags & MSG_CTRUNC)
                return -EBADMSG;
        return frame_reader_feed(reader, bytes, (size_t)n);
}

static const void *find_ancillary(struct msghdr *message, int type, size_t *ret_size)
{
        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != type)
                        continue;
                *ret_size = c->cmsg_len - CMSG_LEN(0);
                return CMSG_DATA(c);
        }
        return NULL;
}

/* ---- basculed's side ---- */

static int connect_to(const char *path, int *ret)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int yes = 1;
        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, strlen(path) + 1);
        _cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0 ||
                        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

static int send_begin(int fd, const RoleLimits *limits, const RoleFd *fds, size_t count)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(BODY_MAX);
        int sent[FRAME_DESCRIPTORS_MAX];
        if (count > FRAME_DESCRIPTORS_MAX)
                return -E2BIG;
        int r = frame_put_u64(&body, limits->memory_bytes);
        if (r >= 0)
                r = frame_put_u64(&body, limits->file_size_bytes);
        for (size_t i = 0; i < count && r >= 0; i++) {
                sent[i] = fds[i].fd;
                r = frame_put_u64(&body, (uint64_t)fds[i].number);
        }
        return r < 0 ? r : frame_send_descriptors(fd, FRAME_ROLE_BEGIN, &body, sent, count);
}

/* READY, and who sent it. */
static int await_ready(int fd, int cancel_fd, pid_t *ret, Error *error)
{
        _cleanup_frame_reader_ FrameReader reader = FRAME_READER(BODY_MAX);
        pid_t pid = 0;
        Frame frame;
        int r;
        while ((r = frame_reader_next(&reader, &frame)) == 0) {
                struct pollfd wait[2] = { { .fd = fd, .events = POLLIN },
                        { .fd = cancel_fd, .events = POLLIN } };
                Ancillary ancillary;
                struct msghdr message;
                size_t size = 0;
                r = poll(wait, 2, READY_MS);
                if (r < 0 && errno == EINTR)
                        continue;
                if (r <= 0)
                        return r < 0 ? -errno : -ETIMEDOUT;
                if (wait[1].revents)
                        return -ECANCELED;
                r = fill(&reader, fd, &ancillary, &message);
                if (r < 0)
                        return r;
                const struct ucred *sender = find_ancillary(&message, SCM_CREDENTIALS, &size);
                if (sender && size == sizeof(*sender))
                        pid = sender->pid;
        }
        if (r < 0)
                return r;
        if (frame.type == FRAME_FAILED)
                return frame_take_error(&frame, error);
        if (frame.type != FRAME_ROLE_READY || pid <= 0)
                return -EBADMSG;
        *ret = pid;
        return 0;
}

int role_service_connect(RoleName name, const RoleService *service, const RoleLimits *limits,
                const RoleFd *fds, size_t fd_count, RoleProcess *ret, Error *error)
{
        _cleanup_fd_ int fd = -1, pid_fd = -1;
        int no = 0;
        pid_t pid = 0;
        int r = connect_to(service->socket_path, &fd);
        if (r >= 0)
                r = send_begin(fd, limits, fds, fd_count);
        if (r >= 0)
                r = await_ready(fd, service->cancel_fd, &pid, error);
        if (r >= 0) {
                pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
                if (pid_fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &no, sizeof(no)) < 0 ||
                                fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
                        r = -errno;
        }
        if (r < 0 && error && error_is_set(error))
                return r;
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r,
                                "cannot start role %s through %s: %s; see `systemctl status "
                                "bascule-%s.socket`",
                                role_name(name), service->socket_path, strerror(-r), role_name(name));
        *ret = (RoleProcess){ .role = name,
                .pid = pid,
                .pid_fd = TAKE_FD(pid_fd),
                .control_fd = TAKE_FD(fd),
                .is_service = true };
        return 0;
}

/* ---- the service's side ---- */

typedef struct Begin {
        RoleLimits limits;
        RoleFd fds[FRAME_DESCRIPTORS_MAX];
        size_t count;
} Begin;

/* Moves them above all fixed numbers, so that no dup2() overwrites one still needed. */
static int keep_descriptors(Begin *begin, struct msghdr *message)
{
        size_t size = 0;
        const int *fds = find_ancillary(message, SCM_RIGHTS, &size);
        for (size_t i = 0; fds && i < size / sizeof(int); i++) {
                if (begin->count >= FRAME_DESCRIPTORS_MAX)
                        return -EBADMSG;
                int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, ROLE_FD_MAX);
                if (fd < 0)
                        return -errno;
                (void)close(fds[i]);
                begin->fds[begin->count++].fd = fd;
        }
        return 0;
}

static int receive_begin(Begin *begin)
{
        _cleanup_frame_reader_ FrameReader reader = FRAME_READER(BODY_MAX);
        Frame frame;
        int r;
        while ((r = frame_reader_next(&reader, &frame)) == 0) {
                Ancillary ancillary;
                struct msghdr message;
                r = fill(&reader, ROLE_FD_CONTROL, &ancillary, &message);
                if (r >= 0)
                        r = keep_descriptors(begin, &message);
                if (r < 0)
                        return r;
        }
        if (r < 0 || frame.type != FRAME_ROLE_BEGIN ||
                        frame_take_u64(&frame, &begin->limits.memory_bytes) < 0 ||
                        frame_take_u64(&frame, &begin->limits.file_size_bytes) < 0)
                return -EBADMSG;
        for (size_t i = 0; i < begin->count; i++) {
                uint64_t number;
                if (frame_take_u64(&frame, &number) < 0 || number <= ROLE_FD_CONTROL ||
                                number >= ROLE_FD_MAX)
                        return -EBADMSG;
                begin->fds[i].number = (int)number;
        }
        return frame_end(&frame);
}

int role_service_begin(RoleLimits *ret)
{
        Begin begin = { 0 };
        if (sd_listen_fds(true) != 1)
                return -EINVAL;
        if (clearenv() != 0 || setenv("PATH", "/usr/bin", true) < 0 || setenv("LC_ALL", "C.UTF-8", true) < 0)
                return -ENOMEM;
        (void)syscall(SYS_close_range, ROLE_FD_CONTROL + 1, ~0U, 0);
        int r = receive_begin(&begin);
        for (size_t i = 0; i < begin.count; i++) {
                if (r >= 0 && dup2(begin.fds[i].fd, begin.fds[i].number) < 0)
                        r = -errno;
                (void)close(begin.fds[i].fd);
        }
        if (r >= 0)
                *ret = begin.limits;
        return r;
}
