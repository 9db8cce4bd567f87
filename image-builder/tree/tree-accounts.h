/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files of lines of fields parted by ':', as /etc/passwd and its like, held as text; and the four of them
 * that make an account. For tree-users.c and tree-shadow.c. */

#include "buffer.h"
#include "tree.h"

typedef struct AccountFile {
        const char *path;
        mode_t mode; /* when the file must be made */
        Buffer text; /* empty or ending with a newline */
} AccountFile;

#define ACCOUNT_FILE_MAX (1 * MIB)

/* An empty text when there is no such file. The caller calls buffer_done() on the text. */
int account_file_read(Tree *tree, AccountFile *file, Error *error);
/* Puts the text back, keeping owner and mode of a file that is there. */
int account_file_write(Tree *tree, const AccountFile *file, Error *error);

/* The line of that name (its first field), or NULL. Good until the text changes. */
const char *account_line(const AccountFile *file, const char *name);
/* Field `index` of a line, copied to ret and cut at its size; false when the line has no such field. */
bool account_field(const char *line, unsigned index, char *ret, size_t size);
/* Replaces field `index` of the line of that name. -ENOENT, -E2BIG, -ENOMEM. */
int account_set_field(AccountFile *file, const char *name, unsigned index, const char *value);
/* Whether a line has this number in the field. */
bool account_has_number(const AccountFile *file, unsigned index, uint32_t number);

/* Fields that are not the name (passwd(5), group(5), shadow(5), gshadow(5)). */
enum {
        PASSWD_PASSWORD = 1,
        PASSWD_UID = 2,
        PASSWD_GID = 3,
        PASSWD_COMMENT = 4,
        PASSWD_HOME = 5,
        PASSWD_SHELL = 6
};
enum { GROUP_GID = 2, GROUP_MEMBERS = 3 };
enum { SHADOW_PASSWORD = 1, SHADOW_CHANGED = 2, GSHADOW_MEMBERS = 3 };

#define NO_PASSWORD "*" /* none fits */

typedef struct Accounts {
        Tree *tree; /* borrowed */
        AccountFile passwd, group, shadow, gshadow;
} Accounts;

int accounts_read(Tree *tree, Accounts *ret, Error *error);
/* Shadow files that had to be made are Debian's: readable by group shadow. */
int accounts_write(Accounts *accounts, Error *error);
void accounts_done(Accounts *accounts);
#define _cleanup_accounts_ _cleanup_(accounts_done)
