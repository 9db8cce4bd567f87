/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Health checks: the executables of a list of folders, run one after the other in the order of their names.
 * A name in an earlier folder hides the same name in a later one. What is no executable file is no check,
 * but hides as well: a link to /dev/null switches a check off. Names that begin with a dot or end in "~",
 * ".bak" or ".dpkg-*" do not count at all.
 *
 * A check succeeds by exit status 0. The end of what it prints is kept in the report. It
 * gets BASCULE_VERSION and BASCULE_TRIAL (yes or no) in its environment, no input, and a time limit; what it
 * started is killed with it. Checks are part of the release or of the administrator's /etc; their output is
 * hostile. */

#include "error.h"

#define HEALTH_CHECKS_MAX 256
#define HEALTH_OUTPUT_MAX 1024 /* bytes of a check's last output that are kept */

typedef enum HealthResult {
        HEALTH_PASSED,
        HEALTH_FAILED,
        HEALTH_TIMED_OUT,
        HEALTH_NOT_RUN, /* cannot be started */
        HEALTH_RESULT_MAX
} HealthResult;

typedef struct HealthCheck {
        char *name, *path;
        HealthResult result;
        int status; /* exit status; 128 + signal; errno of a check that was not run */
        uint64_t milliseconds;
        char output[HEALTH_OUTPUT_MAX + 1]; /* control bytes are '?', newlines stay */
} HealthCheck;

typedef struct HealthReport {
        HealthCheck *checks;
        size_t count;
        bool is_healthy; /* every check passed */
} HealthReport;

/* Fills names and paths. `folders` ends with NULL, most important first; one that does not exist is fine. */
int health_collect(const char *const *folders, HealthReport *ret, Error *error);

/* Runs all of them, also after one that failed. What they print is copied to output_fd as it comes, unless
 * -1. */
int health_run(HealthReport *report, const char *version, bool is_trial, unsigned timeout_seconds,
                int output_fd, Error *error);

/* As JSON text, freed by the caller. */
int health_format(const HealthReport *report, const char *version, bool is_trial, char **ret);

/* One sentence on the checks that did not pass. */
void health_reason(const HealthReport *report, char *ret, size_t size);

void health_report_done(HealthReport *report);
#define _cleanup_health_report_ _cleanup_(health_report_done)

const char *health_result_name(HealthResult result); /* "passed", "failed", "timed-out", "not-run" */
