/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

#include "clock.h"
#include "file.h"

#include <fcntl.h>
#include <string.h>

/* Keeps the end. */
static int keep(Buffer *output, const void *data, size_t size)
{
        if (output->size + size > GUEST_OUTPUT_MAX) {
                size_t drop = MIN_OF(output->size, MAX_OF(output->size / 2, size));

                memmove(output->data, output->data + drop, output->size - drop);
                output->size -= drop;
        }
        return buffer_append(output, data, size);
}

/* Until ssh has closed its output and ended. */
static int follow(Vm *vm, Child *ssh, int fd, int64_t deadline_ms, Buffer *output)
{
        bool is_open = true;

        while (is_open || child_runs(ssh)) {
                char data[4096];
                ssize_t size;

                if (interrupt_came())
                        return -EINTR;
                if (!vm_is_on(vm))
                        return -EHOSTDOWN;
                if (monotonic_ms() >= deadline_ms)
                        return -ETIMEDOUT;
                vm_run(vm, is_open ? 200 : 20, is_open ? fd : -1);
                if (!is_open)
                        continue;
                size = read(fd, data, sizeof(data));
                if (size < 0 && (errno == EAGAIN || errno == EINTR))
                        continue;
                if (size <= 0)
                        is_open = false;
                else if (keep(output, data, (size_t)size) < 0)
                        return -ENOMEM;
        }
        return child_exit_status(ssh);
}

int guest_run(const Guest *guest, const char *command, int input_fd, int64_t deadline_ms, Buffer *ret_output,
                Error *error)
{
        _cleanup_free_ char *port = string_format("%u", guest->vm->ssh_port);
        const char *const argv[] = { guest->ssh, "-T", "-F", "none", "-i", guest->key, "-p", port, "-o",
                "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o",
                "IdentityAgent=none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "ConnectTimeout=90", "-o", "ServerAliveInterval=15", "root@127.0.0.1", command, NULL };
        _cleanup_fd_ int read_end = -1, write_end = -1;
        Child ssh = { 0 };
        int ends[2], r;

        *ret_output = BUFFER_WITH_CAP(GUEST_OUTPUT_MAX);
        if (!port)
                return error_oom(error);
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot make a pipe: %s", strerror(errno));
        read_end = ends[0];
        write_end = ends[1];
        (void)fcntl(write_end, F_SETFL, 0);
        r = child_start(argv, &(ChildPipes){ input_fd, write_end, write_end, NULL }, &ssh, error);
        if (r < 0)
                return r;
        write_end = fd_close(write_end);
        r = follow(guest->vm, &ssh, read_end, deadline_ms, ret_output);
        child_kill(&ssh);
        return r;
}
