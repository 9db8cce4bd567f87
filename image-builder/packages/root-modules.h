/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which of the kernel's modules the root has. [Kernel] RootModules= of a recipe says what to keep; and
 * whenever modules have gone, depmod's indexes are made again of those that are left, so that no program
 * looks for what is not there. */

#include "normalise.h"
#include "removal.h"

/* Drops all modules but those that RootModules= names (names as in lsmod, patterns of them, or paths below
 * the modules' folder, which take all that is in a folder), those of the initrd, and what they depend on,
 * hard or soft. ERROR_CONFIG for a name or pattern that the kernel has not. Nothing happens without
 * RootModules=. */
int root_modules_keep(Removal *removal, const TreeKernel *kernel, const Recipe *recipe, Error *error);

/* Rewrites modules.dep, .alias, .symbols, .softdep, .devname and .order, and the binary indexes of the first
 * three, if a module that they name is gone. ERROR_CONFIG when the initrd or a module that stays needs one
 * that went. */
int root_modules_refresh(Removal *removal, const TreeKernel *kernel, const Recipe *recipe, Error *error);
