/* SPDX-License-Identifier: Apache-2.0 */
#include "compose.h"

#include "engine-files.h"
#include "file.h"
#include "hygiene.h"
#include "removal.h"
#include "root-modules.h"
#include "strv.h"
#include "tar.h"
#include "tree-users.h"

#include <fcntl.h>
#include <string.h>

#define STATUS_PATH "var/lib/dpkg/status"
#define STATUS_MAX (64 * MIB)
#define OS_RELEASE "usr/lib/os-release"
#define OS_RELEASE_MAX (64 * KIB)

void composition_done(Composition *composition)
{
        tree_free(composition->tree);
        tree_kernel_done(&composition->kernel);
        free(composition->kernel_image);
        free(composition->os_release);
        compose_free_packages(composition->packages, composition->package_count);
        *composition = (Composition){ 0 };
}

static int read_tar(Tree *tree, const char *path, Error *error)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open %s: %s", path, strerror(errno));
        return tar_read(tree, fd, &(TarOptions){ .allow_devices = true }, error);
}

/* Which image this is; systemd-boot sorts entries by it, and the engine knows itself by it. */
static int identify(Tree *tree, const Recipe *recipe, char **ret, Error *error)
{
        _cleanup_free_ char *text = NULL, *kept = NULL;
        char *next, *end;
        size_t size;
        int r = tree_read_file(tree, OS_RELEASE, OS_RELEASE_MAX, &text, &size);

        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "cannot read /" OS_RELEASE " of the image: %s",
                                strerror(-r));
        kept = calloc(1, size + 512);
        if (!kept)
                return error_oom(error);
        end = kept;
        next = text;
        for (char *line; (line = strsep(&next, "\n"));)
                if (*line && strncmp(line, "IMAGE_ID=", 9) != 0 && strncmp(line, "IMAGE_VERSION=", 14) != 0)
                        end += sprintf(end, "%s\n", line);
        (void)snprintf(end, 512, "IMAGE_ID=%s\nIMAGE_VERSION=%s\n", recipe->image_id, recipe->version);
        r = tree_make_text(tree, OS_RELEASE, kept, 0644, error);
        if (r >= 0)
                *ret = TAKE_PTR(kept);
        return r;
}

static int list_packages(Tree *tree, const Recipe *recipe, Composition *composition, Error *error)
{
        _cleanup_free_ char *status = NULL;
        size_t size;
        int r = compose_drop_stand_in(tree, error);

        if (r < 0)
                return r;
        r = tree_read_file(tree, STATUS_PATH, STATUS_MAX, &status, &size);
        if (r == -ENOENT && recipe->base)
                return 0; /* it has another package manager, or none */
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "cannot read /" STATUS_PATH " of the image: %s",
                                strerror(-r));
        return compose_parse_packages(status, &composition->packages, &composition->package_count, error);
}

/* /tmp is memory: the root is read-only. Debian has the unit but does not enable it. */
static int mount_tmp(Tree *tree, Error *error)
{
        static const char shipped[] = "usr/share/systemd/tmp.mount";
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        if (tree_read_file(tree, shipped, 64 * KIB, &text, &size) < 0)
                return 0;
        r = tree_make_text(tree, "usr/lib/systemd/system/tmp.mount", text, 0644, error);
        return r < 0 ? r
                     : tree_make_symlink(tree, "usr/lib/systemd/system/local-fs.target.wants/tmp.mount",
                                       "../tmp.mount", NULL, error);
}

/* Says that /etc is up to date with this /usr. Otherwise services that rebuild caches at the first boot
 * would write them over /etc, and hide those of every later release. Its time is that of everything else. */
static int mark_updated(Tree *tree, Error *error)
{
        return tree_make_text(tree, "etc/.updated", "", 0644, error);
}

static int remove_from(Removal *removal, const TreeKernel *kernel, const Recipe *recipe, Error *error)
{
        int r = removal_drop_packages(removal, recipe->removed_packages, error);

        for (char **glob = recipe->removed_globs; r >= 0 && glob && *glob; glob++)
                r = removal_drop_glob(removal, *glob, error);
        if (r >= 0)
                r = root_modules_keep(removal, kernel, recipe, error);
        if (r >= 0)
                r = root_modules_refresh(removal, kernel, recipe, error);
        return r < 0 ? r : removal_finish(removal, recipe, error);
}

static int remove_content(Composition *composition, const Recipe *recipe, Error *error)
{
        _cleanup_(removal_done) Removal removal = { 0 };
        int r;

        if (!recipe->removed_packages && !recipe->removed_globs && !recipe->root_modules)
                return 0;
        r = removal_begin(&removal, composition->tree, error);
        if (r >= 0)
                r = remove_from(&removal, &composition->kernel, recipe, error);
        for (size_t i = 0; i < composition->package_count; i++)
                composition->packages[i].is_removed =
                                strv_contains(recipe->removed_packages, composition->packages[i].name);
        return r;
}

static int finish_tree(Composition *composition, const ComposeOptions *options, Error *error)
{
        Tree *tree = composition->tree;

        int r = tree_normalise_shadow(tree, error);

        if (r >= 0)
                r = remove_content(composition, options->recipe, error);
        if (r >= 0)
                r = mount_tmp(tree, error);
        if (r >= 0)
                r = mark_updated(tree, error);
        return r;
}

static int build_tree(const ComposeOptions *options, Composition *composition, Error *error)
{
        Tree *tree = composition->tree;
        int r = read_tar(tree, options->tar_path, error);

        if (r >= 0)
                r = list_packages(tree, options->recipe, composition, error);
        if (r >= 0)
                r = normalise_drop_state(tree, error);
        if (r >= 0)
                r = normalise_find_kernel(tree, &composition->kernel, error);
        if (r >= 0)
                r = normalise_take_kernel(tree, &composition->kernel, &composition->kernel_image,
                                &composition->kernel_size, error);
        if (r >= 0)
                r = compose_add_recipe(tree, options, error);
        if (r >= 0)
                r = engine_files_add(tree, options->engine_root, error);
        if (r >= 0)
                r = identify(tree, options->recipe, &composition->os_release, error);
        if (r >= 0)
                r = finish_tree(composition, options, error);
        if (r >= 0)
                r = hygiene_check(tree, options->recipe, error);
        return r < 0 ? r
                     : normalise_tree(tree,
                                       &(NormaliseOptions){ .epoch = options->epoch,
                                                       .allowed_secrets = options->recipe->allowed_secrets },
                                       error);
}

int compose(const ComposeOptions *options, Composition *ret, Error *error)
{
        Composition composition = { .tree = tree_new() };
        int r = composition.tree ? build_tree(options, &composition, error) : error_oom(error);

        if (r < 0) {
                composition_done(&composition);
                return r;
        }
        *ret = composition;
        return 0;
}

static int key_of_users(CacheKey *key, const Recipe *recipe)
{
        cache_key_add_list(key, "group", recipe->groups);
        for (size_t i = 0; i < recipe->user_count; i++) {
                const RecipeUser *user = &recipe->users[i];

                cache_key_add_text(key, "user", user->name);
                cache_key_add_text(key, "comment", user->comment);
                cache_key_add_text(key, "home", user->home);
                cache_key_add_text(key, "shell", user->shell);
                cache_key_add_text(key, "password", user->password_hash);
                cache_key_add_number(key, "uid", user->uid);
                cache_key_add_number(
                                key, "flags", (user->is_system ? 1 : 0) + (user->subordinate_ids ? 2 : 0));
                cache_key_add_list(key, "groups", user->groups);
                cache_key_add_list(key, "ssh-key", user->ssh_keys);
        }
        return 0;
}

static int key_of_content(CacheKey *key, const Recipe *recipe, Error *error)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < recipe->tree_count; i++) {
                cache_key_add_text(key, "tree", recipe->trees[i].path);
                r = cache_key_add_folder(key, "tree-content", recipe->trees[i].source, error);
        }
        for (size_t i = 0; r >= 0 && i < recipe->file_count; i++) {
                const RecipeFile *file = &recipe->files[i];

                cache_key_add_text(key, "file", file->path);
                cache_key_add_number(key, "mode", file->mode);
                cache_key_add_text(key, "owner", file->owner);
                cache_key_add_text(key, "group", file->group);
                r = cache_key_add_file(key, "content", file->source, error);
        }
        for (size_t i = 0; r >= 0 && i < recipe->node_count; i++) {
                const RecipeNode *node = &recipe->nodes[i];

                cache_key_add_text(key, "node", node->path);
                cache_key_add_text(key, "target", node->target);
                cache_key_add_number(key, "mode", node->mode);
                cache_key_add_text(key, "owner", node->owner);
                cache_key_add_text(key, "group", node->group);
        }
        for (char **script = recipe->scripts; r >= 0 && script && *script; script++)
                r = cache_key_add_file(key, "script", *script, error);
        if (recipe->scripts)
                cache_key_add_number(key, "script-network", recipe->script_network);
        cache_key_add_list(key, "removed", recipe->removed_globs);
        cache_key_add_list(key, "removed-package", recipe->removed_packages);
        cache_key_add_list(key, "root-module", recipe->root_modules);
        if (recipe->removed_globs || recipe->removed_packages || recipe->root_modules)
                cache_key_add_list(key, "initrd-module", recipe->modules); /* those must stay */
        cache_key_add_list(key, "secret", recipe->allowed_secrets);
        cache_key_add_list(key, "setuid", recipe->allowed_setuid);
        return r;
}

int compose_key(CacheKey *key, const ComposeOptions *options, Error *error)
{
        const Recipe *recipe = options->recipe;
        int r;

        cache_key_add_text(key, "id", recipe->image_id);
        cache_key_add_text(key, "version", recipe->version);
        cache_key_add_text(key, "architecture", recipe->architecture);
        cache_key_add_text(key, "hostname", recipe->hostname);
        cache_key_add_number(key, "epoch", (uint64_t)options->epoch);
        r = key_of_content(key, recipe, error);
        if (r >= 0)
                r = key_of_users(key, recipe);
        cache_key_add_list(key, "enable", recipe->enabled_units);
        cache_key_add_list(key, "disable", recipe->disabled_units);
        cache_key_add_list(key, "mask", recipe->masked_units);
        cache_key_add_list(key, "listen", recipe->listening_units);
        cache_key_add_text(key, "target", recipe->default_target);
        cache_key_add_list(key, "repository", recipe->repositories);
        cache_key_add_text(key, "channel", recipe->channel);
        if (r >= 0 && recipe->trusted_root)
                r = cache_key_add_file(key, "trusted-root", recipe->trusted_root, error);
        return r < 0 ? r : engine_files_key(key, options->engine_root, error);
}
