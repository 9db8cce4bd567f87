/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files of lines of fields parted by ':', as /etc/passwd and its like, held as text. For tree-users.c. */

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
