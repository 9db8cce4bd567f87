/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Percent-encoding (RFC 3986): any bytes as one segment of a URL path, or as a file name. */

#include "buffer.h"

/* Appends the bytes of `text`, every one of which that is neither unreserved (letters, digits, "-._~") nor
 * in `keep` (may be NULL) as "%XX". Errors are those of buffer_append(). */
int percent_encode(Buffer *buffer, const char *text, const char *keep);
