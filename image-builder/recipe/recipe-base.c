/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe.h"
#include "strv.h"

#include <string.h>

#define OCI_PREFIX "oci:"
#define TAG_MAX 255
#define SCRIPTS_MAX 100

static int set_tag(Recipe *recipe, const char *tag, Error *error)
{
        if (!*tag || strlen(tag) > TAG_MAX)
                return error_set(error, ERROR_CONFIG, EINVAL, "\"%.100s\" is not of the form oci:PATH[:TAG]",
                                tag);
        recipe->base_tag = strdup(tag);
        return recipe->base_tag ? 0 : error_oom(error);
}

/* PATH, or oci:PATH[:TAG]; an empty value takes back an earlier one. */
int recipe_set_base(void *data, const IniKey *key _unused_, const char *value, IniPlace place, Error *error)
{
        Recipe *recipe = data;
        bool is_oci = strncmp(value, OCI_PREFIX, strlen(OCI_PREFIX)) == 0;
        _cleanup_free_ char *path = strdup(is_oci ? value + strlen(OCI_PREFIX) : value), *absolute = NULL;
        char *tag = is_oci && path ? strchr(path, ':') : NULL;
        int r = 0;

        if (!path)
                return error_oom(error);
        if (tag)
                *tag++ = 0;
        if (*value)
                r = recipe_host_path(recipe, path, place, &absolute, error);
        if (r < 0)
                return r;
        free(recipe->base);
        free(recipe->base_tag);
        recipe->base = TAKE_PTR(absolute);
        recipe->base_tag = NULL;
        recipe->base_is_oci = is_oci;
        return tag ? set_tag(recipe, tag, error) : 0;
}

/* A file; an empty value takes back earlier ones. */
int recipe_set_script(
                void *data, const IniKey *key _unused_, const char *value, IniPlace place, Error *error)
{
        Recipe *recipe = data;
        _cleanup_free_ char *path = NULL;
        int r;

        if (!*value) {
                recipe->scripts = strv_free(recipe->scripts);
                return 0;
        }
        if (strv_length(recipe->scripts) >= SCRIPTS_MAX)
                return error_set(error, ERROR_CONFIG, E2BIG, "more than %d scripts", SCRIPTS_MAX);
        r = recipe_host_path(recipe, value, place, &path, error);
        if (r >= 0 && strv_append(&recipe->scripts, path) < 0)
                r = error_oom(error);
        return r;
}

bool recipe_installs_packages(const Recipe *recipe)
{
        return !recipe->base || recipe->packages || recipe->kernel_package;
}
