/* SPDX-License-Identifier: Apache-2.0 */
#include "http-headers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int http_parse_content_range(const char *text, uint64_t *ret_first, uint64_t *ret_last)
{
        uint64_t first, last;
        int used = 0;
        text += strspn(text, " \t");
        if (strncasecmp(text, "bytes ", 6) != 0 || strspn(text + 6, "0123456789") == 0)
                return -EBADMSG;
        if (strspn(text + 6, "0123456789") > 19 || sscanf(text + 6, "%" SCNu64 "-%n", &first, &used) != 1 ||
                        used == 0)
                return -EBADMSG;
        const char *rest = text + 6 + used;
        size_t digits = strspn(rest, "0123456789");
        if (digits == 0 || digits > 19 || rest[digits] != '/' || sscanf(rest, "%" SCNu64, &last) != 1 ||
                        last < first)
                return -EBADMSG;
        *ret_first = first;
        *ret_last = last;
        return 0;
}

static bool is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool http_header_value(const char *line, size_t size, const char *name, char *ret, size_t ret_size)
{
        size_t length = strlen(name);
        if (size < length || strncasecmp(line, name, length) != 0)
                return false;
        while (length < size && is_space(line[length]))
                length++;
        while (size > length && is_space(line[size - 1]))
                size--;
        size_t value_size = MIN_OF(size - length, ret_size - 1);
        memcpy(ret, line + length, value_size);
        ret[value_size] = '\0';
        return true;
}

bool http_etag_is_valid(const char *text)
{
        size_t length = strlen(text);
        if (length >= HTTP_ETAG_MAX)
                return false;
        if (strncmp(text, "W/", 2) == 0) {
                text += 2;
                length -= 2;
        }
        if (length < 2 || text[0] != '"' || text[length - 1] != '"')
                return false;
        for (size_t i = 1; i + 1 < length; i++)
                if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] > 0x7e || text[i] == '"')
                        return false;
        return true;
}

bool http_etag_is_settled(int64_t modified, int64_t date)
{
        return modified < 0 || (date >= 0 && modified < INT64_MAX - 2 && date >= modified + 2);
}
