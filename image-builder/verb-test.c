/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"
#include "http-serve.h"
#include "image-test.h"
#include "json-text.h"
#include "options.h"
#include "strv.h"
#include "verbs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define MEMORY_MIN (128 * MIB)
#define TIMEOUT_MAX 86400

typedef struct Arguments {
        ImageTestOptions test;
        const char *serve;
        bool json;
} Arguments;

/* ---- a connection ---- */

/* What QEMU starts for each connection of a guest to the repository. */
static int serve(const char *folder, Error *error)
{
        _cleanup_fd_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = fd < 0 ? -errno : http_serve(fd, STDIN_FILENO, STDOUT_FILENO);

        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot serve %s: %s", folder, strerror(-r)) : 0;
}

/* ---- what is told ---- */

static void tell_step(const JunitCase *step)
{
        (void)fprintf(stderr, "%-8s %7.1f s  %s: %s%s%s\n", junit_outcome_name(step->outcome),
                        (double)step->milliseconds / 1000, step->group, step->name,
                        step->message ? ": " : "", step->message ? step->message : "");
}

static void tell_note(const char *text)
{
        (void)fprintf(stderr, "emulated, which is slow: %s\n", text);
}

/* Names and messages quote the command line, which may be in any encoding. */
static json_t *text_json(const char *text)
{
        json_t *json = json_string(text);

        return json ? json : json_string("(not in UTF-8)");
}

static json_t *steps_json(const JunitReport *report)
{
        json_t *array = json_array();

        for (size_t i = 0; i < report->count; i++) {
                const JunitCase *step = &report->cases[i];

                (void)json_array_append_new(
                                array, json_pack("{s:s, s:o, s:s, s:I, s:o*}", "group", step->group, "step",
                                                       text_json(step->name), "outcome",
                                                       junit_outcome_name(step->outcome), "milliseconds",
                                                       (json_int_t)step->milliseconds, "message",
                                                       step->message ? text_json(step->message) : NULL));
        }
        return array;
}

static json_t *boot_json(const BootTimes *times)
{
        BootPhase phases[BOOT_MARK_MAX];
        size_t count = boot_phases(times, phases);
        json_t *array = json_array();

        for (size_t i = 0; i < count; i++)
                (void)json_array_append_new(
                                array, json_pack("{s:s, s:I}", "phase", phases[i].name, "milliseconds",
                                                       (json_int_t)(phases[i].end_ms - phases[i].begin_ms)));
        return array;
}

static int print_summary(const Arguments *arguments, const ImageTestResult *result)
{
        const JunitReport *report = &result->report;
        json_t *json = json_pack("{s:o, s:s, s:s, s:s*, s:s, s:s*, s:I, s:I, s:I, s:o, s:o}", "image",
                        text_json(arguments->test.image), "id", result->image_id, "version", result->version,
                        "updated-from", result->old_version[0] ? result->old_version : NULL, "accelerator",
                        result->has_kvm ? "kvm" : "emulation", "no-kvm-because", result->kvm_reason,
                        "passed", (json_int_t)junit_count(report, JUNIT_PASSED), "failed",
                        (json_int_t)junit_count(report, JUNIT_FAILED), "skipped",
                        (json_int_t)junit_count(report, JUNIT_SKIPPED), "boot", boot_json(&result->times),
                        "steps", steps_json(report));
        int r;

        if (!arguments->json) {
                printf("%zu passed, %zu failed, %zu skipped; see %s\n", junit_count(report, JUNIT_PASSED),
                                junit_count(report, JUNIT_FAILED), junit_count(report, JUNIT_SKIPPED),
                                arguments->test.output);
                json_decref(json);
                return 0;
        }
        r = json ? json_print(stdout, json) : -ENOMEM;
        json_decref(json);
        return r;
}

/* ---- the verb ---- */

static int check_options(const ImageTestOptions *test, Error *error)
{
        if (strcmp(test->accelerator, "auto") != 0 && strcmp(test->accelerator, "kvm") != 0 &&
                        strcmp(test->accelerator, "emulation") != 0)
                return error_set(error, ERROR_USAGE, EINVAL, "--accelerator is auto, kvm or emulation");
        if ((test->checks || test->commands) && !test->ssh_key)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "checks run in the guest, for which there must be a way in: --ssh-key FILE, "
                                "with "
                                "its public half in SshKeyFile= of the recipe");
        if (!test->update_from != !test->repository)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "--update-from and --repo belong together: the earlier image, and the "
                                "repository "
                                "that offers it the new one");
        if (strspn(test->channel, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(test->channel))
                return error_set(
                                error, ERROR_USAGE, EINVAL, "\"%s\" is no name of a channel", test->channel);
        if (test->timeout_seconds == 0 || test->timeout_seconds > TIMEOUT_MAX)
                return error_set(error, ERROR_USAGE, EINVAL, "--timeout is between a second and a day");
        if (test->memory_bytes < MEMORY_MIN)
                return error_set(error, ERROR_USAGE, EINVAL, "--memory must be at least 128M");
        return 0;
}

static int run(Arguments *arguments, const char *image, int *ret_status, Error *error)
{
        ImageTestResult result = { 0 };
        int r = check_options(&arguments->test, error);

        if (r < 0)
                return r;
        arguments->test.image = image;
        interrupt_catch();
        r = image_test_run(&arguments->test, &result, error);
        if (r >= 0)
                r = print_summary(arguments, &result);
        *ret_status = junit_count(&result.report, JUNIT_FAILED) > 0 ? ERROR_FAILED : 0;
        image_test_result_done(&result);
        return r;
}

int verb_test(int argc, char **argv)
{
        Arguments a = { .test = { .output = "test-results",
                                        .channel = "stable",
                                        .qemu = "qemu-system-x86_64",
                                        .firmware = "/usr/share/OVMF",
                                        .accelerator = "auto",
                                        .timeout_seconds = 600,
                                        .memory_bytes = GIB,
                                        .on_step = tell_step,
                                        .on_note = tell_note } };
        ImageTestOptions *test = &a.test;
        const Option options[] = {
                { "output", 'o', OPTION_STRING, &test->output, "DIR",
                                "Put junit.xml, boot.svg and the logs here (test-results)" },
                { "ssh-key", 'i', OPTION_STRING, &test->ssh_key, "FILE",
                                "Private key whose public half the image has for root" },
                { "check", 'c', OPTION_LIST, &test->checks, "FILE",
                                "Run this in the guest; status 0 is good" },
                { "check-command", 0, OPTION_LIST, &test->commands, "COMMAND",
                                "Let the guest's shell run this; status 0 is good" },
                { "update-from", 'f', OPTION_STRING, &test->update_from, "OLD",
                                "Also update from this earlier image, and roll back" },
                { "repo", 'r', OPTION_STRING, &test->repository, "DIR",
                                "Repository that has IMAGE as a release, to be served to OLD" },
                { "channel", 0, OPTION_STRING, &test->channel, "NAME", "Channel that offers it (stable)" },
                { "timeout", 't', OPTION_SECONDS, &test->timeout_seconds, "SPAN",
                                "A step that takes longer has failed (10min)" },
                { "accelerator", 0, OPTION_STRING, &test->accelerator, "NAME",
                                "auto, kvm or emulation (auto: kvm, if it runs the image's kernel)" },
                { "memory", 'm', OPTION_SIZE, &test->memory_bytes, "SIZE", "Of the machine (1G)" },
                { "network", 0, OPTION_FLAG, &test->with_network, NULL,
                                "Let the guest reach what this machine reaches" },
                { "qemu", 0, OPTION_STRING, &test->qemu, "PROGRAM", "Instead of qemu-system-x86_64" },
                { "firmware", 0, OPTION_STRING, &test->firmware, "DIR",
                                "With OVMF_CODE_4M.fd and OVMF_VARS_4M.fd (/usr/share/OVMF)" },
                { "serve", 0, OPTION_STRING, &a.serve, "DIR",
                                "Instead of a test: answer one HTTP connection on standard input and "
                                "output" },
                { "json", 0, OPTION_FLAG, &a.json, NULL, "Print a summary in JSON" },
                { 0 },
        };
        const Usage usage = { PROGRAM_NAME, "test IMAGE [OPTION...]",
                "Boots an image in a virtual machine, waits until it is healthy, and tries it.", 0, 1 };
        Error error = { 0 };
        char **arguments;
        int status = 0, r = options_take(argc, argv, options, &usage, &arguments, &error);

        if (r == 0 && a.serve)
                r = serve(a.serve, &error);
        else if (r == 0 && !arguments[0])
                r = error_set(&error, ERROR_USAGE, EINVAL, "name the image to test: a folder, or a disk");
        else if (r == 0)
                r = run(&a, arguments[0], &status, &error);
        test->checks = strv_free(test->checks);
        test->commands = strv_free(test->commands);
        return r < 0 || status == 0 ? program_exit(PROGRAM_NAME, r, &error, a.json) : status;
}
