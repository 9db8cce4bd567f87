/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to the passwords of all accounts. */
#include "tree-accounts.h"
#include "tree-users.h"

#include <string.h>

/* Calls `change` with each line's name and the present value of a field; what it returns, unless NULL, takes
 * its place. */
typedef const char *(*FieldChange)(const char *name, const char *value);

static int change_fields(AccountFile *file, unsigned index, FieldChange change, Error *error)
{
        char name[256], value[1024];
        size_t at = 0;

        while (at < file->text.size) {
                const char *line = (const char *)file->text.data + at;

                if (account_field(line, 0, name, sizeof(name)) &&
                                account_field(line, index, value, sizeof(value))) {
                        const char *replacement = change(name, value);

                        if (replacement && account_set_field(file, name, index, replacement) < 0)
                                return error_oom(error);
                }
                at += strcspn((const char *)file->text.data + at, "\n") + 1;
        }
        return 0;
}

static const char *lock_password(const char *name, const char *value)
{
        bool open = value[0] == 0;
        bool root_without = strcmp(name, "root") == 0 && (value[0] == 'x' || value[0] == '!');

        return open || root_without ? NO_PASSWORD : NULL;
}

static const char *hide_password(const char *name, const char *value)
{
        return value[0] == 0 ? "x" : NULL;
}

static const char *forget_day(const char *name, const char *value)
{
        return value[0] ? "" : NULL;
}

int tree_lock_passwords(Tree *tree, Error *error)
{
        _cleanup_accounts_ Accounts accounts = { 0 };

        int r = accounts_read(tree, &accounts, error);
        if (r >= 0)
                r = change_fields(&accounts.passwd, PASSWD_PASSWORD, hide_password, error);
        if (r >= 0)
                r = change_fields(&accounts.shadow, SHADOW_PASSWORD, lock_password, error);
        return r < 0 ? r : accounts_write(&accounts, error);
}

int tree_normalise_shadow(Tree *tree, Error *error)
{
        _cleanup_accounts_ Accounts accounts = { 0 };

        int r = accounts_read(tree, &accounts, error);
        if (r >= 0)
                r = change_fields(&accounts.shadow, SHADOW_CHANGED, forget_day, error);
        return r < 0 ? r : accounts_write(&accounts, error);
}
