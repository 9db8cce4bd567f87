/* SPDX-License-Identifier: Apache-2.0 */
#include "recomp-sample.h"
#include "sha256.h"
#include "test.h"

/* A delta may hold what an encoder of these libraries will make on a host, so what they make is part of the
 * format. When this test fails, a library writes other bytes than those that were released: hosts that have
 * it cannot use deltas with such streams (they fetch the full payload), and the coding needs a new number
 * for the new bytes. Never change a hash here. */

#define SIZE ((size_t)(9 * MIB))
#define SHORT_SIZE ((size_t)(300 * KIB))

static const struct {
        RecompCoding coding;
        size_t clear_size, packed_size;
        const char *sha256;
} pinned[] = {
        { { RECOMP_LZ4, { 9, 0, 0 } }, SIZE, 1545475,
                        "5172114eb70a2f258e6e58159a2f9a806b8cabdde8b7cb46a60141881982bce7" },
        { { RECOMP_LZ4, { 1, 0, 0 } }, SHORT_SIZE, 51791,
                        "ee4472347c9f31dba9df53a4d9a5e454b3aa0f69dcb3263857a995d670309f8b" },
        { { RECOMP_LZ4, { 3, 0, 0 } }, SHORT_SIZE, 50123,
                        "3c997b3c6781cba2b8ed7d77ca68df4740838d777104a44f448aa0dd8a56cf86" },
        { { RECOMP_LZ4, { 12, 0, 0 } }, SHORT_SIZE, 49569,
                        "82f750e997a2a4a25ed79cfd2dd863d88b81192b77a37a79d57c307c6734c7f0" },
        { { RECOMP_DEFLATE, { 9, 8, 0 } }, SHORT_SIZE, 48686,
                        "5b4124656d1e57740f1da847c38a9f98a09d05dee23707ca4db167765751ca4a" },
        { { RECOMP_DEFLATE, { 6, 8, 0 } }, SHORT_SIZE, 48965,
                        "86f4a95ff745809883e8535dd5f53bec966d29419ac6351e344c269692ec8f96" },
        { { RECOMP_DEFLATE, { 1, 9, 0 } }, SHORT_SIZE, 50101,
                        "5ba6780fe6e3084f1be4b1685e6cbd7814321160aae4649c53cc3e493c197cc9" },
        { { RECOMP_XZ, { 6, 20, 1 } }, SHORT_SIZE, 48144,
                        "be660bd64e4add7f14300035ac544a2c2b9c7dc910f5f127d27c58e726b1804a" },
        { { RECOMP_XZ, { 0, 18, 36 } }, SHORT_SIZE, 48868,
                        "116ab6ec92bd5b52e885e7b452e64082874d31b0c94acf971cc05aa48438aa8c" },
        { { RECOMP_XZ, { 6, 18, 17 } }, SHORT_SIZE, 48168,
                        "47a0de748dd54de3a4e5ad9298b41c746044061989bcb7df70c5a45d75ce6a01" },
        { { RECOMP_ZSTD, { 3, 1, 0 } }, SHORT_SIZE, 48501,
                        "5ad54a5dfe7d9a7fbf49be6d6a61cf11fa76f3b73b23ef640686886dc362b5ec" },
        { { RECOMP_ZSTD, { 19, 1, 0 } }, SHORT_SIZE, 47619,
                        "40f84084e3130401cdf36ffc9ac1edb5b122d926e4d4b68242115efbc618b7c5" },
        { { RECOMP_ZSTD, { 9, 0, 0 } }, SHORT_SIZE, 47922,
                        "a8431905b5631b6ada4daf16eae8683e01352fe45d15d69b78666cbeba8b60dc" },
};

TEST(encoders_make_the_bytes_they_always_made)
{
        _cleanup_free_ uint8_t *clear = malloc(SIZE), *packed = malloc(SIZE);
        char hex[SHA256_HEX_SIZE];

        CHECK(clear && packed);
        sample_fill(clear, SIZE);
        sha256_hex_of(clear, SIZE, hex);
        CHECK_STR(hex, "640a32be7c495b345123fe44f0ed1e0f1d5392211d22ad3e376002b165526984");
        for (size_t i = 0; i < ELEMENTS(pinned); i++) {
                SampleReader source = { clear, 0, pinned[i].clear_size };
                const RecompReader reader = { sample_read, &source, pinned[i].clear_size };

                CHECK_OK(recomp_encode(&pinned[i].coding, &reader, packed, pinned[i].packed_size, NULL));
                sha256_hex_of(packed, pinned[i].packed_size, hex);
                CHECK_STR(hex, pinned[i].sha256);
        }
}

TEST_MAIN
