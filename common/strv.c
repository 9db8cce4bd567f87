/* SPDX-License-Identifier: Apache-2.0 */
#include "strv.h"

#include <string.h>

size_t strv_length(char *const *strv)
{
        size_t count = 0;

        while (strv && strv[count])
                count++;
        return count;
}

bool strv_contains(char *const *strv, const char *text)
{
        for (; strv && *strv; strv++)
                if (strcmp(*strv, text) == 0)
                        return true;
        return false;
}

static int append_bytes(char ***strv, const char *text, size_t size)
{
        size_t count = strv_length(*strv);
        char **grown;
        char *copy = strndup(text, size);

        if (!copy)
                return -ENOMEM;
        grown = reallocarray(*strv, count + 2, sizeof(*grown));
        if (!grown) {
                free(copy);
                return -ENOMEM;
        }
        grown[count] = copy;
        grown[count + 1] = NULL;
        *strv = grown;
        return 0;
}

int strv_append(char ***strv, const char *text)
{
        return append_bytes(strv, text, strlen(text));
}

int strv_append_words(char ***strv, const char *text)
{
        static const char blank[] = " \t\r\n";

        for (;;) {
                size_t size;
                int r;

                text += strspn(text, blank);
                size = strcspn(text, blank);
                if (size == 0)
                        return 0;
                r = append_bytes(strv, text, size);
                if (r < 0)
                        return r;
                text += size;
        }
}

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(char **strv)
{
        if (strv)
                qsort(strv, strv_length(strv), sizeof(*strv), compare);
}

char **strv_free(char **strv)
{
        for (char **p = strv; p && *p; p++)
                free(*p);
        free(strv);
        return NULL;
}
