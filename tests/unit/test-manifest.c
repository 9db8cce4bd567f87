/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "manifest.h"
#include "test.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define REFERENCE(path, more)                                                                               \
        "{\"path\":\"" path "\",\"size\":1000,\"sha256\":\"" HASH                                           \
        "\",\"index-size\":100,\"index-sha256\":\"" HASH "\",\"memory\":1000000" more "}"
#define FROM ",\"from\":{\"root-hash\":\"" HASH "\",\"uki-sha256\":\"" OTHER "\"}"
#define IMAGE(size, payloads)                                                                               \
        "{\"size\":" size ",\"sha256\":\"" HASH "\",\"verity\":{\"salt\":\"00ff\",\"root-hash\":\"" OTHER   \
        "\"},\"payloads\":[" payloads "]}"
#define MANIFEST_WITH(version, root, uki)                                                                   \
        "{\"format\":1,\"id\":\"host\",\"version\":\"" version                                              \
        "\",\"architecture\":\"x86-64\",\"minimum-engine\":1,"                                              \
        "\"notes\":\"n\",\"images\":{\"root\":" root ",\"uki\":" uki "}}"
#define UKI IMAGE("7", REFERENCE("payloads/u", ""))
#define SIGNED_BY(signatures)                                                                               \
        MANIFEST_WITH("1", IMAGE("4096", REFERENCE("payloads/a", "")),                                      \
                        "{\"size\":7,\"sha256\":\"" HASH "\",\"secure-boot\":" signatures                   \
                        ",\"payloads\":[" REFERENCE("payloads/u", "") "]}")
#define ROOT(size, payloads) MANIFEST_WITH("1", IMAGE(size, payloads), UKI)

static const char sample[] = ROOT("8192", REFERENCE("payloads/a", "") "," REFERENCE("payloads/b", FROM));

static int parse(const char *text, Manifest **ret, Error *error)
{
        return manifest_parse(text, strlen(text), ret, error);
}

TEST(format_and_parse_agree)
{
        _cleanup_(manifest_freep) Manifest *manifest = NULL, *again = NULL;
        _cleanup_free_ char *text = NULL, *second = NULL;

        CHECK_OK(parse(sample, &manifest, NULL));
        CHECK_OK(manifest_format(manifest, &text, NULL));
        CHECK_OK(parse(text, &again, NULL));
        CHECK_OK(manifest_format(again, &second, NULL));
        CHECK_STR(text, second);
        CHECK_STR(again->version, "1");
        CHECK_EQ(again->images[IMAGE_ROOT].payload_count, 2);
        CHECK_EQ(again->images[IMAGE_ROOT].verity.salt_size, 2);
        CHECK_EQ(again->images[IMAGE_ROOT].verity.root_hash[0], 0x11);
        CHECK_EQ(again->images[IMAGE_UKI].size_bytes, 7);
}

TEST(signatures_of_the_uki_are_kept)
{
        static const char text[] = SIGNED_BY("{\"digest\":\"" HASH "\",\"signatures\":[\"3082aa\",\"30\"]}");
        _cleanup_(manifest_freep) Manifest *manifest = NULL, *again = NULL, *silent = NULL;
        _cleanup_free_ char *formatted = NULL;
        const ImageSignatures *signatures;

        CHECK_OK(parse(text, &manifest, NULL));
        CHECK_OK(manifest_format(manifest, &formatted, NULL));
        CHECK_OK(parse(formatted, &again, NULL));
        signatures = &again->images[IMAGE_UKI].signatures;
        CHECK(signatures->is_known);
        CHECK_EQ(signatures->digest[1], 0x23);
        CHECK_EQ(signatures->count, 2);
        CHECK_EQ(signatures->items[0].size, 3);
        CHECK_MEM(signatures->items[0].data, "\x30\x82\xaa", 3);
        CHECK_OK(parse(sample, &silent, NULL));
        CHECK(!silent->images[IMAGE_UKI].signatures.is_known);
}

TEST(the_delta_is_chosen_only_for_exactly_its_source)
{
        _cleanup_(manifest_freep) Manifest *manifest = NULL;
        const ManifestImage *root;
        const PayloadReference *delta;

        CHECK_OK(parse(sample, &manifest, NULL));
        root = &manifest->images[IMAGE_ROOT];
        delta = &root->payloads[1];
        CHECK(manifest_choose_payload(root, delta->source_root_hash, delta->source_uki_sha256) == delta);
        CHECK(manifest_choose_payload(root, delta->source_uki_sha256, delta->source_uki_sha256)->is_full);
        CHECK(manifest_choose_payload(root, delta->source_root_hash, NULL)->is_full);
        CHECK(manifest_choose_payload(root, NULL, NULL)->is_full);
}

TEST(texts_that_break_a_rule_are_refused)
{
#define FULL REFERENCE("payloads/a", "")
        static const struct {
                const char *rule, *text;
        } bad[] = {
                { "not json", "nonsense" },
                { "trailing bytes", "{\"format\":1} x" },
                { "bad version", MANIFEST_WITH("1/2", IMAGE("4096", FULL), UKI) },
                { "image missing", "{\"format\":1,\"id\":\"host\",\"version\":\"1\",\"architecture\":\"a\","
                                   "\"minimum-engine\":1,\"images\":{}}" },
                { "root of no whole blocks", ROOT("8191", FULL) },
                { "empty image", ROOT("0", FULL) },
                { "image too large", ROOT("70000000000000", FULL) },
                { "no payload", ROOT("4096", "") },
                { "first payload is a delta", ROOT("4096", REFERENCE("payloads/b", FROM)) },
                { "two full payloads", ROOT("4096", FULL "," FULL) },
                { "payload path outside", ROOT("4096", REFERENCE("metadata/root.json", "")) },
                { "payload path going up", ROOT("4096", REFERENCE("payloads/../x", "")) },
                { "payload path with an empty part", ROOT("4096", REFERENCE("payloads//x", "")) },
                { "payload path to a folder", ROOT("4096", REFERENCE("payloads/", "")) },
                { "payload path with a space", ROOT("4096", REFERENCE("payloads/a b", "")) },
                { "payload not an object", ROOT("4096", "1") },
                { "source not an object", ROOT("4096", FULL "," REFERENCE("payloads/b", ",\"from\":1")) },
                { "memory over the limit",
                                ROOT("4096", "{\"path\":\"payloads/a\",\"size\":1000,\"sha256\":\"" HASH
                                             "\",\"index-size\":100,\"index-sha256\":\"" HASH
                                             "\",\"memory\":1000000000}") },
                { "index longer than the payload",
                                ROOT("4096", "{\"path\":\"payloads/a\",\"size\":1000,\"sha256\":\"" HASH
                                             "\",\"index-size\":1001,\"index-sha256\":\"" HASH
                                             "\",\"memory\":1}") },
                { "signatures without a digest", SIGNED_BY("{\"signatures\":[]}") },
                { "a digest that is short", SIGNED_BY("{\"digest\":\"00\",\"signatures\":[]}") },
                { "no signatures", SIGNED_BY("{\"digest\":\"" HASH "\"}") },
                { "an empty signature", SIGNED_BY("{\"digest\":\"" HASH "\",\"signatures\":[\"\"]}") },
                { "a signature that is no text", SIGNED_BY("{\"digest\":\"" HASH "\",\"signatures\":[1]}") },
                { "a signature not in hexadecimal",
                                SIGNED_BY("{\"digest\":\"" HASH "\",\"signatures\":[\"30x0\"]}") },
                { "half a byte", SIGNED_BY("{\"digest\":\"" HASH "\",\"signatures\":[\"300\"]}") },
                { "five signatures", SIGNED_BY("{\"digest\":\"" HASH "\",\"signatures\":"
                                               "[\"30\",\"30\",\"30\",\"30\",\"30\"]}") },
                { "short hash", ROOT("4096", "{\"path\":\"payloads/a\",\"size\":1000,\"sha256\":\"00"
                                             "\",\"index-size\":100,\"index-sha256\":\"" HASH
                                             "\",\"memory\":1}") },
        };

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                Manifest *manifest = NULL;
                Error error = { 0 };

                if (parse(bad[i].text, &manifest, &error) != -EBADMSG || error.code != ERROR_UNTRUSTED ||
                                manifest)
                        TEST_FAIL("accepted: %s", bad[i].rule);
        }
}

TEST(a_newer_format_is_incompatible_not_untrusted)
{
        Manifest *manifest = NULL;
        Error error = { 0 };

        CHECK_EQ(parse("{\"format\":2}", &manifest, &error), -EPROTONOSUPPORT);
        CHECK_EQ(error.code, ERROR_INCOMPATIBLE);
}

TEST(every_truncation_is_refused)
{
        for (size_t size = 0; size < sizeof(sample) - 1; size++) {
                Manifest *manifest = NULL;

                CHECK_EQ(manifest_parse(sample, size, &manifest, NULL), -EBADMSG);
        }
}

TEST_MAIN
