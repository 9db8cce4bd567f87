/* SPDX-License-Identifier: Apache-2.0 */
#include "reboot.h"

#include "file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <utmpx.h>

#define TERMINALS_MAX 256

int reboot_plan(const Config *config, uint64_t now, uint64_t *ret)
{
        int64_t start, end, after = (int64_t)(now + config->grace_seconds);
        switch (config->reboot_policy) {
        case REBOOT_IMMEDIATELY:
                *ret = (uint64_t)after;
                return 0;
        case REBOOT_WINDOW:
                if (window_next(&config->windows, after, &start, &end) < 0)
                        return -ENOENT;
                *ret = (uint64_t)start;
                return 0;
        case REBOOT_NONE:
        case REBOOT_POLICY_MAX:
                break;
        }
        return -ENOENT;
}

static void tell_terminal(const char *line, const char *text)
{
        char path[64];
        if (strchr(line, '/') && strncmp(line, "pts/", 4) != 0)
                return;
        if (snprintf(path, sizeof(path), "/dev/%s", line) >= (int)sizeof(path))
                return;
        _cleanup_fd_ int fd = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0 && isatty(fd) && write(fd, text, strlen(text)) < 0)
                return;
}

void reboot_announce(const char *message, uint64_t seconds_left)
{
        _cleanup_free_ char *text = string_format("\r\n%s (reboot in %" PRIu64 " min %" PRIu64
                                                  " s; `bascule cancel` stops it)\r\n",
                        message, seconds_left / 60, seconds_left % 60);
        const struct utmpx *entry;
        if (!text)
                return;
        setutxent();
        for (unsigned i = 0; i < TERMINALS_MAX && (entry = getutxent()); i++) {
                char line[sizeof(entry->ut_line) + 1];
                if (entry->ut_type != USER_PROCESS)
                        continue;
                memcpy(line, entry->ut_line, sizeof(entry->ut_line));
                line[sizeof(entry->ut_line)] = '\0';
                tell_terminal(line, text);
        }
        endutxent();
}

static int note_in_file(const char *path, Error *error)
{
        _cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        int r = fd < 0 ? -errno : write_full(fd, "reboot\n", strlen("reboot\n"));
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

int reboot_now(const Host *host, Error *error)
{
        sd_bus_error problem = SD_BUS_ERROR_NULL;
        sd_bus *bus = NULL;

        if (host->reboot_file)
                return note_in_file(host->reboot_file, error);
        int r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = sd_bus_call_method(bus, "org.freedesktop.login1", "/org/freedesktop/login1",
                                "org.freedesktop.login1.Manager", "Reboot", &problem, NULL, "b", 0);
        if (r < 0 && bus) {
                sd_bus_error_free(&problem);
                r = sd_bus_call_method(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                "org.freedesktop.systemd1.Manager", "StartUnit", &problem, NULL, "ss",
                                "reboot.target", "replace-irreversibly");
        }
        if (r < 0)
                (void)error_set(error, ERROR_FAILED, -r, "the system does not reboot: %s",
                                problem.message ? problem.message : strerror(-r));
        sd_bus_error_free(&problem);
        sd_bus_flush_close_unref(bus);
        return r < 0 ? r : 0;
}
