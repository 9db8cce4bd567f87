/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What to build: an INI file (bascule-recipe(5)), the files it includes, and the drop-ins (*.conf) in the
 * folder RECIPE.d beside it, and then the profiles that were asked for, NAME.conf in the folder
 * RECIPE.profiles. Everything is checked when it is read, so that a mistake is told with its file
 * and line before anything is downloaded; what depends on the packages (users, units) is told by the step
 * that needs it.
 *
 * Paths of the building machine are relative to the file that names them and are absolute here; paths in the
 * image begin with '/'. */

#include "buffer.h"
#include "ini.h"
#include "sha256.h"

#define RECIPE_LIST_MAX 4096 /* items in any one list */
#define RECIPE_DEPTH_MAX 8   /* of files that include each other */
/* IniPlace.file of a setting: without a '/', so that paths are relative to the current folder. */
#define RECIPE_SETTING_PLACE "--set"

/* A file or folder of the building machine that the recipe's texts name, or one of these texts. */
typedef struct RecipeInput {
        char *path;
        char *name; /* recipe_input_name() */
        bool is_text;
        uint8_t sha256[SHA256_SIZE]; /* of a text, as it was when it was read */
} RecipeInput;

typedef struct RecipeFile {
        char *source; /* on the building machine */
        char *path;   /* in the image */
        uint32_t mode;
        char *owner, *group; /* names or numbers; NULL: root */
} RecipeFile;

/* A directory or a symbolic link to be made. */
typedef struct RecipeNode {
        char *path;
        char *target; /* of a link; NULL: a directory */
        uint32_t mode;
        char *owner, *group;
} RecipeNode;

typedef struct RecipeUser {
        char *name;
        char *comment, *home, *shell, *password_hash; /* NULL: the default (tree-users.h) */
        uint32_t uid;                                 /* 0: the next free one */
        bool is_system, subordinate_ids;
        char **groups, **ssh_keys;
} RecipeUser;

typedef struct Recipe {
        char *path;      /* of the recipe's own file */
        char **profiles; /* names, in the order in which they were read; NULL: none */

        /* [Image] */
        char *image_id, *version, *architecture, *hostname;
        char *epoch_text;
        uint64_t epoch; /* seconds since 1970; 0: that of the newest package index */

        /* [Packages] */
        char **suites, **areas, **packages, **excluded_packages;
        char *mirror, *security_mirror; /* NULL: those of this machine's apt */
        char **fallback_mirrors;        /* asked for packages of a lock that no mirror has */
        char *keyring;                  /* NULL: apt's trusted keys */
        bool with_recommended, with_documentation, with_expired;

        /* [Content], in the order of the recipe */
        char *base;     /* a file or folder that the tree begins with; NULL: none */
        char *base_tag; /* of an OCI image; NULL: there is only one */
        bool base_is_oci;
        uint64_t base_limit_bytes; /* that it may unpack to */
        RecipeFile *files, *trees;
        RecipeNode *nodes;
        size_t file_count, tree_count, node_count;
        char **scripts; /* files that are run in the tree, in this order */
        bool script_network;
        char **removed_globs, **removed_packages, **allowed_secrets, **allowed_setuid;

        /* [Kernel] */
        char *kernel_package; /* NULL: none; the tree must then have one */
        char **modules;       /* of the initrd, each with what it depends on */
        char **root_modules;  /* of the root, or patterns of them (root-modules.h); NULL: all */
        char **command_line;

        /* [Users] */
        RecipeUser *users;
        size_t user_count;
        char **groups; /* NAME or NAME:GID, a number from 1 to 60000 */

        /* [Services] */
        char **enabled_units, **disabled_units, **masked_units, **listening_units;
        char *default_target;

        /* [Disk] */
        uint64_t esp_size_bytes, slot_size_bytes, var_size_bytes;
        char **formats; /* names of disk-format.h */

        /* [Budget] */
        char **budget_layouts; /* NAME:SLOTSIZE:ESPSIZE (budget.h) */
        uint64_t reserve_bytes;

        /* [Update] */
        char **repositories;
        char *channel, *trusted_root;

        /* [SecureBoot]; NULL: not signed, nothing enrolled */
        char *secure_boot_key; /* a file or a "pkcs11:" URI */
        char *secure_boot_certificate, *secure_boot_enroll;
        char *pcr_key; /* of the same kind */

        /* Where it comes from (recipe-inputs.c): files in the order in which they were met, and what was set
         * beside them, as a statement for others may tell it. */
        RecipeInput *inputs;
        size_t input_count;
        char **settings;

        /* While it is read. */
        const char *reading[RECIPE_DEPTH_MAX]; /* files, each included by the one before */
        size_t reading_count;
        char *setting_path;       /* as it is written in the setting that is read; NULL: none */
        const char *setting_name; /* of that input */
} Recipe;

/* What is asked for beside the recipe. Nothing is owned, and all may be NULL. */
typedef struct RecipeOptions {
        char *const *profiles; /* names; read in this order, each once */
        char *const *settings; /* Section.Key=VALUE, read last, as if they stood in one more drop-in */
        const char *version;   /* instead of the recipe's */
} RecipeOptions;

/* Reads and checks a recipe. `options` may be NULL. ERROR_CONFIG; a profile that is not there, or that
 * cannot be the name of one, is ERROR_CONFIG with the nearest that is. */
int recipe_load(const char *path, const RecipeOptions *options, Recipe **ret, Error *error);
Recipe *recipe_free(Recipe *recipe);
DEFINE_CLEANUP(Recipe *, recipe_free)
#define _cleanup_recipe_ _cleanup_(recipe_freep)

/* As INI text with every value in force, freed by the caller. The same recipe gives the same text: cache
 * keys are made of it. */
int recipe_format(const Recipe *recipe, char **ret);

/* What a statement for others calls a file or folder: nothing of the building machine is in it. A path that
 * was written relative to a recipe's file is told relative to the recipe; another one too if it lies beside
 * or below the recipe, else by its last component, as is one that no recipe names. Two files can have one
 * name. */
const char *recipe_input_name(const Recipe *recipe, const char *path);

/* Whether packages are chosen and installed: not when a base has all that is wanted. */
bool recipe_installs_packages(const Recipe *recipe);
/* Debian's name of the recipe's architecture ("amd64"). */
const char *recipe_debian_architecture(const Recipe *recipe);
bool recipe_wants_format(const Recipe *recipe, const char *format);

/* ---- parts of recipe.c, for each other and for tests ---- */

/* The checks that need the whole recipe. */
int recipe_check(Recipe *recipe, Error *error);
/* Reads one more file, for Include=. */
int recipe_read_file(Recipe *recipe, const char *path, Error *error);

/* A path of the building machine, relative to the file that names it, made absolute (*ret is the caller's).
 */
int recipe_host_path(Recipe *recipe, const char *path, IniPlace place, char **ret, Error *error);
/* recipe-inputs.c: a path as it is written there, and what it resolves to; a text that was read; a setting
 * that was read, of which logins to servers, password hashes and all about signing keys but that it was set
 * is left out. */
int recipe_note_path(Recipe *recipe, const char *written, const char *path, IniPlace place, Error *error);
int recipe_note_text(Recipe *recipe, const char *path, const char *text, size_t size, Error *error);
int recipe_note_setting(Recipe *recipe, const char *setting, Error *error);

/* Appends a text, leaving "USER:PASSWORD@" out of the URLs in it. -ENOMEM, -E2BIG. */
int recipe_append_without_logins(Buffer *out, const char *text);
/* recipe-base.c: the setters of Base= and Script=. */
int recipe_set_script(void *data, const IniKey *key, const char *value, IniPlace place, Error *error);
int recipe_set_base(void *data, const IniKey *key, const char *value, IniPlace place, Error *error);

/* recipe-profiles.c: the file of a profile, newly allocated, NULL when out of memory; and reading them. */
char *recipe_profile_path(const Recipe *recipe, const char *name);
int recipe_read_profiles(Recipe *recipe, char *const *names, Error *error);
/* Each NAME of the files NAME.conf in a folder, in byte order of the whole names; none of a folder that is
 * not there. */
int recipe_list_folder(const char *folder, char ***ret);

extern const IniKey recipe_keys[];
