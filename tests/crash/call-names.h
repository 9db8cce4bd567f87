/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Names of the system calls that programs of Debian make, as far as this C library knows them: the
 * compiler's own list of SYS_ names, made by a command at build time (tests/crash/meson.build). */

/* "call" for a number without a name. */
const char *call_name(unsigned long number);
