/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include "file.h"
#include "strv.h"

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LOG_TAIL_MAX (1 * MIB) /* of a log, where a full disk is looked for */
#define LOG_ROOM (64 * KIB)    /* by which a log must be able to grow */
#define SETPRIV "setpriv"
#define SEARCH_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Which Debian package has a program. */
static const char *package_of(const char *program)
{
        static const char *const packages[][2] = {
                { "apt-config", "apt" },
                { "apt-get", "apt" },
                { "mcopy", "mtools" },
                { "mdel", "mtools" },
                { "mke2fs", "e2fsprogs" },
                { "mkfs.vfat", "dosfstools" },
                { "mmd", "mtools" },
                { "mmdebstrap", "mmdebstrap" },
                { "newgidmap", "uidmap" },
                { "newuidmap", "uidmap" },
                { "prlimit", "util-linux" },
                { "qemu-img", "qemu-utils" },
                { "qemu-system-x86_64", "qemu-system-x86" },
                { SETPRIV, "util-linux" },
                { "ssh", "openssh-client" },
                { "/usr/lib/apt/apt-helper", "apt" },
        };

        for (size_t i = 0; i < ELEMENTS(packages); i++)
                if (strcmp(packages[i][0], program) == 0)
                        return packages[i][1];
        return NULL;
}

static int missing(const char *name, Error *error)
{
        const char *package = package_of(name);

        return error_set(error, ERROR_MISSING_TOOL, ENOENT, "the program %s is not installed%s%s", name,
                        package ? "; it is in the Debian package " : "", package ? package : "");
}

int process_find(const char *name, char **ret, Error *error)
{
        if (strchr(name, '/')) {
                if (access(name, X_OK) < 0)
                        return missing(name, error);
                *ret = strdup(name);
                return *ret ? 0 : error_oom(error);
        }
        for (const char *folder = SEARCH_PATH; *folder;) {
                size_t length = strcspn(folder, ":");
                char *path = string_format("%.*s/%s", (int)length, folder, name);

                if (!path)
                        return error_oom(error);
                if (access(path, X_OK) == 0) {
                        *ret = path;
                        return 0;
                }
                free(path);
                folder += length + (folder[length] ? 1 : 0);
        }
        return missing(name, error);
}

static bool is_set(const char *const *environment, const char *name)
{
        size_t length = strlen(name);

        for (; environment && *environment; environment++)
                if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
                        return true;
        return false;
}

/* What a child may know of the caller: where to put things and how to reach the network. */
static int make_environment(const char *const *more, char ***ret)
{
        static const char *const kept[] = { "HOME", "TMPDIR", "http_proxy", "https_proxy", "no_proxy",
                "ftp_proxy", "ALL_PROXY", "APT_CONFIG", "USER", "LOGNAME" };
        _cleanup_strv_ char **environment = NULL;
        int r = strv_append(&environment, "PATH=" SEARCH_PATH);

        if (r >= 0)
                r = strv_append(&environment, "LC_ALL=C.UTF-8");
        if (r >= 0)
                r = strv_append(&environment, "TZ=UTC");
        for (size_t i = 0; r >= 0 && i < ELEMENTS(kept); i++) {
                const char *value = getenv(kept[i]);
                _cleanup_free_ char *entry = NULL;

                if (!value || is_set(more, kept[i]))
                        continue;
                entry = string_format("%s=%s", kept[i], value);
                r = entry ? strv_append(&environment, entry) : -ENOMEM;
        }
        for (; r >= 0 && more && *more; more++)
                r = strv_append(&environment, *more);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(environment);
        return 0;
}

static int add_actions(posix_spawn_file_actions_t *actions, const ProcessOptions *options, int output_fd)
{
        int log_fd = options->log_fd >= 0 ? options->log_fd : STDERR_FILENO;
        int r = -posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

        if (r == 0 && options->log_fd < 0)
                r = -posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        else if (r == 0)
                r = -posix_spawn_file_actions_adddup2(actions, log_fd, STDERR_FILENO);
        if (r == 0)
                r = -posix_spawn_file_actions_adddup2(
                                actions, output_fd >= 0 ? output_fd : STDERR_FILENO, STDOUT_FILENO);
        if (r == 0 && options->folder)
                r = -posix_spawn_file_actions_addchdir_np(actions, options->folder);
        return r;
}

/* The program behind one that gives it the signal. */
static int wrap(const char *const *argv, char ***ret_argv)
{
        static const char *const wrapper[] = { SETPRIV, "--pdeathsig", "INT", NULL };
        _cleanup_strv_ char **command = NULL;
        int r = 0;

        for (const char *const *word = wrapper; r >= 0 && *word; word++)
                r = strv_append(&command, *word);
        for (; r >= 0 && *argv; argv++)
                r = strv_append(&command, *argv);
        if (r >= 0)
                *ret_argv = TAKE_PTR(command);
        return r;
}

static int spawn(const char *const *argv, const ProcessOptions *options, int output_fd, pid_t *ret,
                Error *error)
{
        _cleanup_free_ char *program = NULL, *setpriv = NULL;
        _cleanup_strv_ char **environment = NULL, **wrapped = NULL;
        const char *path;
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        int r = process_find(argv[0], &program, error);

        if (r >= 0 && options->has_own_group)
                r = process_find(SETPRIV, &setpriv, error);
        if (r < 0)
                return r;
        path = setpriv ? setpriv : program;
        r = make_environment(options->environment, &environment);
        if (r >= 0 && setpriv)
                r = wrap(argv, &wrapped);
        if (r < 0 || posix_spawnattr_init(&attributes) != 0)
                return error_oom(error);
        if (posix_spawn_file_actions_init(&actions) != 0) {
                (void)posix_spawnattr_destroy(&attributes);
                return error_oom(error);
        }
        r = add_actions(&actions, options, output_fd);
        if (r == 0 && options->has_own_group)
                r = -posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
        if (r == 0)
                r = -posix_spawn(ret, path, &actions, &attributes, wrapped ? wrapped : (char *const *)argv,
                                environment);
        (void)posix_spawn_file_actions_destroy(&actions);
        (void)posix_spawnattr_destroy(&attributes);
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "cannot start %s: %s", path, strerror(-r)) : 0;
}

static int wait_for(pid_t pid, const char *name, Error *error)
{
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return error_set(error, ERROR_FAILED, errno, "cannot wait for %s: %s", name,
                                        strerror(errno));
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int process_run(const char *const *argv, const ProcessOptions *options, Error *error)
{
        pid_t pid;
        int r = spawn(argv, options, -1, &pid, error);

        return r < 0 ? r : wait_for(pid, argv[0], error);
}

/* The last line of a log that is not empty, or "". */
void process_last_line(int log_fd, char ret[static PROCESS_LINE_MAX + 1])
{
        struct stat status;
        size_t size, end;
        off_t offset;

        ret[0] = 0;
        if (log_fd < 0 || fstat(log_fd, &status) < 0 || !S_ISREG(status.st_mode))
                return;
        size = (size_t)MIN_OF(status.st_size, (off_t)PROCESS_LINE_MAX);
        offset = status.st_size - (off_t)size;
        if (pread_full(log_fd, ret, size, (uint64_t)offset) < 0)
                size = 0;
        ret[size] = 0;
        for (end = strlen(ret); end > 0 && strchr(" \n\r\t", ret[end - 1]); end--)
                ret[end - 1] = 0;
        if (strrchr(ret, '\n'))
                memmove(ret, strrchr(ret, '\n') + 1, strlen(strrchr(ret, '\n')));
}

/* Copies the line around `place`, without what it is indented by. */
static void cut_line(
                const char *text, const char *place, const char *end, char ret[static PROCESS_LINE_MAX + 1])
{
        const char *begin = place, *newline = memchr(place, '\n', (size_t)(end - place));

        while (begin > text && begin[-1] != '\n')
                begin--;
        while (begin < place && (*begin == ' ' || *begin == '\t'))
                begin++;
        (void)snprintf(ret, PROCESS_LINE_MAX + 1, "%.*s", (int)((newline ? newline : end) - begin), begin);
}

/* The log lies in the cache: when that is full, what would have been said may not be in it. */
static bool can_grow(int log_fd, off_t size)
{
        int r = posix_fallocate(log_fd, size, LOG_ROOM);

        if (r == 0 && ftruncate(log_fd, size) < 0)
                r = errno;
        return r != ENOSPC && r != EDQUOT;
}

bool process_found_full_disk(int log_fd, char ret_line[static PROCESS_LINE_MAX + 1])
{
        /* As strerror() says it, and as apt does, which looks before it begins. */
        static const char *const signs[] = { "No space left on device", "Disk quota exceeded",
                "enough free space in " };
        _cleanup_free_ char *text = NULL;
        struct stat status;
        size_t size;

        if (log_fd < 0 || fstat(log_fd, &status) < 0 || !S_ISREG(status.st_mode))
                return false;
        size = (size_t)MIN_OF(status.st_size, (off_t)LOG_TAIL_MAX);
        text = malloc(size + 1);
        if (!text || pread_full(log_fd, text, size, (uint64_t)status.st_size - size) < 0)
                size = 0;
        for (size_t i = 0; i < ELEMENTS(signs); i++) {
                const char *place = size > 0 ? memmem(text, size, signs[i], strlen(signs[i])) : NULL;

                if (!place)
                        continue;
                cut_line(text, place, text + size, ret_line);
                return true;
        }
        if (can_grow(log_fd, status.st_size))
                return false;
        (void)snprintf(ret_line, PROCESS_LINE_MAX + 1, "there is no room even for its log");
        return true;
}

static int check(int status, const char *name, int log_fd, Error *error)
{
        char line[PROCESS_LINE_MAX + 1];

        if (status <= 0)
                return status;
        if (process_found_full_disk(log_fd, line))
                return error_set(error, ERROR_NO_SPACE, ENOSPC,
                                "%s found a disk full, make room and run this again: %s", name, line);
        process_last_line(log_fd, line);
        return error_set(error, ERROR_FAILED, EIO, "%s failed with status %d%s%s", name, status,
                        line[0] ? ": " : "", line);
}

int process_check(const char *const *argv, const ProcessOptions *options, Error *error)
{
        return check(process_run(argv, options, error), argv[0], options->log_fd, error);
}

static int read_all(int fd, size_t cap_bytes, Buffer *ret)
{
        *ret = BUFFER_WITH_CAP(cap_bytes);
        for (;;) {
                uint8_t chunk[16384];
                size_t size;
                int r = read_up_to(fd, chunk, sizeof(chunk), &size);

                if (r >= 0)
                        r = buffer_append(ret, chunk, size);
                if (r < 0 || size < sizeof(chunk))
                        return r;
        }
}

int process_capture(const char *const *argv, const ProcessOptions *options, size_t cap_bytes, char **ret,
                size_t *ret_size, Error *error)
{
        _cleanup_buffer_ Buffer output = { 0 };
        _cleanup_fd_ int read_end = -1, write_end = -1;
        int ends[2], r, status;
        pid_t pid;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot make a pipe: %s", strerror(errno));
        read_end = ends[0];
        write_end = ends[1];
        r = spawn(argv, options, write_end, &pid, error);
        if (r < 0)
                return r;
        write_end = fd_close(write_end);
        r = read_all(read_end, cap_bytes, &output);
        read_end = fd_close(read_end);
        status = wait_for(pid, argv[0], error);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "cannot read what %s prints: %s", argv[0],
                                strerror(-r));
        r = check(status, argv[0], options->log_fd, error);
        if (r < 0)
                return r;
        *ret = buffer_take(&output, ret_size);
        return *ret ? 0 : error_oom(error);
}
