/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel-modules.h"

#include "file.h"
#include "ini.h"
#include "macro.h"

#include <string.h>

#define INDEX_MAX (16 * MIB)
#define MODULES_MAX 65536
#define NAME_MAX_BYTES 128

struct KernelModules {
        KernelModule *items; /* by path, as in modules.dep */
        size_t count;
        char *builtin, *softdep, *alias; /* the files; "" when they are not there */
};

/* "kernel/fs/erofs/erofs.ko.xz" -> "erofs", '-' as '_'. */
static void name_of(const char *path, size_t length, char ret[static NAME_MAX_BYTES])
{
        size_t used = 0;

        for (size_t i = length; i > 0; i--)
                if (path[i - 1] == '/') {
                        path += i;
                        length -= i;
                        break;
                }
        for (; used < length && used + 1 < NAME_MAX_BYTES && path[used] != '.'; used++)
                ret[used] = path[used] == '-' ? '_' : path[used];
        ret[used] = 0;
}

KernelModules *kernel_modules_free(KernelModules *modules)
{
        if (!modules)
                return NULL;
        for (size_t i = 0; i < modules->count; i++) {
                free(modules->items[i].path);
                free(modules->items[i].name);
                free(modules->items[i].dependencies);
        }
        free(modules->items);
        free(modules->builtin);
        free(modules->softdep);
        free(modules->alias);
        free(modules);
        return NULL;
}

static int add_line(KernelModules *modules, const char *line, size_t length)
{
        size_t path_length = strcspn(line, ":\n");
        char name[NAME_MAX_BYTES];
        KernelModule *module;

        if (path_length >= length || modules->count >= MODULES_MAX)
                return 0;
        if (modules->count % 256 == 0) {
                KernelModule *grown =
                                realloc(modules->items, (modules->count + 256) * sizeof(*modules->items));

                if (!grown)
                        return -ENOMEM;
                modules->items = grown;
        }
        module = &modules->items[modules->count++];
        name_of(line, path_length, name);
        *module = (KernelModule){ .path = strndup(line, path_length),
                .name = strdup(name),
                .dependencies = strndup(line + path_length + 1, length - path_length - 1) };
        return module->path && module->name && module->dependencies ? 0 : -ENOMEM;
}

static int read_index(Tree *tree, const TreeKernel *kernel, const char *name, bool is_needed, char **ret,
                Error *error)
{
        _cleanup_free_ char *path = path_join(kernel->modules_path, name);
        size_t size;
        int r;

        if (!path)
                return error_oom(error);
        r = tree_read_file(tree, path, INDEX_MAX, ret, &size);
        if (r == -ENOENT && !is_needed) {
                *ret = strdup("");
                return *ret ? 0 : error_oom(error);
        }
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "cannot read /%s of the image: %s", path,
                                       strerror(-r))
                     : 0;
}

int kernel_modules_read(Tree *tree, const TreeKernel *kernel, KernelModules **ret, Error *error)
{
        _cleanup_kernel_modules_ KernelModules *modules = calloc(1, sizeof(*modules));
        _cleanup_free_ char *text = NULL;
        int r;

        if (!modules)
                return error_oom(error);
        r = read_index(tree, kernel, "modules.dep", true, &text, error);
        if (r >= 0)
                r = read_index(tree, kernel, "modules.builtin", false, &modules->builtin, error);
        if (r >= 0)
                r = read_index(tree, kernel, "modules.softdep", false, &modules->softdep, error);
        if (r >= 0)
                r = read_index(tree, kernel, "modules.alias", false, &modules->alias, error);
        if (r < 0)
                return r;
        for (const char *line = text; *line;) {
                size_t length = strcspn(line, "\n");

                if (add_line(modules, line, length) < 0)
                        return error_oom(error);
                line += length + (line[length] ? 1 : 0);
        }
        *ret = TAKE_PTR(modules);
        return 0;
}

size_t kernel_modules_count(const KernelModules *modules)
{
        return modules->count;
}

KernelModule *kernel_modules_at(KernelModules *modules, size_t number)
{
        return &modules->items[number];
}

static KernelModule *find_name(KernelModules *modules, const char *name)
{
        for (size_t i = 0; i < modules->count; i++)
                if (strcmp(modules->items[i].name, name) == 0)
                        return &modules->items[i];
        return NULL;
}

KernelModule *kernel_modules_find(KernelModules *modules, const char *name)
{
        char wanted[NAME_MAX_BYTES];

        name_of(name, strlen(name), wanted);
        return find_name(modules, wanted);
}

/* "alias PATTERN MODULE" lines. */
KernelModule *kernel_modules_find_alias(KernelModules *modules, const char *name, unsigned number)
{
        char start[NAME_MAX_BYTES + 16], module_name[NAME_MAX_BYTES];
        const char *line = modules->alias;

        (void)snprintf(start, sizeof(start), "\nalias %.120s ", name);
        for (;;) {
                KernelModule *module;

                line = strstr(line, start);
                if (!line)
                        return NULL;
                line += strlen(start);
                name_of(line, strcspn(line, "\n"), module_name);
                module = find_name(modules, module_name);
                if (module && number-- == 0)
                        return module;
        }
}

KernelModule *kernel_modules_find_path(KernelModules *modules, const char *path, size_t length)
{
        for (size_t i = 0; i < modules->count; i++)
                if (strncmp(modules->items[i].path, path, length) == 0 && !modules->items[i].path[length])
                        return &modules->items[i];
        return NULL;
}

bool kernel_modules_is_builtin(const KernelModules *modules, const char *name)
{
        char wanted[NAME_MAX_BYTES], present[NAME_MAX_BYTES];

        name_of(name, strlen(name), wanted);
        for (const char *line = modules->builtin; *line;) {
                size_t length = strcspn(line, "\n");

                name_of(line, length, present);
                if (strcmp(wanted, present) == 0)
                        return true;
                line += length + (line[length] ? 1 : 0);
        }
        return false;
}

/* "softdep NAME pre: A B post: C" */
const char *kernel_modules_soft_dependencies(const KernelModules *modules, const KernelModule *module)
{
        for (const char *line = modules->softdep; *line;) {
                size_t length = strcspn(line, "\n");
                char name[NAME_MAX_BYTES];

                if (strncmp(line, "softdep ", 8) == 0) {
                        size_t name_length = strcspn(line + 8, " \n");

                        name_of(line + 8, name_length, name);
                        line += 8 + name_length;
                        length -= 8 + name_length;
                        if (strcmp(name, module->name) == 0 && strncmp(line, " pre:", 5) == 0)
                                return line + 5;
                }
                line += length + (line[length] ? 1 : 0);
        }
        return NULL;
}

const char *kernel_modules_suggest(const KernelModules *modules, const char *name)
{
        _cleanup_free_ const char **names = calloc(modules->count + 1, sizeof(*names));

        for (size_t i = 0; names && i < modules->count; i++)
                names[i] = modules->items[i].name;
        return names ? ini_suggest(name, names, modules->count) : NULL;
}
