/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What went wrong, for a person. Functions return a negative errno; where a person must act they also
 * fill an Error: a code from the one list below and one sentence that says what happened and what to do.
 * The code is stable: it is the program's exit status, the `code` of --json output and part of the D-Bus
 * interface. Codes and their meaning are documented in docs/man/bascule.1.scd.
 *
 * An Error is a plain value owned by whoever declares it (`Error error = {0};`): nothing to free. The
 * first sentence stays: later calls of error_set() on an Error that is already set only add context in
 * front through error_prefix(). Every function accepts error == NULL and then only returns the errno. */

#include "macro.h"

#include <stdarg.h>

/* Exit status of every program; 0 is success. */
typedef enum ErrorCode {
        ERROR_NONE = 0,
        ERROR_FAILED = 1,          /* anything without a code of its own */
        ERROR_USAGE = 2,           /* command line that cannot be understood */
        ERROR_CONFIG = 3,          /* recipe or configuration with a mistake */
        ERROR_NOTHING_TO_DO = 4,   /* already there: no newer release, nothing to cancel */
        ERROR_REFUSED = 5,         /* policy says no: pinned, in the ledger, older, floor, unblessed */
        ERROR_BUSY = 6,            /* another operation of the same kind runs */
        ERROR_NO_SPACE = 7,        /* slot, ESP, /var or output too small */
        ERROR_NETWORK = 8,         /* server unreachable, slow, or answering with an error */
        ERROR_UNTRUSTED = 9,       /* signature, threshold, hash, length or expiry did not hold */
        ERROR_CORRUPT = 10,        /* bytes on a disk, or in a payload, are not what they must be */
        ERROR_IO = 11,             /* the device or the filesystem failed */
        ERROR_INCOMPATIBLE = 12,   /* other architecture, image id or a newer format */
        ERROR_CANCELLED = 13,      /* an administrator, or the end of the service, stopped it */
        ERROR_PERMISSION = 14,     /* not allowed to this user */
        ERROR_MISSING_TOOL = 15,   /* a program or kernel feature that is needed is not there */
        ERROR_UNAVAILABLE = 16,    /* the daemon cannot be reached */
        ERROR_CODE_MAX
} ErrorCode;

#define ERROR_MESSAGE_MAX 1024

typedef struct Error {
        ErrorCode code;
        char message[ERROR_MESSAGE_MAX]; /* UTF-8, one sentence, no newline at its end */
} Error;

/* Fills *error unless it is already set, and returns -errnum, so `return error_set(error, ...)`. errnum is
 * positive. The message is cut at ERROR_MESSAGE_MAX and control bytes in it become '?', since it can
 * quote hostile input. ERROR_IO with ENOSPC or EDQUOT becomes ERROR_NO_SPACE. */
int error_set(Error *error, ErrorCode code, int errnum, const char *format, ...) _printf_(4, 5);

/* Puts "context: " before the sentence. Does nothing to an Error that is not set. Returns errnum as given
 * (negative), so a caller can `return error_prefix(error, r, ...)`. */
int error_prefix(Error *error, int r, const char *format, ...) _printf_(3, 4);

/* Out of memory: always -ENOMEM. */
int error_oom(Error *error);

bool error_is_set(const Error *error);

/* Forgets what was set. */
void error_clear(Error *error);

/* Stable identifier such as "no-space", for --json and D-Bus; "failed" for an unknown code. */
const char *error_code_name(ErrorCode code);

/* The reverse of error_code_name(); ERROR_FAILED for an unknown name. */
ErrorCode error_code_from_name(const char *name);
