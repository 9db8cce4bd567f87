/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"
#include "file.h"
#include "pcr-policy.h"
#include "private-key.h"
#include "secure-boot-keys.h"
#include "uki.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

#define CERTIFICATES_MAX (64 * KIB)
#define BOOT_LOADER_MAX (16 * MIB)

/* What the command line says counts more than what the recipe says. */
static const char *choose(const char *option, const char *recipe)
{
        return option ? option : recipe;
}

int build_open_signing(Build *build, Error *error)
{
        const BuildOptions *options = build->options;
        const Recipe *recipe = build->recipe;
        const char *key = choose(options->secure_boot_key, recipe->secure_boot_key),
                   *certificate = choose(options->secure_boot_certificate, recipe->secure_boot_certificate);

        int r;

        build->enroll_folder = choose(options->secure_boot_enroll, recipe->secure_boot_enroll);
        if (!key != !certificate)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "signing for Secure Boot takes a key and its certificate, and the %s is not "
                                "given",
                                key ? "certificate" : "key");
        if (!key && build->enroll_folder)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "keys for Secure Boot would be enrolled, but nothing is signed: give "
                                "--secure-boot-key and --secure-boot-certificate");
        build->pcr_key = choose(options->pcr_key, recipe->pcr_key);
        r = build->pcr_key ? private_key_load_public(
                                             build->pcr_key, &options->passphrase, &build->pcr_public, error)
                           : 0;
        if (r < 0 || !key)
                return r;
        return image_signer_new(key, certificate, &options->passphrase, &build->signer, error);
}

int build_key_of_signing(Build *build, CacheKey *key, Error *error)
{
        _cleanup_buffer_ Buffer certificates = BUFFER_WITH_CAP(CERTIFICATES_MAX);
        _cleanup_free_ char *pcr_public = NULL;
        int r = 0;

        if (build->pcr_public) {
                r = pcr_policy_public_key(build->pcr_public, &pcr_public, error);
                cache_key_add_text(key, "pcr", pcr_public);
        }
        if (r < 0 || !build->signer)
                return r;
        r = image_signer_certificates(build->signer, &certificates, error);
        if (r < 0)
                return r;
        cache_key_add(key, "secure-boot", certificates.data, certificates.size);
        return cache_key_add_file(key, "boot-loader", BOOT_LOADER_PATH, error);
}

int build_key_of_enrolment(Build *build, CacheKey *key, Error *error)
{
        int r = 0;

        for (size_t i = 0; build->enroll_folder && r >= 0 && i < ELEMENTS(secure_boot_variables); i++) {
                _cleanup_free_ char *path = string_format("%s/%s" SECURE_BOOT_AUTH_SUFFIX,
                                build->enroll_folder, secure_boot_variables[i]);

                r = path ? cache_key_add_file(key, secure_boot_variables[i], path, error) : error_oom(error);
        }
        return r;
}

int build_add_pcr_policy(Build *build, UkiParts *parts, char **ret_key, char **ret_signature, Error *error)
{
        uint8_t value[SHA256_SIZE];
        EVP_PKEY *key = NULL;
        int r;

        if (!build->pcr_key)
                return 0;
        r = pcr_policy_public_key(build->pcr_public, ret_key, error);
        if (r < 0)
                return r;
        parts->pcr_public_key = *ret_key;
        r = pcr_policy_measure(parts, value, error);
        if (r >= 0)
                r = private_key_load(build->pcr_key, &build->options->passphrase, &key, error);
        if (r >= 0 && EVP_PKEY_eq(key, build->pcr_public) != 1)
                r = error_set(error, ERROR_CONFIG, EINVAL,
                                "%s: the public key beside the PCR key is not its other half",
                                build->pcr_key);
        if (r >= 0)
                r = pcr_policy_sign(key, value, ret_signature, error);
        EVP_PKEY_free(key);
        parts->pcr_signature = *ret_signature;
        return r;
}

static int sign_file(Build *build, const CacheEntry *entry, const char *name, Error *error)
{
        _cleanup_free_ char *path = cache_entry_file(entry, name);
        _cleanup_fd_ int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
        int r;

        if (fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open %s: %s", path ? path : name,
                                strerror(errno));
        r = image_signer_sign(build->signer, fd, error);
        return r < 0 ? error_prefix(error, r, "%s", name) : 0;
}

int build_sign(Build *build, const CacheEntry *entry, Error *error)
{
        _cleanup_free_ char *loader = NULL;
        size_t size;
        int r;

        if (!build->signer)
                return 0;
        r = sign_file(build, entry, BUILD_UKI_FILE, error);
        if (r >= 0 && recipe_wants_format(build->recipe, BUILD_INSTALLER_FORMAT))
                r = sign_file(build, entry, BUILD_INSTALLER_UKI_FILE, error);
        if (r < 0)
                return r;
        r = file_read(AT_FDCWD, BOOT_LOADER_PATH, BOOT_LOADER_MAX, &loader, &size);
        if (r < 0)
                return error_set(error, ERROR_MISSING_TOOL, -r,
                                "cannot read %s: %s; it is in the Debian package systemd-boot-efi",
                                BOOT_LOADER_PATH, strerror(-r));
        r = build_entry_write(entry, BUILD_BOOT_LOADER_FILE, loader, size, error);
        return r < 0 ? r : sign_file(build, entry, BUILD_BOOT_LOADER_FILE, error);
}

char *build_boot_loader_path(const Build *build)
{
        return build->signer ? cache_entry_file(&build->entries[BUILD_UKI], BUILD_BOOT_LOADER_FILE)
                             : strdup(BOOT_LOADER_PATH);
}
