/* SPDX-License-Identifier: Apache-2.0 */
#include "http-pause.h"
#include "test.h"

#include <limits.h>

/* With the same chance, which leaves the base as it is. */
static uint64_t base_ms(uint64_t retry_seconds, unsigned round)
{
        uint64_t lowest = http_pause_ms(retry_seconds, round, 0);

        return http_pause_ms(retry_seconds, round, lowest);
}

TEST(it_doubles_with_each_round)
{
        static const uint64_t expected[] = { 1000, 2000, 4000, 8000, 16000, 32000 };

        for (unsigned round = 0; round < ELEMENTS(expected); round++)
                CHECK_EQ(base_ms(1, round), expected[round]);
        CHECK_EQ(base_ms(7, 0), 7000);
        CHECK_EQ(base_ms(7, 3), 56000);
}

TEST(it_ends_at_a_minute)
{
        static const unsigned rounds[] = { 6, 7, 31, 32, 63, 64, 1000, UINT_MAX };

        for (size_t i = 0; i < ELEMENTS(rounds); i++)
                CHECK_EQ(base_ms(1, rounds[i]), 60000);
        CHECK_EQ(base_ms(45, 1), 60000);
        CHECK_EQ(base_ms(60, 0), 60000);
        CHECK_EQ(base_ms(UINT64_MAX, 0), 60000);
        CHECK_EQ(base_ms(UINT64_MAX, UINT_MAX), 60000);
}

/* From a half to one and a half, both ends among them, and evenly: a host of every ten falls into each
 * tenth. */
TEST(it_is_spread)
{
        static const uint64_t step = UINT64_C(0x9e3779b97f4a7c15); /* visits numbers evenly */
        unsigned counts[10] = { 0 };
        uint64_t chance = 0;

        CHECK_EQ(http_pause_ms(4, 0, 0), 2000);
        CHECK_EQ(http_pause_ms(4, 0, 4000), 6000);
        CHECK_EQ(http_pause_ms(4, 0, 4001), 2000);
        for (unsigned i = 0; i < 10000; i++, chance += step) {
                uint64_t pause = http_pause_ms(60, 2, chance);

                CHECK(pause >= 30000 && pause <= 90000);
                counts[MIN_OF((pause - 30000) / 6000, UINT64_C(9))]++;
        }
        for (size_t i = 0; i < ELEMENTS(counts); i++)
                CHECK(counts[i] > 800 && counts[i] < 1200);
}

TEST(without_a_delay_there_is_a_pause_all_the_same)
{
        CHECK_EQ(http_pause_ms(0, 0, 0), HTTP_PAUSE_MIN_MS);
        CHECK_EQ(http_pause_ms(0, 5, UINT64_MAX), HTTP_PAUSE_MIN_MS);
        CHECK_EQ(http_pause_ms(0, UINT_MAX, 12345), HTTP_PAUSE_MIN_MS);
}

TEST_MAIN
