/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"
#include "file.h"
#include "process.h"
#include "strv.h"

#include <fcntl.h>
#include <string.h>

#define LOG_MAX (64 * MIB)
#define ARCHIVE_NAME "tree.tar"

/* Begins with /usr merged, as links; otherwise a package with all of perl behind it is installed to do that.
 */
#define MERGED_USR_HOOK "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"

/* Runs in mmdebstrap's shell with the tree as $1, once the essential packages are there. */
#define STAND_IN_HOOK                                                                                       \
        "printf '\\nPackage: " COMPOSE_STAND_IN "\\nStatus: install ok installed\\nMaintainer: Bascule\\n"  \
        "Architecture: all\\nVersion: 1\\nProvides: linux-initramfs-tool\\n"                                \
        "Description: no initrd is made while packages are configured\\n\\n' >>\"$1/var/lib/dpkg/status\""

static int append(char ***argv, const char *text)
{
        return text ? strv_append(argv, text) : -ENOMEM;
}

static int append_joined(char ***argv, const char *option, char *const *words, const char *extra)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(1 * MIB);
        int r = buffer_append_string(&text, option);
        bool is_first = true;

        for (; r >= 0 && words && *words; words++, is_first = false)
                r = buffer_printf(&text, "%s%s", is_first ? "" : ",", *words);
        if (r >= 0 && extra)
                r = buffer_printf(&text, "%s%s", is_first ? "" : ",", extra);
        return r < 0 ? r : append(argv, (const char *)text.data);
}

/* Excluded packages get a pin that apt never takes. Their names hold nothing that a shell would read. */
static int append_exclusions(char ***argv, char *const *packages)
{
        _cleanup_buffer_ Buffer hook = BUFFER_WITH_CAP(1 * MIB);
        int r = buffer_append_string(
                        &hook, "--setup-hook=mkdir -p \"$1/etc/apt/preferences.d\" && printf 'Package:");

        if (!packages)
                return 0;
        for (; r >= 0 && *packages; packages++)
                r = buffer_printf(&hook, " %s", *packages);
        if (r >= 0)
                r = buffer_append_string(&hook, "\\nPin: release *\\nPin-Priority: -1\\n' "
                                                ">\"$1/etc/apt/preferences.d/bascule\"");
        return r < 0 ? r : append(argv, (const char *)hook.data);
}

static int append_documentation(char ***argv)
{
        static const char *const folders[] = { "doc", "info", "lintian", "locale", "man" };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(folders); i++) {
                _cleanup_free_ char *option =
                                string_format("--dpkgopt=path-exclude=/usr/share/%s/*", folders[i]);

                r = append(argv, option);
        }
        return r;
}

static int append_sources(char ***argv, const Build *build)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < build->sources->count; i++) {
                _cleanup_free_ char *line = source_line(build->sources, i, build->recipe->areas);

                r = append(argv, line);
        }
        return r;
}

static int make_command(const Build *build, const char *archive, char ***ret)
{
        const Recipe *recipe = build->recipe;
        _cleanup_strv_ char **argv = NULL;
        _cleanup_free_ char *architecture =
                        string_format("--architectures=%s", recipe_debian_architecture(recipe));
        int r = append(&argv, "mmdebstrap");

        if (r >= 0)
                r = append(&argv, geteuid() == 0 ? "--mode=root" : "--mode=unshare");
        if (r >= 0)
                r = append(&argv, "--variant=minbase");
        if (r >= 0)
                r = append(&argv, "--format=tar");
        if (r >= 0)
                r = append(&argv, architecture);
        if (r >= 0 && !recipe->with_documentation)
                r = append_documentation(&argv);
        if (r >= 0)
                r = append(&argv, recipe->with_recommended ? "--aptopt=Apt::Install-Recommends \"true\""
                                                           : "--aptopt=Apt::Install-Recommends \"false\"");
        if (r >= 0)
                r = append(&argv, MERGED_USR_HOOK);
        if (r >= 0 && recipe->kernel_package)
                r = append(&argv, "--essential-hook=" STAND_IN_HOOK);
        if (r >= 0)
                r = append_exclusions(&argv, recipe->excluded_packages);
        if (r >= 0 && (recipe->packages || recipe->kernel_package))
                r = append_joined(&argv, "--include=", recipe->packages, recipe->kernel_package);
        if (r >= 0)
                r = append(&argv, recipe->suites[0]);
        if (r >= 0)
                r = append(&argv, archive);
        if (r >= 0)
                r = append_sources(&argv, build);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(argv);
        return 0;
}

/* Prefers the first line that says what is wrong, which is apt's, and not mmdebstrap's about apt. */
static void explain(const char *log_path, Error *error)
{
        _cleanup_free_ char *text = NULL;
        const char *line = NULL;
        size_t size;

        if (file_read(AT_FDCWD, log_path, LOG_MAX, &text, &size) >= 0)
                line = strncmp(text, "E: ", 3) == 0 ? text : strstr(text, "\nE: ");
        if (!line) {
                /* Then the Error has the last line of the log. */
                (void)error_prefix(error, -EIO, "the packages cannot be installed (log: %s)", log_path);
                return;
        }
        line += *line == '\n' ? 4 : 3;
        error_clear(error);
        (void)error_set(error, ERROR_FAILED, EIO, "the packages cannot be installed: %.*s (log: %s)",
                        (int)MIN_OF(strcspn(line, "\n"), (size_t)400), line, log_path);
}

/* Whether the archives are still what they were when their hashes went into the key. */
static int check_unchanged(Build *build, const char *folder, int log_fd, Error *error)
{
        _cleanup_sources_ AptSources *now = NULL;
        int r = sources_resolve(build->recipe, build->options->mirror, &now, error);

        if (r >= 0)
                r = sources_fetch_releases(now, folder, log_fd, error);
        for (size_t i = 0; r >= 0 && i < now->count; i++)
                if (strcmp(now->items[i].release_sha256, build->sources->items[i].release_sha256) != 0)
                        return error_set(error, ERROR_NETWORK, EAGAIN,
                                        "the archive of %s changed while packages were fetched from it; run "
                                        "the build again",
                                        now->items[i].suite);
        return r;
}

int build_packages(Build *build, const CacheEntry *entry, Error *error)
{
        _cleanup_free_ char *archive = cache_entry_file(entry, ARCHIVE_NAME), *log_path = NULL,
                            *epoch = NULL;
        _cleanup_strv_ char **argv = NULL;
        _cleanup_fd_ int log_fd = -1;
        char log_name[64];
        int r;

        (void)snprintf(log_name, sizeof(log_name), "packages-%.16s", build->keys[BUILD_PACKAGES].text);
        epoch = string_format("SOURCE_DATE_EPOCH=%lld", (long long)build->epoch);
        if (!archive || !epoch || make_command(build, archive, &argv) < 0)
                return error_oom(error);
        r = cache_open_log(build->cache, log_name, &log_fd, &log_path, error);
        if (r >= 0 && geteuid() != 0) {
                _cleanup_free_ char *found = NULL;

                r = process_find("newuidmap", &found, error);
        }
        if (r < 0)
                return r;
        r = process_check((const char *const *)argv,
                        &(ProcessOptions){ .environment = (const char *const[]){ epoch, NULL },
                                        .log_fd = log_fd },
                        error);
        if (r == -EIO)
                explain(log_path, error);
        return r < 0 ? r : check_unchanged(build, entry->partial, log_fd, error);
}
