/* SPDX-License-Identifier: Apache-2.0 */
#include "apt-root.h"
#include "compose.h"
#include "file.h"
#include "process.h"

#include <fcntl.h>
#include <string.h>

#define CONFIGURATION_MAX (4 * MIB)
#define LOG_MAX (64 * MIB)
#define STATUS_MAX (65 * MIB)
#define LINE_MAX_SHOWN 400

/* Part of what apt says of indexes whose Valid-Until: is past. */
#define EXPIRED "is expired"
#define EXPIRED_REMEDY "; Expired=yes in [Packages] takes it, which is right for a snapshot only"

/* What of this machine's configuration is about reaching a server. */
static const char *const kept[] = { "Acquire::http::", "Acquire::https::", "Acquire::ftp::",
        "Acquire::Retries ", "Acquire::ForceIPv4 ", "Acquire::ForceIPv6 " };

static int make_folders(const char *folder, Error *error)
{
        static const char *const folders[] = { "etc/apt/apt.conf.d", "etc/apt/preferences.d",
                "etc/apt/sources.list.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial",
                "var/lib/dpkg", "var/log/apt" };

        for (size_t i = 0; i < ELEMENTS(folders); i++) {
                _cleanup_free_ char *path = path_join(folder, folders[i]);
                int r = path ? directory_make(AT_FDCWD, path, 0755) : -ENOMEM;

                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "cannot make folders in %s: %s", folder,
                                        strerror(-r));
        }
        return 0;
}

static int put(const char *folder, const char *name, const Buffer *text, Error *error)
{
        _cleanup_free_ char *path = path_join(folder, name);
        int r = path ? file_replace(AT_FDCWD, path, text->data, text->size, 0644) : -ENOMEM;

        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot write %s in %s: %s", name, folder,
                                       strerror(-r))
                     : 0;
}

static int write_sources(const char *folder, const Recipe *recipe, const AptSources *sources, Error *error)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(CONFIGURATION_MAX);
        int r = 0;

        for (size_t i = 0; r >= 0 && i < sources->count; i++) {
                _cleanup_free_ char *line = source_line(sources, i, recipe->areas);

                r = line ? buffer_printf(&text, "%s\n", line) : -ENOMEM;
        }
        return r < 0 ? error_oom(error) : put(folder, "etc/apt/sources.list", &text, error);
}

static int write_exclusions(const char *folder, const Recipe *recipe, Error *error)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(CONFIGURATION_MAX);
        int r = buffer_append_string(&text, "Package:");

        if (!recipe->excluded_packages)
                return 0;
        for (char **name = recipe->excluded_packages; r >= 0 && *name; name++)
                r = buffer_printf(&text, " %s", *name);
        if (r >= 0)
                r = buffer_append_string(&text, "\nPin: release *\nPin-Priority: -1\n");
        return r < 0 ? error_oom(error) : put(folder, "etc/apt/preferences.d/bascule", &text, error);
}

/* What is installed, and what stands for an initrd generator. */
static int write_status(const char *folder, const Recipe *recipe, const char *status, Error *error)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(STATUS_MAX);
        int r = status ? buffer_append_string(&text, status) : 0;

        if (r >= 0 && recipe->kernel_package)
                r = buffer_append_string(&text, COMPOSE_STAND_IN_STANZA + (status ? 0 : 1));

        return r < 0 ? error_oom(error) : put(folder, "var/lib/dpkg/status", &text, error);
}

/* Lines of `apt-config dump` that are kept. */
static int add_kept(Buffer *text, const char *dump)
{
        int r = 0;

        for (const char *line = dump; r >= 0 && *line;) {
                size_t length = strcspn(line, "\n");

                for (size_t i = 0; r >= 0 && i < ELEMENTS(kept); i++)
                        if (strncmp(line, kept[i], strlen(kept[i])) == 0)
                                r = buffer_printf(text, "%.*s\n", (int)length, line);
                line += length + (line[length] ? 1 : 0);
        }
        return r;
}

static int write_configuration(const char *folder, const Recipe *recipe, Error *error)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(CONFIGURATION_MAX);
        _cleanup_free_ char *dump = NULL;
        const char *architecture = recipe_debian_architecture(recipe);
        size_t size;
        int r = process_capture((const char *const[]){ "apt-config", "dump", "Acquire", NULL },
                        &(ProcessOptions){ .log_fd = -1 }, CONFIGURATION_MAX, &dump, &size, error);

        if (r < 0)
                return r;
        r = add_kept(&text, dump);
        if (r >= 0)
                r = buffer_printf(&text,
                                "Dir \"%s\";\nDir::State::Status \"%s/var/lib/dpkg/status\";\n"
                                "Dir::Etc::Trusted \"/etc/apt/trusted.gpg\";\n"
                                "Dir::Etc::TrustedParts \"/etc/apt/trusted.gpg.d\";\n"
                                "APT::Architecture \"%s\";\nAPT::Architectures \"%s\";\n"
                                "APT::Install-Recommends \"%s\";\nAPT::Install-Suggests \"false\";\n"
                                "Acquire::Languages \"none\";\nAcquire::GzipIndexes \"false\";\n"
                                "pkgCacheGen::ForceEssential \",\";\n",
                                folder, folder, architecture, architecture,
                                recipe->with_recommended ? "true" : "false");
        return r < 0 ? error_oom(error) : put(folder, "apt.conf", &text, error);
}

int apt_root_make(const Recipe *recipe, const char *status, const AptSources *sources, const char *folder,
                AptRoot *ret, Error *error)
{
        _cleanup_apt_root_ AptRoot root = { 0 };
        int r = make_folders(folder, error);

        if (r >= 0)
                r = write_sources(folder, recipe, sources, error);
        if (r >= 0)
                r = write_exclusions(folder, recipe, error);
        if (r >= 0)
                r = write_status(folder, recipe, status, error);
        if (r >= 0)
                r = write_configuration(folder, recipe, error);
        if (r < 0)
                return r;
        root.folder = strdup(folder);
        root.environment = string_format("APT_CONFIG=%s/apt.conf", folder);
        if (!root.folder || !root.environment)
                return error_oom(error);
        *ret = root;
        root = (AptRoot){ 0 };
        return 0;
}

void apt_root_done(AptRoot *root)
{
        free(root->folder);
        free(root->environment);
        *root = (AptRoot){ 0 };
}

void apt_explain(int log_fd, const char *what, const char *log_path, ErrorCode code, Error *error)
{
        _cleanup_free_ char *text = NULL;
        const char *line = NULL;
        uint64_t size;

        if (!error)
                return;
        if (error->code != ERROR_NO_SPACE && fd_size(log_fd, &size) >= 0 && size <= LOG_MAX &&
                        (text = malloc(size + 1)) && pread_full(log_fd, text, size, 0) >= 0) {
                text[size] = 0;
                line = strncmp(text, "E: ", 3) == 0 ? text : strstr(text, "\nE: ");
        }
        if (line) {
                size_t length;

                line += *line == '\n' ? 4 : 3;
                length = MIN_OF(strcspn(line, "\n"), (size_t)LINE_MAX_SHOWN);
                error_clear(error);
                (void)error_set(error, code, EIO, "%s: %.*s%s%s%s%s", what, (int)length, line,
                                memmem(line, length, EXPIRED, strlen(EXPIRED)) ? EXPIRED_REMEDY : "",
                                log_path ? " (log: " : "", log_path ? log_path : "", log_path ? ")" : "");
        } else if (log_path)
                /* Then the Error has a line of the log. */
                (void)error_prefix(error, -EIO, "%s (log: %s)", what, log_path);
        else
                (void)error_prefix(error, -EIO, "%s", what);
}
