/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Unit tests in TAP. A test file is:
 *
 *     TEST(adds_two_numbers) { CHECK_EQ(add(1, 2), 3); }
 *     TEST_MAIN
 *
 * A failed CHECK prints where and what, marks the test as failed and leaves the test function. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TESTS_MAX 512

typedef struct TestCase {
        const char *name;
        void (*run)(void);
} TestCase;

static TestCase test_cases[TESTS_MAX];
static unsigned test_count;
static int test_failed;
static const char *test_skipped;

static inline void test_register(const char *name, void (*run)(void))
{
        if (test_count >= TESTS_MAX)
                abort();
        test_cases[test_count++] = (TestCase){ name, run };
}

#define TEST(name)                                                                                           \
        static void test_##name(void);                                                                       \
        __attribute__((constructor)) static void register_##name(void)                                       \
        {                                                                                                    \
                test_register(#name, test_##name);                                                           \
        }                                                                                                    \
        static void test_##name(void)

#define TEST_FAIL(...)                                                                                       \
        do {                                                                                                 \
                printf("# %s:%d: ", __FILE__, __LINE__);                                                     \
                printf(__VA_ARGS__);                                                                         \
                printf("\n");                                                                                \
                test_failed = 1;                                                                             \
                return;                                                                                      \
        } while (0)

/* Leaves the test function: what it needs (a tool, a privilege) is not on this machine. */
#define TEST_SKIP(reason)                                                                                    \
        do {                                                                                                 \
                test_skipped = (reason);                                                                     \
                return;                                                                                      \
        } while (0)

#define CHECK(condition)                                                                                     \
        do {                                                                                                 \
                if (!(condition))                                                                            \
                        TEST_FAIL("not so: %s", #condition);                                                 \
        } while (0)

/* Integers, compared as intmax_t. */
#define CHECK_EQ(a, b)                                                                                       \
        do {                                                                                                 \
                intmax_t _a = (intmax_t)(a), _b = (intmax_t)(b);                                             \
                if (_a != _b)                                                                                \
                        TEST_FAIL("%s is %" PRIdMAX ", not %s, %" PRIdMAX, #a, _a, #b, _b);                  \
        } while (0)

#define CHECK_OK(expression)                                                                                 \
        do {                                                                                                 \
                intmax_t _r = (intmax_t)(expression);                                                        \
                if (_r < 0)                                                                                  \
                        TEST_FAIL("%s failed: %s", #expression, strerror((int)-_r));                         \
        } while (0)

#define CHECK_STR(a, b)                                                                                      \
        do {                                                                                                 \
                const char *_a = (a), *_b = (b);                                                             \
                if (!_a || !_b || strcmp(_a, _b) != 0)                                                       \
                        TEST_FAIL("%s is \"%s\", not \"%s\"", #a, _a ? _a : "(null)", _b ? _b : "(null)");   \
        } while (0)

#define CHECK_MEM(a, b, size)                                                                                \
        do {                                                                                                 \
                if (memcmp((a), (b), (size)) != 0)                                                           \
                        TEST_FAIL("%s and %s differ", #a, #b);                                               \
        } while (0)

#define TEST_MAIN                                                                                            \
        int main(void)                                                                                       \
        {                                                                                                    \
                unsigned failures = 0;                                                                       \
                printf("1..%u\n", test_count);                                                               \
                for (unsigned i = 0; i < test_count; i++) {                                                  \
                        test_failed = 0;                                                                     \
                        test_skipped = NULL;                                                                 \
                        test_cases[i].run();                                                                 \
                        failures += test_failed ? 1 : 0;                                                     \
                        printf("%sok %u - %s%s%s\n", test_failed ? "not " : "", i + 1, test_cases[i].name,   \
                                        test_skipped ? " # SKIP " : "", test_skipped ? test_skipped : "");   \
                        fflush(stdout);                                                                      \
                }                                                                                            \
                return failures ? EXIT_FAILURE : EXIT_SUCCESS;                                               \
        }
