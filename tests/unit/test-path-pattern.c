/* SPDX-License-Identifier: Apache-2.0 */
#include "path-pattern.h"
#include "test.h"

typedef struct PatternCase {
        const char *pattern, *path;
        bool is_match;
} PatternCase;

TEST(matches_as_the_shell_does_and_never_a_slash)
{
        static const PatternCase cases[] = {
                { "", "", true },
                { "", "a", false },
                { "foo.tgz", "foo.tgz", true },
                { "foo.tgz", "Foo.tgz", false },
                { "*.tgz", "foo.tgz", true },
                { "*.tgz", ".tgz", true },
                { "*.tgz", "targets/foo.tgz", false },
                { "targets/*.tgz", "targets/foo.tgz", true },
                { "targets/*.tgz", "targets/foo.txt", false },
                { "targets/*.tgz", "targets/a/foo.tgz", false },
                { "*/*", "a/b", true },
                { "*/*", "a/b/c", false },
                { "*", "a/b", false },
                { "**", "a/b", false },
                { "**", "ab", true },
                { "*", "", true },
                { "foo-version-?.tgz", "foo-version-2.tgz", true },
                { "foo-version-?.tgz", "foo-version-alpha.tgz", false },
                { "?", "/", false },
                { "?", "\xc3\xa9", true },
                { "a?c", "a/c", false },
                { "a*b*c", "axxbyyc", true },
                { "a*b*c", "axxbyy", false },
                { "a*b/c*d", "axb/cyd", true },
                { "a*b/c*d", "axb/cy/d", false },
                { "*b/x", "ab/y/ab/x", false },
                { "[abc]", "b", true },
                { "[a-c]x", "bx", true },
                { "[!a-c]", "b", false },
                { "[!a-c]", "d", true },
                { "[!a]", "/", false },
                { "[/]", "/", false },
                { "[]]", "]", true },
                { "[]-a]", "^", true },
                { "[a-]", "-", true },
                { "[abc", "[abc", true },
                { "[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", true },
                { "a\\*", "a\\b", true },
                { "\\a", "a", false },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++)
                if (path_pattern_matches(cases[i].pattern, cases[i].path) != cases[i].is_match)
                        TEST_FAIL("\"%s\" against \"%s\"", cases[i].pattern, cases[i].path);
}

TEST(takes_no_exponential_time)
{
        char pattern[200], path[10001];

        for (size_t i = 0; i < sizeof(pattern) - 1; i++)
                pattern[i] = i % 2 ? 'a' : '*';
        pattern[sizeof(pattern) - 2] = 'b';
        pattern[sizeof(pattern) - 1] = 0;
        memset(path, 'a', sizeof(path) - 1);
        path[sizeof(path) - 1] = 0;
        CHECK(!path_pattern_matches(pattern, path));
}

TEST_MAIN
