/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "repro.h"

#include <ctype.h>
#include <string.h>

#define SLACK_SECONDS 86400 /* time zones */
#define TOKEN_MAX 64

static const struct {
        const char *name, *remedy;
} causes[] = {
        [REPRO_TIME] = { "time", "let what writes it take SOURCE_DATE_EPOCH, or leave the file out with "
                                 "Remove= and make it on the "
                                 "host" },
        [REPRO_ORDER] = { "order", "let what writes it sort, or leave the file out with Remove= and make it "
                                   "on the host" },
        [REPRO_PATH] = { "path", "let what writes it name paths of the image only" },
        [REPRO_RANDOM] = { "randomness", "leave the file out with Remove= and make it on the host: what is "
                                         "random must not be the same on "
                                         "all hosts anyway" },
        [REPRO_MISSING] = { "a file that only one of them has",
                        "look at the log of the packages step for a script that fails or is skipped" },
        [REPRO_ATTRIBUTES] = { "owner, mode or kind",
                        "give the account a fixed number in the recipe, or set owner and mode with File=" },
};

const char *repro_cause_name(ReproCause cause)
{
        return causes[cause].name;
}

const char *repro_cause_remedy(ReproCause cause)
{
        return causes[cause].remedy;
}

static bool is_within(uint64_t seconds, const ReproHints *hints)
{
        return (int64_t)seconds >= (int64_t)hints->begin - SLACK_SECONDS &&
               (int64_t)seconds <= (int64_t)hints->end + SLACK_SECONDS;
}

/* A number of 32 bits around the place that is a time of the builds. */
static bool has_binary_time(const uint8_t *data, size_t size, size_t at, const ReproHints *hints)
{
        for (size_t back = 0; back < 4 && back <= at; back++)
                if (at - back + 4 <= size && is_within(read_le32(data + at - back), hints))
                        return true;
        return false;
}

/* Digits and what stands between them in dates, around the place: seconds since 1970, or the year, or a
 * clock. */
static bool has_text_time(const uint8_t *data, size_t size, size_t at, const ReproHints *hints)
{
        char token[TOKEN_MAX + 1], year[8];
        size_t begin = at, end = at, colons = 0;
        struct tm broken;

        while (begin > 0 && at - begin < TOKEN_MAX / 2 && strchr("0123456789:-/TZ+. ", data[begin - 1]) &&
                        data[begin - 1])
                begin--;
        while (end < size && end - begin < TOKEN_MAX && data[end] && strchr("0123456789:-/TZ+. ", data[end]))
                end++;
        memcpy(token, data + begin, end - begin);
        token[end - begin] = 0;
        for (const char *p = token; *p; p++)
                colons += p[0] == ':' && isdigit((unsigned char)p[1]);
        if (colons >= 1 && strpbrk(token, "0123456789"))
                return true;
        for (const char *p = token; *p; p += strspn(p, "0123456789") + (isdigit((unsigned char)*p) ? 0 : 1))
                if (isdigit((unsigned char)*p) && is_within(strtoull(p, NULL, 10), hints))
                        return true;
        if (!gmtime_r(&hints->end, &broken))
                return false;
        (void)strftime(year, sizeof(year), "%Y-", &broken);
        return strstr(token, year) != NULL;
}

/* The same bytes as often: sorted, they would be the same. */
static bool has_same_bytes(const uint8_t *a, const uint8_t *b, size_t size)
{
        size_t counts[256] = { 0 };

        for (size_t i = 0; i < size; i++)
                counts[a[i]]++;
        for (size_t i = 0; i < size; i++)
                if (counts[b[i]]-- == 0)
                        return false;
        return true;
}

static bool contains(const void *data, size_t size, const char *text)
{
        return text && text[0] && memmem(data, size, text, strlen(text)) != NULL;
}

ReproCause repro_classify(
                const void *a, size_t a_size, const void *b, size_t b_size, const ReproHints *hints)
{
        const uint8_t *left = a, *right = b;
        size_t at = 0;

        if (contains(a, a_size, hints->first_folder) || contains(b, b_size, hints->second_folder))
                return REPRO_PATH;
        while (at < a_size && at < b_size && left[at] == right[at])
                at++;
        if (at < a_size && at < b_size &&
                        ((has_text_time(left, a_size, at, hints) &&
                                         has_text_time(right, b_size, at, hints)) ||
                                        (has_binary_time(left, a_size, at, hints) &&
                                                        has_binary_time(right, b_size, at, hints))))
                return REPRO_TIME;
        return a_size == b_size && has_same_bytes(left, right, a_size) ? REPRO_ORDER : REPRO_RANDOM;
}
