/* SPDX-License-Identifier: Apache-2.0 */
#include "path-pattern.h"

#include <string.h>

/* The next character, as its bytes packed in a number: equal and ordered just as code points are. Bytes that
 * are not UTF-8 stand for themselves. */
static uint32_t next_character(const char **text)
{
        const uint8_t *p = (const uint8_t *)*text;
        size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 1;
        uint32_t character = p[0];

        for (size_t i = 1; i < length; i++) {
                if ((p[i] & 0xc0) != 0x80) {
                        (*text)++;
                        return p[0];
                }
                character = character << 8 | p[i];
        }
        *text += length;
        return character;
}

/* The set ends at the first ']' that is not its first character. NULL when nothing ends it. */
static const char *set_end(const char *set)
{
        if (*set == '!')
                set++;
        if (*set == ']')
                set++;
        return strchr(set, ']');
}

/* `set` is just after the '['. */
static bool set_contains(const char *set, const char *end, uint32_t character)
{
        bool is_negated = *set == '!';
        bool is_member = false;

        set += is_negated ? 1 : 0;
        while (set < end) {
                uint32_t first = next_character(&set), last = first;

                if (set[0] == '-' && set + 1 < end) {
                        set++;
                        last = next_character(&set);
                }
                if (character >= first && character <= last)
                        is_member = true;
        }
        return is_member != is_negated;
}

/* One element of the pattern that is no '*' against one character of the path. On a match both move on. */
static bool match_one(const char **pattern, const char **path)
{
        const char *p = *pattern, *t = *path, *end;
        uint32_t wanted, character = next_character(&t);
        bool is_match;

        if (!*p)
                return false;
        wanted = next_character(&p);
        end = wanted == '[' ? set_end(p) : NULL;
        if (wanted == '?')
                is_match = character != '/';
        else if (end) {
                is_match = character != '/' && set_contains(p, end, character);
                p = end + 1;
        } else
                is_match = character == wanted;
        if (!is_match)
                return false;
        *pattern = p;
        *path = t;
        return true;
}

/* It is enough to go back to the last '*': what an earlier one could take more, the last one can as well,
 * and none of them may pass a '/'. */
bool path_pattern_matches(const char *pattern, const char *path)
{
        const char *star = NULL, *star_path = NULL;

        while (*path) {
                if (*pattern == '*') {
                        star = ++pattern;
                        star_path = path;
                        continue;
                }
                if (match_one(&pattern, &path)) {
                        /* The parts before a '/' are settled once both have passed it. */
                        if (path[-1] == '/')
                                star = NULL;
                        continue;
                }
                if (!star || *star_path == '/')
                        return false;
                (void)next_character(&star_path);
                pattern = star;
                path = star_path;
        }
        pattern += strspn(pattern, "*");
        return !*pattern;
}
