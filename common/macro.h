/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Scope-bound cleanup and the few macros that every file may use. A destructor passed to
 * DEFINE_CLEANUP accepts NULL and returns NULL, so `p = thing_free(p)` leaves nothing dangling. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1024) * KIB)
#define GIB (UINT64_C(1024) * MIB)

#define _cleanup_(function) __attribute__((__cleanup__(function)))
#define _printf_(format, first) __attribute__((__format__(__printf__, format, first)))
#define _unused_ __attribute__((__unused__))
#define _noreturn_ __attribute__((__noreturn__))

/* Defines the function `name##p` for use with _cleanup_: calls `name` on a non-NULL pointer. */
#define DEFINE_CLEANUP(type, name)                                                                           \
        static inline void name##p(type *pointer)                                                            \
        {                                                                                                    \
                if (*pointer)                                                                                \
                        name(*pointer);                                                                      \
        }

static inline void freep(void *pointer)
{
        free(*(void **)pointer);
}

/* Closes a descriptor, keeping errno; accepts -1. Returns -1. */
static inline int fd_close(int fd)
{
        if (fd >= 0) {
                int saved = errno;
                (void)close(fd);
                errno = saved;
        }
        return -1;
}

static inline void fd_closep(int *fd)
{
        *fd = fd_close(*fd);
}

static inline void file_closep(FILE **file)
{
        if (*file)
                (void)fclose(*file);
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_fd_ _cleanup_(fd_closep)
#define _cleanup_file_ _cleanup_(file_closep)

/* Hands ownership of a pointer, or of a descriptor, to the caller of the present scope. */
#define TAKE_PTR(pointer)                                                                                    \
        ({                                                                                                   \
                __typeof__(pointer) *_address = &(pointer);                                                  \
                __typeof__(pointer) _taken = *_address;                                                      \
                *_address = NULL;                                                                            \
                _taken;                                                                                      \
        })
#define TAKE_FD(fd)                                                                                          \
        ({                                                                                                   \
                int *_address = &(fd);                                                                       \
                int _taken = *_address;                                                                      \
                *_address = -1;                                                                              \
                _taken;                                                                                      \
        })

/* Sums and products of untrusted sizes: true on overflow, and then *ret is not to be used. */
#define ADD_OVERFLOWS(a, b, ret) __builtin_add_overflow((a), (b), (ret))
#define MUL_OVERFLOWS(a, b, ret) __builtin_mul_overflow((a), (b), (ret))
