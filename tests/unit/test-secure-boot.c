/* SPDX-License-Identifier: Apache-2.0 */
#include "secure-boot-scene.h"
#include "test.h"

#include <openssl/evp.h>

/* ---- programs ---- */

TEST(digest_leaves_out_checksum_and_place_of_signatures_alone)
{
        _cleanup_fd_ int fd = pe_sample_open(0);
        uint8_t first[SHA256_SIZE], other[SHA256_SIZE];
        PeImage image;

        CHECK_OK(pe_image_read(fd, &image, NULL));
        CHECK_EQ(image.certificates_bytes, 0);
        CHECK_OK(pe_image_digest(fd, &image, first, NULL));
        for (unsigned i = 0; i < PE_SAMPLE_SIZE; i++) {
                bool is_left_out = (i >= PE_SAMPLE_CHECKSUM && i < PE_SAMPLE_CHECKSUM + 4) ||
                                   (i >= PE_SAMPLE_DIRECTORY && i < PE_SAMPLE_DIRECTORY + 8);
                uint8_t byte;

                CHECK_OK(pread_full(fd, &byte, 1, i));
                byte ^= 1;
                CHECK_OK(pwrite_full(fd, &byte, 1, i));
                CHECK_OK(pe_image_digest(fd, &image, other, NULL));
                if ((memcmp(first, other, SHA256_SIZE) == 0) != is_left_out)
                        TEST_FAIL("byte %u", i);
                byte ^= 1;
                CHECK_OK(pwrite_full(fd, &byte, 1, i));
        }
}

TEST(programs_that_firmwares_read_differently_are_refused)
{
        static const struct {
                const char *what;
                unsigned offset, size;
                uint32_t value;
        } bad[] = {
                { "no MZ", 0, 2, 0 },
                { "header beyond the end", 0x3c, 4, 5000 },
                { "no PE", 64, 4, 0 },
                { "32 bits", 64 + 24, 2, 0x10b },
                { "optional header too short", 64 + 20, 2, 151 },
                { "no directory for signatures", 64 + 24 + 108, 4, 4 },
                { "too many sections", 64 + 6, 2, 97 },
                { "sections beyond the headers", 64 + 24 + 60, 4, 256 },
                { "a gap", PE_SAMPLE_TABLE + 40 + 20, 4, 770 },
                { "sections on top of each other", PE_SAMPLE_TABLE + 40 + 20, 4, 512 },
                { "a section beyond the end", PE_SAMPLE_TABLE + 40 + 16, 4, 257 },
                { "signatures of no size", PE_SAMPLE_DIRECTORY, 4, 1024 },
                { "signatures without a place", PE_SAMPLE_DIRECTORY + 4, 4, 16 },
        };

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                _cleanup_fd_ int fd = pe_sample_open(0);
                uint8_t value[4];
                Error error = { 0 };
                PeImage image;

                write_le32(value, bad[i].value);
                CHECK_OK(pwrite_full(fd, value, bad[i].size, bad[i].offset));
                if (pe_image_read(fd, &image, &error) != -EBADMSG || error.code != ERROR_CORRUPT)
                        TEST_FAIL("accepted: %s", bad[i].what);
        }
}

TEST(signatures_that_are_not_the_end_of_the_file_are_refused)
{
        static const uint32_t bad[][2] = { { 512, 576 }, { 1024, 63 }, { 1024, 56 }, { 1028, 60 },
                { 1024, 8 }, { 1024, UINT32_MAX }, { UINT32_MAX, 64 } };
        PeImage image;

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                _cleanup_fd_ int fd = pe_sample_open(64);
                uint8_t directory[8];

                write_le32(directory, bad[i][0]);
                write_le32(directory + 4, bad[i][1]);
                CHECK_OK(pwrite_full(fd, directory, 8, PE_SAMPLE_DIRECTORY));
                if (pe_image_read(fd, &image, NULL) != -EBADMSG)
                        TEST_FAIL("accepted number %zu", i);
        }
}

/* ---- lists ---- */

TEST(what_is_forbidden_counts_more_than_what_is_allowed)
{
        _cleanup_buffer_ Buffer db = BUFFER_WITH_CAP(KIB * 64), dbx = BUFFER_WITH_CAP(KIB * 64);
        _cleanup_(image_signatures_done) ImageSignatures signatures = { 0 };
        _cleanup_fd_ int fd = pe_sample_open(0);
        uint8_t hash[64], *tbs = NULL;
        unsigned hash_size = 0;
        X509 *certificate;
        int size;

        CHECK_OK(sign_with("ours/db.pem", "ours/db.crt", fd, NULL));
        CHECK_OK(pe_image_read_signatures(fd, &signatures, NULL));
        append_certificate(&db, "ours/db.crt");
        append_certificate(&dbx, "theirs/db.crt");
        append_hash(&dbx, SHA256_GUID, (const uint8_t *)"not this program", 16, 32);
        CHECK_OK(judge(&db, &dbx, fd, NULL));

        append_certificate(&dbx, "ours/db.crt");
        CHECK_EQ(judge(&db, &dbx, fd, NULL), -EKEYREJECTED);

        buffer_clear(&dbx);
        append_hash(&dbx, SHA256_GUID, signatures.digest, 32, 32);
        CHECK_EQ(judge(&db, &dbx, fd, NULL), -EKEYREJECTED);

        certificate = certificate_of("ours/db.crt");
        size = i2d_re_X509_tbs(certificate, &tbs);
        X509_free(certificate);
        buffer_clear(&dbx);
        CHECK(EVP_Digest(tbs, (size_t)size, hash, &hash_size, EVP_sha256(), NULL));
        append_hash(&dbx, X509_SHA256_GUID, hash, 32, 48);
        CHECK_EQ(judge(&db, &dbx, fd, NULL), -EKEYREJECTED);
        buffer_clear(&dbx);
        CHECK(EVP_Digest(tbs, (size_t)size, hash, &hash_size, EVP_sha384(), NULL));
        append_hash(&dbx, X509_SHA384_GUID, hash, 48, 64);
        CHECK_EQ(judge(&db, &dbx, fd, NULL), -EKEYREJECTED);
        OPENSSL_free(tbs);
}

TEST(a_digest_in_db_is_enough_and_a_certificate_hash_there_is_nothing)
{
        _cleanup_buffer_ Buffer db = BUFFER_WITH_CAP(KIB * 64);
        _cleanup_(image_signatures_done) ImageSignatures signatures = { 0 };
        _cleanup_fd_ int fd = pe_sample_open(0);
        Error error = { 0 };

        CHECK_EQ(judge(&db, NULL, fd, &error), -EKEYREJECTED);
        CHECK(strstr(error.message, "not signed"));
        CHECK_OK(pe_image_read_signatures(fd, &signatures, NULL));
        append_hash(&db, X509_SHA256_GUID, signatures.digest, 32, 48);
        CHECK_EQ(judge(&db, NULL, fd, NULL), -EKEYREJECTED);
        append_hash(&db, SHA256_GUID, signatures.digest, 32, 32);
        CHECK_OK(judge(&db, NULL, fd, NULL));
}

TEST(signatures_over_another_digest_are_refused)
{
        _cleanup_(secure_boot_freep) SecureBoot *secure_boot = NULL;
        _cleanup_(image_signatures_done) ImageSignatures signatures = { 0 }, none = { 0 };
        _cleanup_buffer_ Buffer db = BUFFER_WITH_CAP(KIB * 64);
        _cleanup_fd_ int fd = pe_sample_open(0);

        CHECK_OK(sign_with("ours/db.pem", "ours/db.crt", fd, NULL));
        CHECK_OK(pe_image_read_signatures(fd, &signatures, NULL));
        append_certificate(&db, "ours/db.crt");
        CHECK_OK(secure_boot_new(db.data, db.size, NULL, 0, &secure_boot, NULL));
        CHECK_OK(secure_boot_judge(secure_boot, &signatures, NULL));
        signatures.digest[31] ^= 1;
        CHECK_EQ(secure_boot_judge(secure_boot, &signatures, NULL), -EKEYREJECTED);
        CHECK_EQ(secure_boot_judge(secure_boot, &none, NULL), -EKEYREJECTED);
}

TEST(damaged_lists_are_refused)
{
        _cleanup_buffer_ Buffer good = BUFFER_WITH_CAP(KIB * 64);
        _cleanup_(secure_boot_freep) SecureBoot *secure_boot = NULL;
        Error error = { 0 };

        append_hash(&good, SHA256_GUID, (const uint8_t *)"sixteen bytes of", 16, 32);
        CHECK_EQ(good.size, 76);
        for (size_t size = 1; size < good.size; size++)
                if (secure_boot_new(good.data, size, NULL, 0, &secure_boot, NULL) != -EBADMSG)
                        TEST_FAIL("accepted %zu bytes", size);
        for (unsigned i = 0; i < 3; i++) {
                static const uint32_t bad[] = { 0, 1, 15, 27, 77, UINT32_MAX - 27, UINT32_MAX };

                for (size_t j = 0; j < ELEMENTS(bad); j++) {
                        uint8_t copy[76];

                        memcpy(copy, good.data, sizeof(copy));
                        write_le32(copy + 16 + 4 * i, bad[j]);
                        if (i == 1 && bad[j] == 0)
                                continue;
                        if (secure_boot_new(copy, sizeof(copy), NULL, 0, &secure_boot, NULL) != -EBADMSG)
                                TEST_FAIL("accepted field %u with %u", i, bad[j]);
                }
        }
        CHECK_EQ(secure_boot_new(NULL, 0, good.data, 75, &secure_boot, &error), -EBADMSG);
        CHECK(strstr(error.message, "dbx"));
}

/* ---- variables ---- */

static void write_variable(const char *name, const char *guid, const void *data, size_t size)
{
        _cleanup_free_ char *path = string_format("%s/%s-%s", in_folder("efivars"), name, guid);
        _cleanup_buffer_ Buffer bytes = BUFFER_WITH_CAP(KIB * 64);

        if (buffer_append_u32(&bytes, 6) < 0 || buffer_append(&bytes, data, size) < 0 ||
                        file_replace(AT_FDCWD, path, bytes.data, bytes.size, 0644) < 0)
                abort();
}

TEST(variables_say_whether_anything_is_enforced)
{
        _cleanup_(secure_boot_freep) SecureBoot *secure_boot = NULL;
        _cleanup_buffer_ Buffer db = BUFFER_WITH_CAP(KIB * 64);
        Error error = { 0 };

        make_keys();
        CHECK_OK(secure_boot_load(NULL, &secure_boot, NULL));
        CHECK(!secure_boot);
        CHECK_OK(secure_boot_load(in_folder("efivars"), &secure_boot, NULL));
        CHECK(!secure_boot);
        CHECK_OK(directory_make(AT_FDCWD, in_folder("efivars"), 0755));
        write_variable("SecureBoot", "8be4df61-93ca-11d2-aa0d-00e098032b8c", "\0", 1);
        CHECK_OK(secure_boot_load(in_folder("efivars"), &secure_boot, NULL));
        CHECK(!secure_boot);
        write_variable("SecureBoot", "8be4df61-93ca-11d2-aa0d-00e098032b8c", "\1", 1);
        CHECK_OK(secure_boot_load(in_folder("efivars"), &secure_boot, NULL));
        CHECK(secure_boot);
        secure_boot = secure_boot_free(secure_boot);
        append_certificate(&db, "ours/db.crt");
        write_variable("db", "d719b2cb-3d3a-4596-a3bc-dad00e67656f", db.data, db.size);
        CHECK_OK(secure_boot_load(in_folder("efivars"), &secure_boot, NULL));
        CHECK(secure_boot);
        secure_boot = secure_boot_free(secure_boot);
        write_variable("dbx", "d719b2cb-3d3a-4596-a3bc-dad00e67656f", db.data, db.size - 1);
        CHECK_EQ(secure_boot_load(in_folder("efivars"), &secure_boot, &error), -EBADMSG);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
        CHECK(!secure_boot);
}

/* ---- keys ---- */

TEST(enrolment_files_are_signed_variables)
{
        static const char *const names[] = { "PK", "KEK", "db" };

        make_keys();
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                _cleanup_free_ char *path = string_format("%s/%s.auth", in_folder("ours"), names[i]),
                                    *text = NULL;
                _cleanup_buffer_ Buffer expected = BUFFER_WITH_CAP(KIB * 64);
                _cleanup_free_ char *certificate = string_format("ours/%s.crt", names[i]);
                const uint8_t *bytes;
                size_t size, signature;

                CHECK_OK(file_read(AT_FDCWD, path, KIB * 64, &text, &size));
                bytes = (const uint8_t *)text;
                /* 2023-11-14 22:13:20 */
                CHECK_MEM(bytes, "\xe7\x07\x0b\x0e\x16\x0d\x14\0\0\0\0\0\0\0\0\0", 16);
                signature = read_le32(bytes + 16);
                CHECK_EQ(read_le16(bytes + 20), 0x200);
                CHECK_EQ(read_le16(bytes + 22), 0xef1);
                /* What firmware looks at first: SignedData, version 1, one algorithm, SHA-256. */
                CHECK_EQ(bytes[40], 0x30);
                CHECK_MEM(bytes + 40 + 4,
                                "\x02\x01\x01\x31\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01",
                                18);
                append_certificate(&expected, certificate);
                CHECK_EQ(size - 16 - signature, expected.size);
                CHECK_MEM(bytes + 16 + signature + 44, expected.data + 44, expected.size - 44);
        }
}

TEST(keys_are_never_overwritten)
{
        const SecureBootKeyOptions options = { 0 };

        make_keys();
        CHECK_EQ(secure_boot_keys_init(in_folder("ours"), &options, NULL), -EEXIST);
}

TEST_MAIN
