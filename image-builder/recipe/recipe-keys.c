/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "ini.h"
#include "recipe.h"
#include "strv.h"
#include "token-key.h"

#include <libgen.h>
#include <limits.h>
#include <string.h>

#define MEMBER(type, data, key) ((type *)((char *)(data) + (key)->offset))
#define FIELDS_MAX 16

/* One more zeroed item at the end of an array, or NULL with the Error set. */
static void *grow(void *array, size_t *count, size_t item_size, Error *error)
{
        void **pointer = array;
        uint8_t *grown;

        if (*count >= RECIPE_LIST_MAX) {
                (void)error_set(error, ERROR_CONFIG, E2BIG, "more than %d entries", RECIPE_LIST_MAX);
                return NULL;
        }
        grown = realloc(*pointer, (*count + 1) * item_size);
        if (!grown) {
                (void)error_oom(error);
                return NULL;
        }
        *pointer = grown;
        memset(grown + *count * item_size, 0, item_size);
        return grown + (*count)++ * item_size;
}

int recipe_host_path(Recipe *recipe, const char *path, IniPlace place, char **ret, Error *error)
{
        _cleanup_free_ char *copy = strdup(place.file), *joined = NULL;
        char resolved[PATH_MAX];
        int r;

        if (!copy)
                return error_oom(error);
        if (!*path)
                return error_set(error, ERROR_CONFIG, EINVAL, "the path of a file or folder is missing");
        joined = path[0] == '/' ? strdup(path)
                                : path_join(strchr(place.file, '/') ? dirname(copy) : ".", path);
        if (!joined)
                return error_oom(error);
        if (!realpath(joined, resolved))
                return error_set(error, ERROR_CONFIG, errno, "cannot find %s: %s", joined, strerror(errno));
        r = recipe_note_path(recipe, path, resolved, place, error);
        if (r < 0)
                return r;
        *ret = strdup(resolved);
        return *ret ? 0 : error_oom(error);
}

static int image_path(const char *path, char **ret, Error *error)
{
        size_t length = strlen(path);

        if (path[0] != '/' || length > 1024 || strstr(path, "//") || strstr(path, "/../") ||
                        strstr(path, "/./") || (length >= 3 && strcmp(path + length - 3, "/..") == 0))
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "\"%.100s\" is not a path in the image: it must begin with '/' and go "
                                "straight to its "
                                "place",
                                path);
        *ret = strdup(path);
        return *ret ? 0 : error_oom(error);
}

static int parse_mode(const char *text, uint32_t *ret, Error *error)
{
        char *end;
        unsigned long mode = strtoul(text, &end, 8);

        if (text[0] < '0' || text[0] > '7' || *end || mode > 07777)
                return error_set(error, ERROR_CONFIG, EINVAL, "\"%.100s\" is not an octal mode such as 0644",
                                text);
        *ret = (uint32_t)mode;
        return 0;
}

/* Splits at colons; empty fields count as not given (NULL). */
static size_t split(char *text, const char **fields, size_t max)
{
        size_t count = 0;

        for (char *field; count < max && (field = strsep(&text, ":"));)
                fields[count++] = *field ? field : NULL;
        return text ? max + 1 : count;
}

static int copy_optional(const char *value, char **ret, Error *error)
{
        if (!value)
                return 0;
        *ret = strdup(value);
        return *ret ? 0 : error_oom(error);
}

/* Who it is, is looked up in the image. */
static int set_owner(const char *owner, const char *group, char **ret_owner, char **ret_group, Error *error)
{
        int r = 0;

        if ((owner && strpbrk(owner, " \t\\")) || (group && strpbrk(group, " \t\\")))
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "an owner or group is a name or a number, without white space");
        r = copy_optional(owner, ret_owner, error);
        return r < 0 ? r : copy_optional(group ? group : owner, ret_group, error);
}

static int set_include(
                void *data, const IniKey *key _unused_, const char *value, IniPlace place, Error *error)
{
        _cleanup_free_ char *path = NULL;
        int r = recipe_host_path(data, value, place, &path, error);

        return r < 0 ? r : recipe_read_file(data, path, error);
}

/* A list of which the last line counts: a recipe that includes another changes it as a whole. */
static int set_whole_list(void *data, const IniKey *key, const char *value, IniPlace place, Error *error)
{
        char ***member = MEMBER(char **, data, key);

        *member = strv_free(*member);
        return ini_set_words(data, key, value, place, error);
}

static int set_host_path(void *data, const IniKey *key, const char *value, IniPlace place, Error *error)
{
        char *path = NULL;
        int r = *value ? recipe_host_path(data, value, place, &path, error) : 0;

        if (r < 0)
                return r;
        free(*MEMBER(char *, data, key));
        *MEMBER(char *, data, key) = path;
        return 0;
}

/* A private key: a file, or a token's URI as it is. */
static int set_key(void *data, const IniKey *key, const char *value, IniPlace place, Error *error)
{
        return token_key_is_uri(value) ? ini_set_string(data, key, value, place, error)
                                       : set_host_path(data, key, value, place, error);
}

/* SOURCE:PATH[:MODE[:OWNER[:GROUP]]] */
static int set_file(void *data, const IniKey *key _unused_, const char *value, IniPlace place, Error *error)
{
        Recipe *recipe = data;
        _cleanup_free_ char *text = strdup(value);
        const char *fields[5] = { 0 };
        size_t count = text ? split(text, fields, ELEMENTS(fields)) : 0;
        RecipeFile *file;
        int r;

        if (!text)
                return error_oom(error);
        if (count < 2 || count > ELEMENTS(fields) || !fields[0] || !fields[1])
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "\"%.100s\" is not of the form SOURCE:PATH[:MODE[:OWNER[:GROUP]]]", value);
        file = grow(&recipe->files, &recipe->file_count, sizeof(*file), error);
        if (!file)
                return -E2BIG;
        file->mode = 0644;
        r = recipe_host_path(recipe, fields[0], place, &file->source, error);
        if (r >= 0)
                r = image_path(fields[1], &file->path, error);
        if (r >= 0 && fields[2])
                r = parse_mode(fields[2], &file->mode, error);
        return r < 0 ? r : set_owner(fields[3], fields[4], &file->owner, &file->group, error);
}

/* SOURCE:PATH */
static int set_tree(void *data, const IniKey *key _unused_, const char *value, IniPlace place, Error *error)
{
        Recipe *recipe = data;
        _cleanup_free_ char *text = strdup(value);
        const char *fields[2] = { 0 };
        RecipeFile *tree;
        int r;

        if (!text)
                return error_oom(error);
        if (split(text, fields, 2) != 2 || !fields[0] || !fields[1])
                return error_set(error, ERROR_CONFIG, EINVAL, "\"%.100s\" is not of the form FOLDER:PATH",
                                value);
        tree = grow(&recipe->trees, &recipe->tree_count, sizeof(*tree), error);
        if (!tree)
                return -E2BIG;
        r = recipe_host_path(recipe, fields[0], place, &tree->source, error);
        return r < 0 ? r : image_path(fields[1], &tree->path, error);
}

/* PATH[:MODE[:OWNER[:GROUP]]] */
static int set_directory(void *data, const IniKey *key _unused_, const char *value, IniPlace place _unused_,
                Error *error)
{
        Recipe *recipe = data;
        _cleanup_free_ char *text = strdup(value);
        const char *fields[4] = { 0 };
        size_t count = text ? split(text, fields, ELEMENTS(fields)) : 0;
        RecipeNode *node;
        int r;

        if (!text)
                return error_oom(error);
        if (count < 1 || count > ELEMENTS(fields) || !fields[0])
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "\"%.100s\" is not of the form PATH[:MODE[:OWNER[:GROUP]]]", value);
        node = grow(&recipe->nodes, &recipe->node_count, sizeof(*node), error);
        if (!node)
                return -E2BIG;
        node->mode = 0755;
        r = image_path(fields[0], &node->path, error);
        if (r >= 0 && fields[1])
                r = parse_mode(fields[1], &node->mode, error);
        return r < 0 ? r : set_owner(fields[2], fields[3], &node->owner, &node->group, error);
}

/* PATH:TARGET */
static int set_link(void *data, const IniKey *key _unused_, const char *value, IniPlace place _unused_,
                Error *error)
{
        Recipe *recipe = data;
        _cleanup_free_ char *text = strdup(value);
        const char *fields[2] = { 0 };
        RecipeNode *node;
        int r;

        if (!text)
                return error_oom(error);
        if (split(text, fields, 2) != 2 || !fields[0] || !fields[1])
                return error_set(error, ERROR_CONFIG, EINVAL, "\"%.100s\" is not of the form PATH:TARGET",
                                value);
        node = grow(&recipe->nodes, &recipe->node_count, sizeof(*node), error);
        if (!node)
                return -E2BIG;
        r = image_path(fields[0], &node->path, error);
        return r < 0 ? r : copy_optional(fields[1], &node->target, error);
}

static RecipeUser *find_user(Recipe *recipe, const char *name, size_t length)
{
        for (size_t i = 0; i < recipe->user_count; i++)
                if (strncmp(recipe->users[i].name, name, length) == 0 && !recipe->users[i].name[length])
                        return &recipe->users[i];
        return NULL;
}

static int set_user_flag(RecipeUser *user, const char *option, Error *error)
{
        static const char *const names[] = { "uid", "groups", "home", "shell", "comment", "system",
                "subids" };
        const char *suggestion;

        if (strcmp(option, "system") == 0)
                user->is_system = true;
        else if (strcmp(option, "subids") == 0)
                user->subordinate_ids = true;
        else {
                suggestion = ini_suggest(option, names, ELEMENTS(names));
                return error_set(error, ERROR_CONFIG, EINVAL, "unknown option \"%.40s\" of a user%s%s%s",
                                option, suggestion ? ", did you mean \"" : "", suggestion ? suggestion : "",
                                suggestion ? "\"?" : "");
        }
        return 0;
}

/* NAME=VALUE of a User= line; a comma parts the groups. */
static int set_user_option(RecipeUser *user, char *option, Error *error)
{
        char *value = strchr(option, '=');
        char **text;

        if (!value)
                return set_user_flag(user, option, error);
        *value++ = 0;
        if (strcmp(option, "uid") == 0) {
                char *end;
                unsigned long uid = strtoul(value, &end, 10);

                if (value[0] < '1' || value[0] > '9' || *end || uid > 60000)
                        return error_set(error, ERROR_CONFIG, EINVAL,
                                        "\"%.40s\" is not a uid from 1 to 60000", value);
                user->uid = (uint32_t)uid;
                return 0;
        }
        if (strcmp(option, "groups") == 0) {
                for (char *group; (group = strsep(&value, ","));)
                        if (*group && strv_append(&user->groups, group) < 0)
                                return error_oom(error);
                return 0;
        }
        text = strcmp(option, "home") == 0      ? &user->home
               : strcmp(option, "shell") == 0   ? &user->shell
               : strcmp(option, "comment") == 0 ? &user->comment
                                                : NULL;
        if (!text)
                return set_user_flag(user, option, error);
        if (strpbrk(value, ":\n"))
                return error_set(error, ERROR_CONFIG, EINVAL, "a colon cannot stand in \"%.100s\"", value);
        free(*text);
        *text = strdup(value);
        return *text ? 0 : error_oom(error);
}

/* NAME[:uid=N][:groups=A,B][:home=PATH][:shell=PATH][:comment=TEXT][:system][:subids] */
static int set_user(void *data, const IniKey *key _unused_, const char *value, IniPlace place _unused_,
                Error *error)
{
        Recipe *recipe = data;
        _cleanup_free_ char *text = strdup(value);
        const char *fields[FIELDS_MAX];
        size_t count = text ? split(text, fields, FIELDS_MAX) : 0;
        RecipeUser *user;
        int r = 0;

        if (!text)
                return error_oom(error);
        if (count < 1 || count > FIELDS_MAX || !fields[0])
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "\"%.100s\" is not of the form NAME[:OPTION...]", value);
        user = find_user(recipe, fields[0], strlen(fields[0]));
        if (!user) {
                user = grow(&recipe->users, &recipe->user_count, sizeof(*user), error);
                if (!user)
                        return -E2BIG;
                user->name = strdup(fields[0]);
                if (!user->name)
                        return error_oom(error);
        }
        for (size_t i = 1; r >= 0 && i < count; i++)
                if (fields[i])
                        r = set_user_option(user, (char *)fields[i], error);
        return r;
}

/* The user that "NAME REST" begins with, and where REST begins. "root" needs no User= line. */
static int user_of_line(
                Recipe *recipe, const char *value, RecipeUser **ret, const char **ret_rest, Error *error)
{
        size_t length = strcspn(value, " \t");
        const char *rest = value + length + strspn(value + length, " \t");
        RecipeUser *user = find_user(recipe, value, length);

        if (!*rest)
                return error_set(error, ERROR_CONFIG, EINVAL, "a user's name and a value must be given");
        if (!user && length == 4 && strncmp(value, "root", 4) == 0) {
                user = grow(&recipe->users, &recipe->user_count, sizeof(*user), error);
                if (!user)
                        return -E2BIG;
                user->name = strdup("root");
                if (!user->name)
                        return error_oom(error);
        }
        if (!user)
                return error_set(error, ERROR_CONFIG, ENOENT, "there is no User=%.*s before this line",
                                (int)MIN_OF(length, (size_t)40), value);
        *ret = user;
        *ret_rest = rest;
        return 0;
}

static int add_ssh_key(RecipeUser *user, const char *line, Error *error)
{
        if (strstr(line, "PRIVATE KEY"))
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "this is a private key; give the .pub file's line");
        if (strncmp(line, "ssh-", 4) != 0 && strncmp(line, "ecdsa-", 6) != 0 && strncmp(line, "sk-", 3) != 0)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "\"%.60s\" does not begin like a public key, such as \"ssh-ed25519\"", line);
        return strv_append(&user->ssh_keys, line) < 0 ? error_oom(error) : 0;
}

static int set_ssh_key(void *data, const IniKey *key _unused_, const char *value, IniPlace place _unused_,
                Error *error)
{
        RecipeUser *user = NULL;
        const char *rest;
        int r = user_of_line(data, value, &user, &rest, error);

        return r < 0 ? r : add_ssh_key(user, rest, error);
}

/* NAME PATH of a file of public keys, one a line. */
static int set_ssh_key_file(
                void *data, const IniKey *key _unused_, const char *value, IniPlace place, Error *error)
{
        _cleanup_free_ char *path = NULL, *text = NULL;
        RecipeUser *user = NULL;
        const char *rest;
        char *next;
        size_t size;
        int r = user_of_line(data, value, &user, &rest, error);

        if (r >= 0)
                r = recipe_host_path(data, rest, place, &path, error);
        if (r < 0)
                return r;
        r = file_read(-1, path, 64 * KIB, &text, &size);
        if (r < 0)
                return error_set(error, ERROR_CONFIG, -r, "cannot read %s: %s", path, strerror(-r));
        r = recipe_note_text(data, path, text, size, error);
        next = text;
        for (char *line; r >= 0 && (line = strsep(&next, "\n"));)
                if (*line && *line != '#')
                        r = add_ssh_key(user, line, error);
        return r;
}

static int set_password_hash(void *data, const IniKey *key _unused_, const char *value,
                IniPlace place _unused_, Error *error)
{
        RecipeUser *user = NULL;
        const char *rest;
        int r = user_of_line(data, value, &user, &rest, error);

        if (r < 0)
                return r;
        if (rest[0] != '$' || strpbrk(rest, ": \t"))
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "give a hash as \"openssl passwd -6\" or mkpasswd prints it, not the "
                                "password");
        free(user->password_hash);
        user->password_hash = strdup(rest);
        return user->password_hash ? 0 : error_oom(error);
}

#define KEY(section, name, setter, member)                                                                  \
        {                                                                                                   \
                section, name, setter, offsetof(Recipe, member)                                             \
        }

const IniKey recipe_keys[] = {
        { "Recipe", "Include", set_include, 0 },
        KEY("Image", "Id", ini_set_string, image_id),
        KEY("Image", "Version", ini_set_string, version),
        KEY("Image", "Architecture", ini_set_string, architecture),
        KEY("Image", "Hostname", ini_set_string, hostname),
        KEY("Image", "Epoch", ini_set_string, epoch_text),
        KEY("Packages", "Suites", set_whole_list, suites),
        KEY("Packages", "Areas", set_whole_list, areas),
        KEY("Packages", "Mirror", ini_set_string, mirror),
        KEY("Packages", "SecurityMirror", ini_set_string, security_mirror),
        KEY("Packages", "FallbackMirrors", ini_set_words, fallback_mirrors),
        KEY("Packages", "Expired", ini_set_bool, with_expired),
        KEY("Packages", "Keyring", set_host_path, keyring),
        KEY("Packages", "Install", ini_set_words, packages),
        KEY("Packages", "Exclude", ini_set_words, excluded_packages),
        KEY("Packages", "Recommended", ini_set_bool, with_recommended),
        KEY("Packages", "Documentation", ini_set_bool, with_documentation),
        { "Content", "Base", recipe_set_base, 0 },
        KEY("Content", "BaseLimit", ini_set_size, base_limit_bytes),
        { "Content", "File", set_file, 0 },
        { "Content", "Tree", set_tree, 0 },
        { "Content", "Directory", set_directory, 0 },
        { "Content", "Link", set_link, 0 },
        { "Content", "Script", recipe_set_script, 0 },
        KEY("Content", "ScriptNetwork", ini_set_bool, script_network),
        KEY("Content", "Remove", ini_set_words, removed_globs),
        KEY("Content", "RemovePackages", ini_set_words, removed_packages),
        KEY("Content", "AllowSecret", ini_set_words, allowed_secrets),
        KEY("Content", "Setuid", ini_set_words, allowed_setuid),
        KEY("Kernel", "Package", ini_set_string, kernel_package),
        KEY("Kernel", "Modules", ini_set_words, modules),
        KEY("Kernel", "RootModules", ini_set_words, root_modules),
        KEY("Kernel", "CommandLine", ini_set_words, command_line),
        { "Users", "User", set_user, 0 },
        KEY("Users", "Group", ini_set_words, groups),
        { "Users", "SshKey", set_ssh_key, 0 },
        { "Users", "SshKeyFile", set_ssh_key_file, 0 },
        { "Users", "PasswordHash", set_password_hash, 0 },
        KEY("Services", "Enable", ini_set_words, enabled_units),
        KEY("Services", "Disable", ini_set_words, disabled_units),
        KEY("Services", "Mask", ini_set_words, masked_units),
        KEY("Services", "Listen", ini_set_words, listening_units),
        KEY("Services", "DefaultTarget", ini_set_string, default_target),
        KEY("Disk", "EspSize", ini_set_size, esp_size_bytes),
        KEY("Disk", "SlotSize", ini_set_size, slot_size_bytes),
        KEY("Disk", "VarSize", ini_set_size, var_size_bytes),
        KEY("Disk", "Formats", set_whole_list, formats),
        KEY("Budget", "Layout", ini_set_words, budget_layouts),
        KEY("Budget", "Reserve", ini_set_size, reserve_bytes),
        KEY("SecureBoot", "Key", set_key, secure_boot_key),
        KEY("SecureBoot", "Certificate", set_host_path, secure_boot_certificate),
        KEY("SecureBoot", "Enroll", set_host_path, secure_boot_enroll),
        KEY("SecureBoot", "PcrKey", set_key, pcr_key),
        KEY("Update", "Repository", ini_set_words, repositories),
        KEY("Update", "Channel", ini_set_string, channel),
        KEY("Update", "TrustedRoot", set_host_path, trusted_root),
        { 0 },
};
