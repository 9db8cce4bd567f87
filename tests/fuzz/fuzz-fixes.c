/* SPDX-License-Identifier: Apache-2.0 */
/* Changelogs (first byte 'c'), papers about them ('p'), and pairs of versions (anything else).
 *
 * What is taken of a changelog is a paper that is taken. Versions have an order. */

#include "fuzz.h"

#include "debian-version.h"
#include "fixes.h"
#include "json.h"

#include <string.h>

static void try_paper(const char *text, size_t size)
{
        _cleanup_json_ json_t *paper = NULL, *rows = json_array();
        FixesHistory history;
        Error error = { 0 };
        int r = fixes_parse(text, size, "fuzz", &paper, &error);

        MUST((r < 0) == error_is_set(&error));
        if (r < 0)
                return;
        MUST(rows && fixes_list(paper, "tool", "1", "1:2-3", rows, &history) >= 0);
        MUST(json_array_size(rows) <= FIXES_CVES_MAX);
}

static void try_changelog(const char *text)
{
        json_t *fixes = NULL;
        _cleanup_json_ json_t *paper = NULL, *again = NULL;
        _cleanup_free_ char *written = NULL;

        MUST(fixes_read_changelog(text, "tool", &fixes) >= 0);
        if (!fixes)
                return;
        paper = json_pack("{s:i, s:{s:o}}", "format", FIXES_FORMAT, "sources", "tool", fixes);
        written = json_dumps(paper, 0);
        MUST(written);
        MUST(fixes_parse(written, strlen(written), "fuzz", &again, NULL) >= 0);
}

static int sign(int value)
{
        return (value > 0) - (value < 0);
}

/* The first line, and the rest. */
static void try_versions(char *text)
{
        char *rest = strchr(text, '\n');

        if (!rest)
                return;
        *rest++ = 0;
        MUST(sign(debian_version_compare(text, rest)) == -sign(debian_version_compare(rest, text)));
        MUST(debian_version_compare(text, text) == 0);
        (void)debian_version_is_valid(text, strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = NULL;

        if (size == 0)
                return 0;
        text = strndup((const char *)data + 1, size - 1);
        MUST(text);
        if (data[0] == 'c')
                try_changelog(text);
        else if (data[0] == 'p')
                try_paper((const char *)data + 1, size - 1);
        else
                try_versions(text);
        return 0;
}
