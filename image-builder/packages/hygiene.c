/* SPDX-License-Identifier: Apache-2.0 */
#include "hygiene.h"

#include "strv.h"

#include <fnmatch.h>
#include <string.h>

#define SHADOW_MAX (1 * MIB)
#define NAMES_MAX 512 /* bytes of paths in a message */

/* ---- privileges ---- */

typedef struct Privileges {
        char *const *allowed;
        char names[NAMES_MAX];
        size_t unnamed; /* for which there is no room */
} Privileges;

static bool is_allowed(char *const *patterns, const char *path)
{
        for (; patterns && *patterns; patterns++)
                if (fnmatch(*patterns + strspn(*patterns, "/"), path, FNM_PATHNAME) == 0)
                        return true;
        return false;
}

static int note_privileged(Tree *tree _unused_, TreeNode *node, const char *path, void *data, Error *error)
{
        Privileges *privileges = data;
        size_t used = strlen(privileges->names);

        (void)error;
        if (!S_ISREG(node->inode->mode) ||
                        (!(node->inode->mode & (S_ISUID | S_ISGID)) &&
                                        !tree_get_xattr(node->inode, "security.capability")) ||
                        is_allowed(privileges->allowed, path))
                return 0;
        if (used == 0 || used + strlen(path) + 2 < NAMES_MAX) /* the first is cut rather than left out */
                (void)snprintf(privileges->names + used, NAMES_MAX - used, "%s/%s", used > 0 ? " " : "",
                                path);
        else
                privileges->unnamed++;
        return 0;
}

int hygiene_check_privileges(Tree *tree, char *const *allowed, Error *error)
{
        Privileges privileges = { .allowed = allowed };
        char more[48] = "";
        int r = tree_walk(tree, tree_root(tree), note_privileged, &privileges, error);

        if (r < 0 || !privileges.names[0])
                return r;
        if (privileges.unnamed > 0)
                (void)snprintf(more, sizeof(more), " (and %zu more)", privileges.unnamed);
        return error_set(error, ERROR_REFUSED, EPERM,
                        "the image has files that give whoever runs them more rights (setuid, setgid or "
                        "capabilities) and that the recipe does not name: leave them out with Remove=, or "
                        "allow "
                        "them: Setuid=%s%s",
                        privileges.names, more);
}

/* ---- passwords ---- */

static bool is_declared(const Recipe *recipe, const char *name, const char *hash)
{
        for (size_t i = 0; i < recipe->user_count; i++)
                if (strcmp(recipe->users[i].name, name) == 0)
                        return recipe->users[i].password_hash &&
                               strcmp(recipe->users[i].password_hash, hash) == 0;
        return false;
}

/* NULL when there is no such file. What cannot be searched to its end is refused: programs read on behind a
 * NUL. */
static int read_accounts(Tree *tree, const char *path, char **ret, Error *error)
{
        size_t size = 0;
        int r = tree_read_file(tree, path, SHADOW_MAX, ret, &size);

        if (r == -ENOENT)
                return 0;
        if (r == -ENOMEM)
                return error_oom(error);
        if (r < 0)
                return error_set(error, ERROR_REFUSED, -r,
                                "/%s in the image cannot be searched for passwords (%s): put a file of "
                                "lines "
                                "in its place",
                                path, strerror(-r));
        return strlen(*ret) == size
                               ? 0
                               : error_set(error, ERROR_REFUSED, EPERM,
                                                 "/%s in the image has a NUL byte, behind which a "
                                                 "password could hide: put a file of lines in its place",
                                                 path);
}

/* "NAME:HASH:...": hashes begin with '$', '_' or a letter or digit; "*" and "!" let nobody in. */
static int check_shadow(Tree *tree, const char *path, const Recipe *recipe, Error *error)
{
        _cleanup_free_ char *text = NULL;
        char *next;
        int r = read_accounts(tree, path, &text, error);

        if (r < 0 || !text)
                return r;
        next = text;
        for (char *line; (line = strsep(&next, "\n"));) {
                const char *name = strsep(&line, ":"), *hash = line ? strsep(&line, ":") : NULL;

                if (!hash)
                        continue;
                if (*hash == '!' && hash[1])
                        hash++; /* locked, with a hash that unlocking brings back */
                if (*hash == 0 && strcmp(path, "etc/gshadow") != 0)
                        return error_set(error, ERROR_REFUSED, EPERM,
                                        "/%s in the image lets %.64s in without a password: put a '*' in "
                                        "its "
                                        "place",
                                        path, name);
                if (*hash == 0 || strchr("*!x", *hash) || is_declared(recipe, name, hash))
                        continue;
                return error_set(error, ERROR_REFUSED, EPERM,
                                "/%s in the image has a password of %.64s that the recipe does not declare: "
                                "every "
                                "reader of the image could try to guess it. Give it with PasswordHash=, or "
                                "put a "
                                "'*' in its place",
                                path, name);
        }
        return 0;
}

int hygiene_check_passwords(Tree *tree, const Recipe *recipe, Error *error)
{
        int r = check_shadow(tree, "etc/passwd", recipe, error);

        if (r >= 0)
                r = check_shadow(tree, "etc/shadow", recipe, error);
        return r < 0 ? r : check_shadow(tree, "etc/gshadow", recipe, error);
}

/* ---- apt ---- */

static int refuse_file(
                Tree *tree _unused_, TreeNode *node, const char *path, void *data _unused_, Error *error)
{
        return S_ISDIR(node->inode->mode) ? 0
                                          : error_set(error, ERROR_REFUSED, EPERM,
                                                            "/%s in the image is apt's, of the machine that "
                                                            "it comes from: "
                                                            "leave it out of the recipe's Tree= or File=",
                                                            path);
}

int hygiene_check_apt(Tree *tree, Error *error)
{
        static const char *const places[] = { "etc/apt/auth.conf", "etc/apt/auth.conf.d", "var/cache/apt",
                "var/lib/apt" };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(places); i++) {
                TreeNode *node = tree_resolve(tree, places[i]);

                if (node)
                        r = tree_walk(tree, node, refuse_file, NULL, error);
        }
        return r;
}

int hygiene_check(Tree *tree, const Recipe *recipe, Error *error)
{
        int r = hygiene_check_apt(tree, error);

        if (r >= 0)
                r = hygiene_check_passwords(tree, recipe, error);
        if (r >= 0)
                r = hygiene_check_privileges(tree, recipe->allowed_setuid, error);
        return r < 0 ? r : hygiene_check_ports(tree, recipe->listening_units, error);
}
