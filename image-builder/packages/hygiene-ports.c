/* SPDX-License-Identifier: Apache-2.0 */
#include "hygiene.h"

#include "strv.h"
#include "tree-units.h"

#include <string.h>

#define UNIT_FILE_MAX (1 * MIB)
#define VALUE_MAX 256

/* Programs that are there to be reached over a network. A service that is enabled and runs one listens,
 * whatever its unit says. */
static const char *const servers[] = { "apache2", "avahi-daemon", "cockpit-ws", "cupsd", "dnsmasq",
        "dovecot", "dropbear", "etcd", "exim4", "haproxy", "in.tftpd", "kubelet", "lighttpd", "mariadbd",
        "master", "memcached", "mongod", "mysqld", "named", "nginx", "nmbd", "ntpd", "opensmtpd", "postgres",
        "prometheus", "prometheus-node-exporter", "proftpd", "redis-server", "rpc.mountd", "rpc.statd",
        "rpcbind", "rsync", "slapd", "smbd", "snmpd", "sshd", "squid", "systemd-journal-remote", "telnetd",
        "tgtd", "tinysshd", "unbound", "vsftpd", "xrdp" };

/* ---- what a unit says ---- */

typedef struct Sight {
        char **values; /* of Listen...= or Exec...= in force */
        bool is_socket;
} Sight;

static bool is_wanted(const Sight *sight, const char *key, size_t length)
{
        static const char *const sockets[] = { "ListenStream", "ListenDatagram", "ListenSequentialPacket" };

        for (size_t i = 0; sight->is_socket && i < ELEMENTS(sockets); i++)
                if (strlen(sockets[i]) == length && strncmp(key, sockets[i], length) == 0)
                        return true;
        return !sight->is_socket && length == strlen("ExecStart") && strncmp(key, "ExecStart", length) == 0;
}

/* Keys of which an empty value begins the list anew. */
static int take_lines(Sight *sight, char *text)
{
        int r = 0;

        for (char *next = text, *line; r >= 0 && (line = strsep(&next, "\n"));) {
                size_t length;
                char *value;

                line += strspn(line, " \t");
                length = strcspn(line, " \t=");
                value = strchr(line, '=');
                if (!value || !is_wanted(sight, line, length))
                        continue;
                value += 1 + strspn(value + 1, " \t");
                value[strcspn(value, "\r")] = 0;
                if (*value)
                        r = strv_append(&sight->values, value);
                else
                        sight->values = strv_free(sight->values);
        }
        return r;
}

static int take_file(Tree *tree, Sight *sight, const char *path)
{
        _cleanup_free_ char *text = NULL;
        int r = tree_read_file(tree, path, UNIT_FILE_MAX, &text, NULL);

        if (r < 0)
                return r == -ENOMEM ? r : 0;
        return take_lines(sight, text);
}

static int take_dropins(Tree *tree, Sight *sight, const char *unit)
{
        static const char *const folders[] = { "usr/lib/systemd/system", "etc/systemd/system" };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(folders); i++) {
                _cleanup_free_ char *path = NULL;
                TreeNode *const *children;
                TreeNode *folder;
                size_t count = 0;

                if (asprintf(&path, "%s/%s.d", folders[i], unit) < 0) {
                        path = NULL;
                        return -ENOMEM;
                }
                folder = tree_resolve(tree, path);
                if (folder && S_ISDIR(folder->inode->mode))
                        r = tree_children(folder, &children, &count);
                for (size_t j = 0; r >= 0 && j < count; j++) {
                        _cleanup_free_ char *file = tree_node_path(children[j]);

                        r = file ? take_file(tree, sight, file) : -ENOMEM;
                }
        }
        return r;
}

/* ---- who listens ---- */

/* An address that others reach: not a path, not an abstract name, not this host's own. */
static bool is_open(const char *address)
{
        return address[0] != '/' && address[0] != '@' && address[0] != '%' &&
               strncmp(address, "127.", 4) != 0 && strncmp(address, "[::1]", 5) != 0 &&
               strncmp(address, "::1", 4) != 0;
}

/* The name of the program that a command runs. */
static void name_of(const char *command, char ret[static VALUE_MAX])
{
        char program[VALUE_MAX];
        const char *slash;

        (void)snprintf(program, sizeof(program), "%s", command + strspn(command, "-@:+!"));
        program[strcspn(program, " \t")] = 0;
        slash = strrchr(program, '/');
        (void)snprintf(ret, VALUE_MAX, "%s", slash ? slash + 1 : program);
}

static bool is_server(const char *name)
{
        for (size_t i = 0; i < ELEMENTS(servers); i++)
                if (strcmp(name, servers[i]) == 0)
                        return true;
        return false;
}

typedef struct Ports {
        char *const *allowed;
        char **seen;
} Ports;

/* "ssh" in the recipe means ssh.service. */
static bool is_allowed(char *const *allowed, const char *unit)
{
        size_t length = strlen(unit);

        for (; allowed && *allowed; allowed++)
                if (strcmp(*allowed, unit) == 0 ||
                                (strlen(*allowed) + strlen(".service") == length &&
                                                strncmp(*allowed, unit, strlen(*allowed)) == 0 &&
                                                strcmp(unit + strlen(*allowed), ".service") == 0))
                        return true;
        return false;
}

static int check_unit(Tree *tree, const char *unit, const Ports *ports, Error *error)
{
        _cleanup_free_ char *file = NULL;
        const char *point = strrchr(unit, '.');
        Sight sight = { .is_socket = point && strcmp(point, ".socket") == 0 };
        int r = 0;

        if (!point || (!sight.is_socket && strcmp(point, ".service") != 0) ||
                        is_allowed(ports->allowed, unit) || tree_find_unit(tree, unit, &file) < 0)
                return 0;
        r = take_file(tree, &sight, file);
        if (r >= 0)
                r = take_dropins(tree, &sight, unit);
        for (char **value = sight.values; r >= 0 && value && *value; value++) {
                char name[VALUE_MAX];

                name_of(*value, name);
                if (!sight.is_socket && strcmp(name, "systemd-resolved") == 0)
                        r = hygiene_check_resolver(tree, unit, error);
                else if (sight.is_socket ? is_open(*value) : is_server(name))
                        r = error_set(error, ERROR_REFUSED, EPERM,
                                        "%s is enabled and listens on the network (%s%.100s): disable or "
                                        "mask it, "
                                        "or name it in the recipe: Listen=%s",
                                        unit, sight.is_socket ? "" : "it runs ", *value, unit);
        }
        strv_free(sight.values);
        return r == -ENOMEM ? error_oom(error) : r;
}

static bool ends_with(const char *text, const char *end)
{
        size_t length = strlen(text), end_length = strlen(end);

        return length > end_length && strcmp(text + length - end_length, end) == 0;
}

/* Links in NAME.wants and the like are what enables a unit. */
static int look(Tree *tree, TreeNode *node, const char *path _unused_, void *data, Error *error)
{
        Ports *ports = data;
        const char *folder = node->parent ? node->parent->name : "";

        if (!S_ISLNK(node->inode->mode) || strv_contains(ports->seen, node->name) ||
                        !(ends_with(folder, ".wants") || ends_with(folder, ".requires") ||
                                        ends_with(folder, ".upholds")))
                return 0;
        if (strv_append(&ports->seen, node->name) < 0)
                return error_oom(error);
        return check_unit(tree, node->name, ports, error);
}

int hygiene_check_ports(Tree *tree, char *const *allowed, Error *error)
{
        static const char *const folders[] = { "etc/systemd/system", "usr/lib/systemd/system" };
        Ports ports = { .allowed = allowed };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(folders); i++) {
                TreeNode *folder = tree_resolve(tree, folders[i]);

                if (folder)
                        r = tree_walk(tree, folder, look, &ports, error);
        }
        strv_free(ports.seen);
        return r;
}
