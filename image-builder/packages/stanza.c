/* SPDX-License-Identifier: Apache-2.0 */
#include "stanza.h"
#include "macro.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

char *stanza_field(const char *stanza, const char *end, const char *name)
{
        size_t length = strlen(name);

        end = end ? end : stanza + strlen(stanza);
        for (const char *line = stanza; line < end;) {
                size_t size = strcspn(line, "\n");

                const char *colon = line + MIN_OF(length, size);

                colon += strspn(colon, " \t");
                if (size > length && strncasecmp(line, name, length) == 0 && *colon == ':') {
                        const char *value = colon + 1;

                        value += strspn(value, " \t");
                        return strndup(value, (size_t)(line + size - value));
                }
                line += size + (line[size] ? 1 : 0);
        }
        return NULL;
}
