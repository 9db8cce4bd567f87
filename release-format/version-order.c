/* SPDX-License-Identifier: Apache-2.0 */
#include "version-order.h"

#include <string.h>

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Bytes without a meaning in a version only part its segments. */
static const char *skip_meaningless(const char *text)
{
        while (*text && !is_digit(*text) && !is_letter(*text) && !strchr("~-^.", *text))
                text++;
        return text;
}

/* Passes over `mark` if both have it; otherwise the one that has it is the older. */
static int compare_mark(const char **a, const char **b, char mark)
{
        if (**a == mark && **b == mark) {
                (*a)++;
                (*b)++;
                return 0;
        }
        return (**b == mark) - (**a == mark);
}

/* Numbers of any length, without converting them; none at all is less than any number. */
static int compare_numbers(const char **a, const char **b)
{
        size_t a_length, b_length;
        int r = (int)is_digit(**a) - (int)is_digit(**b);

        if (r != 0)
                return r;
        *a += strspn(*a, "0");
        *b += strspn(*b, "0");
        a_length = strspn(*a, "0123456789");
        b_length = strspn(*b, "0123456789");
        if (a_length != b_length)
                return a_length < b_length ? -1 : 1;
        r = strncmp(*a, *b, a_length);
        *a += a_length;
        *b += b_length;
        return r;
}

static int compare_letters(const char **a, const char **b)
{
        for (; is_letter(**a) && is_letter(**b); (*a)++, (*b)++)
                if (**a != **b)
                        return (unsigned char)**a < (unsigned char)**b ? -1 : 1;
        return (int)is_letter(**a) - (int)is_letter(**b);
}

int version_compare(const char *a, const char *b)
{
        for (;;) {
                int r;

                a = skip_meaningless(a);
                b = skip_meaningless(b);
                r = compare_mark(&a, &b, '~');
                if (r != 0)
                        return r;
                if (!*a || !*b)
                        return (*a != 0) - (*b != 0);
                for (const char *mark = "-^."; r == 0 && *mark; mark++)
                        r = compare_mark(&a, &b, *mark);
                if (r == 0)
                        r = is_digit(*a) || is_digit(*b) ? compare_numbers(&a, &b) : compare_letters(&a, &b);
                if (r != 0)
                        return r;
        }
}

bool version_is_valid(const char *text)
{
        size_t length = strnlen(text, VERSION_MAX + 1);

        if (length == 0 || length > VERSION_MAX || !(is_digit(text[0]) || is_letter(text[0])))
                return false;
        for (size_t i = 0; i < length; i++)
                if (!is_digit(text[i]) && !is_letter(text[i]) && !strchr(".~^-", text[i]))
                        return false;
        return true;
}

bool image_id_is_valid(const char *text)
{
        size_t length = strnlen(text, VERSION_MAX + 1);

        if (length == 0 || length > VERSION_MAX || text[0] == '-')
                return false;
        for (size_t i = 0; i < length; i++)
                if (!is_digit(text[i]) && !(text[i] >= 'a' && text[i] <= 'z') && text[i] != '-')
                        return false;
        return true;
}
