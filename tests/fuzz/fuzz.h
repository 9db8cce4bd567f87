/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What every fuzz target offers (libFuzzer's entry point), and how it says that something must not be. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                     \
        do {                                                                                                \
                if (!(condition)) {                                                                         \
                        (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);       \
                        abort();                                                                            \
                }                                                                                           \
        } while (0)
