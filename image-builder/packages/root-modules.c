/* SPDX-License-Identifier: Apache-2.0 */
#include "root-modules.h"

#include "file.h"
#include "initrd.h"
#include "kernel-modules.h"
#include "module-index.h"
#include "strv.h"

#include <fnmatch.h>
#include <string.h>

#define INDEX_MAX (16 * MIB)

/* ---- keeping ---- */

static bool is_pattern(const char *word)
{
        return strpbrk(word, "*?[/");
}

static bool matches(const char *pattern, const KernelModule *module)
{
        return strchr(pattern, '/') ? fnmatch(pattern + strspn(pattern, "/"), module->path,
                                                      FNM_PATHNAME | FNM_LEADING_DIR) == 0
                                    : fnmatch(pattern, module->name, 0) == 0;
}

/* Adds the names that a word of RootModules= stands for. */
static int expand(KernelModules *modules, const char *word, const char *release, char ***names, Error *error)
{
        _cleanup_free_ char *pattern = strdup(word);
        size_t found = 0;

        if (!pattern)
                return error_oom(error);
        if (!is_pattern(word))
                return strv_append(names, word) < 0 ? error_oom(error) : 0;
        for (char *p = pattern; !strchr(pattern, '/') && *p; p++)
                *p = *p == '-' && !strchr(pattern, '[') ? '_' : *p;
        for (size_t i = 0; i < kernel_modules_count(modules); i++) {
                const KernelModule *module = kernel_modules_at(modules, i);

                if (!matches(pattern, module))
                        continue;
                found++;
                if (strv_append(names, module->name) < 0)
                        return error_oom(error);
        }
        return found > 0 ? 0
                         : error_set(error, ERROR_CONFIG, ENOENT,
                                           "RootModules=%s matches no module of the kernel %s: correct the "
                                           "pattern, or leave it out",
                                           word, release);
}

static int by_text(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int root_modules_keep(Removal *removal, const TreeKernel *kernel, const Recipe *recipe, Error *error)
{
        _cleanup_kernel_modules_ KernelModules *modules = NULL;
        _cleanup_strv_ char **names = NULL, **kept = NULL;
        int r;

        if (!recipe->root_modules || !kernel->modules_path)
                return 0;
        r = kernel_modules_read(removal->tree, kernel, &modules, error);
        for (char **word = recipe->modules; r >= 0 && word && *word; word++)
                r = strv_append(&names, *word) < 0 ? error_oom(error) : 0;
        for (char **word = recipe->root_modules; r >= 0 && *word; word++)
                r = expand(modules, *word, kernel->release, &names, error);
        if (r >= 0)
                r = initrd_order_modules(removal->tree, kernel, names, &kept, error);
        if (r < 0)
                return r;
        strv_sort(kept);
        for (size_t i = 0; r >= 0 && i < kernel_modules_count(modules); i++) {
                const KernelModule *module = kernel_modules_at(modules, i);
                _cleanup_free_ char *path = path_join(kernel->modules_path, module->path);
                TreeNode *node = path ? tree_lookup(removal->tree, path) : NULL;

                if (!path)
                        return error_oom(error);
                if (node && !bsearch(&module->path, kept, strv_length(kept), sizeof(*kept), by_text))
                        r = removal_drop_node(removal, node, "RootModules=", error);
        }
        return r;
}

/* ---- indexes ---- */

typedef struct Indexes {
        Removal *removal;
        const TreeKernel *kernel;
        KernelModules *modules; /* all that modules.dep names */
        char **kept;            /* names of those whose files are there; sorted */
        uint32_t *priorities;   /* by number in `kept` */
} Indexes;

static void indexes_done(Indexes *indexes)
{
        kernel_modules_free(indexes->modules);
        strv_free(indexes->kept);
        free(indexes->priorities);
}

static bool is_there(const Indexes *indexes, const char *module_path)
{
        char path[TREE_PATH_MAX];

        (void)snprintf(path, sizeof(path), "%s/%s", indexes->kernel->modules_path, module_path);
        return tree_lookup(indexes->removal->tree, path);
}

/* Number in `kept`; SIZE_MAX: it is not there. */
static size_t kept_number(const Indexes *indexes, const char *name)
{
        size_t count = strv_length(indexes->kept);
        char **found = count > 0 ? bsearch(&name, indexes->kept, count, sizeof(*indexes->kept), by_text)
                                 : NULL;

        return found ? (size_t)(found - indexes->kept) : SIZE_MAX;
}

/* As depmod does, modules count from 0 in the order of modules.dep. */
static int find_kept(Indexes *indexes)
{
        uint32_t number = 0;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < kernel_modules_count(indexes->modules); i++) {
                const KernelModule *module = kernel_modules_at(indexes->modules, i);

                if (!is_there(indexes, module->path))
                        continue;
                r = strv_append(&indexes->kept, module->name);
        }
        strv_sort(indexes->kept);
        indexes->priorities = calloc(strv_length(indexes->kept) + 1, sizeof(*indexes->priorities));
        if (r < 0 || !indexes->priorities)
                return -ENOMEM;
        for (size_t i = 0; i < kernel_modules_count(indexes->modules); i++) {
                const KernelModule *module = kernel_modules_at(indexes->modules, i);

                if (is_there(indexes, module->path))
                        indexes->priorities[kept_number(indexes, module->name)] = number++;
        }
        return 0;
}

static int needs_gone(Indexes *indexes, const char *who, const char *module_path, Error *error)
{
        char path[TREE_PATH_MAX];
        const char *reason;

        (void)snprintf(path, sizeof(path), "%s/%s", indexes->kernel->modules_path, module_path);
        reason = removal_reason(indexes->removal, path);
        return error_set(error, ERROR_CONFIG, ENOENT,
                        "%s needs /%s, which %s removes: leave that out of the recipe", who, path,
                        reason ? reason : "the recipe");
}

static int check_dependencies(Indexes *indexes, const KernelModule *module, Error *error)
{
        _cleanup_free_ char *copy = strdup(module->dependencies);
        char *next = copy, who[TREE_PATH_MAX];

        if (!copy)
                return error_oom(error);
        (void)snprintf(who, sizeof(who), "/%s/%s", indexes->kernel->modules_path, module->path);
        for (char *word; (word = strsep(&next, " "));)
                if (*word && !is_there(indexes, word))
                        return needs_gone(indexes, who, word, error);
        return 0;
}

static int check(Indexes *indexes, const Recipe *recipe, Error *error)
{
        _cleanup_strv_ char **initrd = NULL;
        int r = initrd_order_modules(
                        indexes->removal->tree, indexes->kernel, recipe->modules, &initrd, error);

        for (char **path = initrd; r >= 0 && path && *path; path++)
                if (!is_there(indexes, *path))
                        r = needs_gone(indexes, "the initrd", *path, error);
        for (size_t i = 0; r >= 0 && i < kernel_modules_count(indexes->modules); i++) {
                const KernelModule *module = kernel_modules_at(indexes->modules, i);

                if (is_there(indexes, module->path))
                        r = check_dependencies(indexes, module, error);
        }
        return r;
}

/* What a line of an index is about: a module's name, or "" for a comment and the like. */
typedef void (*LineModule)(const char *line, char ret[static TREE_NAME_MAX + 1]);

static void copy_name(const char *from, size_t length, char ret[static TREE_NAME_MAX + 1])
{
        size_t used = 0;

        for (; used < length && used < TREE_NAME_MAX && from[used] != '.'; used++)
                ret[used] = from[used] == '-' ? '_' : from[used];
        ret[used] = 0;
}

/* "kernel/a/b.ko: ..." and "kernel/a/b.ko" */
static void module_of_path(const char *line, char ret[static TREE_NAME_MAX + 1])
{
        size_t length = strcspn(line, ":\n"), start = length;

        while (start > 0 && line[start - 1] != '/')
                start--;
        copy_name(line + start, length - start, ret);
}

/* "alias PATTERN MODULE" */
static void module_of_alias(const char *line, char ret[static TREE_NAME_MAX + 1])
{
        const char *blank = strrchr(line, ' ');

        blank = blank && *line != '#' ? blank + 1 : "";
        copy_name(blank, strlen(blank), ret);
}

/* "softdep MODULE ..." */
static void module_of_softdep(const char *line, char ret[static TREE_NAME_MAX + 1])
{
        line = strncmp(line, "softdep ", 8) == 0 ? line + 8 : "";
        copy_name(line, strcspn(line, " "), ret);
}

/* "MODULE DEVICE NUMBERS" */
static void module_of_devname(const char *line, char ret[static TREE_NAME_MAX + 1])
{
        copy_name(line, *line == '#' ? 0 : strcspn(line, " "), ret);
}

/* The key that a line has in the binary index: for modules.dep the module's name, for others the second
 * word, with '_' for '-' outside of brackets where aliases are meant. */
static int add_to_index(ModuleIndex *index, const Indexes *indexes, const char *line, const char *name,
                bool is_dep, bool is_alias)
{
        _cleanup_free_ char *key = NULL;
        uint32_t priority = indexes->priorities[kept_number(indexes, name)];
        bool in_brackets = false;

        if (is_dep)
                return module_index_add(index, name, line, priority);
        if (strncmp(line, "alias ", 6) != 0)
                return 0;
        key = strndup(line + 6, strcspn(line + 6, " "));
        if (!key)
                return -ENOMEM;
        for (char *p = key; is_alias && *p; p++) {
                in_brackets = *p == '[' || (in_brackets && *p != ']');
                if (*p == '-' && !in_brackets)
                        *p = '_';
        }
        return module_index_add(index, key, name, priority);
}

typedef struct IndexFile {
        const char *name;
        LineModule module;
        bool has_binary, is_alias;
} IndexFile;

static const IndexFile index_files[] = {
        { "modules.dep", module_of_path, true, false },
        { "modules.alias", module_of_alias, true, true },
        { "modules.symbols", module_of_alias, true, false },
        { "modules.softdep", module_of_softdep, false, false },
        { "modules.devname", module_of_devname, false, false },
        { "modules.order", module_of_path, false, false },
};

/* Gives a file of the tree, if it is there, other bytes. */
static int put_file(Tree *tree, const char *path, const Buffer *text)
{
        TreeNode *node = tree_resolve(tree, path);

        return node ? tree_set_content(node->inode, text->data, text->size) : 0;
}

static int filter(const Indexes *indexes, const IndexFile *file, char *text, Buffer *out, ModuleIndex *index)
{
        char *next = text, name[TREE_NAME_MAX + 1];
        int r = 0;

        for (char *line; r >= 0 && (line = strsep(&next, "\n"));) {
                if (!*line)
                        continue;
                file->module(line, name);
                if (*name && kept_number(indexes, name) == SIZE_MAX)
                        continue;
                r = buffer_printf(out, "%s\n", line);
                if (r >= 0 && *name && file->has_binary)
                        r = add_to_index(
                                        index, indexes, line, name, file == &index_files[0], file->is_alias);
        }
        return r;
}

static int rewrite(const Indexes *indexes, const IndexFile *file, Error *error)
{
        _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(INDEX_MAX), binary = BUFFER_WITH_CAP(INDEX_MAX);
        _cleanup_module_index_ ModuleIndex *index = module_index_new();
        _cleanup_free_ char *text = NULL;
        char path[TREE_PATH_MAX], binary_path[TREE_PATH_MAX + 8];
        Tree *tree = indexes->removal->tree;
        int r;

        (void)snprintf(path, sizeof(path), "%s/%s", indexes->kernel->modules_path, file->name);
        (void)snprintf(binary_path, sizeof(binary_path), "%s.bin", path);
        if (!index)
                return error_oom(error);
        r = tree_read_file(tree, path, INDEX_MAX, &text, NULL);
        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                r = filter(indexes, file, text, &out, index);
        if (r >= 0)
                r = put_file(tree, path, &out);
        if (r >= 0 && file->has_binary)
                r = module_index_write(index, &binary);
        if (r >= 0 && file->has_binary)
                r = put_file(tree, binary_path, &binary);
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "cannot make /%s of the image again: %s", path,
                                       strerror(-r))
                     : 0;
}

int root_modules_refresh(Removal *removal, const TreeKernel *kernel, const Recipe *recipe, Error *error)
{
        _cleanup_(indexes_done) Indexes indexes = { .removal = removal, .kernel = kernel };
        int r;

        if (!kernel->modules_path || !tree_lookup(removal->tree, kernel->modules_path))
                return 0;
        r = kernel_modules_read(removal->tree, kernel, &indexes.modules, error);
        if (r < 0)
                return r;
        if (find_kept(&indexes) < 0)
                return error_oom(error);
        if (strv_length(indexes.kept) == kernel_modules_count(indexes.modules))
                return 0;
        r = check(&indexes, recipe, error);
        for (size_t i = 0; r >= 0 && i < ELEMENTS(index_files); i++)
                r = rewrite(&indexes, &index_files[i], error);
        return r;
}
