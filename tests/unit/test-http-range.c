/* SPDX-License-Identifier: Apache-2.0 */
#include "http-headers.h"
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

TEST(takes_values_of_headers)
{
        char value[8];
        CHECK(http_header_value("ETag:  \"a\" \r\n", 13, "etag:", value, sizeof(value)));
        CHECK_STR(value, "\"a\"");
        CHECK(http_header_value("etag:0123456789", 15, "etag:", value, sizeof(value)));
        CHECK_STR(value, "0123456");
        CHECK(http_header_value("ETag:", 5, "etag:", value, sizeof(value)));
        CHECK_STR(value, "");
        CHECK(!http_header_value("ETa", 3, "etag:", value, sizeof(value)));
        CHECK(!http_header_value("X-ETag: 1", 9, "etag:", value, sizeof(value)));
}

TEST(knows_entity_tags)
{
        static const char *const good[] = { "\"\"", "\"5f1-62a\"", "W/\"x\"" };
        static const char *const bad[] = { "", "\"", "W/", "W/\"", "x", "'x'", "\"a\"b\"", "\"a\r\nX: 1\"",
                "\"a b\"", "\"\x7f\"", "\"\xc3\xa9\"" };
        char longest[HTTP_ETAG_MAX + 1] = { 0 };
        for (size_t i = 0; i < ELEMENTS(good); i++)
                CHECK(http_etag_is_valid(good[i]));
        for (size_t i = 0; i < ELEMENTS(bad); i++)
                if (http_etag_is_valid(bad[i]))
                        TEST_FAIL("accepted: %s", bad[i]);
        memset(longest, 'a', HTTP_ETAG_MAX);
        longest[0] = longest[HTTP_ETAG_MAX - 1] = '"';
        CHECK(!http_etag_is_valid(longest));
        longest[HTTP_ETAG_MAX - 2] = '"';
        longest[HTTP_ETAG_MAX - 1] = '\0';
        CHECK(http_etag_is_valid(longest));
}

TEST(a_tag_of_what_changed_just_now_is_not_believed)
{
        CHECK(http_etag_is_settled(-1, -1)); /* a tag of the content, maybe */
        CHECK(!http_etag_is_settled(1000, -1));
        CHECK(!http_etag_is_settled(1000, 1000));
        CHECK(!http_etag_is_settled(1000, 1001));
        CHECK(!http_etag_is_settled(1000, 900));
        CHECK(http_etag_is_settled(1000, 1002));
        CHECK(!http_etag_is_settled(INT64_MAX, INT64_MAX));
}

TEST_MAIN
