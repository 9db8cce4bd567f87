/* SPDX-License-Identifier: Apache-2.0 */
#include "apt-root.h"
#include "build.h"
#include "file.h"
#include "fixes.h"
#include "package-install.h"
#include "process.h"
#include "sandbox.h"
#include "strv.h"

#include <fcntl.h>
#include <string.h>

/* With the tree as $1; programs of the tree are run in it, and apt outside of it. */
#define INSTALL_HOOK                                                                                        \
        "--customize-hook=APT_CONFIG=\"$MMDEBSTRAP_APT_CONFIG\" apt-get --yes --no-remove "                 \
        "-oDir::Bin::dpkg=env -oDPkg::Options::=--unset=TMPDIR -oDPkg::Options::=--unset=APT_CONFIG "       \
        "-oDPkg::Options::=dpkg -oDPkg::Chroot-Directory=\"$1\" install"

/* Begins with /usr merged, as links; otherwise a package with all of perl behind it is installed to do that.
 */
#define MERGED_USR_HOOK "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"

/* Runs in mmdebstrap's shell with the tree as $1, once the essential packages are there. */
#define STAND_IN_HOOK "printf '%s' '" COMPOSE_STAND_IN_STANZA "' >>\"$1/var/lib/dpkg/status\""

static int append(char ***argv, const char *text)
{
        return text ? strv_append(argv, text) : -ENOMEM;
}

static int append_joined(char ***argv, const char *option, char *const *words)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(1 * MIB);
        int r = buffer_append_string(&text, option);
        bool is_first = true;

        for (; r >= 0 && words && *words; words++, is_first = false)
                r = buffer_printf(&text, "%s%s", is_first ? "" : ",", *words);
        return r < 0 ? r : append(argv, (const char *)text.data);
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

/* All are named: nothing is left to choose. */
static int name_packages(const Lock *lock, char ***ret)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < lock->package_count; i++)
                r = strv_append(ret, lock->packages[i].name);
        return r;
}

/* On a base by apt alone: mmdebstrap's own way would unpack packages over each other. */
static int append_install_hook(char ***argv, char *const *names)
{
        _cleanup_buffer_ Buffer hook = BUFFER_WITH_CAP(1 * MIB);
        int r = buffer_append_string(&hook, INSTALL_HOOK);

        for (; r >= 0 && *names; names++)
                r = buffer_printf(&hook, " %s", *names);
        return r < 0 ? r : append(argv, (const char *)hook.data);
}

static int append_packages(char ***argv, const Build *build, const Lock *lock)
{
        _cleanup_strv_ char **names = NULL;
        int r = name_packages(lock, &names);

        if (r < 0 || !names)
                return r;
        return build->base ? append_install_hook(argv, names) : append_joined(argv, "--include=", names);
}

/* A word of mmdebstrap's own hooks, which are cut as a shell would do it. */
static int append_base(char ***argv, const Build *build)
{
        _cleanup_free_ char *path = cache_entry_file(&build->entries[BUILD_BASE], BASE_TREE_FILE);
        _cleanup_buffer_ Buffer hook = BUFFER_WITH_CAP(64 * KIB);
        int r = buffer_append_string(&hook, "--setup-hook=tar-in '");

        for (const char *p = path; r >= 0 && p && *p; p++)
                r = *p == '\'' ? buffer_append_string(&hook, "'\\''")
                               : buffer_append_byte(&hook, (uint8_t)*p);
        if (r >= 0)
                r = buffer_append_string(&hook, "' /");
        return r < 0 || !path ? -ENOMEM : append(argv, (const char *)hook.data);
}

/* `staged`: the folder with the packages of the lock. */
static int make_command(
                const Build *build, const Lock *lock, const char *archive, const char *staged, char ***ret)
{
        const Recipe *recipe = build->recipe;
        _cleanup_strv_ char **argv = NULL;
        _cleanup_free_ char *architecture =
                        string_format("--architectures=%s", recipe_debian_architecture(recipe));
        _cleanup_free_ char *source = string_format("deb [trusted=yes] copy:%s ./", staged);
        int r = append(&argv, "mmdebstrap");

        if (r >= 0)
                r = append(&argv, geteuid() == 0 ? "--mode=root" : "--mode=unshare");
        if (r >= 0)
                r = append(&argv, build->base ? "--variant=custom" : "--variant=minbase");
        if (r >= 0)
                r = append(&argv, "--format=tar");
        if (r >= 0)
                r = append(&argv, architecture);
        if (r >= 0 && !recipe->with_documentation)
                r = append_documentation(&argv);
        if (r >= 0)
                r = append(&argv, "--aptopt=Apt::Install-Recommends \"false\"");
        if (r >= 0)
                r = build->base ? append_base(&argv, build) : append(&argv, MERGED_USR_HOOK);
        if (r >= 0 && recipe->kernel_package)
                r = append(&argv, "--essential-hook=" STAND_IN_HOOK);
        if (r >= 0)
                r = append_packages(&argv, build, lock);
        if (r >= 0)
                r = append(&argv, recipe->suites[0]);
        if (r >= 0)
                r = append(&argv, archive);
        if (r >= 0)
                r = append(&argv, source);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(argv);
        return 0;
}

/* By programs of this machine, as its root or in a user namespace of theirs. */
static int run_mmdebstrap(Build *build, const Lock *lock, const char *archive, int log_fd,
                const char *log_path, Error *error)
{
        _cleanup_scratch_folder_ ScratchFolder staged = SCRATCH_FOLDER_NONE;
        _cleanup_free_ char *epoch = string_format("SOURCE_DATE_EPOCH=%lld", (long long)build->epoch);
        _cleanup_strv_ char **argv = NULL;
        int r = build_stage_lock(build, lock, &staged, error);

        if (r < 0)
                return r;
        if (!epoch || make_command(build, lock, archive, staged.path, &argv) < 0)
                return error_oom(error);
        r = process_check((const char *const *)argv,
                        &(ProcessOptions){ .environment = (const char *const[]){ epoch, NULL },
                                        .log_fd = log_fd,
                                        .has_own_group = true },
                        error);
        if (r == -EIO || r == -ENOSPC)
                apt_explain(log_fd, "the packages cannot be installed", log_path, ERROR_FAILED, error);
        return r;
}

static int install(Build *build, const Lock *lock, const char *archive, int log_fd, const char *log_path,
                Error *error)
{
        const InstallOptions options = { .recipe = build->recipe,
                .lock = lock,
                .cache_folder = cache_folder(build->cache),
                .epoch = build->epoch,
                .log_fd = log_fd,
                .log_path = log_path };
        _cleanup_fd_ int fd = -1;
        bool is_left_to_dpkg;
        int r;

        if (build->base)
                return run_mmdebstrap(build, lock, archive, log_fd, log_path, error);
        fd = open(archive, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot make %s: %s", archive, strerror(errno));
        r = install_packages(&options, fd, &is_left_to_dpkg, error);
        return is_left_to_dpkg ? run_mmdebstrap(build, lock, archive, log_fd, log_path, error) : r;
}

/* What changelogs say, which are not installed, is kept beside the tree. */
static int write_fixes(Build *build, const CacheEntry *entry, Error *error)
{
        _cleanup_scratch_folder_ ScratchFolder scratch = SCRATCH_FOLDER_NONE;
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(FIXES_MAX);
        int r = scratch_folder_make("bascule-changelogs", &scratch, error);

        if (r >= 0)
                r = fixes_collect(build->lock, cache_folder(build->cache), scratch.path, &text, error);
        return r < 0 ? r : build_entry_write(entry, BUILD_FIXES_FILE, text.data, text.size, error);
}

int build_packages(Build *build, const CacheEntry *entry, Error *error)
{
        _cleanup_free_ char *archive = cache_entry_file(entry, BASE_TREE_FILE), *log_path = NULL;
        _cleanup_lock_ Lock *chosen = NULL;
        _cleanup_fd_ int log_fd = -1;
        char log_name[64];
        int r;

        (void)snprintf(log_name, sizeof(log_name), "packages-%.16s", build->keys[BUILD_PACKAGES].text);
        if (!archive)
                return error_oom(error);
        r = cache_open_log(build->cache, log_name, &log_fd, &log_path, error);
        if (r >= 0 && geteuid() != 0)
                r = sandbox_check("installing packages as an ordinary user", error);
        if (r >= 0 && !build->lock)
                r = build_choose_packages(build, entry->partial, log_fd, &chosen, error);
        if (r >= 0)
                r = build_fetch_packages(build, build->lock ? build->lock : chosen, log_fd, error);
        if (r >= 0)
                r = install(build, build->lock ? build->lock : chosen, archive, log_fd, log_path, error);
        return r < 0 || !build->lock ? r : write_fixes(build, entry, error);
}
