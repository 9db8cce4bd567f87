/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Text for XML 1.0 that may hold anything, such as what a guest has sent to its console. */

#include "buffer.h"

#define XML_GROWTH_MAX 6 /* bytes that one may become */

/* Appends text for an element or an attribute in double quotes: markup is escaped, sequences that colour a
 * terminal are dropped, and what is no valid UTF-8 or no character of XML (section 2.2) becomes '?'. */
int xml_append(Buffer *buffer, const void *text, size_t size);
int xml_append_string(Buffer *buffer, const char *text);
