/* SPDX-License-Identifier: Apache-2.0 */
#include "vm.h"
#include "clock.h"
#include "file.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>

#define PROBE_MS 20000
#define OUTPUT_MAX (256 * KIB)

/* Reads until the end, or until the time is up. */
static void gather(Child *qemu, int fd, Buffer *output)
{
        int64_t end = monotonic_ms() + PROBE_MS;

        while (monotonic_ms() < end && !interrupt_came()) {
                struct pollfd polled = { .fd = fd, .events = POLLIN };
                char data[4096];
                ssize_t size;

                if (poll(&polled, 1, (int)(end - monotonic_ms())) <= 0)
                        continue;
                size = read(fd, data, sizeof(data));
                if (size <= 0 || buffer_append(output, data, (size_t)size) < 0)
                        break;
        }
        for (int wait = 0; wait < 20 && child_runs(qemu); wait++)
                (void)poll(NULL, 0, 50);
}

/* A kernel without a root filesystem panics, and a panic ends the machine. */
bool vm_kvm_works(const char *qemu, int kernel_fd, const char **ret_reason)
{
        _cleanup_buffer_ Buffer output = BUFFER_WITH_CAP(OUTPUT_MAX);
        _cleanup_free_ char *kernel = string_format("/proc/self/fd/%d", kernel_fd);
        const char *const argv[] = { qemu, "-M", "q35", "-accel", "kvm", "-cpu", "host", "-smp", "2", "-m",
                "512", "-nodefaults", "-no-reboot", "-display", "none", "-monitor", "none", "-chardev",
                "stdio,id=serial,signal=off", "-serial", "chardev:serial", "-kernel", kernel, "-append",
                "console=ttyS0 panic=-1", NULL };
        const int kept[] = { kernel_fd, -1 };
        _cleanup_fd_ int read_end = -1, write_end = -1;
        bool has_ended, was_seen;
        Child child = { 0 };
        int ends[2];

        *ret_reason = "/dev/kvm is not there, or not for this user";
        if (access("/dev/kvm", R_OK | W_OK) < 0)
                return false;
        *ret_reason = "it could not be tried";
        if (!kernel || pipe2(ends, O_CLOEXEC) < 0)
                return false;
        read_end = ends[0];
        write_end = ends[1];
        if (child_start(argv, &(ChildPipes){ -1, write_end, -1, kept }, &child, NULL) < 0)
                return false;
        write_end = fd_close(write_end);
        gather(&child, read_end, &output);
        has_ended = !child_runs(&child);
        child_kill(&child);
        was_seen = output.data && memmem(output.data, output.size, "Linux version ", 14);
        *ret_reason = was_seen ? "/dev/kvm begins to run the image's kernel, but not to its end"
                               : "/dev/kvm is there but does not run the image's kernel";
        return was_seen && has_ended && child_exit_status(&child) == 0 &&
               memmem(output.data, output.size, "Kernel panic", 12);
}
