/* SPDX-License-Identifier: Apache-2.0 */
#include "canonical-json.h"
#include "json.h"
#include "test.h"

#define TEXT_MAX 4096

/* The canonical form of a JSON text. */
static int canonical(const char *text, Buffer *ret)
{
        _cleanup_json_ json_t *value = NULL;
        int r = json_parse(text, strlen(text), TEXT_MAX, "text", &value, NULL);

        return r < 0 ? r : canonical_json_append(ret, value, NULL);
}

#define CHECK_CANONICAL(text, expected)                                                                     \
        do {                                                                                                \
                _cleanup_buffer_ Buffer _form = BUFFER_WITH_CAP(TEXT_MAX);                                  \
                CHECK_OK(canonical(text, &_form));                                                          \
                CHECK_STR((char *)_form.data, expected);                                                    \
        } while (0)

TEST(drops_white_space_and_sorts_members)
{
        CHECK_CANONICAL(" { \"b\" : [ 1 , true ] , \"a\" : { \"z\" : null , \"\" : false } } ",
                        "{\"a\":{\"\":false,\"z\":null},\"b\":[1,true]}");
        CHECK_CANONICAL("[]", "[]");
        CHECK_CANONICAL("{}", "{}");
}

/* UTF-16 would put U+10000, a surrogate pair, before U+E000. */
TEST(sorts_by_code_point)
{
        CHECK_CANONICAL("{\"\\ud800\\udc00\":1,\"\\ue000\":2,\"Z\":3,\"a\":4,\"\\u00e9\":5}",
                        "{\"Z\":3,\"a\":4,\"\xc3\xa9\":5,\"\xee\x80\x80\":2,\"\xf0\x90\x80\x80\":1}");
        CHECK_CANONICAL("{\"a\":1,\"aa\":2,\"a-\":3,\"A\":4}", "{\"A\":4,\"a\":1,\"a-\":3,\"aa\":2}");
}

TEST(escapes_only_quote_and_backslash)
{
        CHECK_CANONICAL("[\"\\\" \\\\ \\/ \\n \\t \\u0001 \\u007f \\u20ac\"]",
                        "[\"\\\" \\\\ / \n \t \x01 \x7f \xe2\x82\xac\"]");
}

TEST(keeps_every_64_bit_integer)
{
        CHECK_CANONICAL("[9223372036854775807,-9223372036854775808,9007199254740993,0,-0]",
                        "[9223372036854775807,-9223372036854775808,9007199254740993,0,0]");
}

TEST(keeps_a_nul_inside_a_string)
{
        _cleanup_buffer_ Buffer form = BUFFER_WITH_CAP(TEXT_MAX);

        CHECK_OK(canonical("[\"a\\u0000b\"]", &form));
        CHECK_EQ(form.size, 7);
        CHECK_MEM(form.data, "[\"a\0b\"]", 7);
}

TEST(refuses_what_has_no_canonical_form)
{
        static const char *const bad[] = { "[1.0]", "[1e2]", "[-0.0]", "{\"a\":{\"b\":[0.1]}}",
                "[9223372036854775808]", "{\"a\":1,\"a\":1}", "[\"\\ud800\"]", "[\"\xc0\xaf\"]", "[1] x",
                "[01]", "" };

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                _cleanup_buffer_ Buffer form = BUFFER_WITH_CAP(TEXT_MAX);

                CHECK_EQ(canonical(bad[i], &form), -EBADMSG);
        }
}

TEST(stops_at_the_cap)
{
        _cleanup_buffer_ Buffer form = BUFFER_WITH_CAP(4);
        Error error = { 0 };
        _cleanup_json_ json_t *value = json_pack("[i,i,i]", 1, 2, 3);

        CHECK_EQ(canonical_json_append(&form, value, &error), -E2BIG);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
}

TEST_MAIN
