/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Headers of HTTP answers (RFC 9110), which are hostile: pure functions over one line each. */

#include "macro.h"

/* "bytes FIRST-LAST/TOTAL" or "bytes FIRST-LAST/ *" of a Content-Range header. -EBADMSG. */
int http_parse_content_range(const char *text, uint64_t *ret_first, uint64_t *ret_last);

/* Whether the line, of `size` bytes and not ended by a NUL, is that header; its value without white space
 * around it, cut at ret_size. `name` ends with a colon. */
bool http_header_value(const char *line, size_t size, const char *name, char *ret, size_t ret_size);

/* An entity tag as it stands in ETag and If-None-Match (section 8.8.3), strong or weak. */
#define HTTP_ETAG_MAX 128 /* with its NUL; longer ones are not remembered */
bool http_etag_is_valid(const char *text);
