/* SPDX-License-Identifier: Apache-2.0 */
#include "deb.h"
#include "file.h"
#include "output-file.h"
#include "package-install-internal.h"
#include "scratch-folder.h"
#include "strv.h"

#include <stdarg.h>
#include <string.h>

#define STATUS_MAX (64 * MIB)
#define LIST_MAX (64 * MIB)

int install_leave_to_dpkg(Installation *installation, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        if (installation->options->log_fd >= 0) {
                (void)vdprintf(installation->options->log_fd, format, arguments);
                (void)write_full(installation->options->log_fd, "\n", 1);
        }
        va_end(arguments);
        installation->is_left_to_dpkg = true;
        return -ENOTSUP;
}

static void package_unpacked(InstallPackage *package)
{
        free(package->stanza);
        package->stanza = NULL;
        package->control = tree_free(package->control);
        package->conffiles = strv_free(package->conffiles);
}

void install_done(Installation *installation)
{
        for (size_t i = 0; installation->packages && i < installation->options->lock->package_count; i++) {
                package_unpacked(&installation->packages[i]);
                free(installation->packages[i].name);
        }
        free(installation->packages);
        free(installation->owners);
        buffer_done(&installation->status);
        tree_free(installation->tree);
        fd_close(installation->data_fd);
}

/* As a word of a command, outside of comments. */
static bool speaks_of(const char *script, const char *program)
{
        for (const char *found = script; (found = strstr(found, program)); found++) {
                const char *line = memrchr(script, '\n', (size_t)(found - script));
                char before = found > script ? found[-1] : '\n', after = found[strlen(program)];

                line = line ? line + 1 : script;
                if (line[strspn(line, " \t")] != '#' && strchr(" \t\n;|&(`/!\"'", before) &&
                                strchr(" \t\n;|&)`\"'\\", after))
                        return true;
        }
        return false;
}

/* What a preinst tells dpkg of a file must be told before the file is there, and ours run when all are; and
 * they run before anything is configured, so that no user can be made by the usual programs. One that cannot
 * be read as text may do anything. */
static int check_preinst(Installation *installation, const InstallPackage *package, Error *error)
{
        static const char *const programs[] = { "dpkg-divert", "dpkg-statoverride", "adduser", "addgroup",
                "useradd", "groupadd", "systemd-sysusers", "su", "runuser" };
        _cleanup_free_ char *text = NULL;
        bool is_for_us;
        size_t size;
        int r;

        if (!package->has_preinst)
                return 0;
        r = tree_read_file(package->control, "preinst", DEB_CONTROL_MAX, &text, &size);
        if (r < 0)
                return r == -ENOMEM ? error_oom(error)
                                    : error_set(error, ERROR_IO, -r, "cannot read its preinst: %s",
                                                      strerror(-r));
        is_for_us = strlen(text) == size;
        for (size_t i = 0; is_for_us && i < ELEMENTS(programs); i++)
                is_for_us = !speaks_of(text, programs[i]);
        return is_for_us ? 0
                         : install_leave_to_dpkg(installation,
                                           "the preinst of %s may divert files, set their owners or make "
                                           "users: "
                                           "dpkg itself must unpack all packages",
                                           package->locked->name);
}

int install_add(Installation *installation, InstallPackage *package, int packed_fd, Error *error)
{
        _cleanup_buffer_ Buffer list = BUFFER_WITH_CAP(LIST_MAX);
        int r = install_read_control(package, error);

        if (r >= 0)
                r = check_preinst(installation, package, error);
        if (r >= 0)
                r = install_unpack(installation, package, packed_fd, &list, error);
        if (r >= 0)
                r = install_database_add(installation, package, &list, error);
        package_unpacked(package);
        return r < 0 && r != -ENOTSUP ? error_prefix(error, r, "the package %s", package->locked->name) : r;
}

static int add_package(Installation *installation, InstallPackage *package, const char *beside, Error *error)
{
        _cleanup_fd_ int packed_fd = -1;
        int r = scratch_file_open(beside, &packed_fd, error);

        if (r >= 0)
                r = lock_take_package(package->locked, installation->options->cache_folder, packed_fd,
                                &package->control, &package->stanza, error);
        return r < 0 ? r : install_add(installation, package, packed_fd, error);
}

int install_begin(
                Installation *installation, const InstallOptions *options, const char *beside, Error *error)
{
        size_t count = options->lock->package_count;
        int r;

        *installation = (Installation){ .options = options,
                .tree = tree_new(),
                .data_fd = -1,
                .packages = calloc(count + 1, sizeof(*installation->packages)),
                .status = BUFFER_WITH_CAP(STATUS_MAX) };
        if (!installation->tree || !installation->packages)
                return error_oom(error);
        for (size_t i = 0; i < count; i++)
                installation->packages[i].locked = &options->lock->packages[i];
        r = scratch_file_open(beside, &installation->data_fd, error);
        if (r < 0)
                return r;
        r = tree_add_backing(installation->tree, installation->data_fd);
        if (r < 0)
                return error_oom(error);
        installation->backing = (unsigned)r;
        return install_database_begin(installation, error);
}

int install_packages(const InstallOptions *options, int archive_fd, bool *ret_is_left_to_dpkg, Error *error)
{
        _cleanup_scratch_folder_ ScratchFolder scratch = SCRATCH_FOLDER_NONE;
        _cleanup_(install_done) Installation installation = { .options = options, .data_fd = -1 };
        _cleanup_free_ char *beside = NULL;
        int r = scratch_folder_make("bascule-install", &scratch, error);

        *ret_is_left_to_dpkg = false;
        if (r < 0)
                return r;
        beside = path_join(scratch.path, "file");
        r = beside ? install_begin(&installation, options, beside, error) : error_oom(error);
        for (size_t i = 0; r >= 0 && i < options->lock->package_count; i++)
                r = add_package(&installation, &installation.packages[i], beside, error);
        if (r >= 0)
                r = install_database_end(&installation, error);
        *ret_is_left_to_dpkg = installation.is_left_to_dpkg;
        return r < 0 ? r : install_configure(&installation, scratch.path, archive_fd, error);
}
