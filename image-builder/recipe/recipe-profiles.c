/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "recipe.h"
#include "strv.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789-"
#define NAME_LENGTH_MAX 64
#define ENDING ".conf"

char *recipe_profile_path(const Recipe *recipe, const char *name)
{
        return string_format("%s.profiles/%s" ENDING, recipe->path, name);
}

/* It becomes part of a path. */
static bool is_name(const char *text)
{
        return *text && *text != '-' && strlen(text) <= NAME_LENGTH_MAX && !text[strspn(text, NAME_LETTERS)];
}

static int has_ending(const struct dirent *entry)
{
        size_t length = strlen(entry->d_name);

        return length > strlen(ENDING) && strcmp(entry->d_name + length - strlen(ENDING), ENDING) == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

int recipe_list_folder(const char *folder, char ***ret)
{
        _cleanup_strv_ char **names = NULL;
        struct dirent **entries = NULL;
        int count = scandir(folder, &entries, has_ending, by_name), r = 0;

        if (count < 0 && errno != ENOENT && errno != ENOTDIR)
                return -errno;
        for (int i = 0; i < count; i++) {
                entries[i]->d_name[strlen(entries[i]->d_name) - strlen(ENDING)] = 0;
                if (r >= 0)
                        r = strv_append(&names, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(names);
        return 0;
}

static int no_profile(const Recipe *recipe, const char *name, Error *error)
{
        _cleanup_free_ char *folder = string_format("%s.profiles", recipe->path);
        _cleanup_strv_ char **names = NULL;
        _cleanup_buffer_ Buffer list = BUFFER_WITH_CAP(4 * KIB);
        const char *suggestion;
        int r;

        if (!folder)
                return error_oom(error);
        r = recipe_list_folder(folder, &names);
        if (r < 0)
                return error_set(error, ERROR_CONFIG, -r, "cannot read %s: %s", folder, strerror(-r));
        if (!names)
                return error_set(error, ERROR_CONFIG, ENOENT,
                                "there is no profile \"%.64s\": the recipe has none; they would be files "
                                "NAME.conf in %s.profiles",
                                name, recipe->path);
        suggestion = ini_suggest(name, (const char *const *)names, strv_length(names));
        if (suggestion)
                return error_set(error, ERROR_CONFIG, ENOENT,
                                "there is no profile \"%.64s\", did you mean \"%s\"?", name, suggestion);
        for (char **one = names; *one; one++) /* a list that is too long is cut */
                (void)buffer_printf(&list, "%s%s", one == names ? "" : ", ", *one);
        return error_set(error, ERROR_CONFIG, ENOENT, "there is no profile \"%.64s\"; there are %s", name,
                        list.data ? (const char *)list.data : "too many to list");
}

static int read_profile(Recipe *recipe, const char *name, Error *error)
{
        _cleanup_free_ char *path = recipe_profile_path(recipe, name);
        int r;

        if (!path)
                return error_oom(error);
        if (!is_name(name) || access(path, F_OK) < 0)
                return no_profile(recipe, name, error);
        r = recipe_read_file(recipe, path, error);
        if (r >= 0 && strv_append(&recipe->profiles, name) < 0)
                r = error_oom(error);
        return r;
}

int recipe_read_profiles(Recipe *recipe, char *const *names, Error *error)
{
        int r = 0;

        for (; r >= 0 && names && *names; names++)
                if (!strv_contains(recipe->profiles, *names))
                        r = read_profile(recipe, *names, error);
        return r;
}
