/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A test in its course: the machine that is on, and the step that is being done. Internal to image-test.
 *
 * After a step that the rest depends on has failed the test is over: later steps are only noted as skipped.
 * So steps are written down one after the other, without asking what became of those before. */

#include "guest.h"
#include "image-test.h"

typedef struct TestRun {
        const ImageTestOptions *options;
        ImageTestResult *result;
        char *qemu, *ssh; /* paths */
        Vm vm;
        BootEntry entry;   /* of the release on trial, as it was when its trial began */
        unsigned starts;   /* of the machine before that */
        const char *group; /* of the steps */
        const char *step;
        int64_t step_began_ms, deadline_ms; /* monotonic */
        bool is_over;
        int r;        /* negative: the test could not be done */
        Error *error; /* says why */
} TestRun;

/* Begins a step; false when the test is over, and the step then noted as skipped. */
bool test_step(TestRun *run, const char *name);
/* Ends it. Output may be NULL. */
void test_pass(TestRun *run, const void *output, size_t size);
/* Without output, the end of the console is attached. `ends_all`: nothing after it makes sense. */
void test_fail(TestRun *run, bool ends_all, const void *output, size_t size, const char *format, ...)
                _printf_(5, 6);
/* Ends the step, or the whole test before its first one, since it cannot be done: run->error is set. */
void test_trouble(TestRun *run, int r);
/* A step that is not even tried. */
void test_skip(TestRun *run, const char *name, const char *why);

/* Lets the machine run until it is so; what else can happen fails the step. */
bool test_wait(TestRun *run, bool (*is_so)(TestRun *run), const char *what);

/* Switches a machine on that starts with this image; false when that cannot be. */
bool test_machine_on(TestRun *run, const char *image, const char *serial_name, int repository_fd);
void test_machine_off(TestRun *run);

/* Steps. */
void test_boot(TestRun *run);
void test_healthy(TestRun *run, const char *name);
void test_login(TestRun *run);
void test_checks(TestRun *run);
/* test-update.c: update, health, checks and the way back, on a machine that runs the earlier image. */
void test_update(TestRun *run, const char *new_version);

/* A command in the guest, until the step's deadline: its exit status; negative when the step has failed by
 * that, or the test is over. The caller ends the buffer. */
int test_guest(TestRun *run, const char *command, int input_fd, Buffer *ret_output);
/* The same, again and again until it ends with 0. False when the step has failed. */
bool test_guest_until(TestRun *run, const char *command, const char *what, Buffer *ret_output);
