/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A virtual machine for a test: QEMU with UEFI firmware, two processors, one disk that is a copy of an
 * image, a watchdog, and a network that leads nowhere unless asked. What it writes goes to files without
 * names, so nothing is left however we end; QEMU is killed with us (child.h). No privileges.
 *
 * Everything that comes out of the machine is the guest's, thus hostile. */

#include "boot-watch.h"
#include "child.h"
#include "esp-image.h"

/* Where the guest finds the repository that a test serves. */
#define VM_REPOSITORY_ADDRESS "10.0.2.100"

typedef struct VmOptions {
        const char *qemu;     /* path of qemu-system-x86_64 */
        const char *firmware; /* folder of OVMF_CODE_4M.fd and OVMF_VARS_4M.fd */
        uint64_t memory_mib;
        bool with_kvm, with_network;
        int repository_fd; /* folder to serve to the guest; -1: none */
} VmOptions;

typedef struct Vm {
        Child qemu;
        EspImage esp; /* of its disk */
        int disk_fd, variables_fd, console_fd, serial_fd, log_fd;
        unsigned ssh_port; /* on the loopback interface, to port 22 of the guest */
        int64_t began_ms;  /* monotonic */
        uint64_t console_bytes;
        BootWatch watch;
} Vm;

#define VM_CONSOLE_LOG_MAX (64 * MIB)
#define VM_OFF ((Vm){ .disk_fd = -1, .variables_fd = -1, .console_fd = -1, .serial_fd = -1, .log_fd = -1 })

/* Makes the disk: a copy of `image`, raw or qcow2, that shares blocks with it where the filesystem can. The
 * console goes to serial_path, what QEMU says to log_path. */
int vm_prepare(const char *image, const char *serial_path, const char *log_path, Vm *ret, Error *error);
/* Switches it on. A firmware that is not there is ERROR_MISSING_TOOL. */
int vm_start(Vm *vm, const VmOptions *options, Error *error);
/* Lets it run, for at most so long; returns early when `other_fd` (or -1) has something to read, when the
 * machine is off or when we are interrupted. Takes what the console brings, of which VM_CONSOLE_LOG_MAX
 * bytes go to its log. */
void vm_run(Vm *vm, int timeout_ms, int other_fd);
bool vm_is_on(Vm *vm);
/* Milliseconds since it was switched on. */
int64_t vm_time_ms(const Vm *vm);
/* The end of a log, freed by the caller; NULL when there is none. */
char *vm_log_tail(int fd, size_t max_bytes, size_t *ret_size);
/* Pulls the plug, and forgets it. */
void vm_done(Vm *vm);

/* Whether kvm runs this kernel, which is found out by trying: a node /dev/kvm that runs nothing is common
 * inside of other machines. Takes up to 20 seconds. If not, *ret_reason (static) says why. */
bool vm_kvm_works(const char *qemu, int kernel_fd, const char **ret_reason);
