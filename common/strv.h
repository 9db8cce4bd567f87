/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* NULL-terminated vectors of owned strings. NULL is the empty vector. */

#include "macro.h"

size_t strv_length(char *const *strv);
bool strv_contains(char *const *strv, const char *text);
/* Appends a copy of `text`. -ENOMEM leaves the vector as it was. */
int strv_append(char ***strv, const char *text);
/* Appends copies of the words of `text`, parted by white space. */
int strv_append_words(char ***strv, const char *text);
/* In byte order. */
void strv_sort(char **strv);
char **strv_free(char **strv);

DEFINE_CLEANUP(char **, strv_free)
#define _cleanup_strv_ _cleanup_(strv_freep)
