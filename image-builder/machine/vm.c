/* SPDX-License-Identifier: Apache-2.0 */
#include "vm.h"

#include "clock.h"
#include "file.h"
#include "output-file.h"
#include "process.h"
#include "sparse.h"
#include "strv.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define VARIABLES_MAX (16 * MIB)
#define QCOW2_MAGIC "QFI\xfb"
#define LATE_PIECES_MAX 64 /* of the console, taken although the time is up: what was on its way */

/* ---- its files ---- */

static int scratch(int *ret_fd, Error *error)
{
        _cleanup_free_ char *path = scratch_path("bascule-test");

        return path ? scratch_file_open(path, ret_fd, error) : error_oom(error);
}

/* The path under which a descriptor of ours is opened again, by us or by a child. */
static char *fd_path(int fd)
{
        return string_format("/proc/%d/fd/%d", (int)getpid(), fd);
}

static int copy_disk(const char *image, int to_fd, Error *error)
{
        _cleanup_fd_ int from_fd = open(image, O_RDONLY | O_CLOEXEC);
        _cleanup_free_ char *to_path = fd_path(to_fd);
        const ProcessOptions options = { .log_fd = -1 };
        uint8_t magic[4];
        uint64_t size;
        int r;

        if (from_fd < 0)
                return error_set(error, ERROR_USAGE, errno, "cannot open the image %s: %s", image,
                                strerror(errno));
        if (!to_path)
                return error_oom(error);
        r = pread_full(from_fd, magic, sizeof(magic), 0);
        if (r >= 0 && memcmp(magic, QCOW2_MAGIC, sizeof(magic)) == 0) {
                const char *const argv[] = { "qemu-img", "convert", "-f", "qcow2", "-O", "raw", image,
                        to_path, NULL };

                return process_check(argv, &options, error);
        }
        if (r >= 0)
                r = fd_size(from_fd, &size);
        if (r >= 0 && ftruncate(to_fd, (off_t)size) < 0)
                r = -errno;
        if (r >= 0)
                r = sparse_copy(from_fd, 0, to_fd, 0, size);
        return r < 0 ? error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r, "cannot copy %s: %s",
                                       image, strerror(-r))
                     : 0;
}

static int open_log(const char *path, int *ret, Error *error)
{
        *ret = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
        return *ret < 0 ? error_set(error, ERROR_IO, errno, "cannot write %s: %s", path, strerror(errno))
                        : 0;
}

int vm_prepare(const char *image, const char *serial_path, const char *log_path, Vm *ret, Error *error)
{
        _cleanup_free_ char *path = NULL;
        int r = open_log(serial_path, &ret->serial_fd, error);

        if (r >= 0)
                r = open_log(log_path, &ret->log_fd, error);
        if (r >= 0)
                r = scratch(&ret->disk_fd, error);
        if (r >= 0)
                r = copy_disk(image, ret->disk_fd, error);
        if (r < 0)
                return r;
        path = fd_path(ret->disk_fd);
        if (!path)
                return error_oom(error);
        r = esp_image_open(ret->disk_fd, path, &ret->esp, error);
        return r < 0 ? error_prefix(error, r, "%s", image) : 0;
}

static int copy_variables(const char *folder, int *ret_fd, Error *error)
{
        _cleanup_free_ char *path = path_join(folder, "OVMF_VARS_4M.fd"), *data = NULL;
        size_t size;
        int r = path ? file_read(AT_FDCWD, path, VARIABLES_MAX, &data, &size) : -ENOMEM;

        if (r < 0)
                return error_set(error, ERROR_MISSING_TOOL, -r,
                                "cannot read the firmware in %s: %s; it is in the Debian package ovmf",
                                folder, strerror(-r));
        r = scratch(ret_fd, error);
        if (r < 0)
                return r;
        r = pwrite_full(*ret_fd, data, size, 0);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot write the firmware's variables: %s",
                                       strerror(-r))
                     : 0;
}

/* ---- QEMU ---- */

/* A port that nobody listens on just now. */
static int free_port(unsigned *ret, Error *error)
{
        _cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);

        if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
                        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot find a free port: %s", strerror(errno));
        *ret = ntohs(address.sin_port);
        return 0;
}

/* Appends the words of a formatted text. */
static int add(char ***argv, const char *format, ...) _printf_(2, 3);
static int add(char ***argv, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (r < 0) {
                text = NULL;
                return -ENOMEM;
        }
        return strv_append_words(argv, text);
}

/* For QEMU's parser of options. */
static char *double_commas(const char *text)
{
        char *copy = malloc(2 * strlen(text) + 1), *to = copy;

        for (; copy && *text; text++) {
                *to++ = *text;
                if (*text == ',')
                        *to++ = ',';
        }
        if (copy)
                *to = 0;
        return copy;
}

static int add_firmware(const Vm *vm, const char *folder, char ***argv)
{
        _cleanup_free_ char *quoted = double_commas(folder), *code = NULL;
        int r;

        if (!quoted)
                return -ENOMEM;
        code = string_format("if=pflash,format=raw,readonly=on,file=%s/OVMF_CODE_4M.fd", quoted);
        r = code ? strv_append(argv, "-drive") : -ENOMEM;
        if (r >= 0)
                r = strv_append(argv, code);
        return r < 0 ? r : add(argv, "-drive if=pflash,format=raw,file=/proc/self/fd/%d", vm->variables_fd);
}

/* Connections to the repository are handed to this program itself, one process each (http-serve.h): nothing
 * listens on this machine. */
static int add_network(const Vm *vm, const VmOptions *options, char ***argv)
{
        _cleanup_free_ char *serve = NULL, *network = NULL;
        int r;

        if (options->repository_fd >= 0) {
                serve = string_format(",guestfwd=tcp:" VM_REPOSITORY_ADDRESS
                                      ":80-cmd:/proc/%d/exe test --serve /proc/%d/fd/%d",
                                (int)getpid(), (int)getpid(), options->repository_fd);
                if (!serve)
                        return -ENOMEM;
        }
        network = string_format("user,id=n0,restrict=%s,hostfwd=tcp:127.0.0.1:%u-:22%s",
                        options->with_network ? "off" : "on", vm->ssh_port, serve ? serve : "");
        r = network ? strv_append(argv, "-netdev") : -ENOMEM;
        if (r >= 0)
                r = strv_append(argv, network);
        return r < 0 ? r : add(argv, "-device virtio-net-pci,netdev=n0,romfile=");
}

static int make_command(const Vm *vm, const VmOptions *options, char ***ret)
{
        _cleanup_strv_ char **argv = NULL;
        int r = strv_append(&argv, options->qemu);

        if (r >= 0)
                r = add(&argv, "-name bascule-test -M q35 %s -smp 2 -m %" PRIu64,
                                options->with_kvm ? "-accel kvm -cpu host"
                                                  : "-accel tcg,thread=multi,tb-size=512 -cpu qemu64",
                                options->memory_mib);
        if (r >= 0)
                r = add_firmware(vm, options->firmware, &argv);
        if (r >= 0)
                r = add(&argv,
                                "-drive if=none,id=disk,format=raw,cache=unsafe,discard=unmap,"
                                "file=/proc/self/fd/%d -device "
                                "virtio-blk-pci,drive=disk,logical_block_size=%u,"
                                "physical_block_size=%u",
                                vm->disk_fd, vm->esp.sector_size_bytes, vm->esp.sector_size_bytes);
        if (r >= 0)
                r = add_network(vm, options, &argv);
        if (r >= 0)
                r = add(&argv, "-device i6300esb -action watchdog=reset -device virtio-rng-pci -display "
                               "none "
                               "-monitor none -chardev stdio,id=serial,signal=off -serial chardev:serial");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(argv);
        return 0;
}

static int spawn(Vm *vm, const char *const *argv, Error *error)
{
        const int kept[] = { vm->disk_fd, vm->variables_fd, -1 };
        _cleanup_fd_ int console_end = -1;
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot make a pipe: %s", strerror(errno));
        vm->console_fd = ends[0];
        console_end = ends[1];
        boot_watch_begin(&vm->watch);
        vm->began_ms = monotonic_ms();
        return child_start(argv, &(ChildPipes){ -1, console_end, vm->log_fd, kept }, &vm->qemu, error);
}

int vm_start(Vm *vm, const VmOptions *options, Error *error)
{
        _cleanup_strv_ char **argv = NULL;
        int r = copy_variables(options->firmware, &vm->variables_fd, error);

        if (r >= 0)
                r = free_port(&vm->ssh_port, error);
        if (r < 0)
                return r;
        r = make_command(vm, options, &argv);
        return r < 0 ? error_oom(error) : spawn(vm, (const char *const *)argv, error);
}

int64_t vm_time_ms(const Vm *vm)
{
        return monotonic_ms() - vm->began_ms;
}

bool vm_is_on(Vm *vm)
{
        return child_runs(&vm->qemu);
}

/* What the guest sends is not ours to believe, nor is how much. */
static void log_console(Vm *vm, const uint8_t *data, size_t size)
{
        static const char cut[] = "\n(the console went on; this log is cut here)\n";
        bool was_cut = vm->console_bytes > VM_CONSOLE_LOG_MAX;

        vm->console_bytes += (uint64_t)size;
        if (vm->console_bytes <= VM_CONSOLE_LOG_MAX)
                (void)write_full(vm->serial_fd, data, size);
        else if (!was_cut)
                (void)write_full(vm->serial_fd, cut, sizeof(cut) - 1);
}

static void take_console(Vm *vm)
{
        uint8_t data[16384];
        ssize_t size = read(vm->console_fd, data, sizeof(data));

        if (size < 0 && errno == EINTR)
                return;
        if (size <= 0) {
                vm->console_fd = fd_close(vm->console_fd);
                return;
        }
        log_console(vm, data, (size_t)size);
        boot_watch_feed(&vm->watch, data, (size_t)size, vm_time_ms(vm));
}

void vm_run(Vm *vm, int timeout_ms, int other_fd)
{
        int64_t end = monotonic_ms() + timeout_ms;
        unsigned late_pieces = 0;

        while (!interrupt_came()) {
                struct pollfd polled[] = { { .fd = vm->console_fd, .events = POLLIN },
                        { .fd = other_fd, .events = POLLIN } };
                int64_t left = end - monotonic_ms();
                int count = poll(polled, ELEMENTS(polled), left > 0 ? (int)left : 0);

                if (count > 0 && polled[0].revents)
                        take_console(vm);
                if (count <= 0 || polled[1].revents || (vm->console_fd < 0 && !vm_is_on(vm)))
                        return;
                if (left <= 0 && ++late_pieces >= LATE_PIECES_MAX)
                        return;
        }
}

char *vm_log_tail(int fd, size_t max_bytes, size_t *ret_size)
{
        struct stat status;
        size_t size;
        char *tail;

        if (fd < 0 || fstat(fd, &status) < 0)
                return NULL;
        size = (size_t)MIN_OF((uint64_t)status.st_size, (uint64_t)max_bytes);
        tail = malloc(size + 1);
        if (!tail || pread_full(fd, tail, size, (uint64_t)status.st_size - size) < 0) {
                free(tail);
                return NULL;
        }
        tail[size] = 0;
        *ret_size = size;
        return tail;
}

void vm_done(Vm *vm)
{
        child_kill(&vm->qemu);
        for (int part = 0; vm->console_fd >= 0 && part < LATE_PIECES_MAX; part++)
                take_console(vm); /* what was on its way */
        vm->console_fd = fd_close(vm->console_fd);
        vm->disk_fd = fd_close(vm->disk_fd);
        vm->variables_fd = fd_close(vm->variables_fd);
        vm->serial_fd = fd_close(vm->serial_fd);
        vm->log_fd = fd_close(vm->log_fd);
}
