/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"

#include "disk.h"
#include "file.h"
#include "json.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/reboot.h>

#define MARK_NAME "trial"
#define FAILURE_NAME "trial-failure.json"
#define FAILURE_MAX (16 * KIB)

/* systemd(1), SIGRTMIN+15: reboot at once, by way of systemd-shutdown, which ends processes and unmounts. */
#define SYSTEMD_REBOOT_SIGNAL (SIGRTMIN + 15)
#define REBOOT_PATIENCE_SECONDS 60

bool trial_is_running(const char *runtime_folder)
{
        _cleanup_free_ char *path = path_join(runtime_folder, MARK_NAME);

        return path && access(path, F_OK) >= 0;
}

int trial_bless(const BootBackend *backend, Esp *esp, const char *image_id, const char *version,
                const char *runtime_folder, Error *error)
{
        _cleanup_free_ char *path = path_join(runtime_folder, MARK_NAME);
        int r;

        if (!path)
                return error_oom(error);
        r = backend->bless(esp, image_id, version, error);
        if (r < 0)
                return r;
        return unlink(path) < 0 && errno != ENOENT
                               ? error_set(error, ERROR_IO, errno, "cannot remove %s: %s", path,
                                                 strerror(errno))
                               : 0;
}

/* Text that others wrote becomes plain ASCII, which every reader of JSON takes. */
static void make_plain(const char *text, char *ret, size_t size)
{
        size_t i = 0;

        for (; text[i] && i + 1 < size; i++)
                ret[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
        ret[i] = 0;
}

int trial_failure_write(const char *state_folder, const TrialFailure *failure, Error *error)
{
        _cleanup_free_ char *path = path_join(state_folder, FAILURE_NAME), *text = NULL;
        _cleanup_json_ json_t *object = NULL;
        char reason[TRIAL_REASON_MAX];
        int r;

        make_plain(failure->reason, reason, sizeof(reason));
        object = json_pack("{s:s, s:s, s:I}", "version", failure->version, "reason", reason, "time",
                        (json_int_t)failure->time_seconds);
        text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
        if (!path || !text)
                return error_oom(error);
        r = directory_make(AT_FDCWD, state_folder, 0755);
        if (r >= 0)
                r = file_replace(AT_FDCWD, path, text, strlen(text), 0644);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

static int failure_parse(const char *text, size_t size, const char *path, TrialFailure *ret, Error *error)
{
        _cleanup_json_ json_t *object = NULL;
        const char *version, *reason;
        TrialFailure failure = { 0 };
        int r = json_parse(text, size, FAILURE_MAX, path, &object, error);

        if (r >= 0)
                r = json_get_string(object, "version", &version, error);
        if (r >= 0)
                r = json_get_string(object, "reason", &reason, error);
        if (r >= 0)
                r = json_get_u64(object, "time", &failure.time_seconds, error);
        if (r < 0)
                return r;
        if (!version_is_valid(version))
                return error_set(error, ERROR_CORRUPT, EBADMSG, "%s names no version", path);
        memcpy(failure.version, version, strlen(version) + 1);
        make_plain(reason, failure.reason, sizeof(failure.reason));
        *ret = failure;
        return 0;
}

int trial_failure_read(const char *state_folder, TrialFailure *ret, Error *error)
{
        _cleanup_free_ char *path = path_join(state_folder, FAILURE_NAME), *text = NULL;
        size_t size;
        int r;

        if (!path)
                return error_oom(error);
        r = file_read(AT_FDCWD, path, FAILURE_MAX, &text, &size);
        if (r == -ENOENT)
                return r;
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read %s: %s", path, strerror(-r));
        return failure_parse(text, size, path, ret, error);
}

int trial_failure_clear(const char *state_folder)
{
        _cleanup_free_ char *path = path_join(state_folder, FAILURE_NAME);

        if (!path)
                return -ENOMEM;
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int trial_open_esp(const Booted *booted, const char *esp_folder, bool is_writable, Esp **ret, Error *error)
{
        _cleanup_(disk_freep) Disk *disk = NULL;
        _cleanup_free_ char *node = NULL;
        int r;

        if (esp_folder)
                return esp_open_folder(esp_folder, ret, error);
        r = disk_open(booted->disk, &disk, error);
        if (r >= 0)
                r = disk_partition_node(disk, PARTITION_ESP, &node, error);
        return r < 0 ? r : esp_open(node, is_writable, ret, error);
}

bool trial_has_way_out(const BootBackend *backend, int esp, const char *image_id)
{
        _cleanup_free_ BootEntry *entries = NULL;
        size_t count = 0;

        if (backend->list(esp, image_id, &entries, &count, NULL) < 0)
                return true;
        for (size_t i = 0; i < count; i++) {
                bool can_boot = entries[i].size_bytes > 0 &&
                                (!entries[i].is_counted || entries[i].tries_left > 0);

                if (can_boot)
                        return true;
        }
        return false;
}

void trial_give_up(const char *state_folder, const TrialFailure *failure)
{
        (void)trial_failure_write(state_folder, failure, NULL);
        sync();
        if (kill(1, SYSTEMD_REBOOT_SIGNAL) >= 0)
                (void)sleep(REBOOT_PATIENCE_SECONDS);
        sync();
        (void)reboot(RB_AUTOBOOT);
        _exit(ERROR_FAILED);
}
