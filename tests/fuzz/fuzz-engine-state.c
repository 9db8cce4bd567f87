/* SPDX-License-Identifier: Apache-2.0 */
/* state.json after anything happened to it; what is read must be written and read again the same. */
#include "fuzz.h"
#include "state.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(state_freep) State *state = NULL, *again = NULL;
        _cleanup_free_ char *text = NULL, *second = NULL;

        if (state_parse((const char *)data, size, &state, NULL) < 0)
                return 0;
        MUST(state_format(state, &text, NULL) >= 0);
        MUST(state_parse(text, strlen(text), &again, NULL) >= 0);
        MUST(state_format(again, &second, NULL) >= 0);
        MUST(strcmp(text, second) == 0);
        return 0;
}
