/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"
#include "recipe.h"
#include "strv.h"
#include "verbs.h"

#include <string.h>

static int run(const char *what, const char *path, const RecipeOptions *options, Error *error)
{
        _cleanup_recipe_ Recipe *recipe = NULL;
        _cleanup_free_ char *text = NULL;
        int r = recipe_load(path, options, &recipe, error);

        if (r < 0)
                return r;
        if (strcmp(what, "check") == 0) {
                printf("%s: %s %s for %s, %zu packages named, no mistakes found\n", path, recipe->image_id,
                                recipe->version, recipe->architecture, strv_length(recipe->packages));
                return 0;
        }
        r = recipe_format(recipe, &text);
        if (r < 0)
                return error_oom(error);
        (void)fputs(text, stdout);
        return 0;
}

int verb_recipe(int argc, char **argv)
{
        _cleanup_strv_ char **settings = NULL, **profiles = NULL;
        const char *version = NULL;
        bool json = false;
        const Option options[] = {
                { "profile", 0, OPTION_LIST, &profiles, "NAME", "Read this profile of the recipe" },
                { "set", 's', OPTION_LIST, &settings, "SECTION.KEY=VALUE", "Read this after the recipe" },
                { "version", 0, OPTION_STRING, &version, "VERSION", "Version instead of the recipe's" },
                { "json", 0, OPTION_FLAG, &json, NULL, "Report an error as JSON" },
                { 0 },
        };
        const Usage usage = { PROGRAM_NAME, "recipe check|show RECIPE [OPTION...]",
                "Checks a recipe, or shows it with its includes, drop-ins and defaults resolved.", 2, 2 };
        Error error = { 0 };
        char **arguments;
        int r = options_take(argc, argv, options, &usage, &arguments, &error);

        if (r == 0 && strcmp(arguments[0], "check") != 0 && strcmp(arguments[0], "show") != 0)
                r = error_set(&error, ERROR_USAGE, EINVAL,
                                "\"recipe\" takes \"check RECIPE\" or \"show RECIPE\"");
        if (r == 0)
                r = run(arguments[0], arguments[1],
                                &(RecipeOptions){ .profiles = profiles,
                                                .settings = settings,
                                                .version = version },
                                &error);
        return program_exit(PROGRAM_NAME, r, &error, json);
}
