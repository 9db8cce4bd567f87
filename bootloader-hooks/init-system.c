/* SPDX-License-Identifier: Apache-2.0 */
#include "init-system.h"

#include "file.h"

#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MODULE_LIST_MAX (64 * KIB)
#define MESSAGE_MAX 1200
#define PAUSE_SECONDS 5
#define PCR_POLICY_MAX (64 * KIB)
#define PANIC_SECONDS "10\n"

/* From include/uapi/linux/module.h, which musl's headers do not bring along. */
#define INIT_MODULE_COMPRESSED_FILE 4

static bool wants_steps;
static int log_fd = -1;
static int watchdog_fd = -1;

void init_set_debug(bool is_debug)
{
        wants_steps = is_debug;
}

/* One write is one record of the kernel's log. */
static void say(unsigned level, const char *format, va_list arguments)
{
        char text[MESSAGE_MAX];
        int length = snprintf(text, sizeof(text), "<%u>bascule-init: ", level);

        (void)vsnprintf(text + length, sizeof(text) - (size_t)length - 1, format, arguments);
        (void)strcat(text, "\n");
        if (log_fd < 0)
                log_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY);
        (void)write_full(log_fd >= 0 ? log_fd : STDERR_FILENO, text, strlen(text));
}

void init_problem(const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        say(2, format, arguments);
        va_end(arguments);
}

void init_step(const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        say(wants_steps ? 2 : 6, format, arguments);
        va_end(arguments);
}

int init_write_file(const char *path, const char *text)
{
        _cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

        return fd < 0 ? -errno : write_full(fd, text, strlen(text));
}

void init_keep_pcr_policy(void)
{
        static const char *const names[] = { "tpm2-pcr-signature.json", "tpm2-pcr-public-key.pem" };

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                char from[64], to[64];
                _cleanup_free_ char *text = NULL;

                (void)snprintf(from, sizeof(from), "/.extra/%s", names[i]);
                (void)snprintf(to, sizeof(to), "/run/systemd/%s", names[i]);
                if (file_read(AT_FDCWD, from, PCR_POLICY_MAX, &text, NULL) < 0)
                        continue;
                (void)mkdir("/run/systemd", 0755);
                if (init_write_file(to, text) < 0)
                        init_problem("cannot write %s: what is sealed to the release's key stays sealed",
                                        to);
        }
}

static void open_console(void)
{
        int fd = open("/dev/console", O_RDWR | O_NOCTTY);

        if (fd < 0)
                return;
        for (int i = 0; i <= STDERR_FILENO; i++)
                if (fd != i)
                        (void)dup2(fd, i);
        if (fd > STDERR_FILENO)
                (void)close(fd);
}

/* A kernel that panics must reboot, or a bad release would never use up its tries. */
static void make_panics_reboot(void)
{
        static const char path[] = "/proc/sys/kernel/panic";
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (file_read(AT_FDCWD, path, 64, &text, &size) >= 0 && strcmp(text, "0\n") == 0)
                (void)init_write_file(path, PANIC_SECONDS);
}

int init_mount_basics(Error *error)
{
        static const struct {
                const char *type, *path, *options;
                unsigned long flags;
        } mounts[] = {
                { "devtmpfs", "/dev", "mode=0755", MS_NOSUID },
                { "proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
                { "sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
                { "tmpfs", "/run", "mode=0755,size=20%,nr_inodes=800k", MS_NOSUID | MS_NODEV },
        };

        for (size_t i = 0; i < ELEMENTS(mounts); i++) {
                (void)mkdir(mounts[i].path, 0755);
                if (mount(mounts[i].type, mounts[i].path, mounts[i].type, mounts[i].flags,
                                    mounts[i].options) < 0 &&
                                errno != EBUSY)
                        return error_set(error, ERROR_IO, errno, "cannot mount %s: %s", mounts[i].path,
                                        strerror(errno));
        }
        open_console();
        make_panics_reboot();
        (void)mkdir("/run/bascule", 0755);
        return 0;
}

void init_mount_efivars(void)
{
        static const char path[] = "/sys/firmware/efi/efivars";

        if (access(path, F_OK) >= 0 &&
                        mount("efivarfs", path, "efivarfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 &&
                        errno != EBUSY)
                init_problem("cannot read EFI variables: %s", strerror(errno));
}

static bool is_softdog(const char *path)
{
        const char *name = strrchr(path, '/');

        return strncmp(name ? name + 1 : path, "softdog.ko", strlen("softdog.ko")) == 0;
}

static bool is_compressed(const char *path)
{
        const char *dot = strrchr(path, '.');

        return dot && strcmp(dot, ".ko") != 0;
}

static void load_module(const char *path)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        int flags = is_compressed(path) ? INIT_MODULE_COMPRESSED_FILE : 0;

        if (fd < 0)
                init_problem("cannot open module %s: %s", path, strerror(errno));
        else if (syscall(SYS_finit_module, fd, "", flags) < 0 && errno != EEXIST)
                init_step("module %s is not used: %s", path, strerror(errno));
}

static void load_listed(const char *list_path, bool softdog)
{
        _cleanup_free_ char *text = NULL;
        char *rest, *line;
        size_t size;
        int r = file_read(AT_FDCWD, list_path, MODULE_LIST_MAX, &text, &size);

        if (r < 0) {
                if (r != -ENOENT)
                        init_problem("cannot read %s: %s", list_path, strerror(-r));
                return;
        }
        for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
                if (is_softdog(line) == softdog)
                        load_module(line);
}

void init_load_modules(const char *list_path)
{
        load_listed(list_path, false);
}

void watchdog_arm(unsigned seconds, const char *list_path)
{
        static const char path[] = "/dev/watchdog0";
        int timeout = (int)seconds;

        if (seconds == 0)
                return;
        if (access(path, F_OK) < 0)
                load_listed(list_path, true);
        watchdog_fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        if (watchdog_fd < 0) {
                init_problem("there is no watchdog: a machine that hangs has to be reset by hand");
                return;
        }
        if (ioctl(watchdog_fd, WDIOC_SETTIMEOUT, &timeout) < 0)
                init_step("the watchdog keeps its own timeout: %s", strerror(errno));
        watchdog_keep_alive();
}

void watchdog_keep_alive(void)
{
        if (watchdog_fd >= 0)
                (void)ioctl(watchdog_fd, WDIOC_KEEPALIVE, 0);
}

static void offer_shell(void)
{
        pid_t child;

        if (access("/bin/sh", X_OK) < 0)
                return;
        child = fork();
        if (child == 0) {
                (void)execl("/bin/sh", "sh", (char *)NULL);
                _exit(127);
        }
        while (child > 0 && waitpid(child, NULL, WNOHANG) == 0) {
                watchdog_keep_alive();
                (void)sleep(1);
        }
}

void init_give_up(bool is_debug, const Error *error)
{
        init_problem("%s", error_is_set(error) ? error->message : "unknown failure");
        if (is_debug)
                offer_shell();
        init_problem("this release does not boot; rebooting in %d seconds", PAUSE_SECONDS);
        sync();
        (void)sleep(PAUSE_SECONDS);
        (void)reboot(RB_AUTOBOOT);
        for (;;)
                (void)pause(); /* the watchdog takes it from here */
}
