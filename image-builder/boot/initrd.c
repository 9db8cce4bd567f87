/* SPDX-License-Identifier: Apache-2.0 */
#include "initrd.h"

#include "cpio.h"
#include "file.h"
#include "kernel-modules.h"
#include "strv.h"

#include <string.h>

#define DEPTH_MAX 32
#define NAME_MAX_BYTES 128

/* What bascule-init cannot do without; and the software watchdog, for machines that have no other. */
static const char *const needed_modules[] = { "dm_verity", "erofs", "overlay", "ext4", "efivarfs" };
static const char *const wanted_modules[] = { "softdog" };

static int list_module(KernelModules *modules, KernelModule *module, unsigned depth, char ***list);

/* What is softly needed may be missing, built in, a module, or an alias that several modules have: then all
 * of them come along, since which of them works is the machine's to say ("crc32c" is one for each
 * processor). */
static int list_soft_name(KernelModules *modules, const char *name, unsigned depth, char ***list)
{
        KernelModule *module;
        int r = 0;

        if (kernel_modules_is_builtin(modules, name))
                return 0;
        module = kernel_modules_find(modules, name);
        if (module)
                return list_module(modules, module, depth, list);
        for (unsigned i = 0; r >= 0 && (module = kernel_modules_find_alias(modules, name, i)); i++)
                r = list_module(modules, module, depth, list);
        return r;
}

static int list_soft(KernelModules *modules, const KernelModule *module, unsigned depth, char ***list)
{
        const char *word = kernel_modules_soft_dependencies(modules, module);
        int r = 0;

        while (r >= 0 && word) {
                size_t length;
                char name[NAME_MAX_BYTES];

                word += strspn(word, " ");
                length = strcspn(word, " \n");
                if (length == 0 || length >= sizeof(name) || word[length - 1] == ':')
                        break;
                memcpy(name, word, length);
                name[length] = 0;
                r = list_soft_name(modules, name, depth + 1, list);
                word += length;
        }
        return r;
}

static int list_module(KernelModules *modules, KernelModule *module, unsigned depth, char ***list)
{
        const char *paths = module->dependencies;
        size_t end = strlen(paths);
        int r;

        if (module->is_listed || depth > DEPTH_MAX)
                return 0;
        module->is_listed = true;
        r = list_soft(modules, module, depth, list);
        /* The last one named is needed by those before it. */
        while (r >= 0 && end > 0) {
                size_t begin = end;
                KernelModule *dependency;

                while (begin > 0 && paths[begin - 1] != ' ')
                        begin--;
                dependency = kernel_modules_find_path(modules, paths + begin, end - begin);
                if (dependency && end > begin)
                        r = list_module(modules, dependency, depth + 1, list);
                end = begin > 0 ? begin - 1 : 0;
        }
        return r < 0 ? r : strv_append(list, module->path);
}

static int list_name(
                KernelModules *modules, const char *name, const char *release, char ***list, Error *error)
{
        KernelModule *module = kernel_modules_find(modules, name);
        const char *suggestion;

        if (module)
                return list_module(modules, module, 0, list) < 0 ? error_oom(error) : 0;
        if (kernel_modules_is_builtin(modules, name))
                return 0;
        suggestion = kernel_modules_suggest(modules, name);
        return error_set(error, ERROR_CONFIG, ENOENT, "the kernel %s has no module \"%s\"%s%s%s", release,
                        name, suggestion ? ", did you mean \"" : "", suggestion ? suggestion : "",
                        suggestion ? "\"?" : "");
}

int initrd_order_modules(Tree *tree, const TreeKernel *kernel, char *const *names, char ***ret, Error *error)
{
        _cleanup_kernel_modules_ KernelModules *modules = NULL;
        _cleanup_strv_ char **list = NULL;
        int r;

        if (!kernel->modules_path)
                return error_set(error, ERROR_CONFIG, ENOENT, "the image has no modules for its kernel %s",
                                kernel->release);
        r = kernel_modules_read(tree, kernel, &modules, error);
        for (size_t i = 0; r >= 0 && i < ELEMENTS(needed_modules); i++)
                r = list_name(modules, needed_modules[i], kernel->release, &list, error);
        for (; r >= 0 && names && *names; names++)
                r = list_name(modules, *names, kernel->release, &list, error);
        for (size_t i = 0; r >= 0 && i < ELEMENTS(wanted_modules); i++)
                if (kernel_modules_find(modules, wanted_modules[i]))
                        r = list_name(modules, wanted_modules[i], kernel->release, &list, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(list);
        return 0;
}

static int add_parents(CpioWriter *writer, const char *path, char ***made)
{
        for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
                _cleanup_free_ char *folder = strndup(path, (size_t)(slash - path));
                int r = folder ? 0 : -ENOMEM;

                if (r >= 0 && strv_contains(*made, folder))
                        continue;
                if (r >= 0)
                        r = strv_append(made, folder);
                if (r >= 0)
                        r = cpio_add_folder(writer, folder, 0755);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_module(Tree *tree, const TreeKernel *kernel, const char *module, CpioWriter *writer,
                char ***made, Buffer *list)
{
        _cleanup_free_ char *path = path_join(kernel->modules_path, module), *data = NULL;
        size_t size;
        int r;

        if (!path)
                return -ENOMEM;
        r = tree_read_file(tree, path, INITRD_MAX, &data, &size);
        if (r >= 0)
                r = add_parents(writer, path, made);
        if (r >= 0)
                r = cpio_add_file(writer, path, 0644, data, size);
        return r < 0 ? r : buffer_printf(list, "/%s\n", path);
}

/* The folders that bascule-init mounts things on, a console for its first words, and the program. */
static int add_base(CpioWriter *writer, const void *init, size_t init_size, char ***made)
{
        static const char *const folders[] = { "dev", "etc", "proc", "run", "sys", "sysroot", "usr" };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(folders); i++) {
                r = cpio_add_folder(writer, folders[i], 0755);
                if (r >= 0)
                        r = strv_append(made, folders[i]);
        }
        if (r >= 0)
                r = cpio_add_character_device(writer, "dev/console", 0600, 5, 1);
        if (r >= 0)
                r = cpio_add_character_device(writer, "dev/null", 0666, 1, 3);
        return r < 0 ? r : cpio_add_file(writer, "init", 0755, init, init_size);
}

static int fill(Tree *tree, const TreeKernel *kernel, char *const *modules, const void *init,
                size_t init_size, Buffer *archive, Error *error)
{
        _cleanup_buffer_ Buffer list = BUFFER_WITH_CAP(1 * MIB);
        _cleanup_strv_ char **made = NULL;
        CpioWriter writer = { .out = archive };
        int r = add_base(&writer, init, init_size, &made);

        for (; r >= 0 && modules && *modules; modules++)
                r = add_module(tree, kernel, *modules, &writer, &made, &list);
        if (r >= 0)
                r = add_parents(&writer, INITRD_MODULE_LIST, &made);
        if (r >= 0)
                r = cpio_add_file(&writer, INITRD_MODULE_LIST, 0644, list.data, list.size);
        if (r >= 0)
                r = cpio_finish(&writer);
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "cannot make the initrd: %s", strerror(-r)) : 0;
}

int initrd_build(Tree *tree, const TreeKernel *kernel, char *const *modules, const void *init,
                size_t init_size, Buffer *ret, Error *error)
{
        _cleanup_strv_ char **ordered = NULL;
        int r = initrd_order_modules(tree, kernel, modules, &ordered, error);

        return r < 0 ? r : fill(tree, kernel, ordered, init, init_size, ret, error);
}
