/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* systemd units of the tree, enabled and masked as systemctl --root= would, by links in /etc/systemd/system
 * and by each unit's [Install] section: WantedBy=, RequiredBy=, UpheldBy=, Alias=, Also=, DefaultInstance=
 * (systemd.unit(5)). Unit files may be of packages: text, names in [Install] and units that one brings along
 * by Also= are capped, and the text is parsed leniently, as systemd does. */

#include "tree.h"

/* Enables a unit ("ssh.service", "getty@tty1.service"; without a suffix ".service" is meant). -ENOENT with
 * the nearest known name when there is no such unit; a masked unit, or one without [Install], is an error.
 */
int tree_enable_unit(Tree *tree, const char *name, Error *error);
/* Removes every link to the unit below /etc/systemd/system (and a mask). Nothing happens if there is none.
 */
int tree_disable_unit(Tree *tree, const char *name, Error *error);
/* /etc/systemd/system/NAME -> /dev/null, after disabling it. The unit need not exist. */
int tree_mask_unit(Tree *tree, const char *name, Error *error);
/* /etc/systemd/system/default.target -> the target. */
int tree_set_default_target(Tree *tree, const char *name, Error *error);
/* The path of the file that defines a unit (its template for an instance), newly allocated; -ENOENT. */
int tree_find_unit(Tree *tree, const char *name, char **ret);
