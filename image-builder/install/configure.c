/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "output-file.h"
#include "package-install-internal.h"
#include "sandbox.h"
#include "strv.h"
#include "tree-archive.h"

#include <string.h>

#define SCRIPT_MAX (4 * MIB)
#define SCRIPT "run/bascule-configure"
#define POLICY "usr/sbin/policy-rc.d" /* invoke-rc.d asks it whether services may start */

/* What a preinst script may rely on (Debian policy, chapter 6; dpkg(1), "Internal environment"). */
#define BEGINNING                                                                                           \
        "#!/bin/sh\n"                                                                                       \
        "version=$(dpkg-query --showformat '${Version}' --show dpkg)\n"                                     \
        "preinst() {\n"                                                                                     \
        "    DPKG_MAINTSCRIPT_NAME=preinst DPKG_MAINTSCRIPT_PACKAGE=$1 DPKG_MAINTSCRIPT_ARCH=$2 \\\n"       \
        "    DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 DPKG_RUNNING_VERSION=$version DPKG_ROOT= \\\n"             \
        "    DPKG_ADMINDIR=/var/lib/dpkg \"/" DPKG_FOLDER "info/$3.preinst\" install && return\n"           \
        "    echo \"the preinst script of $1 failed with status $?\"\n"                                     \
        "    exit 1\n"                                                                                      \
        "}\n"

/* With what they depend on, but for triggers. What fails here fails again below. */
#define CONFIGURE_ESSENTIAL "dpkg --no-triggers --abort-after=100000 --force-configure-any --configure"

/* The last line of the log becomes that of the Error. */
#define ENDING                                                                                              \
        "dpkg --configure --pending\n"                                                                      \
        "status=$?\n"                                                                                       \
        "rm -f /" SCRIPT "%s\n"                                                                             \
        "rest=$(dpkg-query --showformat '${db:Status-Status} ${Package}\\n' --show |\n"                     \
        "    sed -n '/^installed /!s/^[^ ]* //p')\n"                                                        \
        "[ $status = 0 ] && [ -z \"$rest\" ] && exit 0\n"                                                   \
        "echo not configured: $rest\n"                                                                      \
        "exit 1\n"

static int add_preinsts(const Installation *installation, bool are_essential, Buffer *script)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < installation->options->lock->package_count; i++) {
                const InstallPackage *package = &installation->packages[i];

                if (package->has_preinst && package->is_essential == are_essential)
                        r = buffer_printf(script, "preinst %s %s %s\n", package->locked->name,
                                        package->locked->architecture, package->name);
        }
        return r;
}

/* As any installer does: the others may count on what these do without saying so. */
static int configure_essential(const Installation *installation, Buffer *script)
{
        int r = 0;
        bool is_first = true;

        for (size_t i = 0; r >= 0 && i < installation->options->lock->package_count; i++) {
                const InstallPackage *package = &installation->packages[i];

                if (!package->is_essential)
                        continue;
                r = buffer_printf(script, "%s %s", is_first ? CONFIGURE_ESSENTIAL : "", package->name);
                is_first = false;
        }
        return r < 0 || is_first ? r : buffer_append_string(script, "\n");
}

/* Those of essential packages first: base-passwd's makes the users that others may name. */
static int add_script(Installation *installation, Error *error)
{
        _cleanup_buffer_ Buffer script = BUFFER_WITH_CAP(SCRIPT_MAX);
        Tree *tree = installation->tree;
        bool has_policy = tree_lookup(tree, POLICY);
        int r = buffer_append_string(&script, BEGINNING);

        if (r >= 0)
                r = add_preinsts(installation, true, &script);
        if (r >= 0)
                r = add_preinsts(installation, false, &script);
        if (r >= 0)
                r = configure_essential(installation, &script);
        if (r >= 0)
                r = buffer_printf(&script, ENDING, has_policy ? "" : " /" POLICY);
        if (r < 0)
                return error_oom(error);
        if (!has_policy)
                r = tree_make_text(tree, POLICY, "#!/bin/sh\nexit 101\n", 0755, error);
        return r < 0 ? r : tree_make_file(tree, SCRIPT, script.data, script.size, 0755, NULL, error);
}

static int make_environment(const InstallOptions *options, char ***ret)
{
        static const char *const fixed[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
                "LC_ALL=C.UTF-8", "TZ=UTC", "DEBIAN_FRONTEND=noninteractive",
                "DEBCONF_NONINTERACTIVE_SEEN=true" };
        _cleanup_free_ char *epoch = string_format("SOURCE_DATE_EPOCH=%lld", (long long)options->epoch);
        _cleanup_strv_ char **environment = NULL;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(fixed); i++)
                r = strv_append(&environment, fixed[i]);
        if (r >= 0)
                r = epoch ? strv_append(&environment, epoch) : -ENOMEM;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(environment);
        return 0;
}

static int run(const InstallOptions *options, const char *folder, int from_fd, int to_fd, Error *error)
{
        _cleanup_strv_ char **environment = NULL;
        Sandbox sandbox = { .folder = folder,
                .from_fd = from_fd,
                .to_fd = to_fd,
                .commands = (const char *const[]){ "/" SCRIPT, NULL },
                .log_fd = options->log_fd,
                .user = "configuring packages",
                .may_be_root = true };
        int r;

        if (make_environment(options, &environment) < 0)
                return error_oom(error);
        sandbox.environment = (const char *const *)environment;
        if (lseek(from_fd, 0, SEEK_SET) < 0)
                return error_set(error, ERROR_IO, errno, "cannot rewind an archive: %s", strerror(errno));
        r = sandbox_run(&sandbox, NULL, error);
        if (r >= 0)
                return r;
        return options->log_path ? error_prefix(error, r, "the packages cannot be configured (log: %s)",
                                                   options->log_path)
                                 : error_prefix(error, r, "the packages cannot be configured");
}

int install_configure(Installation *installation, const char *folder, int archive_fd, Error *error)
{
        _cleanup_free_ char *beside = path_join(folder, "archive");
        _cleanup_fd_ int unpacked_fd = -1;
        int r = beside ? scratch_file_open(beside, &unpacked_fd, error) : error_oom(error);

        if (r >= 0)
                r = add_script(installation, error);
        if (r >= 0)
                r = tree_write_archive(installation->tree, unpacked_fd, error);
        if (r < 0)
                return r;
        /* All of it is in the archive now: this is room for what scripts unpack. */
        installation->tree = tree_free(installation->tree);
        installation->data_fd = fd_close(installation->data_fd);
        return run(installation->options, folder, unpacked_fd, archive_fd, error);
}
