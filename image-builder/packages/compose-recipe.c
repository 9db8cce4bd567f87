/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"
#include "compose.h"
#include "tree-units.h"
#include "tree-users.h"

#include <string.h>

#define ACCOUNTS_MAX (1 * MIB)
#define TRUSTED_ROOT "usr/lib/bascule/trust/root.json"
#define ENGINE_SETTINGS "usr/lib/bascule/engine.conf.d/50-recipe.conf"

/* The number of a user or group of the image: the third field of its line in /etc/passwd or /etc/group. */
static int find_account(Tree *tree, const char *file, const char *name, uint32_t *ret, Error *error)
{
        _cleanup_free_ char *text = NULL;
        size_t length = strlen(name), size;
        char *end;
        unsigned long number = strtoul(name, &end, 10);

        if (*name >= '0' && *name <= '9' && !*end && number < UINT32_MAX) {
                *ret = (uint32_t)number;
                return 0;
        }
        if (tree_read_file(tree, file, ACCOUNTS_MAX, &text, &size) >= 0)
                for (const char *line = text; *line;) {
                        const char *second = strncmp(line, name, length) == 0 && line[length] == ':'
                                                             ? strchr(line + length + 1, ':')
                                                             : NULL;

                        if (second) {
                                *ret = (uint32_t)strtoul(second + 1, NULL, 10);
                                return 0;
                        }
                        line += strcspn(line, "\n");
                        line += *line ? 1 : 0;
                }
        return error_set(error, ERROR_CONFIG, ENOENT, "\"%s\" is not in the image's /%s", name, file);
}

static int set_owner(Tree *tree, TreeNode *node, const char *owner, const char *group, Error *error)
{
        int r = owner ? find_account(tree, "etc/passwd", owner, &node->inode->uid, error) : 0;

        return r < 0 || !group ? r : find_account(tree, "etc/group", group, &node->inode->gid, error);
}

static int add_accounts(Tree *tree, const Recipe *recipe, Error *error)
{
        int r = tree_lock_passwords(tree, error);

        for (char **group = recipe->groups; r >= 0 && group && *group; group++) {
                const char *colon = strchr(*group, ':');
                _cleanup_free_ char *name = strndup(*group, strcspn(*group, ":"));

                if (!name)
                        return error_oom(error);
                r = tree_add_group(tree, name, colon ? (uint32_t)strtoul(colon + 1, NULL, 10) : 0, false,
                                error);
        }
        for (size_t i = 0; r >= 0 && i < recipe->user_count; i++) {
                const RecipeUser *user = &recipe->users[i];

                r = tree_add_user(tree,
                                &(TreeUser){ .name = user->name,
                                                .comment = user->comment,
                                                .home = user->home,
                                                .shell = user->shell,
                                                .password_hash = user->password_hash,
                                                .uid = user->uid,
                                                .is_system = user->is_system,
                                                .subordinate_ids = user->subordinate_ids,
                                                .groups = user->groups,
                                                .ssh_keys = user->ssh_keys },
                                error);
        }
        return r;
}

static int add_files(Tree *tree, const Recipe *recipe, Error *error)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < recipe->tree_count; i++)
                r = tree_import_host(tree, recipe->trees[i].path, recipe->trees[i].source, error);
        for (size_t i = 0; r >= 0 && i < recipe->file_count; i++) {
                const RecipeFile *file = &recipe->files[i];
                TreeNode *node = NULL;

                r = tree_make_host_file(tree, file->path, file->source, (mode_t)file->mode, &node, error);
                if (r >= 0)
                        r = set_owner(tree, node, file->owner, file->group, error);
        }
        for (size_t i = 0; r >= 0 && i < recipe->node_count; i++) {
                const RecipeNode *item = &recipe->nodes[i];
                TreeNode *node = NULL;

                if (item->target) {
                        r = tree_make_symlink(tree, item->path, item->target, NULL, error);
                        continue;
                }
                r = tree_make_directory(tree, item->path, (mode_t)item->mode, &node, error);
                if (r < 0)
                        return r;
                node->inode->mode = S_IFDIR | (mode_t)item->mode; /* it may have been there */
                r = set_owner(tree, node, item->owner, item->group, error);
        }
        return r;
}

static int set_units(Tree *tree, const Recipe *recipe, Error *error)
{
        int r = tree_set_default_target(tree, recipe->default_target, error);

        for (char **unit = recipe->disabled_units; r >= 0 && unit && *unit; unit++)
                r = tree_disable_unit(tree, *unit, error);
        for (char **unit = recipe->masked_units; r >= 0 && unit && *unit; unit++)
                r = tree_mask_unit(tree, *unit, error);
        for (char **unit = recipe->enabled_units; r >= 0 && unit && *unit; unit++)
                r = tree_enable_unit(tree, *unit, error);
        return r;
}

static int add_update_settings(Tree *tree, const Recipe *recipe, Error *error)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(64 * KIB);
        int r = buffer_append_string(
                        &text, "# Written by bascule-image from the recipe's [Update].\n[Update]\n");

        for (char **url = recipe->repositories; r >= 0 && url && *url; url++)
                r = buffer_printf(&text, "Repository=%s\n", *url);
        if (r >= 0)
                r = buffer_printf(&text, "Channel=%s\n", recipe->channel);
        if (r < 0)
                return error_oom(error);
        r = tree_make_text(tree, ENGINE_SETTINGS, (const char *)text.data, 0644, error);
        return r < 0 || !recipe->trusted_root ? r
                                              : tree_make_host_file(tree, TRUSTED_ROOT, recipe->trusted_root,
                                                                0644, NULL, error);
}

int compose_add_recipe(Tree *tree, const ComposeOptions *options, Error *error)
{
        const Recipe *recipe = options->recipe;
        int r = add_accounts(tree, recipe, error);

        if (r >= 0)
                r = add_files(tree, recipe, error);
        if (r >= 0)
                r = compose_run_scripts(tree, options, error);
        if (r >= 0)
                r = tree_set_hostname(tree, recipe->hostname ? recipe->hostname : recipe->image_id, error);
        if (r >= 0)
                r = set_units(tree, recipe, error);
        return r < 0 ? r : add_update_settings(tree, recipe, error);
}
