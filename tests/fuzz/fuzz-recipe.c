/* SPDX-License-Identifier: Apache-2.0 */
/* Recipes, without what reads other files. One that is taken is shown as a recipe that means the same. */
#include "fuzz.h"

#include "ini.h"
#include "recipe.h"

#include <string.h>

#define KEYS_MAX 128
#define LINES_MAX 4096 /* so that no list that is shown on one line is longer than a line may be */

static const char defaults[] =
                "[Image]\nVersion=1\nArchitecture=x86-64\n[Disk]\nEspSize=256M\nSlotSize=1G\nVarSize=1G\n"
                "[Update]\nChannel=stable\n";

/* The builder's own table, but for two keys. */
static void fill_keys(IniKey keys[static KEYS_MAX])
{
        size_t count = 0;

        for (; recipe_keys[count].section; count++) {
                MUST(count + 1 < KEYS_MAX);
                keys[count] = recipe_keys[count];
                if (strcmp(keys[count].name, "Include") == 0 || strcmp(keys[count].name, "SshKeyFile") == 0)
                        keys[count].set = ini_ignore;
        }
}

static int parse(const IniKey *keys, const char *text, size_t size, Recipe **ret)
{
        _cleanup_recipe_ Recipe *recipe = calloc(1, sizeof(*recipe));
        Error error = { 0 };
        int r;

        MUST(recipe);
        recipe->path = strdup("/fuzz.conf");
        MUST(recipe->path);
        MUST(ini_parse("defaults", defaults, strlen(defaults), keys, recipe, NULL) >= 0);
        r = ini_parse("fuzz", text, size, keys, recipe, &error);
        if (r >= 0)
                r = recipe_check(recipe, &error);
        MUST((r < 0) == error_is_set(&error));
        if (r >= 0)
                *ret = TAKE_PTR(recipe);
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static IniKey keys[KEYS_MAX];
        _cleanup_recipe_ Recipe *first = NULL, *second = NULL;
        _cleanup_free_ char *shown = NULL, *again = NULL;

        if (size > LINES_MAX)
                return 0;
        if (!keys[0].section)
                fill_keys(keys);
        if (parse(keys, (const char *)data, size, &first) < 0)
                return 0;
        MUST(recipe_format(first, &shown) >= 0);
        MUST(parse(keys, shown, strlen(shown), &second) >= 0);
        MUST(recipe_format(second, &again) >= 0);
        MUST(strcmp(shown, again) == 0);
        return 0;
}
