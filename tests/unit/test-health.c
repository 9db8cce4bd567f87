/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "health-checks.h"
#include "json.h"
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

static char folder[] = "/tmp/bascule-health.XXXXXX";
static char first[64], second[64];
static int top = -1;
static HealthReport report;

static void start(void)
{
        if (top < 0 && mkdtemp(folder)) {
                top = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                (void)snprintf(first, sizeof(first), "%s/first", folder);
                (void)snprintf(second, sizeof(second), "%s/second", folder);
        }
        health_report_done(&report);
        (void)tree_remove(top, "first");
        (void)tree_remove(top, "second");
        (void)directory_make(top, "first", 0755);
        (void)directory_make(top, "second", 0755);
}

static int put(const char *path, const char *script, mode_t mode)
{
        _cleanup_free_ char *text = string_format("#!/bin/sh\n%s\n", script);

        return file_replace(top, path, text, strlen(text), mode);
}

static int run(unsigned timeout_seconds)
{
        const char *const folders[] = { first, second, NULL };
        int r = health_collect(folders, &report, NULL);

        return r < 0 ? r : health_run(&report, "1.0", true, timeout_seconds, -1, NULL);
}

TEST(checks_run_in_order_and_earlier_folders_hide)
{
        start();
        CHECK_OK(put("second/20-b", "echo second", 0755));
        CHECK_OK(put("second/10-a", "exit 0", 0755));
        CHECK_OK(put("second/30-off", "exit 1", 0755));
        CHECK_OK(put("second/40-text", "exit 1", 0644));
        CHECK_OK(put("second/.hidden", "exit 1", 0755));
        CHECK_OK(put("second/50-x~", "exit 1", 0755));
        CHECK_OK(put("first/20-b", "echo first $BASCULE_VERSION $BASCULE_TRIAL", 0755));
        CHECK_OK(symlinkat("/dev/null", top, "first/30-off"));
        CHECK_OK(run(10));
        CHECK_EQ(report.count, 2);
        CHECK(report.is_healthy);
        CHECK_STR(report.checks[0].name, "10-a");
        CHECK_STR(report.checks[1].name, "20-b");
        CHECK_STR(report.checks[1].output, "first 1.0 yes\n");
}

TEST(no_checks_are_healthy)
{
        start();
        (void)tree_remove(top, "second");
        CHECK_OK(run(10));
        CHECK_EQ(report.count, 0);
        CHECK(report.is_healthy);
}

TEST(failures_are_told_apart_and_all_checks_run)
{
        char reason[1024], cut[40];

        start();
        CHECK_OK(put("first/10-fails", "echo one; echo 'two\ttabs' >&2; exit 3", 0755));
        CHECK_OK(put("first/20-dies", "kill -9 $$", 0755));
        CHECK_OK(put("first/30-hangs", "sleep 100 & wait", 0755));
        CHECK_OK(file_replace(top, "first/40-odd", "#!/no/such/interpreter\n", 23, 0755));
        CHECK_OK(put("first/50-good", "echo fine", 0755));
        CHECK_OK(run(1));
        CHECK(!report.is_healthy);
        CHECK(report.checks[0].result == HEALTH_FAILED && report.checks[0].status == 3);
        CHECK(report.checks[1].result == HEALTH_FAILED && report.checks[1].status == 128 + 9);
        CHECK(report.checks[2].result == HEALTH_TIMED_OUT && report.checks[2].milliseconds >= 1000);
        CHECK(report.checks[3].result == HEALTH_FAILED && report.checks[3].status == 126);
        CHECK(report.checks[4].result == HEALTH_PASSED);
        health_reason(&report, reason, sizeof(reason));
        CHECK(strstr(reason, "Health check 10-fails failed (status 3): two?tabs; Health check 20-dies"));
        CHECK(strstr(reason, "30-hangs took too long"));
        health_reason(&report, cut, sizeof(cut));
        CHECK_EQ(strlen(cut), sizeof(cut) - 1);
}

TEST(a_daemon_left_behind_does_not_hold_the_check_up)
{
        start();
        CHECK_OK(put("first/10-daemon", "sleep 100 & exit 0", 0755));
        CHECK_OK(run(20));
        CHECK(report.is_healthy && report.checks[0].milliseconds < 10000);
}

TEST(only_the_end_of_long_output_is_kept)
{
        start();
        CHECK_OK(put("first/10-chatty", "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i + 1)); done",
                        0755));
        CHECK_OK(run(20));
        CHECK_EQ(strlen(report.checks[0].output), HEALTH_OUTPUT_MAX);
        CHECK(strstr(report.checks[0].output, "line 2999\n"));
}

TEST(the_report_is_json_whatever_checks_print)
{
        _cleanup_json_ json_t *object = NULL;
        _cleanup_free_ char *text = NULL;
        const char *name;
        json_t *checks;

        start();
        CHECK_OK(put("first/10-odd", "printf '\\377\"\\\\\\001'; exit 1", 0755));
        CHECK_OK(run(10));
        CHECK_OK(health_format(&report, "1.0", true, &text));
        CHECK_OK(json_parse(text, strlen(text), MIB, "report", &object, NULL));
        CHECK(json_is_false(json_object_get(object, "healthy")) &&
                        json_is_true(json_object_get(object, "trial")));
        CHECK_OK(json_get_array(object, "checks", &checks, NULL));
        CHECK_OK(json_get_string(json_array_get(checks, 0), "output", &name, NULL));
        CHECK_STR(name, "?\"\\?");
        start();
        (void)tree_remove(AT_FDCWD, folder);
        health_report_done(&report);
}

TEST_MAIN
