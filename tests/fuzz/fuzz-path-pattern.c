/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "path-pattern.h"

#include <string.h>

/* Pattern and path, parted by the first newline. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = strndup((const char *)data, size);
        char *path;

        if (!text || size > 4096)
                return 0;
        path = strchr(text, '\n');
        if (path)
                *path++ = 0;
        else
                path = text;
        (void)path_pattern_matches(text, path);
        /* Without a wildcard a pattern is a name. */
        if (!strpbrk(text, "*?["))
                MUST(path_pattern_matches(text, path) == (strcmp(text, path) == 0));
        return 0;
}
