/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"
#include "strv.h"
#include "test.h"

static int parse(const char *text, Channel **ret, Error *error)
{
        return channel_parse(text, strlen(text), ret, error);
}

#define HEAD "{\"format\":1,\"name\":\"stable\",\"id\":\"host\",\"releases\":["
#define RELEASE(version, more) "{\"version\":\"" version "\",\"architectures\":[\"x86-64\"]" more "}"

static const char sample[] = HEAD RELEASE("1", "") "," RELEASE("2", ",\"floor\":true") "," RELEASE(
                "3", "") "," RELEASE("4", ",\"wave\":{\"start\":1000,\"seconds\":100}") "," RELEASE("5",
                ",\"withdrawn\":{\"reason\":\"eats disks\"}") "]}";

static const char *next(const Channel *channel, const char *current, double fraction, uint64_t now)
{
        const ChannelRelease *release = channel_next(channel, current, "x86-64", fraction, now, NULL, NULL);

        return release ? release->version : "none";
}

TEST(a_host_never_passes_a_floor)
{
        _cleanup_(channel_freep) Channel *channel = NULL;

        CHECK_OK(parse(sample, &channel, NULL));
        CHECK_STR(next(channel, "1", 0, 5000), "2");
        CHECK_STR(next(channel, "0.5", 0, 5000), "2");
        CHECK_STR(next(channel, "2", 0, 5000), "4");
}

TEST(a_wave_lets_hosts_in_one_after_the_other)
{
        _cleanup_(channel_freep) Channel *channel = NULL;

        CHECK_OK(parse(sample, &channel, NULL));
        CHECK_STR(next(channel, "2", 0, 999), "3");
        CHECK_STR(next(channel, "2", 0, 1000), "4");
        CHECK_STR(next(channel, "2", 0.5, 1049), "3");
        CHECK_STR(next(channel, "2", 0.5, 1050), "4");
        CHECK_STR(next(channel, "2", 0.999, 1100), "4");
}

TEST(withdrawn_releases_and_other_architectures_are_not_offered)
{
        _cleanup_(channel_freep) Channel *channel = NULL;

        CHECK_OK(parse(sample, &channel, NULL));
        CHECK_STR(next(channel, "4", 0, 5000), "none");
        CHECK_STR(next(channel, "5", 0, 5000), "none");
        CHECK(!channel_next(channel, "2", "arm64", 0, 5000, NULL, NULL));
        channel_find(channel, "4")->is_withdrawn = true;
        CHECK_STR(next(channel, "3", 0, 5000), "none");
        channel_find(channel, "2")->is_withdrawn = true;
        CHECK_STR(next(channel, "1", 0, 5000), "3");
}

static bool skip_one(void *data, const char *version)
{
        return strcmp(version, data) == 0;
}

TEST(a_skipped_release_falls_back_but_a_skipped_floor_still_holds)
{
        _cleanup_(channel_freep) Channel *channel = NULL;

        CHECK_OK(parse(sample, &channel, NULL));
        CHECK_STR(channel_next(channel, "2", "x86-64", 0, 5000, skip_one, (char *)"4")->version, "3");
        CHECK(!channel_next(channel, "1", "x86-64", 0, 5000, skip_one, (char *)"2"));
}

TEST(format_and_parse_agree)
{
        _cleanup_(channel_freep) Channel *channel = NULL, *again = NULL;
        _cleanup_free_ char *text = NULL, *second = NULL;

        CHECK_OK(parse(sample, &channel, NULL));
        CHECK_OK(channel_format(channel, &text, NULL));
        CHECK_OK(parse(text, &again, NULL));
        CHECK_OK(channel_format(again, &second, NULL));
        CHECK_STR(text, second);
        CHECK_EQ(again->releases[3].wave_seconds, 100);
        CHECK_STR(again->releases[4].withdrawn_reason, "eats disks");
}

TEST(add_keeps_the_order_and_refuses_a_version_twice)
{
        _cleanup_(channel_freep) Channel *channel = NULL;
        ChannelRelease *release;

        CHECK_OK(parse(sample, &channel, NULL));
        CHECK_OK(channel_add(channel, "2.5", &release, NULL));
        CHECK_STR(channel->releases[2].version, "2.5");
        CHECK(release == &channel->releases[2] && !release->architectures);
        CHECK_EQ(channel_add(channel, "2.5", &release, NULL), -EEXIST);
        CHECK_OK(channel_add(channel, "6~rc1", &release, NULL));
        CHECK_STR(channel->releases[6].version, "6~rc1");
}

TEST(texts_that_break_a_rule_are_refused)
{
        static const struct {
                const char *rule, *text;
        } bad[] = {
                { "not json", "{" },
                { "no format", "{\"name\":\"a\",\"id\":\"a\",\"releases\":[]}" },
                { "channel name with a slash",
                                "{\"format\":1,\"name\":\"a/b\",\"id\":\"a\",\"releases\":[]}" },
                { "empty id", "{\"format\":1,\"name\":\"a\",\"id\":\"\",\"releases\":[]}" },
                { "releases not an array", "{\"format\":1,\"name\":\"a\",\"id\":\"a\",\"releases\":{}}" },
                { "out of order", HEAD RELEASE("2", "") "," RELEASE("1", "") "]}" },
                { "version twice", HEAD RELEASE("2", "") "," RELEASE("2", "") "]}" },
                { "version with a slash", HEAD RELEASE("../2", "") "]}" },
                { "release not an object", HEAD "3]}" },
                { "no architectures", HEAD "{\"version\":\"1\",\"architectures\":[]}]}" },
                { "architecture twice", HEAD "{\"version\":\"1\",\"architectures\":[\"a\",\"a\"]}]}" },
                { "architecture not a string", HEAD "{\"version\":\"1\",\"architectures\":[1]}]}" },
                { "floor not a truth value", HEAD RELEASE("1", ",\"floor\":1") "]}" },
                { "negative wave", HEAD RELEASE("1", ",\"wave\":{\"start\":-1,\"seconds\":1}") "]}" },
                { "wave without end", HEAD RELEASE("1", ",\"wave\":{\"start\":1,\"seconds\":"
                                                        "9223372036854775807}") "]}" },
                { "withdrawn without a reason", HEAD RELEASE("1", ",\"withdrawn\":{}") "]}" },
                { "member twice",
                                "{\"format\":1,\"format\":1,\"name\":\"a\",\"id\":\"a\",\"releases\":[]}" },
        };

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                Channel *channel = NULL;
                Error error = { 0 };

                if (parse(bad[i].text, &channel, &error) != -EBADMSG || error.code != ERROR_UNTRUSTED ||
                                channel)
                        TEST_FAIL("accepted: %s", bad[i].rule);
        }
}

TEST(a_newer_format_is_incompatible_not_untrusted)
{
        Channel *channel = NULL;
        Error error = { 0 };

        CHECK_EQ(parse("{\"format\":2}", &channel, &error), -EPROTONOSUPPORT);
        CHECK_EQ(error.code, ERROR_INCOMPATIBLE);
}

TEST_MAIN
