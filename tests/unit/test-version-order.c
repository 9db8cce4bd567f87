/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "version-order.h"

/* Each older than the next: the specification's order of marks, numbers and letters. */
TEST(versions_are_in_the_order_of_the_specification)
{
        static const char *const rising[] = { "~1", "", "A", "B", "Ba", "a", "0", "1~rc1", "1", "1-1", "1-2",
                "1^", "1^1", "1.0", "1.0a", "1.1", "1.10", "02", "2.2~rc1", "2.2", "2a", "9", "10",
                "20240101.2" };

        for (size_t i = 0; i < ELEMENTS(rising); i++)
                for (size_t j = 0; j < ELEMENTS(rising); j++) {
                        int r = version_compare(rising[i], rising[j]);

                        if ((i < j) != (r < 0) || (i == j) != (r == 0))
                                TEST_FAIL("\"%s\" against \"%s\" gives %d", rising[i], rising[j], r);
                }
}

TEST(equal_versions_may_be_spelt_differently)
{
        CHECK_EQ(version_compare("1_2", "1:2"), 0);
        CHECK_EQ(version_compare("001.02", "1.2"), 0);
}

TEST(names_take_only_their_alphabet)
{
        char text[VERSION_MAX + 2];

        CHECK(version_is_valid("2024.1-3~rc1^2"));
        CHECK(!version_is_valid(""));
        CHECK(!version_is_valid(".1"));
        CHECK(!version_is_valid("1+2"));
        CHECK(!version_is_valid("1_2"));
        CHECK(!version_is_valid("1/2"));
        CHECK(image_id_is_valid("container-host"));
        CHECK(!image_id_is_valid("Host"));
        CHECK(!image_id_is_valid("-host"));
        memset(text, 'a', sizeof(text));
        text[VERSION_MAX] = 0;
        CHECK(version_is_valid(text) && image_id_is_valid(text));
        text[VERSION_MAX] = 'a';
        text[VERSION_MAX + 1] = 0;
        CHECK(!version_is_valid(text) && !image_id_is_valid(text));
}

TEST_MAIN
