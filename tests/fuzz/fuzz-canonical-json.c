/* SPDX-License-Identifier: Apache-2.0 */
#include "canonical-json.h"
#include "fuzz.h"
#include "json.h"

#define TEXT_MAX (1 * MIB)

/* Raw control characters are canonical but no JSON: such a form cannot be read again. */
static bool is_readable(const Buffer *text)
{
        for (size_t i = 0; i < text->size; i++)
                if (text->data[i] < 0x20)
                        return false;
        return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_buffer_ Buffer first = BUFFER_WITH_CAP(TEXT_MAX), second = BUFFER_WITH_CAP(TEXT_MAX);
        _cleanup_json_ json_t *value = NULL, *again = NULL;
        Error error = { 0 };

        if (json_parse((const char *)data, size, TEXT_MAX, "input", &value, &error) < 0 ||
                        canonical_json_append(&first, value, &error) < 0 || !is_readable(&first))
                return 0;
        /* What is canonical stays as it is. */
        MUST(json_parse((const char *)first.data, first.size, TEXT_MAX, "canonical", &again, &error) >= 0);
        MUST(json_equal(value, again));
        MUST(canonical_json_append(&second, again, &error) >= 0);
        MUST(first.size == second.size);
        for (size_t i = 0; i < first.size; i++)
                MUST(first.data[i] == second.data[i]);
        return 0;
}
