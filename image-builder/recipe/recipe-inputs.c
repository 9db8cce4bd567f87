/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "recipe.h"
#include "strv.h"

#include <string.h>

#define INPUTS_MAX (4 * RECIPE_LIST_MAX)
#define SETTING_MAX (64 * KIB)
#define SPACE " \t\r"

static RecipeInput *find(const Recipe *recipe, const char *path)
{
        for (size_t i = 0; i < recipe->input_count; i++)
                if (strcmp(recipe->inputs[i].path, path) == 0)
                        return &recipe->inputs[i];
        return NULL;
}

static const char *last_component(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

const char *recipe_input_name(const Recipe *recipe, const char *path)
{
        const RecipeInput *input = find(recipe, path);

        return input ? input->name : last_component(path);
}

/* Takes "." and "NAME/.." out of a relative path, as text. */
static void shorten(char *path)
{
        char *next = path, *end = path;
        size_t depth = 0; /* names that ".." can take back */

        for (char *part; (part = strsep(&next, "/"));) {
                size_t length = strlen(part);
                bool is_up = strcmp(part, "..") == 0;

                if (length == 0 || strcmp(part, ".") == 0)
                        continue;
                if (is_up && depth > 0) {
                        depth--;
                        while (end > path && *--end != '/')
                                ;
                        continue;
                }
                depth += !is_up;
                if (end > path)
                        *end++ = '/';
                memmove(end, part, length);
                end += length;
        }
        if (end == path)
                *end++ = '.';
        *end = 0;
}

/* `written` stands in the text of `file`, which is a setting if it is none of the texts. */
static char *make_name(const Recipe *recipe, const char *written, const char *path, const char *file)
{
        const RecipeInput *from = find(recipe, file);
        size_t length = (size_t)(last_component(recipe->path) - recipe->path);
        char *name;

        if (!from || written[0] == '/')
                return strdup(strncmp(path, recipe->path, length) == 0 ? path + length
                                                                       : last_component(path));
        name = string_format("%.*s%s", (int)(last_component(from->name) - from->name), from->name, written);
        if (name)
                shorten(name);
        return name;
}

/* Takes the name over, which may be NULL for want of memory. */
static int add(Recipe *recipe, const char *path, char *name, RecipeInput **ret, Error *error)
{
        RecipeInput *inputs = NULL, input = { .path = strdup(path), .name = name };

        if (input.path && name && recipe->input_count < INPUTS_MAX)
                inputs = reallocarray(recipe->inputs, recipe->input_count + 1, sizeof(*inputs));
        if (!inputs) {
                free(input.path);
                free(name);
                return recipe->input_count < INPUTS_MAX
                                       ? error_oom(error)
                                       : error_set(error, ERROR_CONFIG, E2BIG,
                                                         "the recipe names more than %d files", INPUTS_MAX);
        }
        recipe->inputs = inputs;
        *ret = &inputs[recipe->input_count++];
        **ret = input;
        return 0;
}

int recipe_note_path(Recipe *recipe, const char *written, const char *path, IniPlace place, Error *error)
{
        RecipeInput *input = find(recipe, path);
        int r = input ? 0 : add(recipe, path, make_name(recipe, written, path, place.file), &input, error);

        if (r < 0 || strcmp(place.file, RECIPE_SETTING_PLACE) != 0)
                return r;
        free(recipe->setting_path);
        recipe->setting_path = strdup(written);
        recipe->setting_name = input->name;
        return recipe->setting_path ? 0 : error_oom(error);
}

int recipe_note_text(Recipe *recipe, const char *path, const char *text, size_t size, Error *error)
{
        RecipeInput *input = find(recipe, path);
        int r = input ? 0
                      : add(recipe, path, make_name(recipe, path, path, RECIPE_SETTING_PLACE), &input,
                                        error);

        if (r < 0)
                return r;
        input->is_text = true;
        sha256_of(text, size, input->sha256);
        return 0;
}

/* ---- settings ---- */

/* Where the value begins, if it is nobody else's business; NULL: it may be told. */
static const char *find_secret(const char *setting)
{
        static const char signing[] = "SecureBoot.", users[] = "Users.", password[] = "PasswordHash";
        const char *value = strchr(setting, '=');

        if (strncmp(setting, signing, strlen(signing)) == 0)
                return value;
        if (strncmp(setting, users, strlen(users)) != 0)
                return NULL;
        setting += strlen(users);
        setting += strspn(setting, SPACE);
        return strncmp(setting, password, strlen(password)) == 0 ? value : NULL;
}

int recipe_append_without_logins(Buffer *out, const char *text)
{
        for (const char *mark; (mark = strstr(text, "://"));) {
                const char *host = mark + strlen("://"), *at;
                size_t length = strcspn(host, "/" SPACE);
                int r = buffer_append(out, text, (size_t)(host - text));

                if (r < 0)
                        return r;
                at = memrchr(host, '@', length);
                text = at ? at + 1 : host;
        }
        return buffer_append_string(out, text);
}

int recipe_note_setting(Recipe *recipe, const char *setting, Error *error)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(SETTING_MAX);
        const char *secret = find_secret(setting), *path = recipe->setting_path;
        const char *written = path && !secret ? strstr(strchr(setting, '='), path) : NULL;
        int r;

        if (secret)
                r = buffer_append(&text, setting, (size_t)(secret - setting));
        else if (written)
                r = buffer_append(&text, setting, (size_t)(written - setting));
        else
                r = recipe_append_without_logins(&text, setting);
        if (r >= 0 && written)
                r = buffer_printf(&text, "%s%s", recipe->setting_name, written + strlen(path));
        if (r < 0 || strv_append(&recipe->settings, (const char *)text.data) < 0)
                return error_oom(error);
        return 0;
}
