/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"
#include "file.h"
#include "test-run.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define RETRY_MS 2000

/* ---- commands ---- */

int test_guest(TestRun *run, const char *command, int input_fd, Buffer *ret_output)
{
        const Guest guest = { .vm = &run->vm, .ssh = run->ssh, .key = run->options->ssh_key };
        int r = guest_run(&guest, command, input_fd, run->deadline_ms, ret_output, run->error);

        if (r >= 0)
                return r;
        if (r == -ETIMEDOUT)
                test_fail(run, false, ret_output->data, ret_output->size, "did not end within %" PRIu64 " s",
                                run->options->timeout_seconds);
        else if (r == -EHOSTDOWN)
                test_fail(run, true, NULL, 0, "the machine went off");
        else if (r == -EINTR)
                test_trouble(run, error_set(run->error, ERROR_CANCELLED, EINTR,
                                                  "interrupted; the logs are in %s", run->options->output));
        else
                test_trouble(run, error_is_set(run->error) ? r : error_oom(run->error));
        return r;
}

bool test_guest_until(TestRun *run, const char *command, const char *what, Buffer *ret_output)
{
        for (;;) {
                int r = test_guest(run, command, -1, ret_output);

                if (r == 0)
                        return true;
                if (r < 0) {
                        run->is_over = true;
                        return false;
                }
                if (r == GUEST_UNREACHABLE && ret_output->data &&
                                strstr((const char *)ret_output->data, "Permission denied")) {
                        test_fail(run, true, ret_output->data, ret_output->size,
                                        "the guest does not take the key %s; name its public half in the "
                                        "recipe: SshKeyFile=root FILE",
                                        run->options->ssh_key);
                        return false;
                }
                if (monotonic_ms() + RETRY_MS >= run->deadline_ms) {
                        test_fail(run, true, ret_output->data, ret_output->size,
                                        "not within %" PRIu64 " s: %s", run->options->timeout_seconds, what);
                        return false;
                }
                buffer_done(ret_output);
                vm_run(&run->vm, RETRY_MS, -1);
        }
}

void test_login(TestRun *run)
{
        _cleanup_buffer_ Buffer output = { 0 }, times = { 0 };

        if (!test_step(run, "ssh") || !test_guest_until(run, "true", "the guest lets us in by ssh", &output))
                return;
        if (test_guest(run, boot_times_command, -1, &times) < 0)
                return;
        if (times.data)
                boot_times_merge(&run->vm.watch.times, (const char *)times.data);
        test_pass(run, NULL, 0);
}

/* ---- checks ---- */

static const char run_check[] = "d=$(mktemp -d /run/bascule-check.XXXXXX) && cat >\"$d/check\" && chmod "
                                "0700 \"$d/check\" && "
                                "cd / && \"$d/check\" </dev/null; s=$?; rm -rf \"$d\"; exit $s";

static void check(TestRun *run, const char *name, const char *command, int input_fd)
{
        _cleanup_buffer_ Buffer output = { 0 };
        int r;

        if (!test_step(run, name))
                return;
        r = test_guest(run, command, input_fd, &output);
        if (r == 0)
                test_pass(run, output.data, output.size);
        else if (r > 0)
                test_fail(run, false, output.data ? output.data : (const void *)"", output.size,
                                "ended with status %d", r);
}

static void check_file(TestRun *run, const char *path)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        _cleanup_free_ char *name =
                        string_format("check %s", strrchr(path, '/') ? strrchr(path, '/') + 1 : path);

        if (!name)
                test_trouble(run, error_oom(run->error));
        else if (fd < 0)
                test_trouble(run, error_set(run->error, ERROR_USAGE, errno, "cannot read the check %s: %s",
                                                  path, strerror(errno)));
        else
                check(run, name, run_check, fd);
}

void test_checks(TestRun *run)
{
        char **checks = run->options->checks, **commands = run->options->commands;

        for (size_t i = 0; checks && checks[i]; i++)
                check_file(run, checks[i]);
        for (size_t i = 0; commands && commands[i]; i++) {
                _cleanup_free_ char *name = string_format("check: %s", commands[i]);

                if (name)
                        check(run, name, commands[i], -1);
                else
                        test_trouble(run, error_oom(run->error));
        }
}
