/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Stanzas of Debian's control files (deb-control(5)): "Name: value" lines. They may be hostile. */

/* The value of a field of a stanza that ends at `end` (NULL: with the text), newly allocated; NULL when the
 * field is not there or there is no memory. Names are compared without regard to case. Of a value of several
 * lines only the first one is given. */
char *stanza_field(const char *stanza, const char *end, const char *name);
