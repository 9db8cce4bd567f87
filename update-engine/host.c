/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include "booted.h"
#include "efivar.h"
#include "file.h"
#include "hex.h"
#include "ini.h"
#include "uki.h"

#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>

#define OS_RELEASE "/usr/lib/os-release"
#define SMALL_FILE_MAX (64 * KIB)

Host *host_free(Host *host)
{
        if (!host)
                return NULL;
        free(host->disk_path);
        free(host->esp_folder);
        free(host->state_folder);
        free(host->runtime_folder);
        free(host->trusted_root_path);
        free(host->image_id);
        free(host->running_version);
        free(host->architecture);
        free(host->reboot_file);
        free(host->efi_variables);
        free(host);
        return NULL;
}

/* The machine in systemd's names. */
static const char *machine_architecture(void)
{
        static const struct {
                const char *machine, *name;
        } known[] = { { "x86_64", "x86-64" }, { "aarch64", "arm64" }, { "riscv64", "riscv64" } };
        static struct utsname name;
        if (uname(&name) < 0)
                return "unknown";
        for (size_t i = 0; i < ELEMENTS(known); i++)
                if (strcmp(name.machine, known[i].machine) == 0)
                        return known[i].name;
        return name.machine;
}

static int set_default(char **member, const char *value, Error *error)
{
        if (*member)
                return 0;
        *member = strdup(value);
        return *member ? 0 : error_oom(error);
}

static int fill_defaults(Host *host, Error *error)
{
        int r = set_default(&host->state_folder, "/var/lib/bascule", error);
        if (r >= 0)
                r = set_default(&host->runtime_folder, "/run/bascule", error);
        if (r >= 0)
                r = set_default(&host->trusted_root_path, "/usr/lib/bascule/trust/root.json", error);
        if (r >= 0)
                r = set_default(&host->architecture, machine_architecture(), error);
        return r;
}

static int check(const Host *host, Error *error)
{
        if (!host->disk_path)
                return error_set(
                                error, ERROR_CONFIG, EINVAL, "the disk that the host lives on is not known");
        if (!host->image_id || !image_id_is_valid(host->image_id))
                return error_set(error, ERROR_INCOMPATIBLE, EINVAL,
                                "the running system has no IMAGE_ID that is valid in os-release; it was not "
                                "built by "
                                "bascule-image");
        if (!host->running_version || !version_is_valid(host->running_version))
                return error_set(error, ERROR_INCOMPATIBLE, EINVAL,
                                "the running system has no IMAGE_VERSION that is valid in os-release; it "
                                "was not built "
                                "by bascule-image");
        return 0;
}

/* A value of an os-release file, without its quotes; NULL when it is not there. */
static char *os_release_get(const char *text, const char *name)
{
        size_t length = strlen(name);
        for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
                if (strncmp(line, name, length) != 0 || line[length] != '=')
                        continue;
                const char *value = line + length + 1;
                size_t size = strcspn(value, "\n");
                if (size >= 2 && (*value == '"' || *value == '\'') && value[size - 1] == *value) {
                        value++;
                        size -= 2;
                }
                return strndup(value, size);
        }
        return NULL;
}

/* What bascule-init noted; without it (a rescue boot by hand) os-release and the command line tell the same.
 */
static bool discover_booted(Host *host)
{
        Booted booted;
        if (booted_read(BOOTED_FOLDER, &booted, NULL) < 0)
                return false;
        host->image_id = strdup(booted.image_id);
        host->running_version = strdup(booted.version);
        host->disk_path = *booted.disk ? strdup(booted.disk) : NULL;
        memcpy(host->running_root_hash, booted.root_hash, SHA256_SIZE);
        host->has_root_hash = true;
        return true;
}

static int discover_release(Host *host, Error *error)
{
        _cleanup_free_ char *text = NULL, *line = NULL;
        if (discover_booted(host))
                return 0;
        int r = file_read(AT_FDCWD, OS_RELEASE, SMALL_FILE_MAX, &text, NULL);
        if (r < 0)
                return error_set(error, ERROR_INCOMPATIBLE, -r, "cannot read " OS_RELEASE ": %s",
                                strerror(-r));
        host->image_id = os_release_get(text, "IMAGE_ID");
        host->running_version = os_release_get(text, "IMAGE_VERSION");
        if (file_read(AT_FDCWD, "/proc/cmdline", SMALL_FILE_MAX, &line, NULL) >= 0)
                host->has_root_hash = command_line_root_hash(line, host->running_root_hash) >= 0;
        return 0;
}

static int discover_disk(Host *host, Error *error)
{
        char partuuid[37];
        if (host->disk_path)
                return 0;
        int r = boot_loader_partuuid(partuuid);
        if (r >= 0)
                r = disk_find_by_partuuid(partuuid, &host->disk_path);
        if (r < 0)
                r = disk_find_running(&host->disk_path);
        if (r < 0)
                return error_set(error, ERROR_INCOMPATIBLE, -r,
                                "cannot find the disk that this machine was booted from: %s", strerror(-r));
        return 0;
}

int host_discover(Host **ret, Error *error)
{
        _cleanup_(host_freep) Host *host = calloc(1, sizeof(*host));
        if (!host)
                return error_oom(error);
        host->boot = boot_backend_detect();
        int r = discover_release(host, error);
        if (r >= 0)
                r = discover_disk(host, error);
        if (r >= 0)
                r = fill_defaults(host, error);
        if (r >= 0)
                r = set_default(&host->efi_variables, EFIVAR_FOLDER, error);
        if (r >= 0)
                r = check(host, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(host);
        return 0;
}

static int set_root_hash(void *data, const IniKey *key, const char *value, IniPlace place, Error *error)
{
        Host *host = data;
        if (hex_decode(value, host->running_root_hash, SHA256_SIZE) < 0)
                return error_set(error, ERROR_CONFIG, EINVAL, "%s= is not 64 hexadecimal digits", key->name);
        host->has_root_hash = true;
        return 0;
}

#define KEY(name, setter, member)                                                                           \
        {                                                                                                   \
                "Host", name, setter, offsetof(Host, member)                                                \
        }

static const IniKey host_keys[] = {
        KEY("Disk", ini_set_string, disk_path),
        KEY("Esp", ini_set_string, esp_folder),
        KEY("State", ini_set_string, state_folder),
        KEY("Runtime", ini_set_string, runtime_folder),
        KEY("TrustedRoot", ini_set_string, trusted_root_path),
        KEY("ImageId", ini_set_string, image_id),
        KEY("RunningVersion", ini_set_string, running_version),
        KEY("RunningRootHash", set_root_hash, running_root_hash),
        KEY("Architecture", ini_set_string, architecture),
        KEY("Reboot", ini_set_string, reboot_file),
        KEY("EfiVariables", ini_set_string, efi_variables),
        { 0 },
};

int host_load(const char *description_path, Host **ret, Error *error)
{
        _cleanup_(host_freep) Host *host = calloc(1, sizeof(*host));
        if (!host)
                return error_oom(error);
        host->boot = &boot_backend_systemd_boot;
        int r = ini_parse_file(description_path, host_keys, host, error);
        if (r == -ENOENT)
                return error_set(error, ERROR_CONFIG, ENOENT, "there is no host description %s",
                                description_path);
        if (r >= 0)
                r = fill_defaults(host, error);
        if (r >= 0)
                r = check(host, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(host);
        return 0;
}

int host_open_esp(const Host *host, const Disk *disk, bool writable, Esp **ret, Error *error)
{
        _cleanup_free_ char *node = NULL;
        if (host->esp_folder)
                return esp_open_folder(host->esp_folder, ret, error);
        int r = disk_partition_node(disk, PARTITION_ESP, &node, error);
        return r < 0 ? r : esp_open(node, writable, ret, error);
}
