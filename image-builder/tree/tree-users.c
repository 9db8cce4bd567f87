/* SPDX-License-Identifier: Apache-2.0 */
#include "tree-users.h"
#include "tree-accounts.h"

#include <string.h>

#define NAME_MAX_BYTES 32
#define FIRST_SYSTEM_ID 100
#define FIRST_USER_ID 1000
#define LAST_USER_ID 59999
#define FIRST_SUBORDINATE_ID UINT64_C(100000)
#define SUBORDINATE_COUNT 65536
#define SKELETON_FILE_MAX (1 * MIB)

/* ---- checks ---- */

static bool is_name(const char *name)
{
        size_t length = strlen(name);

        if (length == 0 || length > NAME_MAX_BYTES || !strchr("abcdefghijklmnopqrstuvwxyz_", name[0]))
                return false;
        return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == length;
}

static bool is_field(const char *text)
{
        return !text || !strpbrk(text, ":\n\r");
}

static int check_name(const char *name, Error *error)
{
        return is_name(name) ? 0
                             : error_set(error, ERROR_CONFIG, EINVAL,
                                               "\"%s\" is no name for an account: use up to %d of a-z, 0-9, "
                                               "_ and -, "
                                               "beginning with a letter or _",
                                               name, NAME_MAX_BYTES);
}

static int check_user(const TreeUser *user, Error *error)
{
        int r = check_name(user->name, error);

        if (r < 0)
                return r;
        if (!is_field(user->comment) || !is_field(user->home) || !is_field(user->shell))
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "Comment, home and shell of the user %s must be one line without a colon",
                                user->name);
        if (user->password_hash &&
                        (!is_field(user->password_hash) || !strchr("$*!", user->password_hash[0]) ||
                                        user->password_hash[0] == 0))
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "The password of the user %s is not a hash: make one with mkpasswd(1) or "
                                "openssl "
                                "passwd -6",
                                user->name);
        for (char *const *key = user->ssh_keys; key && *key; key++)
                if (strpbrk(*key, "\n\r") || strstr(*key, "PRIVATE KEY") || !strchr(*key, ' '))
                        return error_set(error, ERROR_CONFIG, EINVAL,
                                        "An ssh key of the user %s is not a line of an authorized_keys file",
                                        user->name);
        return 0;
}

/* ---- numbers ---- */

static bool number_is_free(const Accounts *accounts, uint32_t number)
{
        return !account_has_number(&accounts->passwd, PASSWD_UID, number) &&
               !account_has_number(&accounts->group, GROUP_GID, number);
}

static int next_number(const Accounts *accounts, bool is_system, uint32_t *ret, Error *error)
{
        uint32_t end = is_system ? FIRST_USER_ID : LAST_USER_ID + 1;

        for (uint32_t i = is_system ? FIRST_SYSTEM_ID : FIRST_USER_ID; i < end; i++)
                if (number_is_free(accounts, i)) {
                        *ret = i;
                        return 0;
                }
        return error_set(error, ERROR_CONFIG, ENOSPC, "The image has no free user and group number left");
}

static uint32_t number_of(const AccountFile *file, const char *name, unsigned field)
{
        char text[16] = "0";
        const char *line = account_line(file, name);

        if (line)
                (void)account_field(line, field, text, sizeof(text));
        return (uint32_t)strtoul(text, NULL, 10);
}

/* ---- groups ---- */

static int add_group(Accounts *accounts, const char *name, uint32_t gid, Error *error)
{
        int r = buffer_printf(&accounts->group.text, "%s:x:%u:\n", name, gid);
        if (r >= 0 && !account_line(&accounts->gshadow, name))
                r = buffer_printf(&accounts->gshadow.text, "%s:!::\n", name);
        return r < 0 ? error_oom(error) : 0;
}

int tree_add_group(Tree *tree, const char *name, uint32_t gid, bool is_system, Error *error)
{
        _cleanup_accounts_ Accounts accounts = { 0 };

        int r = check_name(name, error);
        if (r >= 0)
                r = accounts_read(tree, &accounts, error);
        if (r < 0)
                return r;
        if (account_line(&accounts.group, name)) {
                uint32_t has = number_of(&accounts.group, name, GROUP_GID);

                return gid == 0 || gid == has ? 0
                                              : error_set(error, ERROR_CONFIG, EEXIST,
                                                                "The group %s is in the image with the "
                                                                "number %u, not %u",
                                                                name, has, gid);
        }
        if (gid != 0 && account_has_number(&accounts.group, GROUP_GID, gid))
                return error_set(error, ERROR_CONFIG, EEXIST,
                                "The number %u, meant for the group %s, is another group's in the image",
                                gid, name);
        if (gid == 0)
                r = next_number(&accounts, is_system, &gid, error);
        if (r >= 0)
                r = add_group(&accounts, name, gid, error);
        return r < 0 ? r : accounts_write(&accounts, error);
}

static int add_member(AccountFile *file, const char *group, unsigned field, const char *user, Error *error)
{
        char members[8192], grown[8192 + NAME_MAX_BYTES + 2];
        const char *line = account_line(file, group);

        if (!line || !account_field(line, field, members, sizeof(members)))
                return 0; /* gshadow may lack it */
        for (const char *p = members; *p;) {
                size_t length = strcspn(p, ",");

                if (length == strlen(user) && strncmp(p, user, length) == 0)
                        return 0;
                p += length + (p[length] ? 1 : 0);
        }
        (void)snprintf(grown, sizeof(grown), "%s%s%s", members, members[0] ? "," : "", user);
        return account_set_field(file, group, field, grown) < 0 ? error_oom(error) : 0;
}

static int join_groups(Accounts *accounts, const TreeUser *user, Error *error)
{
        for (char *const *group = user->groups; group && *group; group++) {
                if (!account_line(&accounts->group, *group))
                        return error_set(error, ERROR_CONFIG, ENOENT,
                                        "The group %s, meant for the user %s, is not in the image", *group,
                                        user->name);
                int r = add_member(&accounts->group, *group, GROUP_MEMBERS, user->name, error);
                if (r >= 0)
                        r = add_member(&accounts->gshadow, *group, GSHADOW_MEMBERS, user->name, error);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- users ---- */

static const char *shell_of(Tree *tree, const TreeUser *user)
{
        if (user->shell)
                return user->shell;
        if (user->is_system)
                return "/usr/sbin/nologin";
        return tree_resolve(tree, "bin/bash") ? "/bin/bash" : "/bin/sh";
}

static int home_of(const TreeUser *user, char *ret, size_t size, Error *error)
{
        int n;

        if (user->home)
                n = snprintf(ret, size, "%s", user->home[0] ? user->home : "/nonexistent");
        else
                n = snprintf(ret, size, user->is_system ? "/nonexistent" : "/home/%s", user->name);
        if (n < 0 || (size_t)n >= size || ret[0] != '/')
                return error_set(error, ERROR_CONFIG, EINVAL, "The home of the user %s is no absolute path",
                                user->name);
        return 0;
}

static int create_user(Accounts *accounts, const TreeUser *user, Error *error)
{
        uint32_t uid = user->uid, gid;
        char home[1024];

        int r = home_of(user, home, sizeof(home), error);
        if (r < 0)
                return r;
        if (uid == 0)
                r = next_number(accounts, user->is_system, &uid, error);
        else if (account_has_number(&accounts->passwd, PASSWD_UID, uid))
                return error_set(error, ERROR_CONFIG, EEXIST,
                                "The number %u, meant for the user %s, is another user's in the image", uid,
                                user->name);
        if (r >= 0 && !account_line(&accounts->group, user->name)) {
                gid = uid;
                if (account_has_number(&accounts->group, GROUP_GID, gid))
                        r = next_number(accounts, user->is_system, &gid, error);
                if (r >= 0)
                        r = add_group(accounts, user->name, gid, error);
        }
        if (r < 0)
                return r;
        gid = number_of(&accounts->group, user->name, GROUP_GID);
        r = buffer_printf(&accounts->passwd.text, "%s:x:%u:%u:%s:%s:%s\n", user->name, uid, gid,
                        user->comment ? user->comment : "", home, shell_of(accounts->tree, user));
        if (r >= 0)
                r = buffer_printf(&accounts->shadow.text, "%s:%s::0:99999:7:::\n", user->name,
                                user->password_hash ? user->password_hash : NO_PASSWORD);
        return r < 0 ? error_oom(error) : 0;
}

static int change_user(Accounts *accounts, const TreeUser *user, Error *error)
{
        const struct {
                AccountFile *file;
                unsigned field;
                const char *value;
        } changes[] = {
                { &accounts->passwd, PASSWD_COMMENT, user->comment },
                { &accounts->passwd, PASSWD_HOME,
                                user->home && user->home[0] == 0 ? "/nonexistent" : user->home },
                { &accounts->passwd, PASSWD_SHELL, user->shell },
                { &accounts->shadow, SHADOW_PASSWORD, user->password_hash },
        };
        uint32_t uid = number_of(&accounts->passwd, user->name, PASSWD_UID);

        if (user->uid != 0 && user->uid != uid)
                return error_set(error, ERROR_CONFIG, EEXIST,
                                "The user %s is in the image with the number %u, not %u", user->name, uid,
                                user->uid);
        for (size_t i = 0; i < ELEMENTS(changes); i++) {
                int r = changes[i].value ? account_set_field(changes[i].file, user->name, changes[i].field,
                                                           changes[i].value)
                                         : 0;
                if (r < 0)
                        return error_set(error, ERROR_FAILED, -r,
                                        "/%s of the image has no whole line for %s", changes[i].file->path,
                                        user->name);
        }
        return 0;
}

/* ---- homes, keys, subordinate numbers ---- */

static int copy_skeleton(Tree *tree, const char *home, uint32_t uid, uint32_t gid, Error *error)
{
        TreeNode *skeleton = tree_resolve(tree, "etc/skel");
        TreeNode *const *children = NULL;
        size_t count = 0;

        if (skeleton && S_ISDIR(skeleton->inode->mode) && tree_children(skeleton, &children, &count) < 0)
                return error_oom(error);
        for (size_t i = 0; i < count; i++) {
                _cleanup_free_ char *from = tree_node_path(children[i]), *text = NULL;
                char to[TREE_PATH_MAX];
                TreeNode *node;
                size_t size;

                if (!from)
                        return error_oom(error);
                if (!S_ISREG(children[i]->inode->mode) ||
                                tree_read_file(tree, from, SKELETON_FILE_MAX, &text, &size) < 0)
                        continue;
                (void)snprintf(to, sizeof(to), "%s/%s", home, children[i]->name);
                int r = tree_make_file(tree, to, text, size, children[i]->inode->mode & 07777, &node, error);
                if (r < 0)
                        return r;
                node->inode->uid = uid;
                node->inode->gid = gid;
        }
        return 0;
}

static int make_home(Accounts *accounts, const TreeUser *user, Error *error)
{
        const char *line = account_line(&accounts->passwd, user->name);
        uint32_t uid = number_of(&accounts->passwd, user->name, PASSWD_UID);
        uint32_t gid = number_of(&accounts->passwd, user->name, PASSWD_GID);
        char home[1024] = "";
        TreeNode *node;

        if (!line || !account_field(line, PASSWD_HOME, home, sizeof(home)) || home[0] != '/' ||
                        strcmp(home, "/nonexistent") == 0 || tree_resolve(accounts->tree, home))
                return 0;
        int r = tree_make_directory(accounts->tree, home, 0700, &node, error);
        if (r < 0)
                return r;
        node->inode->uid = uid;
        node->inode->gid = gid;
        return user->is_system ? 0 : copy_skeleton(accounts->tree, home, uid, gid, error);
}

static int write_keys(Tree *tree, const TreeUser *user, Error *error)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(1 * MIB);
        char path[128];

        if (!user->ssh_keys || !user->ssh_keys[0])
                return 0;
        for (char *const *key = user->ssh_keys; *key; key++)
                if (buffer_printf(&text, "%s\n", *key) < 0)
                        return error_oom(error);
        (void)snprintf(path, sizeof(path), "etc/ssh/authorized_keys.d/%s", user->name);
        int r = tree_make_text(tree, path, (const char *)text.data, 0644, error);
        return r < 0 ? r
                     : tree_make_text(tree, "etc/ssh/sshd_config.d/50-bascule-keys.conf",
                                       "# Keys that came with the image lie in /etc/ssh/authorized_keys.d.\n"
                                       "AuthorizedKeysFile .ssh/authorized_keys "
                                       "/etc/ssh/authorized_keys.d/%u\n",
                                       0644, error);
}

static int add_subordinates(Tree *tree, const char *path, const char *name, Error *error)
{
        AccountFile file = { .path = path, .mode = 0644 };
        uint64_t start = FIRST_SUBORDINATE_ID;

        int r = account_file_read(tree, &file, error);
        _cleanup_buffer_ Buffer text = file.text;
        if (r < 0 || account_line(&file, name))
                return r;
        for (const char *line = text.data ? (const char *)text.data : ""; *line;) {
                unsigned long long first, count;

                if (sscanf(line, "%*[^:\n]:%20llu:%20llu", &first, &count) == 2 && first + count > start)
                        start = first + count;
                line += strcspn(line, "\n");
                line += *line ? 1 : 0;
        }
        if (start + SUBORDINATE_COUNT > UINT32_MAX)
                return error_set(error, ERROR_CONFIG, ENOSPC, "/%s in the image has no room left", path);
        if (buffer_printf(&text, "%s:%llu:%d\n", name, (unsigned long long)start, SUBORDINATE_COUNT) < 0)
                return error_oom(error);
        file.text = text;
        return account_file_write(tree, &file, error);
}

int tree_add_user(Tree *tree, const TreeUser *user, Error *error)
{
        _cleanup_accounts_ Accounts accounts = { 0 };

        int r = check_user(user, error);
        if (r >= 0)
                r = accounts_read(tree, &accounts, error);
        if (r >= 0)
                r = account_line(&accounts.passwd, user->name) ? change_user(&accounts, user, error)
                                                               : create_user(&accounts, user, error);
        if (r >= 0)
                r = join_groups(&accounts, user, error);
        if (r >= 0)
                r = accounts_write(&accounts, error);
        if (r >= 0)
                r = make_home(&accounts, user, error);
        if (r >= 0)
                r = write_keys(tree, user, error);
        if (r >= 0 && user->subordinate_ids)
                r = add_subordinates(tree, "etc/subuid", user->name, error);
        if (r >= 0 && user->subordinate_ids)
                r = add_subordinates(tree, "etc/subgid", user->name, error);
        return r;
}
