/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"
#include "test.h"

TEST(reads_content_ranges)
{
        uint64_t first, last;
        CHECK_OK(http_parse_content_range(" bytes 0-99/200\r\n", &first, &last));
        CHECK_EQ(first, 0);
        CHECK_EQ(last, 99);
        CHECK_OK(http_parse_content_range("bytes 4294967296-8589934592/*", &first, &last));
        CHECK_EQ(first, 4294967296);
        CHECK_EQ(last, 8589934592);
}

TEST(rejects_what_is_no_range)
{
        static const char *const bad[] = { "", "bytes", "bytes */200", "bytes 5-4/9", "bytes -5/9",
                "bytes 1-/9", "bytes a-b/9", "octets 0-1/2", "bytes 99999999999999999999-1/2",
                "bytes 1-99999999999999999999/2", "bytes 0-9", "bytes +1-2/3", "bytes 1- 2/3" };
        uint64_t first, last;
        for (size_t i = 0; i < ELEMENTS(bad); i++)
                if (http_parse_content_range(bad[i], &first, &last) != -EBADMSG)
                        TEST_FAIL("accepted: \"%s\"", bad[i]);
}

TEST_MAIN
