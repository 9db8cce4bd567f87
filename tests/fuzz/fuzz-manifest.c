/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "manifest.h"

#include <string.h>

/* What is accepted must survive being written and read again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Manifest *first = NULL, *second = NULL;
        char *text = NULL;
        Error error = { 0 };

        if (manifest_parse((const char *)data, size, &first, &error) < 0)
                return 0;
        if (manifest_format(first, &text, NULL) < 0 || manifest_parse(text, strlen(text), &second, NULL) < 0)
                abort();
        (void)manifest_choose_payload(&second->images[IMAGE_ROOT], NULL, NULL);
        free(text);
        (void)manifest_free(first);
        (void)manifest_free(second);
        return 0;
}
