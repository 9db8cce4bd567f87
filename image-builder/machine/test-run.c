/* SPDX-License-Identifier: Apache-2.0 */
#include "test-run.h"

#include "clock.h"
#include "file.h"
#include "output-file.h"

#include <inttypes.h>
#include <string.h>

#define TAIL_MAX 8192
#define LOOK_MS 500
#define ENTRIES_MAX 16

/* ---- steps ---- */

static void add_case(TestRun *run, const JunitCase *one)
{
        if (junit_add(&run->result->report, one) < 0) {
                run->is_over = true;
                run->r = error_oom(run->error);
        } else if (run->options->on_step) {
                run->options->on_step(one);
        }
}

void test_skip(TestRun *run, const char *name, const char *why)
{
        add_case(run, &(JunitCase){ .group = run->group,
                                      .name = name,
                                      .outcome = JUNIT_SKIPPED,
                                      .message = why });
}

bool test_step(TestRun *run, const char *name)
{
        run->step = name;
        run->step_began_ms = monotonic_ms();
        run->deadline_ms = run->step_began_ms + (int64_t)run->options->timeout_seconds * 1000;
        if (run->is_over)
                test_skip(run, name, "a step before did not succeed");
        return !run->is_over;
}

static void end_step(
                TestRun *run, JunitOutcome outcome, const char *message, const void *output, size_t size)
{
        _cleanup_free_ char *tail = NULL;

        if (!output && outcome != JUNIT_PASSED) {
                tail = vm_log_tail(run->vm.serial_fd, TAIL_MAX, &size);
                output = tail;
        }
        add_case(run, &(JunitCase){ .group = run->group,
                                      .name = run->step,
                                      .outcome = outcome,
                                      .milliseconds = (uint64_t)(monotonic_ms() - run->step_began_ms),
                                      .message = message,
                                      .output = output,
                                      .output_size = size });
        run->step = NULL;
}

void test_pass(TestRun *run, const void *output, size_t size)
{
        end_step(run, JUNIT_PASSED, NULL, size > 0 ? output : NULL, size);
}

void test_fail(TestRun *run, bool ends_all, const void *output, size_t size, const char *format, ...)
{
        char message[ERROR_MESSAGE_MAX];
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(message, sizeof(message), format, arguments);
        va_end(arguments);
        end_step(run, JUNIT_FAILED, message, output, size);
        run->is_over = run->is_over || ends_all;
}

void test_trouble(TestRun *run, int r)
{
        run->r = r;
        run->is_over = true;
        if (!run->step) {
                run->step = "set-up";
                run->step_began_ms = monotonic_ms();
        }
        end_step(run, JUNIT_ERROR, run->error->message, NULL, 0);
}

/* ---- waiting ---- */

static void fail_interrupted(TestRun *run)
{
        test_trouble(run, error_set(run->error, ERROR_CANCELLED, EINTR, "interrupted; the logs are in %s",
                                          run->options->output));
}

/* The machine is off, and nobody switched it off. */
static void fail_off(TestRun *run, const char *what)
{
        _cleanup_free_ char *tail = NULL;
        size_t size = 0;
        char *line;

        vm_run(&run->vm, 0, -1);
        if (run->vm.console_bytes > 0) {
                test_fail(run, true, NULL, 0, "the machine went off before this: %s", what);
                return;
        }
        tail = vm_log_tail(run->vm.log_fd, ERROR_MESSAGE_MAX / 2, &size);
        while (tail && size > 0 && tail[size - 1] == '\n')
                tail[--size] = 0;
        line = tail ? strrchr(tail, '\n') : NULL;
        test_trouble(run, error_set(run->error, ERROR_MISSING_TOOL, ECHILD,
                                          "%s ended with status %d before the machine showed anything: %s",
                                          run->qemu, child_exit_status(&run->vm.qemu),
                                          line   ? line + 1
                                          : tail ? tail
                                                 : ""));
}

static void fail_late(TestRun *run, const char *what)
{
        const char *complaint = run->vm.watch.complaint;

        test_fail(run, true, NULL, 0, "not within %" PRIu64 " s: %s%s%s", run->options->timeout_seconds,
                        what, complaint[0] ? "; the console's last complaint: " : "", complaint);
}

bool test_wait(TestRun *run, bool (*is_so)(TestRun *run), const char *what)
{
        while (!is_so(run)) {
                const char *complaint = run->vm.watch.complaint;

                if (interrupt_came())
                        fail_interrupted(run);
                else if (!vm_is_on(&run->vm))
                        fail_off(run, what);
                else if (monotonic_ms() >= run->deadline_ms)
                        fail_late(run, what);
                else if (run->entry.is_counted && run->vm.watch.starts > run->starts + run->entry.tries_left)
                        test_fail(run, true, NULL, 0,
                                        "given up by the boot loader after %u tries, before this: %s%s%s",
                                        run->entry.tries_left, what,
                                        complaint[0] ? "; the console's last complaint: " : "", complaint);
                else {
                        vm_run(&run->vm, LOOK_MS, -1);
                        continue;
                }
                return false;
        }
        return true;
}

/* ---- the machine ---- */

/* The entry that a fresh image has. */
static int find_entry(TestRun *run, const char *image)
{
        BootEntry entries[ENTRIES_MAX];
        int count = esp_image_list(&run->vm.esp, entries, ENTRIES_MAX);

        if (count < 0)
                return error_set(run->error, ERROR_CORRUPT, -count, "%s: cannot read its ESP: %s", image,
                                strerror(-count));
        if (count != 1 || !entries[0].is_counted || entries[0].tries_left == 0)
                return error_set(run->error, ERROR_INCOMPATIBLE, EINVAL,
                                "%s is no image as `build` makes it, with one release that was never "
                                "started: "
                                "its ESP has %d boot entries",
                                image, count);
        run->entry = entries[0];
        run->starts = 0;
        return 0;
}

static int choose_accelerator(TestRun *run)
{
        const char *wanted = run->options->accelerator;
        _cleanup_free_ char *path = NULL;
        _cleanup_fd_ int kernel_fd = -1;
        int r;

        if (strcmp(wanted, "auto") != 0 || run->result->has_kvm || run->result->kvm_reason) {
                run->result->has_kvm |= strcmp(wanted, "kvm") == 0;
                return 0;
        }
        path = scratch_path("bascule-test");
        r = path ? scratch_file_open(path, &kernel_fd, run->error) : error_oom(run->error);
        if (r < 0)
                return r;
        r = esp_image_copy_kernel(&run->vm.esp, &run->entry, kernel_fd);
        if (r < 0)
                return error_set(run->error, ERROR_CORRUPT, -r, "cannot read the kernel in %s: %s",
                                run->entry.file_name, strerror(-r));
        run->result->has_kvm = vm_kvm_works(run->qemu, kernel_fd, &run->result->kvm_reason);
        if (run->result->has_kvm)
                run->result->kvm_reason = NULL;
        else if (run->options->on_note)
                run->options->on_note(run->result->kvm_reason);
        return 0;
}

bool test_machine_on(TestRun *run, const char *image, const char *serial_name, int repository_fd)
{
        _cleanup_free_ char *serial = string_format("%s/%s.log", run->options->output, serial_name);
        _cleanup_free_ char *log = string_format("%s/%s-qemu.log", run->options->output, serial_name);
        VmOptions options = { .qemu = run->qemu,
                .firmware = run->options->firmware,
                .memory_mib = run->options->memory_bytes / MIB,
                .with_network = run->options->with_network,
                .repository_fd = repository_fd };
        int r = serial && log ? 0 : error_oom(run->error);

        if (run->is_over)
                return false;
        if (r >= 0)
                r = vm_prepare(image, serial, log, &run->vm, run->error);
        if (r >= 0)
                r = find_entry(run, image);
        if (r >= 0)
                r = choose_accelerator(run);
        options.with_kvm = run->result->has_kvm;
        if (r >= 0)
                r = vm_start(&run->vm, &options, run->error);
        if (r < 0)
                test_trouble(run, r);
        return r >= 0;
}

void test_machine_off(TestRun *run)
{
        vm_done(&run->vm);
        run->vm = VM_OFF;
}

/* ---- what the ESP tells ---- */

/* The entry of the release on trial as it is now; false when it cannot be seen. */
static bool look(TestRun *run, BootEntry *ret)
{
        BootEntry entries[ENTRIES_MAX];
        int count = esp_image_list(&run->vm.esp, entries, ENTRIES_MAX);

        for (int i = 0; i < count; i++)
                if (strcmp(entries[i].image_id, run->entry.image_id) == 0 &&
                                strcmp(entries[i].version, run->entry.version) == 0) {
                        *ret = entries[i];
                        return true;
                }
        return false;
}

static bool is_started(TestRun *run)
{
        BootEntry now;

        return look(run, &now) && (!now.is_counted || now.tries_left < run->entry.tries_left);
}

static bool is_blessed(TestRun *run)
{
        BootEntry now;

        return look(run, &now) && !now.is_counted;
}

void test_boot(TestRun *run)
{
        if (test_step(run, "boot") && test_wait(run, is_started, "the boot loader starts the release"))
                test_pass(run, NULL, 0);
}

void test_healthy(TestRun *run, const char *name)
{
        if (!test_step(run, name) ||
                        !test_wait(run, is_blessed, "the host finds itself healthy and blesses the release"))
                return;
        if (run->vm.watch.times.at_ms[BOOT_HEALTHY] < 0)
                run->vm.watch.times.at_ms[BOOT_HEALTHY] = vm_time_ms(&run->vm);
        run->entry.is_counted = false;
        test_pass(run, NULL, 0);
}
