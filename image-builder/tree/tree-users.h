/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Accounts in the tree's /etc/passwd, group, shadow, gshadow, subuid and subgid (passwd(5), shadow(5),
 * subuid(5)), written without running anything of the tree. Idempotent: an account that is there keeps its
 * numbers. Mistakes of the recipe are -EINVAL (or -EEXIST, -ENOENT) with ERROR_CONFIG. */

#include "tree.h"

typedef struct TreeUser {
        const char *name;          /* [a-z_][a-z0-9_-]*, at most 32 bytes */
        const char *comment;       /* GECOS; NULL: empty */
        const char *home;          /* NULL: /home/NAME, system: /nonexistent; "" for none */
        const char *shell;         /* NULL: /bin/bash when the tree has it, else /bin/sh; system: nologin */
        const char *password_hash; /* as crypt(5) makes; NULL: none ("*"), so only ssh keys let the user in
                                    */
        uint32_t uid;              /* 0: the next free one (1000 and up, or 100 to 999 for system) */
        bool is_system;
        bool subordinate_ids;  /* gives 65536 in subuid and subgid, for rootless containers */
        char *const *groups;   /* supplementary, which must exist; may be NULL */
        char *const *ssh_keys; /* lines for authorized_keys; may be NULL */
} TreeUser;

/* Adds the user with a group of its own name (and number, if free), or changes the one that is there: then
 * NULL leaves comment, home, shell and password as they are. `root` may be given, to set its password, shell
 * or keys.
 *
 * The keys go to /etc/ssh/authorized_keys.d/NAME, and sshd is told by a drop-in: so they are the release's,
 * and a new release can withdraw one. The home is made in the tree from /etc/skel; normalise_var() takes it
 * from there to every host's /var. */
int tree_add_user(Tree *tree, const TreeUser *user, Error *error);
/* gid 0: the next free one. */
int tree_add_group(Tree *tree, const char *name, uint32_t gid, bool is_system, Error *error);
/* Every account that has an empty password field, and root unless it has a password, gets "*": no password
 * fits. */
int tree_lock_passwords(Tree *tree, Error *error);
/* Shadow entries carry the day of the last password change: leaves it out, which also means "never expires".
 */
int tree_normalise_shadow(Tree *tree, Error *error);
/* /etc/hostname, and 127.0.1.1 in /etc/hosts. -EINVAL for a name that hostname(7) forbids. */
int tree_set_hostname(Tree *tree, const char *hostname, Error *error);
