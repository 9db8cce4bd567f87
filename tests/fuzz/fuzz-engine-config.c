/* SPDX-License-Identifier: Apache-2.0 */
/* engine.conf, and with it the grammar of windows. */
#include "config.h"
#include "fuzz.h"

#include <string.h>

#define NOW 1795219200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(config_freep) Config *config = NULL, *again = NULL;
        _cleanup_free_ char *text = NULL;
        int64_t start, end;

        if (config_parse("fuzz", (const char *)data, size, &config, NULL) < 0)
                return 0;
        if (config->windows.count > 0) {
                MUST(window_next(&config->windows, NOW, &start, &end) >= 0);
                MUST(start >= NOW && end > start);
        }
        MUST(config_format(config, &text, NULL) >= 0);
        MUST(config_parse("again", text, strlen(text), &again, NULL) >= 0);
        return 0;
}
