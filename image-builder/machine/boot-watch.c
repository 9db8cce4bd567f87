/* SPDX-License-Identifier: Apache-2.0 */
#include "boot-watch.h"

#include <ctype.h>
#include <string.h>

#define SECONDS_DIGITS_MAX 7
#define MICROSECONDS_MAX (INT64_C(100000000) * 1000000)

static void times_clear(BootTimes *times)
{
        for (size_t i = 0; i < BOOT_MARK_MAX; i++)
                times->at_ms[i] = -1;
}

void boot_watch_begin(BootWatch *watch)
{
        *watch = (BootWatch){ 0 };
        times_clear(&watch->times);
        watch->times.at_ms[BOOT_POWER_ON] = 0;
}

/* ---- the console ---- */

/* "[    1.234567] ": what the kernel puts before its lines. */
static bool parse_stamp(const char *line, int64_t *ret_ms)
{
        int64_t seconds = 0;
        unsigned digits = 0;

        if (*line++ != '[')
                return false;
        while (*line == ' ')
                line++;
        for (; isdigit((unsigned char)*line) && digits <= SECONDS_DIGITS_MAX; line++, digits++)
                seconds = seconds * 10 + (*line - '0');
        if (digits == 0 || digits > SECONDS_DIGITS_MAX || line[0] != '.' ||
                        strspn(line + 1, "0123456789") != 6 || line[7] != ']')
                return false;
        *ret_ms = seconds * 1000 + (line[1] - '0') * 100 + (line[2] - '0') * 10 + (line[3] - '0');
        return true;
}

static void mark(BootWatch *watch, BootMark which, int64_t now_ms)
{
        if (watch->times.at_ms[which] < 0)
                watch->times.at_ms[which] = now_ms;
}

static void firmware_done(BootWatch *watch, int64_t now_ms)
{
        if (watch->starts++ > 0) {
                times_clear(&watch->times);
                watch->times.at_ms[BOOT_POWER_ON] = now_ms; /* when it was reset shows nowhere */
        }
        mark(watch, BOOT_LOADER, now_ms);
}

/* The earliest that the kernel's clock can have begun: the first lines come late, when there is a console.
 */
static void see_stamp(BootWatch *watch, int64_t stamp_ms, int64_t now_ms)
{
        int64_t begin = MAX_OF(now_ms - stamp_ms, MAX_OF(watch->times.at_ms[BOOT_LOADER], (int64_t)0));
        int64_t *known = &watch->times.at_ms[BOOT_KERNEL];

        if (*known < 0 || begin < *known)
                *known = begin;
}

static void see_line(BootWatch *watch, int64_t now_ms)
{
        const char *line = watch->line;
        int64_t stamp;

        if (strstr(line, "BdsDxe: starting Boot"))
                firmware_done(watch, now_ms);
        if (watch->times.at_ms[BOOT_USERSPACE] < 0 && parse_stamp(line, &stamp))
                see_stamp(watch, stamp, now_ms);
        if (strstr(line, "] Run /") && strstr(line, " as init process"))
                mark(watch, BOOT_INITRD, now_ms);
        if (strncmp(line, "Welcome to ", 11) == 0)
                mark(watch, BOOT_USERSPACE, now_ms);
        if (strstr(line, "Reached target ") && strstr(line, "Multi-User System"))
                mark(watch, BOOT_READY, now_ms);
        if (strstr(line, "Kernel panic - ") ||
                        (strstr(line, "Failed to start ") && !strstr(watch->complaint, "Kernel panic - ")))
                memcpy(watch->complaint, line, strlen(line) + 1);
}

/* Takes out what colours a terminal: ESC [ PARAMETERS LETTER. */
static void drop_colours(char *line)
{
        char *to = line;

        for (const char *at = line; *at;) {
                if (at[0] == '\033' && at[1] == '[') {
                        at += 2;
                        at += strspn(at, "0123456789;?=");
                        at += *at ? 1 : 0;
                        continue;
                }
                *to++ = *at >= ' ' && *at < 0x7f ? *at : '?';
                at++;
        }
        *to = 0;
}

void boot_watch_feed(BootWatch *watch, const void *data, size_t size, int64_t now_ms)
{
        const char *text = data;

        for (size_t i = 0; i < size; i++) {
                if (text[i] != '\n' && text[i] != '\r') {
                        if (text[i] && watch->length < sizeof(watch->line) - 1)
                                watch->line[watch->length++] = text[i];
                        continue;
                }
                watch->line[watch->length] = 0;
                watch->length = 0;
                drop_colours(watch->line);
                see_line(watch, now_ms);
        }
}

/* ---- the guest ---- */

const char boot_times_command[] =
                "systemctl show --property=FirmwareTimestampMonotonic,LoaderTimestampMonotonic,"
                "UserspaceTimestampMonotonic; "
                "systemctl show --property=ActiveEnterTimestampMonotonic multi-user.target; "
                "systemctl show --property=ExecMainExitTimestampMonotonic bascule-bless.service; "
                "dmesg | grep -m 1 '\\] Run /.* as init process'";

/* The value of a line NAME=microseconds; -1 when there is none, or it is zero: systemd's word for never. */
static int64_t microseconds(const char *text, const char *name)
{
        size_t length = strlen(name);

        for (const char *line = text; line; line = strchr(line, '\n')) {
                int64_t value = 0;

                line += *line == '\n' ? 1 : 0;
                if (strncmp(line, name, length) != 0 || line[length] != '=')
                        continue;
                for (line += length + 1; isdigit((unsigned char)*line); line++) {
                        value = value * 10 + (*line - '0');
                        if (value > MICROSECONDS_MAX)
                                return -1;
                }
                return value > 0 ? value : -1;
        }
        return -1;
}

static int64_t initrd_ms(const char *text)
{
        const char *at = strstr(text, "] Run /");
        int64_t stamp;

        while (at && at > text && at[-1] != '\n')
                at--;
        return at && parse_stamp(at, &stamp) ? stamp : -1;
}

void boot_times_merge(BootTimes *times, const char *text)
{
        static const struct {
                BootMark mark;
                const char *name;
        } known[] = {
                { BOOT_USERSPACE, "UserspaceTimestampMonotonic" },
                { BOOT_READY, "ActiveEnterTimestampMonotonic" },
                { BOOT_HEALTHY, "ExecMainExitTimestampMonotonic" },
        };
        int64_t firmware = microseconds(text, "FirmwareTimestampMonotonic"); /* before the kernel's clock */
        int64_t loader = microseconds(text, "LoaderTimestampMonotonic"), begin, initrd = initrd_ms(text);

        if (times->at_ms[BOOT_KERNEL] < 0 && firmware > 0) {
                times->at_ms[BOOT_KERNEL] = times->at_ms[BOOT_POWER_ON] + firmware / 1000;
                if (loader > 0 && loader < firmware)
                        times->at_ms[BOOT_LOADER] = times->at_ms[BOOT_KERNEL] - loader / 1000;
        }
        begin = times->at_ms[BOOT_KERNEL];
        if (begin < 0)
                return;
        if (initrd >= 0)
                times->at_ms[BOOT_INITRD] = begin + initrd;
        for (size_t i = 0; i < ELEMENTS(known); i++) {
                int64_t value = microseconds(text, known[i].name);

                if (value > 0)
                        times->at_ms[known[i].mark] = begin + value / 1000;
        }
}

/* ---- phases ---- */

size_t boot_phases(const BootTimes *times, BootPhase ret[static BOOT_MARK_MAX])
{
        static const char *const names[BOOT_MARK_MAX] = { "firmware", "loader", "kernel", "initrd",
                "userspace", "health checks" };
        size_t count = 0;
        BootMark first = BOOT_POWER_ON;

        if (times->at_ms[BOOT_POWER_ON] < 0)
                return 0;
        for (unsigned end = 1; end < BOOT_MARK_MAX; end++) {
                BootPhase *phase = &ret[count];

                if (times->at_ms[end] < times->at_ms[first])
                        continue;
                *phase = (BootPhase){
                        .first = first, .begin_ms = times->at_ms[first], .end_ms = times->at_ms[end]
                };
                for (unsigned i = first; i < end; i++) {
                        size_t used = strlen(phase->name);

                        (void)snprintf(phase->name + used, sizeof(phase->name) - used, "%s%s",
                                        used ? " + " : "", names[i]);
                }
                count++;
                first = (BootMark)end;
        }
        return count;
}
