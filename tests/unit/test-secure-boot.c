/* SPDX-License-Identifier: Apache-2.0 */
#include "authenticode.h"
#include "efi-signatures.h"
#include "image-signer.h"
#include "pe-image.h"
#include "pe-sample.h"
#include "secure-boot-keys.h"
#include "secure-boot.h"
#include "test.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* Two key folders that know nothing of each other, made once: such keys take time. */
static char folder[64];

static char *in_folder(const char *name)
{
        char *path = string_format("%s/%s", folder, name);

        if (!path)
                abort();
        return path;
}

static void remove_folder(void)
{
        (void)tree_remove(AT_FDCWD, folder);
}

static const char *keys(void)
{
        static const char *const names[] = { "ours", "theirs" };

        if (folder[0])
                return folder;
        (void)snprintf(folder, sizeof(folder), "/tmp/secure-boot.XXXXXX");
        if (!mkdtemp(folder) || atexit(remove_folder) != 0)
                abort();
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                _cleanup_free_ char *path = in_folder(names[i]);
                const SecureBootKeyOptions options = { .common_name = names[i], .now = 1700000000 };
                Error error = { 0 };

                if (secure_boot_keys_init(path, &options, &error) < 0) {
                        printf("# %s\n", error.message);
                        abort();
                }
        }
        return folder;
}

static int sign_with(const char *key_name, const char *certificate_name, int fd, Error *error)
{
        _cleanup_(image_signer_freep) ImageSigner *signer = NULL;
        _cleanup_free_ char *key = NULL, *certificate = NULL;
        int r;

        (void)keys();
        key = strncmp(key_name, "pkcs11:", 7) == 0 ? strdup(key_name) : in_folder(key_name);
        certificate = in_folder(certificate_name);
        r = image_signer_new(key, certificate, NULL, &signer, error);
        return r < 0 ? r : image_signer_sign(signer, fd, error);
}

static X509 *certificate_of(const char *name)
{
        _cleanup_free_ char *path = in_folder(name);
        FILE *file = fopen(path, "re");
        X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

        if (!certificate)
                abort();
        (void)fclose(file);
        return certificate;
}

/* A list with one certificate. */
static void append_certificate(Buffer *list, const char *name)
{
        static const uint8_t owner[EFI_GUID_SIZE] = "test";
        X509 *certificate = certificate_of(name);
        uint8_t *der = NULL;
        int size = i2d_X509(certificate, &der);

        if (size < 0 || efi_signatures_append_certificate(list, owner, der, (size_t)size) < 0)
                abort();
        OPENSSL_free(der);
        X509_free(certificate);
}

/* A list with one hash, by the GUID's bytes. */
static void append_hash(
                Buffer *list, const char *guid, const uint8_t *hash, size_t hash_size, size_t item_size)
{
        static const uint8_t zeros[64];

        if (buffer_append(list, guid, 16) < 0 ||
                        buffer_append_u32(list, (uint32_t)(28 + 16 + item_size)) < 0 ||
                        buffer_append_u32(list, 0) < 0 ||
                        buffer_append_u32(list, (uint32_t)(16 + item_size)) < 0 ||
                        buffer_append(list, zeros, 16) < 0 || buffer_append(list, hash, hash_size) < 0 ||
                        buffer_append(list, zeros, item_size - hash_size) < 0)
                abort();
}

#define SHA256_GUID "\x26\x16\xc4\xc1\x4c\x50\x92\x40\xac\xa9\x41\xf9\x36\x93\x43\x28"
#define X509_SHA256_GUID "\x92\xa4\xd2\x3b\xc0\x96\x79\x40\xb4\x20\xfc\xf9\x8e\xf1\x03\xed"
#define X509_SHA384_GUID "\x6e\x87\x76\x70\xc2\x80\xe6\x4e\xaa\xd2\x28\xb3\x49\xa6\x86\x5b"

static int judge(const Buffer *db, const Buffer *dbx, int fd, Error *error)
{
        _cleanup_(secure_boot_freep) SecureBoot *secure_boot = NULL;
        _cleanup_(image_signatures_done) ImageSignatures signatures = { 0 };
        int r = secure_boot_new(db->data, db->size, dbx ? dbx->data : NULL, dbx ? dbx->size : 0,
                        &secure_boot, error);

        if (r >= 0)
                r = pe_image_read_signatures(fd, &signatures, error);
        return r < 0 ? r : secure_boot_judge(secure_boot, &signatures, error);
}

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

/* ---- signing ---- */

TEST(a_signed_program_is_trusted_by_who_has_the_certificate_and_nobody_else)
{
        _cleanup_buffer_ Buffer ours = BUFFER_WITH_CAP(KIB * 64), theirs = BUFFER_WITH_CAP(KIB * 64);
        _cleanup_fd_ int fd = pe_sample_open(3);
        Error error = { 0 };

        CHECK_OK(sign_with("ours/db.pem", "ours/db.crt", fd, &error));
        append_certificate(&ours, "ours/db.crt");
        append_certificate(&theirs, "theirs/db.crt");
        CHECK_OK(judge(&ours, NULL, fd, &error));
        CHECK_EQ(judge(&theirs, NULL, fd, &error), -EKEYREJECTED);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
        CHECK(strstr(error.message, "ours db"));
        CHECK(strstr(error.message, "enrol"));
        append_certificate(&theirs, "ours/db.crt");
        CHECK_OK(judge(&theirs, NULL, fd, NULL));
}

TEST(the_same_program_and_key_give_the_same_bytes)
{
        _cleanup_fd_ int a = pe_sample_open(0), b = pe_sample_open(0);
        uint8_t hash_a[SHA256_SIZE], hash_b[SHA256_SIZE];
        uint64_t size;

        CHECK_OK(sign_with("ours/db.pem", "ours/db.crt", a, NULL));
        (void)sleep(1); /* a signing time would show */
        CHECK_OK(sign_with("ours/db.pem", "ours/db.crt", b, NULL));
        CHECK_OK(fd_size(a, &size));
        CHECK_EQ(size % 8, 0);
        CHECK_OK(sha256_of_fd(a, 0, size, hash_a));
        CHECK_OK(sha256_of_fd(b, 0, size, hash_b));
        CHECK_MEM(hash_a, hash_b, SHA256_SIZE);
        CHECK_EQ(sign_with("ours/db.pem", "ours/db.crt", a, NULL), -EBADMSG);
}

TEST(a_certificate_of_another_key_is_refused)
{
        _cleanup_fd_ int fd = pe_sample_open(0);
        Error error = { 0 };
        uint64_t size;

        CHECK_EQ(sign_with("ours/db.pem", "theirs/db.crt", fd, &error), -EKEYREJECTED);
        CHECK_EQ(error.code, ERROR_CONFIG);
        CHECK_OK(fd_size(fd, &size));
        CHECK_EQ(size, PE_SAMPLE_SIZE);
}

TEST(no_bit_of_a_signed_program_can_change)
{
        _cleanup_buffer_ Buffer ours = BUFFER_WITH_CAP(KIB * 64);
        _cleanup_fd_ int fd = pe_sample_open(0);
        unsigned accepted = 0;
        uint64_t size;

        CHECK_OK(sign_with("ours/db.pem", "ours/db.crt", fd, NULL));
        append_certificate(&ours, "ours/db.crt");
        CHECK_OK(fd_size(fd, &size));
        for (uint64_t i = 0; i < size; i += i < PE_SAMPLE_SIZE ? 7 : 1) {
                uint8_t byte, changed;

                CHECK_OK(pread_full(fd, &byte, 1, i));
                changed = byte ^ 0x10;
                CHECK_OK(pwrite_full(fd, &changed, 1, i));
                if (judge(&ours, NULL, fd, NULL) >= 0) {
                        /* Bytes that fill up, and parts of PKCS#7 that say nothing of the program. */
                        bool is_left_out = (i >= PE_SAMPLE_CHECKSUM && i < PE_SAMPLE_CHECKSUM + 4) ||
                                           i >= PE_SAMPLE_SIZE;

                        accepted++;
                        if (!is_left_out)
                                TEST_FAIL("byte %" PRIu64 " of %" PRIu64, i, size);
                }
                CHECK_OK(pwrite_full(fd, &byte, 1, i));
        }
        CHECK(accepted < size / 20);
}

static bool has_program(const char *name)
{
        _cleanup_free_ char *command = string_format("command -v %s >/dev/null 2>&1", name);

        return command && system(command) == 0;
}

static int copy_to(int fd, const char *path)
{
        _cleanup_free_ char *bytes = NULL;
        uint64_t size;

        if (fd_size(fd, &size) < 0 || !(bytes = malloc(size)) || pread_full(fd, bytes, size, 0) < 0)
                return -EIO;
        return file_replace(AT_FDCWD, path, bytes, size, 0644);
}

TEST(another_verifier_agrees)
{
        _cleanup_fd_ int fd = open("/usr/lib/systemd/boot/efi/systemd-bootx64.efi", O_RDONLY | O_CLOEXEC),
                         signed_fd = -1;
        _cleanup_free_ char *path = NULL, *command = NULL;

        if (fd < 0 || !has_program("sbverify"))
                TEST_SKIP("needs sbsigntool and systemd-boot-efi");
        (void)keys();
        path = in_folder("loader.efi");
        CHECK_OK(copy_to(fd, path));
        signed_fd = open(path, O_RDWR | O_CLOEXEC);
        CHECK_OK(sign_with("ours/db.pem", "ours/db.crt", signed_fd, NULL));
        command = string_format("cd %s && sbverify --cert ours/db.crt loader.efi >/dev/null 2>&1", folder);
        CHECK_EQ(system(command), 0);
        free(command);
        command = string_format("cd %s && sbverify --cert theirs/db.crt loader.efi >/dev/null 2>&1", folder);
        CHECK(system(command) != 0);
}

TEST(another_signer_is_understood)
{
        _cleanup_fd_ int fd = open("/usr/lib/systemd/boot/efi/systemd-bootx64.efi", O_RDONLY | O_CLOEXEC),
                         signed_fd = -1;
        _cleanup_buffer_ Buffer ours = BUFFER_WITH_CAP(KIB * 64), theirs = BUFFER_WITH_CAP(KIB * 64);
        _cleanup_free_ char *path = NULL, *command = NULL;

        if (fd < 0 || !has_program("sbsign"))
                TEST_SKIP("needs sbsigntool and systemd-boot-efi");
        (void)keys();
        path = in_folder("other.efi");
        CHECK_OK(copy_to(fd, path));
        command = string_format("cd %s && sbsign --key ours/db.pem --cert ours/db.crt other.efi --output "
                                "other.efi >/dev/null 2>&1",
                        folder);
        CHECK_EQ(system(command), 0);
        signed_fd = open(path, O_RDONLY | O_CLOEXEC);
        append_certificate(&ours, "ours/db.crt");
        append_certificate(&theirs, "theirs/db.crt");
        CHECK_OK(judge(&ours, NULL, signed_fd, NULL));
        CHECK_EQ(judge(&theirs, NULL, signed_fd, NULL), -EKEYREJECTED);
}

TEST(an_encrypted_key_asks_for_its_passphrase)
{
        _cleanup_(image_signer_freep) ImageSigner *signer = NULL;
        _cleanup_free_ char *key = NULL, *certificate = NULL, *words = NULL, *wrong = NULL, *command = NULL;
        _cleanup_fd_ int fd = pe_sample_open(0);
        PassphraseSource source = { 0 };
        Error error = { 0 };

        (void)keys();
        key = in_folder("encrypted.pem");
        certificate = in_folder("ours/db.crt");
        words = in_folder("words");
        wrong = in_folder("wrong");
        CHECK_OK(file_replace(AT_FDCWD, words, "open sesame\n", 12, 0600));
        CHECK_OK(file_replace(AT_FDCWD, wrong, "sesame\n", 7, 0600));
        command = string_format("openssl pkcs8 -topk8 -in %s/ours/db.pem -passout pass:'open sesame' -out "
                                "%s 2>/dev/null",
                        folder, key);
        if (!has_program("openssl"))
                TEST_SKIP("needs openssl");
        CHECK_EQ(system(command), 0);
        source.file = wrong;
        CHECK_OK(image_signer_new(key, certificate, &source, &signer, &error));
        CHECK_EQ(image_signer_sign(signer, fd, &error), -ENOKEY);
        source.file = words;
        CHECK_OK(image_signer_sign(signer, fd, NULL));
}

TEST(a_key_stays_in_its_token)
{
        static const char *const modules[] = { "/usr/lib/softhsm/libsofthsm2.so",
                "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so" };
        _cleanup_buffer_ Buffer ours = BUFFER_WITH_CAP(KIB * 64);
        _cleanup_free_ char *conf = NULL, *text = NULL, *command = NULL;
        _cleanup_fd_ int fd = pe_sample_open(0);
        Error error = { 0 };
        const char *module = access(modules[0], R_OK) == 0 ? modules[0] : modules[1];

        if (!has_program("softhsm2-util") || access(module, R_OK) != 0)
                TEST_SKIP("needs softhsm2");
        (void)keys();
        conf = in_folder("softhsm2.conf");
        text = string_format("directories.tokendir = %s\nobjectstore.backend = file\n", folder);
        CHECK_OK(file_replace(AT_FDCWD, conf, text, strlen(text), 0600));
        CHECK_EQ(setenv("SOFTHSM2_CONF", conf, 1), 0);
        CHECK_EQ(setenv("PKCS11_MODULE_PATH", module, 1), 0);
        command = string_format(
                        "(softhsm2-util --init-token --free --label images --pin 1234 --so-pin 5678 && "
                        "softhsm2-util --import %s/ours/db.pem --token images --label db --id 01 --pin "
                        "1234) "
                        ">/dev/null 2>&1",
                        folder);
        CHECK_EQ(system(command), 0);
        if (sign_with("pkcs11:token=images;object=db;type=private;pin-value=1234", "ours/db.crt", fd,
                            &error) < 0) {
                if (error.code == ERROR_MISSING_TOOL)
                        TEST_SKIP("needs libengine-pkcs11-openssl");
                TEST_FAIL("%s", error.message);
        }
        append_certificate(&ours, "ours/db.crt");
        CHECK_OK(judge(&ours, NULL, fd, NULL));
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
        _cleanup_free_ char *path = string_format("%s/efivars/%s-%s", folder, name, guid);
        _cleanup_buffer_ Buffer bytes = BUFFER_WITH_CAP(KIB * 64);

        if (buffer_append_u32(&bytes, 6) < 0 || buffer_append(&bytes, data, size) < 0 ||
                        file_replace(AT_FDCWD, path, bytes.data, bytes.size, 0644) < 0)
                abort();
}

TEST(variables_say_whether_anything_is_enforced)
{
        _cleanup_(secure_boot_freep) SecureBoot *secure_boot = NULL;
        _cleanup_buffer_ Buffer db = BUFFER_WITH_CAP(KIB * 64);
        _cleanup_free_ char *path = NULL;
        Error error = { 0 };

        (void)keys();
        path = in_folder("efivars");
        CHECK_OK(secure_boot_load(NULL, &secure_boot, NULL));
        CHECK(!secure_boot);
        CHECK_OK(secure_boot_load(path, &secure_boot, NULL));
        CHECK(!secure_boot);
        CHECK_OK(directory_make(AT_FDCWD, path, 0755));
        write_variable("SecureBoot", "8be4df61-93ca-11d2-aa0d-00e098032b8c", "\0", 1);
        CHECK_OK(secure_boot_load(path, &secure_boot, NULL));
        CHECK(!secure_boot);
        write_variable("SecureBoot", "8be4df61-93ca-11d2-aa0d-00e098032b8c", "\1", 1);
        CHECK_OK(secure_boot_load(path, &secure_boot, NULL));
        CHECK(secure_boot);
        secure_boot = secure_boot_free(secure_boot);
        append_certificate(&db, "ours/db.crt");
        write_variable("db", "d719b2cb-3d3a-4596-a3bc-dad00e67656f", db.data, db.size);
        CHECK_OK(secure_boot_load(path, &secure_boot, NULL));
        CHECK(secure_boot);
        secure_boot = secure_boot_free(secure_boot);
        write_variable("dbx", "d719b2cb-3d3a-4596-a3bc-dad00e67656f", db.data, db.size - 1);
        CHECK_EQ(secure_boot_load(path, &secure_boot, &error), -EBADMSG);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
        CHECK(!secure_boot);
}

/* ---- keys ---- */

TEST(enrolment_files_are_signed_variables)
{
        static const char *const names[] = { "PK", "KEK", "db" };

        (void)keys();
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                _cleanup_free_ char *path = string_format("%s/ours/%s.auth", folder, names[i]), *text = NULL;
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
        _cleanup_free_ char *path = NULL;
        const SecureBootKeyOptions options = { 0 };

        (void)keys();
        path = in_folder("ours");
        CHECK_EQ(secure_boot_keys_init(path, &options, NULL), -EEXIST);
}

TEST_MAIN
