/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "http.h"

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
        return 0;
}
