/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"
#include "tree-users.h"

#include <string.h>

#define HOSTS_MAX (1 * MIB)
#define HOSTNAME_MAX 64 /* what the kernel keeps */
#define OWN_ADDRESS "127.0.1.1"

static bool is_hostname(const char *name)
{
        size_t length = strlen(name), label = 0;

        if (length == 0 || length > HOSTNAME_MAX)
                return false;
        for (size_t i = 0; i < length; i++) {
                char c = name[i];
                bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
                bool inner = i > 0 && i + 1 < length && name[i - 1] != '.' && name[i + 1] != '.';

                if (c == '.' && (label == 0 || i + 1 == length))
                        return false;
                if (c != '.' && !letter && !(c == '-' && inner))
                        return false;
                label = c == '.' ? 0 : label + 1;
        }
        return true;
}

static int write_hosts(Tree *tree, const char *hostname, Error *error)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(HOSTS_MAX);
        _cleanup_free_ char *old = NULL;
        int r = tree_read_file(tree, "etc/hosts", HOSTS_MAX / 2, &old, NULL);

        if (r < 0 && r != -ENOENT)
                return error_set(error, ERROR_FAILED, -r, "Cannot read /etc/hosts of the image: %s",
                                strerror(-r));
        const char *hosts = old ? old : "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
        r = 0;
        for (const char *line = hosts; r >= 0 && *line;) {
                size_t length = strcspn(line, "\n");
                bool own = strncmp(line, OWN_ADDRESS, strlen(OWN_ADDRESS)) == 0 &&
                           (line[strlen(OWN_ADDRESS)] == ' ' || line[strlen(OWN_ADDRESS)] == '\t');

                if (!own)
                        r = buffer_printf(&text, "%.*s\n", (int)length, line);
                line += length + (line[length] ? 1 : 0);
        }
        if (r >= 0)
                r = buffer_printf(&text, OWN_ADDRESS "\t%s\n", hostname);
        if (r < 0)
                return error_oom(error);
        return tree_make_text(tree, "etc/hosts", (const char *)text.data, 0644, error);
}

int tree_set_hostname(Tree *tree, const char *hostname, Error *error)
{
        char line[HOSTNAME_MAX + 2];

        if (!is_hostname(hostname))
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "\"%s\" is no host name: use up to %d letters, digits and '-', in parts "
                                "joined by dots",
                                hostname, HOSTNAME_MAX);
        (void)snprintf(line, sizeof(line), "%s\n", hostname);
        int r = tree_make_text(tree, "etc/hostname", line, 0644, error);
        return r < 0 ? r : write_hosts(tree, hostname, error);
}
