/* SPDX-License-Identifier: Apache-2.0 */
#include "tree-accounts.h"

#include <string.h>

#define SHADOW_GROUP 42

int account_file_read(Tree *tree, AccountFile *file, Error *error)
{
        _cleanup_free_ char *text = NULL;
        size_t size = 0;

        file->text = BUFFER_WITH_CAP(ACCOUNT_FILE_MAX);
        int r = tree_read_file(tree, file->path, ACCOUNT_FILE_MAX - 1, &text, &size);
        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                r = buffer_append(&file->text, text, size);
        if (r >= 0 && size > 0 && text[size - 1] != '\n')
                r = buffer_append_byte(&file->text, '\n');
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "Cannot read /%s of the image: %s", file->path,
                                       strerror(-r))
                     : 0;
}

int account_file_write(Tree *tree, const AccountFile *file, Error *error)
{
        TreeNode *node = tree_resolve(tree, file->path);

        if (!node)
                return tree_make_file(
                                tree, file->path, file->text.data, file->text.size, file->mode, NULL, error);
        int r = tree_set_content(node->inode, file->text.data, file->text.size);
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "Cannot write /%s of the image: %s", file->path,
                                       strerror(-r))
                     : 0;
}

static const char *next_line(const char *line)
{
        line += strcspn(line, "\n");
        return *line ? line + 1 : line;
}

static const char *first_line(const AccountFile *file)
{
        return file->text.data ? (const char *)file->text.data : "";
}

const char *account_line(const AccountFile *file, const char *name)
{
        size_t length = strlen(name);

        for (const char *line = first_line(file); *line; line = next_line(line))
                if (strncmp(line, name, length) == 0 && line[length] == ':')
                        return line;
        return NULL;
}

/* Where a field begins and how long it is. */
static bool find_field(const char *line, unsigned index, const char **ret, size_t *ret_length)
{
        for (; index > 0; index--) {
                line += strcspn(line, ":\n");
                if (*line != ':')
                        return false;
                line++;
        }
        *ret = line;
        *ret_length = strcspn(line, ":\n");
        return true;
}

bool account_field(const char *line, unsigned index, char *ret, size_t size)
{
        const char *field;
        size_t length;

        if (!find_field(line, index, &field, &length))
                return false;
        (void)snprintf(ret, size, "%.*s", (int)length, field);
        return true;
}

int account_set_field(AccountFile *file, const char *name, unsigned index, const char *value)
{
        Buffer text = BUFFER_WITH_CAP(ACCOUNT_FILE_MAX);
        const char *line = account_line(file, name), *field, *start = first_line(file);
        size_t length;

        if (!line || !find_field(line, index, &field, &length))
                return -ENOENT;
        int r = buffer_append(&text, start, (size_t)(field - start));
        if (r >= 0)
                r = buffer_append_string(&text, value);
        if (r >= 0)
                r = buffer_append_string(&text, field + length);
        if (r < 0) {
                buffer_done(&text);
                return r;
        }
        buffer_done(&file->text);
        file->text = text;
        return 0;
}

bool account_has_number(const AccountFile *file, unsigned index, uint32_t number)
{
        for (const char *line = first_line(file); *line; line = next_line(line)) {
                char field[16];

                if (account_field(line, index, field, sizeof(field)) && field[0] &&
                                strtoul(field, NULL, 10) == number)
                        return true;
        }
        return false;
}

/* ---- the four files ---- */

void accounts_done(Accounts *accounts)
{
        buffer_done(&accounts->passwd.text);
        buffer_done(&accounts->group.text);
        buffer_done(&accounts->shadow.text);
        buffer_done(&accounts->gshadow.text);
}

int accounts_read(Tree *tree, Accounts *ret, Error *error)
{
        *ret = (Accounts){ .tree = tree,
                .passwd = { .path = "etc/passwd", .mode = 0644 },
                .group = { .path = "etc/group", .mode = 0644 },
                .shadow = { .path = "etc/shadow", .mode = 0640 },
                .gshadow = { .path = "etc/gshadow", .mode = 0640 } };
        int r = account_file_read(tree, &ret->passwd, error);
        if (r >= 0)
                r = account_file_read(tree, &ret->group, error);
        if (r >= 0)
                r = account_file_read(tree, &ret->shadow, error);
        return r < 0 ? r : account_file_read(tree, &ret->gshadow, error);
}

static int write_shadow(Accounts *accounts, const AccountFile *file, Error *error)
{
        bool fresh = !tree_resolve(accounts->tree, file->path);

        int r = account_file_write(accounts->tree, file, error);
        if (r >= 0 && fresh)
                tree_resolve(accounts->tree, file->path)->inode->gid = SHADOW_GROUP;
        return r;
}

int accounts_write(Accounts *accounts, Error *error)
{
        int r = account_file_write(accounts->tree, &accounts->passwd, error);

        if (r >= 0)
                r = account_file_write(accounts->tree, &accounts->group, error);
        if (r >= 0)
                r = write_shadow(accounts, &accounts->shadow, error);
        return r < 0 ? r : write_shadow(accounts, &accounts->gshadow, error);
}
