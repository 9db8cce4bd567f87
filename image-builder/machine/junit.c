/* SPDX-License-Identifier: Apache-2.0 */
#include "junit.h"

#include "xml-text.h"

#include <inttypes.h>
#include <string.h>

static void case_done(JunitCase *one)
{
        free((char *)one->group);
        free((char *)one->name);
        free((char *)one->message);
        free((char *)one->output);
}

int junit_add(JunitReport *report, const JunitCase *one)
{
        JunitCase *cases = reallocarray(report->cases, report->count + 1, sizeof(*cases));
        JunitCase copy = {
                .outcome = one->outcome, .milliseconds = one->milliseconds, .output_size = one->output_size
        };
        char *output;

        if (!cases)
                return -ENOMEM;
        report->cases = cases;
        copy.group = strdup(one->group);
        copy.name = strdup(one->name);
        copy.message = one->message ? strdup(one->message) : NULL;
        copy.output = output = one->output ? malloc(one->output_size + 1) : NULL;
        if (!copy.group || !copy.name || (one->message && !copy.message) || (one->output && !copy.output)) {
                case_done(&copy);
                return -ENOMEM;
        }
        if (output) {
                memcpy(output, one->output, one->output_size);
                output[one->output_size] = 0;
        }
        cases[report->count++] = copy;
        return 0;
}

void junit_done(JunitReport *report)
{
        for (size_t i = 0; i < report->count; i++)
                case_done(&report->cases[i]);
        free(report->cases);
        *report = (JunitReport){ 0 };
}

size_t junit_count(const JunitReport *report, JunitOutcome outcome)
{
        size_t count = 0;

        for (size_t i = 0; i < report->count; i++)
                count += report->cases[i].outcome == outcome ? 1 : 0;
        return count;
}

const char *junit_outcome_name(JunitOutcome outcome)
{
        static const char *const names[] = { "passed", "failed", "error", "skipped" };

        return outcome < ELEMENTS(names) ? names[outcome] : "error";
}

static int put_seconds(Buffer *out, uint64_t milliseconds)
{
        return buffer_printf(out, "%" PRIu64 ".%03" PRIu64, milliseconds / 1000, milliseconds % 1000);
}

static int put_output(const JunitCase *one, size_t most, Buffer *out)
{
        size_t skipped = one->output_size > most ? one->output_size - most : 0;
        int r = skipped > 0 ? buffer_append_string(out, "(only the end)\n") : 0;

        return r < 0 ? r : xml_append(out, one->output + skipped, one->output_size - skipped);
}

/* <TAG message="...">output</TAG>; passed steps have their output in system-out. */
static int put_content(const JunitCase *one, size_t most, Buffer *out)
{
        static const char *const tags[] = { "system-out", "failure", "error", "skipped" };
        const char *tag = tags[one->outcome];
        int r = 0;

        if (one->outcome == JUNIT_PASSED && !one->output)
                return 0;
        r = buffer_printf(out, "      <%s", tag);
        if (r >= 0 && one->outcome != JUNIT_PASSED && one->message) {
                r = buffer_append_string(out, " message=\"");
                if (r >= 0)
                        r = xml_append_string(out, one->message);
                if (r >= 0)
                        r = buffer_append_string(out, "\"");
        }
        if (r >= 0)
                r = buffer_append_string(out, ">");
        if (r >= 0 && one->output)
                r = put_output(one, most, out);
        return r < 0 ? r : buffer_printf(out, "</%s>\n", tag);
}

static int put_case(const JunitCase *one, size_t most, Buffer *out)
{
        int r = buffer_append_string(out, "    <testcase classname=\"");

        if (r >= 0)
                r = xml_append_string(out, one->group);
        if (r >= 0)
                r = buffer_append_string(out, "\" name=\"");
        if (r >= 0)
                r = xml_append_string(out, one->name);
        if (r >= 0)
                r = buffer_append_string(out, "\" time=\"");
        if (r >= 0)
                r = put_seconds(out, one->milliseconds);
        if (r >= 0)
                r = buffer_append_string(out, "\">\n");
        if (r >= 0)
                r = put_content(one, most, out);
        return r < 0 ? r : buffer_append_string(out, "    </testcase>\n");
}

int junit_write(const JunitReport *report, const char *suite, Buffer *ret)
{
        uint64_t milliseconds = 0, fair = JUNIT_MAX / 2 / XML_GROWTH_MAX / MAX_OF(report->count, (size_t)1);
        int r;

        for (size_t i = 0; i < report->count; i++)
                milliseconds += report->cases[i].milliseconds;
        r = buffer_append_string(ret,
                        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"");
        if (r >= 0)
                r = xml_append_string(ret, suite);
        if (r >= 0)
                r = buffer_printf(ret,
                                "\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"",
                                report->count, junit_count(report, JUNIT_FAILED),
                                junit_count(report, JUNIT_ERROR), junit_count(report, JUNIT_SKIPPED));
        if (r >= 0)
                r = put_seconds(ret, milliseconds);
        if (r >= 0)
                r = buffer_append_string(ret, "\">\n");
        for (size_t i = 0; r >= 0 && i < report->count; i++)
                r = put_case(&report->cases[i], MIN_OF((size_t)fair, (size_t)JUNIT_OUTPUT_MAX), ret);
        return r < 0 ? r : buffer_append_string(ret, "  </testsuite>\n</testsuites>\n");
}
