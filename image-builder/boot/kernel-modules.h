/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The indexes that depmod writes beside a kernel's modules, as text: modules.dep, modules.builtin,
 * modules.softdep, modules.alias (depmod(8)). They come from packages and are read leniently, within
 * caps. */

#include "normalise.h"

typedef struct KernelModules KernelModules;

int kernel_modules_read(Tree *tree, const TreeKernel *kernel, KernelModules **ret, Error *error);
KernelModules *kernel_modules_free(KernelModules *modules);
DEFINE_CLEANUP(KernelModules *, kernel_modules_free)
#define _cleanup_kernel_modules_ _cleanup_(kernel_modules_freep)

typedef struct KernelModule {
        char *path;         /* relative to the modules' folder */
        char *name;         /* with '_' for '-' */
        char *dependencies; /* paths, parted by blanks, the deepest last */
        bool is_listed;     /* for whoever walks */
} KernelModule;

size_t kernel_modules_count(const KernelModules *modules);
/* By number, in the order of modules.dep. */
KernelModule *kernel_modules_at(KernelModules *modules, size_t number);

/* The module of a name. NULL when there is none. */
KernelModule *kernel_modules_find(KernelModules *modules, const char *name);
/* The modules that have a name as an alias without wildcards, counted from 0. NULL after the last. */
KernelModule *kernel_modules_find_alias(KernelModules *modules, const char *name, unsigned number);
KernelModule *kernel_modules_find_path(KernelModules *modules, const char *path, size_t length);
bool kernel_modules_is_builtin(const KernelModules *modules, const char *name);
/* Names that must be there before the module, parted by blanks; NULL when there are none. */
const char *kernel_modules_soft_dependencies(const KernelModules *modules, const KernelModule *module);
/* A known name that is near, or NULL. */
const char *kernel_modules_suggest(const KernelModules *modules, const char *name);
