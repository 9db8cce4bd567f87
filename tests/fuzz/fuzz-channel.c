/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"
#include "fuzz.h"

#include <string.h>

/* What is accepted must survive being written and read again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Channel *first = NULL, *second = NULL;
        char *text = NULL;
        Error error = { 0 };

        if (channel_parse((const char *)data, size, &first, &error) < 0)
                return 0;
        if (channel_format(first, &text, NULL) < 0 || channel_parse(text, strlen(text), &second, NULL) < 0)
                abort();
        (void)channel_next(second, "1", "x86-64", 0.5, 1000, NULL, NULL);
        free(text);
        (void)channel_free(first);
        (void)channel_free(second);
        return 0;
}
