/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A JSON object shown to a person: what --json prints, in words. Members of an object are lines of name and
 * value; an object inside is a heading with its members below; an array of objects is a table. Names are
 * shown with spaces for dashes; a whole number whose name is "size" or ends in "-size", "-bytes" or
 * "memory" is shown as a size too. Control bytes become '?', since values may quote hostile input. */

#include <jansson.h>
#include <stdio.h>

void json_print_text(FILE *output, const json_t *object);

/* As indented JSON, with the newline. 0 or -EIO. */
int json_print(FILE *output, const json_t *json);
