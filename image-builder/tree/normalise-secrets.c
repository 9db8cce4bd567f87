/* SPDX-License-Identifier: Apache-2.0 */
#include "normalise.h"

#include <fnmatch.h>
#include <string.h>

/* Logins are found by where programs keep them, private keys by what they look like, wherever they lie: a
 * line "-----BEGIN ... PRIVATE KEY...-----" and a line of base64, or of a PEM header, after it. Programs
 * that know how to write such a line are no keys, so ELF files are not searched, and the line alone is not
 * enough. */

#define WINDOW_SIZE (256 * KIB)
#define OVERLAP 512 /* how much of a key's beginning must be seen at once */
#define KEY_LINE_MIN 16

typedef struct Secrets {
        char *const *allowed;
        uint8_t *window;
        char first[TREE_PATH_MAX];
        const char *kind;
        size_t count;
} Secrets;

static bool is_base64(uint8_t c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
               c == '/' || c == '=';
}

/* Whether what follows the first line of a key is a key: base64, or a header such as "Proc-Type:
 * 4,ENCRYPTED". */
static bool is_key_body(const uint8_t *body, size_t size)
{
        static const char *const headers[] = { "Proc-Type:", "DEK-Info:", "Version:", "Comment:" };
        size_t length = 0;

        while (size > 0 && (*body == '\r' || *body == '\n')) {
                body++;
                size--;
        }
        for (size_t i = 0; i < ELEMENTS(headers); i++)
                if (size >= strlen(headers[i]) && memcmp(body, headers[i], strlen(headers[i])) == 0)
                        return true;
        while (length < size && is_base64(body[length]))
                length++;
        return length >= KEY_LINE_MIN && (length == size || body[length] == '\n' || body[length] == '\r');
}

/* `line` is just behind "-----BEGIN ". */
static bool is_private_key(const uint8_t *line, size_t size)
{
        const uint8_t *end = memmem(line, MIN_OF(size, (size_t)64), "-----", 5);

        if (!end || !memmem(line, (size_t)(end - line), "PRIVATE KEY", 11))
                return false;
        size_t used = (size_t)(end - line) + 5;
        return used < size && (line[used] == '\n' || line[used] == '\r') &&
               is_key_body(line + used, size - used);
}

static bool window_has_key(const uint8_t *window, size_t size)
{
        static const char begin[] = "-----BEGIN ", putty[] = "PuTTY-User-Key-File-";
        const uint8_t *at = window, *end = window + size;

        if (size >= sizeof(putty) && memcmp(window, putty, sizeof(putty) - 1) == 0)
                return true;
        while ((at = memmem(at, (size_t)(end - at), begin, sizeof(begin) - 1))) {
                at += sizeof(begin) - 1;
                if (is_private_key(at, (size_t)(end - at)))
                        return true;
        }
        return false;
}

static int content_has_key(Tree *tree, const TreeInode *inode, uint8_t *window)
{
        uint64_t size = inode->content.size_bytes, at = 0;

        while (at < size) {
                size_t n = (size_t)MIN_OF(size - at, (uint64_t)WINDOW_SIZE);

                int r = tree_read(tree, inode, at, window, n);
                if (r < 0)
                        return r;
                if (at == 0 && n >= 4 && memcmp(window, "\177ELF", 4) == 0)
                        return 0;
                if (window_has_key(window, n))
                        return 1;
                if (at + n == size)
                        break;
                at += n - OVERLAP;
        }
        return 0;
}

static bool is_allowed(const Secrets *secrets, const char *path)
{
        for (char *const *pattern = secrets->allowed; pattern && *pattern; pattern++)
                if (fnmatch(*pattern + strspn(*pattern, "/"), path, FNM_PATHNAME) == 0)
                        return true;
        return false;
}

/* Files that are known by where programs look for them; '*' matches '/', too. */
static const struct {
        const char *pattern, *kind;
} known_places[] = {
        { "*/ssh_host_*_key", "an ssh host key" },
        { "*/secring.gpg", "a GnuPG private key" },
        { "*/private-keys-v1.d/*", "a GnuPG private key" },
        { "*/.netrc", "a file of passwords for servers" },
        { "*/.git-credentials", "a file of passwords for servers" },
        { "*/.pgpass", "a file of passwords for servers" },
        { "*/.pypirc", "a file of passwords for servers" },
        { "*/.docker/config.json", "a login to container registries" },
        { "*/.dockercfg", "a login to container registries" },
        { "*/containers/auth.json", "a login to container registries" },
        { "*/.kube/config", "a login to Kubernetes" },
        { "*/.aws/credentials", "a login to a cloud" },
        { "*/.azure/*.json", "a login to a cloud" },
        { "*/.config/gcloud/*", "a login to a cloud" },
        { "*/application_default_credentials.json", "a login to a cloud" },
        { "*/.config/rclone/rclone.conf", "a login to a cloud" },
        { "*/.vault-token", "a login to a secret store" },
};

static const char *kind_by_place(const char *path)
{
        char rooted[TREE_PATH_MAX + 2];

        (void)snprintf(rooted, sizeof(rooted), "/%s", path);
        for (size_t i = 0; i < ELEMENTS(known_places); i++)
                if (fnmatch(known_places[i].pattern, rooted, 0) == 0)
                        return known_places[i].kind;
        return NULL;
}

static int look(Tree *tree, TreeNode *node, const char *path, void *data, Error *error)
{
        Secrets *secrets = data;

        if (!S_ISREG(node->inode->mode))
                return 0;
        const char *kind = kind_by_place(path);
        if (!kind) {
                int r = content_has_key(tree, node->inode, secrets->window);
                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "Cannot read what is to become /%s: %s", path,
                                        strerror(-r));
                kind = r > 0 ? "a private key" : NULL;
        }
        if (!kind || is_allowed(secrets, path))
                return 0;
        if (secrets->count++ == 0) {
                (void)snprintf(secrets->first, sizeof(secrets->first), "%s", path);
                secrets->kind = kind;
        }
        return 0;
}

int normalise_refuse_secrets(Tree *tree, char *const *allowed_secrets, Error *error)
{
        Secrets secrets = { .allowed = allowed_secrets };
        char more[48] = "";

        _cleanup_free_ uint8_t *window = malloc(WINDOW_SIZE);
        if (!window)
                return error_oom(error);
        secrets.window = window;
        int r = tree_walk(tree, tree_root(tree), look, &secrets, error);
        if (r < 0 || secrets.count == 0)
                return r;
        if (secrets.count > 1)
                (void)snprintf(more, sizeof(more), " (and %zu more files like it)", secrets.count - 1);
        return error_set(error, ERROR_REFUSED, EPERM,
                        "/%s in the image is %s%s: every host and every reader of the image would have it. "
                        "Remove it, "
                        "or name it in the recipe: AllowSecret=%s",
                        secrets.first, secrets.kind, more, secrets.first);
}
