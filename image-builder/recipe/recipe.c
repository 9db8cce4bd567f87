/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe.h"

#include "file.h"
#include "ini.h"
#include "strv.h"

#include <fcntl.h>
#include <string.h>

#define BASE_LIMIT_DEFAULT (8 * GIB)
#define CHAIN_MAX 640 /* bytes of a message */

static void file_done(RecipeFile *file)
{
        free(file->source);
        free(file->path);
        free(file->owner);
        free(file->group);
}

static void node_done(RecipeNode *node)
{
        free(node->path);
        free(node->target);
        free(node->owner);
        free(node->group);
}

static void input_done(RecipeInput *input)
{
        free(input->path);
        free(input->name);
}

static void user_done(RecipeUser *user)
{
        free(user->name);
        free(user->comment);
        free(user->home);
        free(user->shell);
        free(user->password_hash);
        strv_free(user->groups);
        strv_free(user->ssh_keys);
}

Recipe *recipe_free(Recipe *recipe)
{
        if (!recipe)
                return NULL;
        char *strings[] = { recipe->path, recipe->base, recipe->base_tag, recipe->image_id, recipe->version,
                recipe->architecture, recipe->hostname, recipe->epoch_text, recipe->mirror,
                recipe->security_mirror, recipe->keyring, recipe->kernel_package, recipe->default_target,
                recipe->channel, recipe->trusted_root, recipe->secure_boot_key,
                recipe->secure_boot_certificate, recipe->secure_boot_enroll, recipe->pcr_key,
                recipe->setting_path };
        char **lists[] = { recipe->suites, recipe->areas, recipe->packages, recipe->excluded_packages,
                recipe->removed_globs, recipe->removed_packages, recipe->allowed_secrets,
                recipe->allowed_setuid, recipe->listening_units, recipe->modules, recipe->root_modules,
                recipe->command_line, recipe->groups, recipe->enabled_units, recipe->disabled_units,
                recipe->masked_units, recipe->formats, recipe->repositories, recipe->fallback_mirrors,
                recipe->budget_layouts, recipe->profiles, recipe->scripts, recipe->settings };

        for (size_t i = 0; i < ELEMENTS(strings); i++)
                free(strings[i]);
        for (size_t i = 0; i < ELEMENTS(lists); i++)
                strv_free(lists[i]);
        for (size_t i = 0; i < recipe->file_count; i++)
                file_done(&recipe->files[i]);
        for (size_t i = 0; i < recipe->tree_count; i++)
                file_done(&recipe->trees[i]);
        for (size_t i = 0; i < recipe->node_count; i++)
                node_done(&recipe->nodes[i]);
        for (size_t i = 0; i < recipe->user_count; i++)
                user_done(&recipe->users[i]);
        for (size_t i = 0; i < recipe->input_count; i++)
                input_done(&recipe->inputs[i]);
        free(recipe->inputs);
        free(recipe->files);
        free(recipe->trees);
        free(recipe->nodes);
        free(recipe->users);
        free(recipe);
        return NULL;
}

static int set_defaults(Recipe *recipe)
{
        static const struct {
                size_t offset;
                const char *value;
        } strings[] = {
                { offsetof(Recipe, architecture), "x86-64" },
                { offsetof(Recipe, version), "1" },
                { offsetof(Recipe, default_target), "multi-user.target" },
                { offsetof(Recipe, keyring), "/usr/share/keyrings/debian-archive-keyring.gpg" },
                { offsetof(Recipe, channel), "stable" },
        };

        recipe->base_limit_bytes = BASE_LIMIT_DEFAULT;
        recipe->esp_size_bytes = 256 * MIB;
        recipe->slot_size_bytes = 1 * GIB;
        recipe->var_size_bytes = 1 * GIB;
        for (size_t i = 0; i < ELEMENTS(strings); i++) {
                char *copy = strdup(strings[i].value);

                if (!copy)
                        return -ENOMEM;
                *(char **)((char *)recipe + strings[i].offset) = copy;
        }
        return 0;
}

/* The files that include each other, from one of them to the one that is next. */
static int refuse_chain(const Recipe *recipe, size_t from, const char *path, const char *what, Error *error)
{
        _cleanup_buffer_ Buffer chain = BUFFER_WITH_CAP(CHAIN_MAX);

        for (size_t i = from; i < recipe->reading_count; i++) /* a chain that is too long is cut */
                (void)buffer_printf(&chain, "%s -> ", recipe_input_name(recipe, recipe->reading[i]));
        return error_set(error, ERROR_CONFIG, ELOOP,
                        "files include each other %s: %s%s; take one of these "
                        "Include= lines out",
                        what, chain.data ? (const char *)chain.data : "", recipe_input_name(recipe, path));
}

static int check_chain(const Recipe *recipe, const char *path, Error *error)
{
        char deep[64];

        for (size_t i = 0; i < recipe->reading_count; i++)
                if (strcmp(recipe->reading[i], path) == 0)
                        return refuse_chain(recipe, i, path, "without end", error);
        if (recipe->reading_count < RECIPE_DEPTH_MAX)
                return 0;
        (void)snprintf(deep, sizeof(deep), "more than %d deep", RECIPE_DEPTH_MAX);
        return refuse_chain(recipe, 0, path, deep, error);
}

int recipe_read_file(Recipe *recipe, const char *path, Error *error)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = check_chain(recipe, path, error);

        if (r < 0)
                return r;
        r = file_read(AT_FDCWD, path, INI_FILE_MAX, &text, &size);
        if (r < 0)
                return error_set(error, ERROR_CONFIG, -r, "cannot read %s: %s", path, strerror(-r));
        r = recipe_note_text(recipe, path, text, size, error);
        if (r < 0)
                return r;
        recipe->reading[recipe->reading_count++] = path;
        r = ini_parse(path, text, size, recipe_keys, recipe, error);
        recipe->reading_count--;
        return r;
}

static int read_dropins(Recipe *recipe, Error *error)
{
        _cleanup_free_ char *folder = string_format("%s.d", recipe->path);
        _cleanup_strv_ char **names = NULL;
        int r;

        if (!folder)
                return error_oom(error);
        r = recipe_list_folder(folder, &names);
        if (r < 0)
                return error_set(error, ERROR_CONFIG, -r, "cannot read %s: %s", folder, strerror(-r));
        for (char **name = names; r >= 0 && name && *name; name++) {
                _cleanup_free_ char *path = string_format("%s/%s.conf", folder, *name);

                if (!path)
                        return error_oom(error);
                if (access(path, F_OK) == 0) /* editors lock files by links that lead nowhere */
                        r = recipe_read_file(recipe, path, error);
        }
        return r;
}

/* There is no line to look at: the setting itself is named instead of the place, and without a suggestion of
 * what was meant, where to read what there is. */
static int explain_setting(const char *setting, int r, const Error *cause, Error *error)
{
        const char *reason = cause->message;
        bool is_unknown;

        if (strncmp(reason, RECIPE_SETTING_PLACE ":", strlen(RECIPE_SETTING_PLACE ":")) == 0) {
                reason += strlen(RECIPE_SETTING_PLACE ":");
                reason += strspn(reason, "0123456789");
                reason += strspn(reason, ": ");
        }
        is_unknown = strncmp(reason, "unknown ", 8) == 0 && !strstr(reason, "did you mean");
        return error_set(error, cause->code, -r, "--set %.200s: %s%s", setting, reason,
                        is_unknown ? "; bascule-recipe(5) lists what there is" : "");
}

/* Section.Key=VALUE, as if it stood in a file. */
static int apply_setting(Recipe *recipe, const char *setting, Error *error)
{
        _cleanup_free_ char *text = NULL;
        const char *dot = strchr(setting, '.'), *equals = strchr(setting, '=');
        Error cause = { 0 };
        int r;

        if (!dot || !equals || dot > equals || strchr(setting, '\n'))
                return error_set(error, ERROR_USAGE, EINVAL,
                                "--set takes Section.Key=VALUE, such as Kernel.CommandLine=quiet, not "
                                "\"%.100s\"",
                                setting);
        text = string_format("[%.*s]\n%s\n", (int)(dot - setting), setting, dot + 1);
        if (!text)
                return error_oom(error);
        free(recipe->setting_path);
        recipe->setting_path = NULL;
        r = ini_parse(RECIPE_SETTING_PLACE, text, strlen(text), recipe_keys, recipe, &cause);
        return r < 0 ? explain_setting(setting, r, &cause, error)
                     : recipe_note_setting(recipe, setting, error);
}

static int load_into(Recipe *recipe, const char *path, const RecipeOptions *options, Error *error)
{
        char *const *setting = options->settings;
        int r;

        if (set_defaults(recipe) < 0)
                return error_oom(error);
        recipe->path = realpath(path, NULL);
        if (!recipe->path)
                return error_set(error, ERROR_CONFIG, errno, "cannot read the recipe %s: %s", path,
                                strerror(errno));
        r = recipe_read_file(recipe, recipe->path, error);
        if (r >= 0)
                r = read_dropins(recipe, error);
        if (r >= 0)
                r = recipe_read_profiles(recipe, options->profiles, error);
        for (; r >= 0 && setting && *setting; setting++)
                r = apply_setting(recipe, *setting, error);
        if (r < 0)
                return r;
        if (options->version) {
                char *copy = strdup(options->version);

                if (!copy)
                        return error_oom(error);
                free(recipe->version);
                recipe->version = copy;
        }
        r = recipe_check(recipe, error);
        return r < 0 ? error_prefix(error, r, "%s", path) : 0;
}

int recipe_load(const char *path, const RecipeOptions *options, Recipe **ret, Error *error)
{
        static const RecipeOptions none = { 0 };
        Recipe *recipe = calloc(1, sizeof(*recipe));
        int r;

        if (!recipe)
                return error_oom(error);
        r = load_into(recipe, path, options ? options : &none, error);
        if (r < 0) {
                recipe_free(recipe);
                return r;
        }
        *ret = recipe;
        return 0;
}

const char *recipe_debian_architecture(const Recipe *recipe)
{
        return strcmp(recipe->architecture, "arm64") == 0 ? "arm64" : "amd64";
}

bool recipe_wants_format(const Recipe *recipe, const char *format)
{
        return strv_contains(recipe->formats, format);
}
