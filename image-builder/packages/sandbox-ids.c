/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"
#include "file.h"
#include "process.h"
#include "sandbox-internal.h"

#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/mman.h>

#define MAP_MAX (64 * KIB)
#define SUBORDINATE_MAX (1 * MIB)
#define LINES_MAX 340 /* as the kernel has it */

/* Ids of the machine that are those of scripts when its root builds: the upper half, given to nobody. */
#define NOBODYS_FIRST 2147483648U
#define NOBODYS_COUNT 2147483647U

/* One line of a map, or 0 in its place where there is none. */
static bool next_line(char **text, unsigned long ret[static 3])
{
        const char *line = strsep(text, "\n");

        if (line && sscanf(line, "%lu %lu %lu", &ret[0], &ret[1], &ret[2]) != 3)
                ret[0] = ret[1] = ret[2] = 0;
        return line;
}

int sandbox_find_root(SandboxRoot *ret, Error *error)
{
        static const char path[] = "/proc/self/uid_map";
        _cleanup_free_ char *text = NULL;
        unsigned long line[3];
        char *next;
        size_t size;
        int r;

        *ret = SANDBOX_ROOT_IS_COMMON;
        if (geteuid() != 0)
                return 0;
        r = file_read(AT_FDCWD, path, MAP_MAX, &text, &size);
        if (r < 0)
                return error_set(error, ERROR_MISSING_TOOL, -r, "cannot read %s: %s", path, strerror(-r));
        next = text;
        while (next_line(&next, line))
                if (line[0] == 0 && line[1] == 0 && line[2] > 0)
                        *ret = line[2] >= NOBODYS_FIRST + NOBODYS_COUNT ? SANDBOX_ROOT_IS_NOBODY
                                                                        : SANDBOX_ROOT_IS_ROOT;
        return 0;
}

/* The ids that we have, each as itself. */
static int make_own_map(const char *path, Buffer *ret)
{
        _cleanup_free_ char *text = NULL;
        unsigned long line[3];
        char *next;
        size_t size;
        int r = file_read(AT_FDCWD, path, MAP_MAX, &text, &size);

        next = text;
        while (r >= 0 && next_line(&next, line))
                if (line[2] > 0)
                        r = buffer_printf(ret, "%lu %lu %lu\n", line[0], line[0], line[2]);
        return r;
}

static int write_map(pid_t process, const char *name, SandboxRoot root, const char *user, Error *error)
{
        _cleanup_free_ char *from = string_format("/proc/self/%s", name);
        _cleanup_free_ char *to = string_format("/proc/%d/%s", (int)process, name);
        _cleanup_buffer_ Buffer map = BUFFER_WITH_CAP(MAP_MAX);
        _cleanup_fd_ int fd = -1;
        int r;

        if (!from || !to)
                return error_oom(error);
        r = root == SANDBOX_ROOT_IS_NOBODY ? buffer_printf(&map, "0 %u %u\n", NOBODYS_FIRST, NOBODYS_COUNT)
                                           : make_own_map(from, &map);
        fd = open(to, O_WRONLY | O_CLOEXEC);
        if (r >= 0 && fd < 0)
                r = -errno;
        if (r >= 0 && write(fd, map.data, map.size) != (ssize_t)map.size) /* in one call, as it must be */
                r = errno > 0 ? -errno : -EIO;
        return r < 0 ? error_set(error, ERROR_MISSING_TOOL, -r,
                                       "%s needs a user namespace, and this machine lets nobody give it "
                                       "ids: %s",
                                       user, strerror(-r))
                     : 0;
}

/* "NAME:START:COUNT" or "UID:START:COUNT" of subuid(5). */
static int find_subordinates(const char *path, char start[static 24], char count[static 24])
{
        _cleanup_free_ char *text = NULL;
        const struct passwd *user = getpwuid(geteuid());
        char *next, number[24];
        size_t size;
        int r = file_read(AT_FDCWD, path, SUBORDINATE_MAX, &text, &size);

        if (r < 0)
                return r;
        (void)snprintf(number, sizeof(number), "%u", (unsigned)geteuid());
        next = text;
        for (char *line; (line = strsep(&next, "\n"));) {
                const char *name = strsep(&line, ":"), *first = strsep(&line, ":");

                if (!first || !line || strlen(first) > 20 || strlen(line) > 20 ||
                                (strcmp(name, number) != 0 && (!user || strcmp(name, user->pw_name) != 0)))
                        continue;
                (void)snprintf(start, 24, "%s", first);
                (void)snprintf(count, 24, "%s", line);
                return 0;
        }
        return -ENOENT;
}

/* The program must be setuid, or have a capability, which containers and mounts can take from it. */
static int cannot_map(const char *program, const char *file, int log_fd, const char *user, Error *error)
{
        char line[PROCESS_LINE_MAX + 1];

        process_last_line(log_fd, line);
        error_clear(error);
        return error_set(error, ERROR_MISSING_TOOL, EPERM,
                        "%s needs a user namespace with ids of its own, and %s does not give those in %s: "
                        "%s",
                        user, program, file, line[0] ? line : "it does not say why");
}

static int run_mapper(pid_t process, const char *program, const char *file, unsigned id, const char *user,
                Error *error)
{
        char start[24], count[24], pid[24], own[24];
        _cleanup_fd_ int log_fd = memfd_create(program, MFD_CLOEXEC);
        int r;

        (void)snprintf(pid, sizeof(pid), "%d", (int)process);
        (void)snprintf(own, sizeof(own), "%u", id);
        if (find_subordinates(file, start, count) < 0)
                return error_set(error, ERROR_MISSING_TOOL, ENOENT,
                                "%s needs a user namespace with ids of its own, and %s has no line for this "
                                "user; add one with \"usermod --add-subuids 100000-165535 --add-subgids "
                                "100000-165535 USER\"",
                                user, file);
        r = process_check((const char *const[]){ program, pid, "0", own, "1", "1", start, count, NULL },
                        &(ProcessOptions){ .log_fd = log_fd }, error);
        return r == -EIO ? cannot_map(program, file, log_fd, user, error) : r;
}

int sandbox_lend(int fd, SandboxRoot root)
{
        return root == SANDBOX_ROOT_IS_NOBODY && fchown(fd, NOBODYS_FIRST, NOBODYS_FIRST) < 0 ? -errno : 0;
}

int sandbox_map_ids(pid_t process, SandboxRoot root, const char *user, Error *error)
{
        int r;

        if (geteuid() == 0) {
                r = write_map(process, "uid_map", root, user, error);
                return r < 0 ? r : write_map(process, "gid_map", root, user, error);
        }
        r = run_mapper(process, "newuidmap", "/etc/subuid", geteuid(), user, error);
        return r < 0 ? r : run_mapper(process, "newgidmap", "/etc/subgid", getegid(), user, error);
}
