/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"
#include "file.h"
#include "test-run.h"

#include <string.h>

#define BUSY_MS 3000
#define ENTRIES_MAX 16

/* An administrator's drop-in, as any host may have one, in /etc of the guest, which dies with it. Nothing is
 * installed but what is asked for: the channel may offer a newer release than the one on trial. */
static const char configure[] =
                "mkdir -p /etc/bascule/engine.conf.d && printf '%%s\\n' '[Update]' 'Repository=' "
                "'Repository=http://" VM_REPOSITORY_ADDRESS "' 'Channel=%s' 'Automatic=no' '[Reboot]' "
                "'GracePeriod=1' >/etc/bascule/engine.conf.d/zz-bascule-test.conf && systemctl reload "
                "basculed";

typedef enum Leave {
        LEAVE_NONE = 0,
        LEAVE_NOTHING_TO_DO = 1 << 0,
        LEAVE_BROKEN_CONNECTION = 1 << 1, /* the guest reboots */
} Leave;

/* Runs a command, again while another operation of the engine runs; otherwise its status must be 0, or one
 * that is given leave. False when the step has failed by it. */
static bool command(TestRun *run, const char *line, unsigned leave)
{
        for (;;) {
                _cleanup_buffer_ Buffer output = { 0 };
                int r = test_guest(run, line, -1, &output);

                if (r == 0 || (r == ERROR_NOTHING_TO_DO && (leave & LEAVE_NOTHING_TO_DO)) ||
                                (r == GUEST_UNREACHABLE && (leave & LEAVE_BROKEN_CONNECTION)))
                        return true;
                if (r == ERROR_BUSY && monotonic_ms() + BUSY_MS < run->deadline_ms) {
                        vm_run(&run->vm, BUSY_MS, -1);
                        continue;
                }
                if (r > 0)
                        test_fail(run, true, output.data ? output.data : (const void *)"", output.size,
                                        "ended with status %d: %s", r, line);
                run->is_over = true;
                return false;
        }
}

/* The release to come has an entry, whatever its state. */
static bool has_entry(TestRun *run)
{
        BootEntry entries[ENTRIES_MAX];
        int count = esp_image_list(&run->vm.esp, entries, ENTRIES_MAX);

        for (int i = 0; i < count; i++)
                if (strcmp(entries[i].version, run->result->version) == 0) {
                        run->entry = entries[i];
                        run->starts = run->vm.watch.starts;
                        return true;
                }
        return false;
}

static void install_and_reboot(TestRun *run, const char *new_version)
{
        _cleanup_free_ char *conf = string_format(configure, run->options->channel);
        _cleanup_free_ char *install = string_format("bascule update --wait --version '%s'", new_version);
        _cleanup_free_ char *go = string_format("bascule update --reboot --version '%s'", new_version);

        if (!test_step(run, "update"))
                return;
        if (!conf || !install || !go) {
                test_trouble(run, error_oom(run->error));
                return;
        }
        if (run->options->ssh_key &&
                        (!command(run, conf, LEAVE_NONE) || !command(run, install, LEAVE_NOTHING_TO_DO) ||
                                        !command(run, go, LEAVE_NOTHING_TO_DO | LEAVE_BROKEN_CONNECTION)))
                return;
        if (test_wait(run, has_entry, "the boot entry of the new release appears on the ESP"))
                test_pass(run, NULL, 0);
}

static void roll_back(TestRun *run)
{
        _cleanup_buffer_ Buffer output = { 0 };
        _cleanup_free_ char *line =
                        string_format(". /usr/lib/os-release && [ \"$IMAGE_VERSION\" = '%s' ] && "
                                      "bascule status --json | grep -q '\"running_state\": *\"blessed\"'",
                                        run->result->old_version);

        if (!run->options->ssh_key) {
                test_skip(run, "rollback", "needs --ssh-key");
                return;
        }
        if (!test_step(run, "rollback"))
                return;
        if (!line)
                test_trouble(run, error_oom(run->error));
        else if (command(run, "bascule rollback --reboot", LEAVE_BROKEN_CONNECTION) &&
                        test_guest_until(run, line, "the earlier release runs again, and is healthy",
                                        &output))
                test_pass(run, NULL, 0);
}

void test_update(TestRun *run, const char *new_version)
{
        install_and_reboot(run, new_version);
        test_healthy(run, "new release healthy");
        if (run->options->ssh_key) {
                test_login(run);
                test_checks(run);
        }
        roll_back(run);
}
