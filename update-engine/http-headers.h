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

/* Whether a tag can tell the file from its next version. Servers make tags of the time of the last change in
 * whole seconds and the size: what changed in the second in which it was sent may change once more and keep
 * its tag (section 8.8.2.2). Times in seconds since 1970 as the answer gives them, negative for none; an
 * answer without Last-Modified is taken to come from a server that makes tags otherwise. */
bool http_etag_is_settled(int64_t modified, int64_t date);
