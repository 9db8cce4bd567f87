/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"
#include "engine-files.h"
#include "file.h"
#include "hex.h"
#include "initrd.h"
#include "installer-disk.h"
#include "uki.h"

#include <fcntl.h>
#include <string.h>

#define STUB_MAX (8 * MIB)
#define KERNEL_MAX (128 * MIB)
#define TEXT_MAX (64 * KIB)

int build_initrd(Build *build, const CacheEntry *entry, Error *error)
{
        _cleanup_buffer_ Buffer archive = BUFFER_WITH_CAP(INITRD_MAX);
        _cleanup_free_ char *init = NULL;
        size_t size;
        int r = engine_files_read_init(build->options->engine_root, &init, &size, error);

        if (r >= 0)
                r = initrd_build(build->composition.tree, &build->composition.kernel, build->recipe->modules,
                                init, size, &archive, error);
        return r < 0 ? r : build_entry_write(entry, "initrd", archive.data, archive.size, error);
}

/* The kernel's own words first ("gpt": a damaged primary table is replaced by its backup), then what a host
 * that must come back by itself needs, unless the recipe says otherwise. The root hash is not part of the
 * key: it follows from the step before. */
static int make_command_line(const Build *build, char **ret)
{
        static const char *const defaults[] = { "panic=", "panic=10", "oops=", "oops=panic",
                "systemd.crash_reboot=", "systemd.crash_reboot=1" };
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(TEXT_MAX);
        char hex[SHA256_HEX_SIZE];
        int r;

        hex_encode(build->root_hash, SHA256_SIZE, hex);
        r = buffer_printf(&text, "bascule.roothash=%s systemd.gpt_auto=0 gpt", hex);
        for (size_t i = 0; r >= 0 && i < ELEMENTS(defaults); i += 2) {
                bool is_given = false;

                for (char **word = build->recipe->command_line; word && *word; word++)
                        is_given = is_given || strncmp(*word, defaults[i], strlen(defaults[i])) == 0;
                if (!is_given)
                        r = buffer_printf(&text, " %s", defaults[i + 1]);
        }
        for (char **word = build->recipe->command_line; r >= 0 && word && *word; word++)
                r = buffer_printf(&text, " %s", *word);
        if (r < 0)
                return r;
        *ret = buffer_take(&text, NULL);
        return *ret ? 0 : -ENOMEM;
}

/* Of the file as it is in the end. */
static int write_hash(const CacheEntry *entry, Error *error)
{
        _cleanup_free_ char *path = cache_entry_file(entry, BUILD_UKI_FILE);
        _cleanup_fd_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        uint8_t hash[SHA256_SIZE];
        uint64_t size;
        int r = fd < 0 ? -errno : fd_size(fd, &size);

        if (r >= 0)
                r = sha256_of_fd(fd, 0, size, hash);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read %s: %s", path ? path : BUILD_UKI_FILE,
                                strerror(-r));
        return build_entry_write(entry, "uki-sha256", hash, sizeof(hash), error);
}

static int write_uki(const CacheEntry *entry, const char *name, const UkiParts *parts, Error *error)
{
        _cleanup_buffer_ Buffer image = BUFFER_WITH_CAP(UKI_MAX);
        int r = uki_write(parts, &image, error);

        return r < 0 ? r : build_entry_write(entry, name, image.data, image.size, error);
}

/* The same kernel for the medium that installs. What is sealed to the release is not for it: the release key
 * signs nothing that register 11 holds when it runs. */
static int write_installer(const CacheEntry *entry, const UkiParts *release, Error *error)
{
        UkiParts parts = *release;
        _cleanup_free_ char *cmdline =
                        string_format("%s " INSTALLER_COMMAND_LINE, (const char *)release->cmdline);

        if (!cmdline)
                return error_oom(error);
        parts.cmdline = cmdline;
        parts.cmdline_size = strlen(cmdline);
        parts.pcr_public_key = parts.pcr_signature = NULL;
        return write_uki(entry, BUILD_INSTALLER_UKI_FILE, &parts, error);
}

int build_uki(Build *build, const CacheEntry *entry, Error *error)
{
        _cleanup_free_ char *stub = NULL, *osrel = NULL, *cmdline = NULL, *initrd = NULL, *kernel = NULL,
                            *release = NULL, *pcr_key = NULL, *pcr_signature = NULL;
        UkiParts parts = { 0 };
        size_t release_size;
        int r = file_read(AT_FDCWD, STUB_PATH, STUB_MAX, &stub, &parts.stub_size);

        if (r < 0)
                return error_set(error, ERROR_MISSING_TOOL, -r,
                                "cannot read %s: %s; it is in the Debian package "
                                "systemd-boot-efi",
                                STUB_PATH, strerror(-r));
        r = build_entry_read(&build->entries[BUILD_ROOT], "os-release", TEXT_MAX, &osrel, &parts.osrel_size,
                        error);
        if (r >= 0)
                r = build_entry_read(&build->entries[BUILD_ROOT], "vmlinuz", KERNEL_MAX, &kernel,
                                &parts.kernel_size, error);
        if (r >= 0)
                r = build_entry_read(&build->entries[BUILD_ROOT], "kernel-release", TEXT_MAX, &release,
                                &release_size, error);
        if (r >= 0)
                r = build_entry_read(&build->entries[BUILD_INITRD], "initrd", INITRD_MAX, &initrd,
                                &parts.initrd_size, error);
        if (r < 0)
                return r;
        if (make_command_line(build, &cmdline) < 0)
                return error_oom(error);
        parts.stub = stub;
        parts.osrel = osrel;
        parts.kernel = kernel;
        parts.initrd = initrd;
        parts.cmdline = cmdline;
        parts.cmdline_size = strlen(cmdline);
        parts.release = release;
        r = build_add_pcr_policy(build, &parts, &pcr_key, &pcr_signature, error);
        if (r >= 0)
                r = write_uki(entry, BUILD_UKI_FILE, &parts, error);
        if (r >= 0 && recipe_wants_format(build->recipe, BUILD_INSTALLER_FORMAT))
                r = write_installer(entry, &parts, error);
        if (r >= 0)
                r = build_sign(build, entry, error);
        return r < 0 ? r : write_hash(entry, error);
}
