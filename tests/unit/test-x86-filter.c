/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "test.h"
#include "x86-filter.h"

#define ALL UINT64_MAX

/* At 100 a call, at 110 a load, at 120 a jump out of the bytes, at 130 a call that is not linked yet. */
static void make_code(uint8_t *code, size_t size)
{
        static const uint8_t call[] = { 0xe8, 0x10, 0x00, 0x00, 0x00 },
                             load[] = { 0x48, 0x8b, 0x05, 0xf0, 0xff, 0xff, 0xff },
                             jump[] = { 0xe9, 0x00, 0x10, 0x00, 0x00 }, open[] = { 0xe8, 0, 0, 0, 0 };

        memset(code, 0x90, size);
        memcpy(code + 100, call, sizeof(call));
        memcpy(code + 110, load, sizeof(load));
        memcpy(code + 120, jump, sizeof(jump));
        memcpy(code + 130, open, sizeof(open));
}

TEST(distances_become_places)
{
        uint8_t code[400], plain[400];
        static const uint8_t place_of_call[] = { 0xe8, 105 + 16, 0, 0, 0 },
                             place_of_load[] = { 0x48, 0x8b, 0x05, 117 - 16, 0, 0, 0 };

        make_code(plain, sizeof(plain));
        make_code(code, sizeof(code));
        x86_filter(code, sizeof(code), ALL);
        CHECK_MEM(code + 100, place_of_call, sizeof(place_of_call));
        CHECK_MEM(code + 110, place_of_load, sizeof(place_of_load));
        CHECK_MEM(code, plain, 100);
        CHECK_MEM(code + 117, plain + 117, sizeof(code) - 117);
        x86_unfilter(code, sizeof(code), ALL);
        CHECK_MEM(code, plain, sizeof(code));
}

TEST(only_the_parts_named_are_filtered)
{
        enum { PART = 256 * 1024, SIZE = 2 * PART + 500 };
        uint8_t *code = malloc(SIZE), *plain = malloc(SIZE);

        CHECK(code && plain);
        make_code(plain, PART);
        make_code(plain + PART, PART);
        make_code(plain + 2 * (size_t)PART, 500);
        memcpy(code, plain, SIZE);
        x86_filter(code, SIZE, 5);
        CHECK(memcmp(code, plain, PART) != 0);
        CHECK_MEM(code + PART, plain + PART, PART);
        CHECK(memcmp(code + 2 * (size_t)PART, plain + 2 * (size_t)PART, 500) != 0);
        x86_unfilter(code, SIZE, 5);
        CHECK_MEM(code, plain, SIZE);
        x86_filter(code, SIZE, 0);
        CHECK_MEM(code, plain, SIZE);
        free(code);
        free(plain);
}

TEST(sixty_four_parts_are_enough)
{
        CHECK_EQ(x86_part_size(1), 256 * KIB);
        CHECK_EQ(x86_part_size(16 * MIB), 256 * KIB);
        CHECK_EQ(x86_part_size(16 * MIB + 1), 512 * KIB);
        CHECK_EQ(x86_part_size(32 * MIB), 512 * KIB);
}

/* Bytes among which nearly all places look like fields, and distances like any: each way undoes the other.
 */
TEST(any_bytes_come_back)
{
        static const uint8_t alphabet[] = { 0xe8, 0xe9, 0x8b, 0x05, 0xff, 0xfe, 0x00, 0x01, 0x8d, 0x0d,
                0x48 };
        uint8_t bytes[300], filtered[300];
        uint32_t state = 1;
        unsigned changed = 0;

        for (unsigned round = 0; round < 20000; round++) {
                size_t size = 1 + round % sizeof(bytes);

                for (size_t i = 0; i < size; i++) {
                        state = state * 1664525 + 1013904223;
                        bytes[i] = alphabet[(state >> 16) % sizeof(alphabet)];
                        if ((state >> 28) == 0 && i >= 4)
                                write_le32(bytes + i - 3, (state >> 16 & 0x3ff) - 512);
                }
                memcpy(filtered, bytes, size);
                x86_filter(filtered, size, ALL);
                changed += memcmp(filtered, bytes, size) != 0;
                x86_unfilter(filtered, size, ALL);
                CHECK_MEM(filtered, bytes, size);
                x86_unfilter(filtered, size, ALL);
                x86_filter(filtered, size, ALL);
                CHECK_MEM(filtered, bytes, size);
        }
        CHECK(changed > 2000);
}

TEST_MAIN
