/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reading JSON that may be hostile, over jansson: strict getters that say which member is wrong. */

#include "error.h"

#include <jansson.h>
#include <string.h>

/* Rejects duplicate members, trailing bytes and anything longer than cap_bytes. `what` names the document
 * in messages. The caller owns *ret (json_decref). */
int json_parse(const char *text, size_t size, size_t cap_bytes, const char *what, json_t **ret, Error *error);

/* Members of an object; the values are borrowed from it. A missing member or one of another type is
 * -EBADMSG with ERROR_UNTRUSTED. The _optional forms leave *ret alone when the member is missing. */
int json_get_string(const json_t *object, const char *name, const char **ret, Error *error);
int json_get_string_optional(const json_t *object, const char *name, const char **ret, Error *error);
int json_get_u64(const json_t *object, const char *name, uint64_t *ret, Error *error); /* not negative */
int json_get_u64_optional(const json_t *object, const char *name, uint64_t *ret, Error *error);
int json_get_object(const json_t *object, const char *name, json_t **ret, Error *error);
int json_get_array(const json_t *object, const char *name, json_t **ret, Error *error);
/* Exactly `size` bytes in hexadecimal. */
int json_get_hex(const json_t *object, const char *name, void *ret, size_t size, Error *error);

#define _cleanup_json_ _cleanup_(json_decrefp)
