/* SPDX-License-Identifier: Apache-2.0 */
#include "debian-version.h"

#include <string.h>

/* A part of a version: not terminated. */
typedef struct Part {
        const char *text, *end;
} Part;

typedef struct Version {
        Part epoch, upstream, revision;
} Version;

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static Version split(const char *text)
{
        const char *end = text + strlen(text), *colon = strchr(text, ':'), *dash;
        Version version = { { text, text }, { text, end }, { end, end } };

        if (colon) {
                version.epoch.end = colon;
                version.upstream.text = colon + 1;
        }
        dash = strrchr(version.upstream.text, '-');
        if (dash) {
                version.upstream.end = dash;
                version.revision.text = dash + 1;
        }
        return version;
}

/* '~' comes before the end, the end before letters, and letters before all else. */
static int weight(const Part *part)
{
        if (part->text == part->end || is_digit(*part->text))
                return 0;
        if (*part->text == '~')
                return -1;
        return is_letter(*part->text) ? *part->text : 256 + (unsigned char)*part->text;
}

/* Up to the next number of both. */
static int compare_words(Part *a, Part *b)
{
        for (;;) {
                int left = weight(a), right = weight(b);

                if (left != right || left == 0)
                        return left - right;
                a->text++;
                b->text++;
        }
}

static Part take_number(Part *part)
{
        Part number;

        while (part->text < part->end && *part->text == '0')
                part->text++;
        number.text = part->text;
        while (part->text < part->end && is_digit(*part->text))
                part->text++;
        number.end = part->text;
        return number;
}

static int compare_numbers(Part *a, Part *b)
{
        Part left = take_number(a), right = take_number(b);
        size_t left_size = (size_t)(left.end - left.text), right_size = (size_t)(right.end - right.text);

        if (left_size != right_size)
                return left_size < right_size ? -1 : 1;
        return memcmp(left.text, right.text, left_size);
}

static int compare_parts(Part a, Part b)
{
        int order = 0;

        while (order == 0 && (a.text < a.end || b.text < b.end)) {
                order = compare_words(&a, &b);
                if (order == 0)
                        order = compare_numbers(&a, &b);
        }
        return order;
}

int debian_version_compare(const char *a, const char *b)
{
        Version left = split(a), right = split(b);
        int order = compare_parts(left.epoch, right.epoch);

        if (order == 0)
                order = compare_parts(left.upstream, right.upstream);
        return order ? order : compare_parts(left.revision, right.revision);
}

bool debian_version_is_valid(const char *text, size_t size)
{
        if (size == 0 || size > DEBIAN_VERSION_MAX || !is_digit(text[0]))
                return false;
        for (size_t i = 0; i < size; i++)
                if (!is_digit(text[i]) && !is_letter(text[i]) && (!text[i] || !strchr(".+~:-", text[i])))
                        return false;
        return true;
}
