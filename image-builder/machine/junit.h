/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the steps of a test came to, and the same as JUnit XML, which CI systems show (the schema of Apache
 * Ant's and Jenkins' reports: testsuites, testsuite, testcase with failure, error or skipped). */

#include "buffer.h"

#define JUNIT_MAX (16 * MIB)        /* of a report */
#define JUNIT_OUTPUT_MAX (16 * KIB) /* of a step's output in it */

typedef enum JunitOutcome {
        JUNIT_PASSED,
        JUNIT_FAILED,
        JUNIT_ERROR,   /* the test itself could not be done */
        JUNIT_SKIPPED, /* not begun, since one before failed or nothing asks for it */
} JunitOutcome;

/* Owned where it is in a report. */
typedef struct JunitCase {
        const char *group, *name;
        JunitOutcome outcome;
        uint64_t milliseconds;
        const char *message; /* why not; NULL: passed */
        const char *output;  /* anything; NULL: none */
        size_t output_size;
} JunitCase;

typedef struct JunitReport {
        JunitCase *cases;
        size_t count;
} JunitReport;

/* Copies all of it. 0 or -ENOMEM. */
int junit_add(JunitReport *report, const JunitCase *one);
void junit_done(JunitReport *report);

/* How many ended so. */
size_t junit_count(const JunitReport *report, JunitOutcome outcome);
/* "passed", "failed", "error", "skipped". */
const char *junit_outcome_name(JunitOutcome outcome);

/* Appends the whole document. Nothing of what is in the report can break out of its place. Of an output of
 * more than JUNIT_OUTPUT_MAX the end is kept, and less of each when there are so many steps that not even
 * that would fit into half of JUNIT_MAX. */
int junit_write(const JunitReport *report, const char *suite, Buffer *ret);
