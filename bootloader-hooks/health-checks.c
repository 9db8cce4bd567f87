/* SPDX-License-Identifier: Apache-2.0 */
#include "health-checks.h"

#include "file.h"
#include "json.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static const char *const result_names[HEALTH_RESULT_MAX] = { "passed", "failed", "timed-out", "not-run" };

const char *health_result_name(HealthResult result)
{
        return result < HEALTH_RESULT_MAX ? result_names[result] : "not-run";
}

static bool ends_with(const char *text, const char *end)
{
        size_t length = strlen(text), end_length = strlen(end);

        return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static bool is_check_name(const char *name)
{
        return name[0] != '.' && !ends_with(name, "~") && !ends_with(name, ".bak") &&
               !strstr(name, ".dpkg-");
}

static bool is_known(const HealthReport *report, const char *name)
{
        for (size_t i = 0; i < report->count; i++)
                if (strcmp(report->checks[i].name, name) == 0)
                        return true;
        return false;
}

static int add_check(HealthReport *report, const char *folder, const char *name)
{
        HealthCheck *check = &report->checks[report->count];

        if (!is_check_name(name) || is_known(report, name))
                return 0;
        if (report->count >= HEALTH_CHECKS_MAX)
                return -E2BIG;
        *check = (HealthCheck){
                .name = strdup(name), .path = path_join(folder, name), .result = HEALTH_NOT_RUN
        };
        if (!check->name || !check->path) {
                free(check->name);
                free(check->path);
                return -ENOMEM;
        }
        report->count++;
        return 0;
}

static int add_folder(HealthReport *report, const char *folder)
{
        DIR *directory = opendir(folder);
        struct dirent *item;
        int r = 0;

        if (!directory)
                return errno == ENOENT ? 0 : -errno;
        while (r >= 0 && (item = readdir(directory)))
                r = add_check(report, folder, item->d_name);
        (void)closedir(directory);
        return r;
}

static bool is_check(const char *path)
{
        struct stat status;

        return stat(path, &status) >= 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
               (status.st_mode & 0111) != 0;
}

static void check_done(HealthCheck *check)
{
        free(check->name);
        free(check->path);
}

/* Only now: until all folders were read, a name that is no check must hide the same name in later ones. */
static void drop_others(HealthReport *report)
{
        size_t kept = 0;

        for (size_t i = 0; i < report->count; i++)
                if (is_check(report->checks[i].path))
                        report->checks[kept++] = report->checks[i];
                else
                        check_done(&report->checks[i]);
        report->count = kept;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(((const HealthCheck *)a)->name, ((const HealthCheck *)b)->name);
}

int health_collect(const char *const *folders, HealthReport *ret, Error *error)
{
        _cleanup_health_report_ HealthReport report = { .is_healthy = true };

        report.checks = calloc(HEALTH_CHECKS_MAX + 1, sizeof(HealthCheck));
        if (!report.checks)
                return error_oom(error);
        for (; *folders; folders++) {
                int r = add_folder(&report, *folders);

                if (r < 0)
                        return error_set(error, r == -E2BIG ? ERROR_CONFIG : ERROR_IO, -r,
                                        "cannot list the health checks in %s: %s", *folders, strerror(-r));
        }
        drop_others(&report);
        qsort(report.checks, report.count, sizeof(HealthCheck), compare_names);
        *ret = report;
        report = (HealthReport){ 0 };
        return 0;
}

void health_report_done(HealthReport *report)
{
        for (size_t i = 0; i < report->count; i++)
                check_done(&report->checks[i]);
        free(report->checks);
        *report = (HealthReport){ 0 };
}

static json_t *format_check(const HealthCheck *check)
{
        return json_pack("{s:s, s:s, s:s, s:i, s:I, s:s}", "name", check->name, "path", check->path,
                        "result", health_result_name(check->result), "status", check->status, "milliseconds",
                        (json_int_t)check->milliseconds, "output", check->output);
}

int health_format(const HealthReport *report, const char *version, bool is_trial, char **ret)
{
        _cleanup_json_ json_t *object = NULL;
        json_t *checks = json_array();
        char *text;

        for (size_t i = 0; checks && i < report->count; i++)
                if (json_array_append_new(checks, format_check(&report->checks[i])) < 0) {
                        json_decref(checks);
                        return -ENOMEM;
                }
        object = json_pack("{s:s, s:b, s:b, s:o}", "version", version, "trial", is_trial, "healthy",
                        report->is_healthy, "checks", checks);
        text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}

/* The last line of what a check printed. */
static const char *last_line(const char *output, size_t *ret_length)
{
        const char *end = strchr(output, 0), *begin;

        while (end > output && end[-1] == '\n')
                end--;
        begin = end;
        while (begin > output && begin[-1] != '\n')
                begin--;
        *ret_length = (size_t)(end - begin);
        return begin;
}

void health_reason(const HealthReport *report, char *ret, size_t size)
{
        size_t used = 0;

        ret[0] = 0;
        for (size_t i = 0; i < report->count && used + 1 < size; i++) {
                const HealthCheck *check = &report->checks[i];
                size_t length;
                const char *line = last_line(check->output, &length);

                if (check->result == HEALTH_PASSED)
                        continue;
                (void)snprintf(ret + used, size - used, "%sHealth check %s %s (status %d)%s%.*s",
                                used ? "; " : "", check->name,
                                check->result == HEALTH_FAILED      ? "failed"
                                : check->result == HEALTH_TIMED_OUT ? "took too long"
                                                                    : "could not be started",
                                check->status, length > 0 ? ": " : "", (int)MIN_OF(length, (size_t)200),
                                line);
                used = strlen(ret);
        }
}
