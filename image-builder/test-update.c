/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "test-run.h"

#include <string.h>

#define BUSY_MS 3000
#define ENTRIES_MAX 16

/* An administrator's drop-in, as any host may have one: /etc of the guest, which dies with it. */
static const char configure[] =
                "mkdir -p /etc/bascule/engine.conf.d && printf '%%s\\n' '[Update]' 'Repository=' "
                "'Repository=http://" VM_REPOSITORY_ADDRESS "' 'Channel=%s' '[Reboot]' 'GracePeriod=1' "
                ">/etc/bascule/engine.conf.d/zz-bascule-test.conf && systemctl reload basculed && sync";

/* Ends the step when the command does not succeed. */
static bool command(TestRun *run, const char *line)
{
        _cleanup_buffer_ Buffer output = { 0 };
        int r = test_guest(run, line, -1, &output);

        if (r > 0)
                test_fail(run, true, output.data ? output.data : (const void *)"", output.size,
                                "ended with status %d: %s", r, line);
        run->is_over = run->is_over || r != 0;
        return r == 0;
}

/* The timer may be at the same work already. */
static bool install(TestRun *run, const char *version)
{
        _cleanup_free_ char *line = string_format("bascule update --wait --version '%s'", version);

        if (!line) {
                test_trouble(run, error_oom(run->error));
                return false;
        }
        for (;;) {
                _cleanup_buffer_ Buffer output = { 0 };
                int r = test_guest(run, line, -1, &output);

                if (r == 0 || r == ERROR_NOTHING_TO_DO)
                        return true;
                if (r != ERROR_BUSY) {
                        if (r > 0)
                                test_fail(run, true, output.data ? output.data : (const void *)"",
                                                output.size, "ended with status %d: %s", r, line);
                        run->is_over = true;
                        return false;
                }
                vm_run(&run->vm, BUSY_MS, -1);
        }
}

/* Reboots into what was installed; the connection may break by that. */
static bool reboot(TestRun *run, const char *line)
{
        _cleanup_buffer_ Buffer output = { 0 };
        int r = test_guest(run, line, -1, &output);

        if (r == 0 || r == GUEST_UNREACHABLE)
                return true;
        if (r > 0)
                test_fail(run, true, output.data ? output.data : (const void *)"", output.size,
                                "ended with status %d: %s", r, line);
        run->is_over = true;
        return false;
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
        _cleanup_free_ char *line = string_format(configure, run->options->channel);

        if (!test_step(run, "update"))
                return;
        if (!line) {
                test_trouble(run, error_oom(run->error));
                return;
        }
        if (run->options->ssh_key && (!command(run, line) || !install(run, new_version) ||
                                                     !reboot(run, "bascule update --reboot || [ $? = 4 ]")))
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
        else if (reboot(run, "bascule rollback --reboot") &&
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
