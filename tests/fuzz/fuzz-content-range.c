/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "http-headers.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char text[128];
        uint64_t first, last;

        if (size >= sizeof(text))
                return 0;
        memcpy(text, data, size);
        text[size] = '\0';
        if (http_parse_content_range(text, &first, &last) >= 0)
                MUST(first <= last);
        char value[HTTP_ETAG_MAX];
        if (http_header_value((const char *)data, size, "etag:", value, sizeof(value)) &&
                        http_etag_is_valid(value))
                MUST(!strpbrk(value, "\r\n ") && strlen(value) < HTTP_ETAG_MAX);
        return 0;
}
