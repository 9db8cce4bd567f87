/* SPDX-License-Identifier: Apache-2.0 */
#include "fixes.h"
#include "json.h"
#include "test.h"

#include <string.h>

/* "rebuilt" is as stable releases have it: a rebuild of what unstable got, on top of all of its history,
 * with no numbers of its own. Of "patched", the entry below the newest is of another rebuild. */
static const char paper[] =
                "{\"format\": 2, \"sources\": {\"tool\": {\"entries\": ["
                "{\"version\": \"1:2.0-3\", \"cves\": [\"CVE-2023-0001\", \"CVE-2024-9999\"]}, \"1:2.0-2\","
                "{\"version\": \"1:2.0-1\", \"cves\": [\"CVE-2022-1234\", \"CVE-2023-0001\"]},"
                "{\"version\": \"1.0-1\", \"cves\": [\"CVE-2020-0001\"]}]},"
                "\"rebuilt\": {\"entries\": [\"2.54.7+dfsg-1~deb12u1\","
                "{\"version\": \"2.54.7+dfsg-1\", \"cves\": [\"CVE-2023-38633\"]}, \"2.54.5+dfsg-3\","
                "{\"version\": \"2.54.5+dfsg-1\", \"cves\": [\"CVE-2019-20446\"]}]},"
                "\"patched\": {\"entries\": ["
                "{\"version\": \"590-2.1~deb12u2\", \"cves\": [\"CVE-2024-32487\"]}, \"590-2.1~deb12u1\","
                "{\"version\": \"590-2.1\", \"cves\": [\"CVE-2022-48624\"]},"
                "{\"version\": \"590-2\", \"cves\": [\"CVE-2022-46663\"]}, \"590-1\"]}}}";

static char *list(const char *source, const char *old, const char *new, FixesHistory *ret)
{
        _cleanup_json_ json_t *fixes = NULL, *array = json_array();

        if (fixes_parse(paper, strlen(paper), "paper", &fixes, NULL) < 0 ||
                        fixes_list(fixes, source, old, new, array, ret) < 0)
                return NULL;
        return json_dumps(array, JSON_COMPACT);
}

#define ROW(source, version, cve)                                                                           \
        "{\"source\":\"" source "\",\"version\":\"" version "\",\"cve\":\"" cve "\"}"

typedef struct Listed {
        const char *source, *old, *new, *found;
        FixesHistory history;
} Listed;

static void check_listed(const Listed *cases, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                FixesHistory history = FIXES_WHOLE;
                _cleanup_free_ char *found = list(cases[i].source, cases[i].old, cases[i].new, &history);

                if (!found || strcmp(found, cases[i].found) != 0 || history != cases[i].history)
                        TEST_FAIL("%s from %s to %s: %s (%d)", cases[i].source, cases[i].old, cases[i].new,
                                        found ? found : "", history);
        }
}

TEST(entries_above_the_old_version_count)
{
        static const Listed cases[] = {
                { "tool", "1:2.0-1", "1:2.0-3",
                                "[" ROW("tool", "1:2.0-3", "CVE-2023-0001") "," ROW(
                                                "tool", "1:2.0-3", "CVE-2024-9999") "]",
                                FIXES_WHOLE },
                { "tool", "1.0-1", "1:2.0-3",
                                "[" ROW("tool", "1:2.0-1", "CVE-2022-1234") "," ROW(
                                                "tool", "1:2.0-1", "CVE-2023-0001") "," ROW("tool",
                                                "1:2.0-3", "CVE-2024-9999") "]",
                                FIXES_WHOLE },
                /* What is newer than the new version is not in it. */
                { "tool", "1.0-1", "1:2.0-2",
                                "[" ROW("tool", "1:2.0-1", "CVE-2022-1234") "," ROW(
                                                "tool", "1:2.0-1", "CVE-2023-0001") "]",
                                FIXES_WHOLE },
                /* An old version of another branch: it has what is older than itself. */
                { "tool", "1:2.0-1+deb12u3", "1:2.0-3",
                                "[" ROW("tool", "1:2.0-3", "CVE-2023-0001") "," ROW(
                                                "tool", "1:2.0-3", "CVE-2024-9999") "]",
                                FIXES_WHOLE },
                { "tool", "0.9-1", "1.0-1", "[" ROW("tool", "1.0-1", "CVE-2020-0001") "]", FIXES_CUT },
                { "tool", "1:2.0-2", "1:2.0-4",
                                "[" ROW("tool", "1:2.0-3", "CVE-2023-0001") "," ROW(
                                                "tool", "1:2.0-3", "CVE-2024-9999") "]",
                                FIXES_BEHIND },
                { "tool", "1:2.0-3", "1.0-1", "[]", FIXES_WHOLE },
                { "other", "1", "2", "[]", FIXES_UNKNOWN },
        };

        check_listed(cases, ELEMENTS(cases));
}

TEST(a_rebuild_has_what_is_below_it)
{
        static const Listed cases[] = {
                { "rebuilt", "2.54.5+dfsg-1", "2.54.7+dfsg-1~deb12u1",
                                "[" ROW("rebuilt", "2.54.7+dfsg-1", "CVE-2023-38633") "]", FIXES_WHOLE },
                { "rebuilt", "2.54.5+dfsg-3", "2.54.7+dfsg-1~deb12u1",
                                "[" ROW("rebuilt", "2.54.7+dfsg-1", "CVE-2023-38633") "]", FIXES_WHOLE },
                /* Only the rebuild's changelog was read, not that of the newer version. */
                { "rebuilt", "2.54.7+dfsg-1~deb12u1", "2.54.7+dfsg-1", "[]", FIXES_BEHIND },
                { "patched", "590-2", "590-2.1~deb12u2",
                                "[" ROW("patched", "590-2.1", "CVE-2022-48624") "," ROW(
                                                "patched", "590-2.1~deb12u2", "CVE-2024-32487") "]",
                                FIXES_WHOLE },
                /* The old version is the rebuild: it has what 590-2.1 mended, though that is the higher. */
                { "patched", "590-2.1~deb12u1", "590-2.1~deb12u2",
                                "[" ROW("patched", "590-2.1~deb12u2", "CVE-2024-32487") "]", FIXES_WHOLE },
                { "patched", "590-2.1", "590-2.1~deb12u2",
                                "[" ROW("patched", "590-2.1~deb12u2", "CVE-2024-32487") "]", FIXES_WHOLE },
        };

        check_listed(cases, ELEMENTS(cases));
}

TEST(a_paper_of_another_format_says_nothing)
{
        static const char foreign[] = "{\"format\": 3, \"sources\": {\"tool\": {\"entries\": [1, {}]}}}";
        _cleanup_json_ json_t *fixes = NULL, *rows = json_array();
        FixesHistory history = FIXES_WHOLE;

        CHECK_OK(fixes_parse(foreign, strlen(foreign), "paper", &fixes, NULL));
        CHECK_EQ(json_object_size(fixes), 1);
        CHECK_OK(fixes_list(fixes, "tool", "1", "2", rows, &history));
        CHECK_EQ(history, FIXES_FOREIGN);
        CHECK_EQ(json_array_size(rows), 0);
}

TEST_MAIN
