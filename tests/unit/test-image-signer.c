/* SPDX-License-Identifier: Apache-2.0 */
#include "secure-boot-scene.h"
#include "test.h"

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
        _cleanup_free_ char *command = NULL;
        const char *path;

        if (fd < 0 || !has_program("sbverify"))
                TEST_SKIP("needs sbsigntool and systemd-boot-efi");
        make_keys();
        path = in_folder("loader.efi");
        CHECK_OK(copy_to(fd, path));
        signed_fd = open(path, O_RDWR | O_CLOEXEC);
        CHECK_OK(sign_with("ours/db.pem", "ours/db.crt", signed_fd, NULL));
        command = string_format(
                        "cd %s && sbverify --cert ours/db.crt loader.efi >/dev/null 2>&1", in_folder(""));
        CHECK_EQ(system(command), 0);
        free(command);
        command = string_format(
                        "cd %s && sbverify --cert theirs/db.crt loader.efi >/dev/null 2>&1", in_folder(""));
        CHECK(system(command) != 0);
}

TEST(another_signer_is_understood)
{
        _cleanup_fd_ int fd = open("/usr/lib/systemd/boot/efi/systemd-bootx64.efi", O_RDONLY | O_CLOEXEC),
                         signed_fd = -1;
        _cleanup_buffer_ Buffer ours = BUFFER_WITH_CAP(KIB * 64), theirs = BUFFER_WITH_CAP(KIB * 64);
        _cleanup_free_ char *command = NULL;
        const char *path;

        if (fd < 0 || !has_program("sbsign"))
                TEST_SKIP("needs sbsigntool and systemd-boot-efi");
        make_keys();
        path = in_folder("other.efi");
        CHECK_OK(copy_to(fd, path));
        command = string_format("cd %s && sbsign --key ours/db.pem --cert ours/db.crt other.efi --output "
                                "other.efi >/dev/null 2>&1",
                        in_folder(""));
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
        _cleanup_free_ char *command = NULL;
        const char *key, *certificate, *words, *wrong;
        _cleanup_fd_ int fd = pe_sample_open(0);
        PassphraseSource source = { 0 };
        Error error = { 0 };

        make_keys();
        command = string_format(
                        "cd %s && openssl pkcs8 -topk8 -in ours/db.pem -passout pass:'open sesame' -out "
                        "encrypted.pem 2>/dev/null",
                        in_folder(""));
        key = in_folder("encrypted.pem");
        certificate = in_folder("ours/db.crt");
        words = in_folder("words");
        wrong = in_folder("wrong");
        CHECK_OK(file_replace(AT_FDCWD, words, "open sesame\n", 12, 0600));
        CHECK_OK(file_replace(AT_FDCWD, wrong, "sesame\n", 7, 0600));
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
        _cleanup_free_ char *text = NULL, *command = NULL;
        const char *conf;
        _cleanup_fd_ int fd = pe_sample_open(0);
        Error error = { 0 };
        const char *module = access(modules[0], R_OK) == 0 ? modules[0] : modules[1];

        if (!has_program("softhsm2-util") || access(module, R_OK) != 0)
                TEST_SKIP("needs softhsm2");
        make_keys();
        conf = in_folder("softhsm2.conf");
        text = string_format("directories.tokendir = %s\nobjectstore.backend = file\n", in_folder(""));
        CHECK_OK(file_replace(AT_FDCWD, conf, text, strlen(text), 0600));
        CHECK_EQ(setenv("SOFTHSM2_CONF", conf, 1), 0);
        CHECK_EQ(setenv("PKCS11_MODULE_PATH", module, 1), 0);
        command = string_format(
                        "(softhsm2-util --init-token --free --label images --pin 1234 --so-pin 5678 && "
                        "softhsm2-util --import %s/ours/db.pem --token images --label db --id 01 --pin "
                        "1234) "
                        ">/dev/null 2>&1",
                        in_folder(""));
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

TEST_MAIN
