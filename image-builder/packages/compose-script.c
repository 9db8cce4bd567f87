/* SPDX-License-Identifier: Apache-2.0 */
#include "compose.h"
#include "file.h"
#include "output-file.h"
#include "sandbox.h"
#include "scratch-folder.h"
#include "strv.h"
#include "tar.h"
#include "tree-archive.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* All in /run is dropped later. */
#define SCRIPT_PATH "/run/bascule-script"
#define RESOLVER "/etc/resolv.conf"
#define RESOLVER_COPY "run/systemd/resolve/stub-resolv.conf" /* where an image's own may point to */

/* What a recipe's script may know beside the tree. */
static int make_environment(const ComposeOptions *options, char ***ret)
{
        static const char *const fixed[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
                "LC_ALL=C.UTF-8", "TZ=UTC", "DEBIAN_FRONTEND=noninteractive" };
        const Recipe *recipe = options->recipe;
        _cleanup_free_ char *id = string_format("IMAGE_ID=%s", recipe->image_id);
        _cleanup_free_ char *version = string_format("IMAGE_VERSION=%s", recipe->version);
        _cleanup_free_ char *epoch = string_format("SOURCE_DATE_EPOCH=%lld", (long long)options->epoch);
        const char *const more[] = { id, version, epoch };
        _cleanup_strv_ char **environment = NULL;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(fixed); i++)
                r = strv_append(&environment, fixed[i]);
        for (size_t i = 0; r >= 0 && i < ELEMENTS(more); i++)
                r = more[i] ? strv_append(&environment, more[i]) : -ENOMEM;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(environment);
        return 0;
}

/* Puts the scripts into the tree, and with a network what tells names there. */
static int add_scripts(Tree *tree, const Recipe *recipe, char ***ret, Error *error)
{
        _cleanup_strv_ char **commands = NULL;
        int r = 0;

        for (size_t i = 0; r >= 0 && recipe->scripts[i]; i++) {
                _cleanup_free_ char *path = string_format(SCRIPT_PATH "-%zu", i + 1);

                if (!path || strv_append(&commands, path) < 0)
                        return error_oom(error);
                r = tree_make_host_file(tree, path, recipe->scripts[i], 0755, NULL, error);
        }
        if (r >= 0 && recipe->script_network && access(RESOLVER, R_OK) >= 0) {
                r = tree_make_host_file(tree, RESOLVER_COPY, RESOLVER, 0644, NULL, error);
                if (r >= 0 && !tree_lookup(tree, RESOLVER))
                        r = tree_make_symlink(tree, RESOLVER, "/" RESOLVER_COPY, NULL, error);
        }
        if (r >= 0)
                *ret = TAKE_PTR(commands);
        return r;
}

/* Two nameless archives in one scratch folder; what is unpacked lies there too. */
typedef struct Scratch {
        ScratchFolder folder;
        int from_fd, to_fd;
} Scratch;

static void scratch_done(Scratch *scratch)
{
        fd_close(scratch->from_fd);
        fd_close(scratch->to_fd);
        scratch_folder_done(&scratch->folder);
}

static int open_scratch(Scratch *scratch, Error *error)
{
        int r = scratch_folder_make("bascule-script", &scratch->folder, error);

        if (r >= 0)
                r = scratch_file_open(scratch->folder.path, &scratch->from_fd, error);
        return r < 0 ? r : scratch_file_open(scratch->folder.path, &scratch->to_fd, error);
}

static int run(const ComposeOptions *options, const Scratch *scratch, char *const *commands, Error *error)
{
        const Recipe *recipe = options->recipe;
        _cleanup_strv_ char **environment = NULL;
        Sandbox sandbox = { .folder = scratch->folder.path,
                .from_fd = scratch->from_fd,
                .to_fd = scratch->to_fd,
                .commands = (const char *const *)commands,
                .log_fd = options->log_fd,
                .user = "Script=",
                .with_network = recipe->script_network };
        size_t failed = SIZE_MAX;
        int r;

        if (make_environment(options, &environment) < 0)
                return error_oom(error);
        sandbox.environment = (const char *const *)environment;
        if (lseek(scratch->from_fd, 0, SEEK_SET) < 0 || lseek(scratch->to_fd, 0, SEEK_SET) < 0)
                return error_set(error, ERROR_IO, errno, "cannot rewind an archive: %s", strerror(errno));
        r = sandbox_run(&sandbox, &failed, error);
        if (r >= 0 || failed == SIZE_MAX)
                return r;
        return error_prefix(error, r, "Script=%s%s%s%s", recipe->scripts[failed],
                        options->log_path ? " (log: " : "", options->log_path ? options->log_path : "",
                        options->log_path ? ")" : "");
}

int compose_run_scripts(Tree *tree, const ComposeOptions *options, Error *error)
{
        _cleanup_(scratch_done) Scratch scratch = { SCRATCH_FOLDER_NONE, -1, -1 };
        _cleanup_tree_ Tree *after = tree_new();
        _cleanup_strv_ char **commands = NULL;
        bool had_resolver = tree_lookup(tree, RESOLVER);
        int r;

        if (!options->recipe->scripts)
                return 0;
        if (!after)
                return error_oom(error);
        r = open_scratch(&scratch, error);
        if (r >= 0)
                r = add_scripts(tree, options->recipe, &commands, error);
        if (r >= 0)
                r = tree_write_archive(tree, scratch.from_fd, error);
        if (r >= 0)
                r = run(options, &scratch, commands, error);
        if (r >= 0)
                r = tar_read(after, scratch.to_fd, &(TarOptions){ .skip_devices = true }, error);
        if (r >= 0 && !had_resolver && options->recipe->script_network)
                r = tree_drop(after, RESOLVER);
        if (r >= 0)
                r = tree_empty_directory(after, "run");
        if (r >= 0)
                tree_swap(tree, after);
        return r;
}
