/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Commands in a guest, over ssh: the only way in, and there only if the image itself has the public half of
 * the key that the user gives (SshKeyFile= of the recipe). Runs as root. */

#include "buffer.h"
#include "vm.h"

typedef struct Guest {
        Vm *vm;
        const char *ssh; /* path of the program */
        const char *key; /* path of the private key */
} Guest;

#define GUEST_OUTPUT_MAX (64 * KIB)
#define GUEST_UNREACHABLE 255 /* what ssh ends with when there is no connection; a command can do so too */

/* Runs a command line of the guest's shell, with `input_fd` (or -1) as standard input, while the machine
 * goes on. The exit status; -ETIMEDOUT when it has not ended at `deadline_ms` (monotonic), -EHOSTDOWN when
 * the machine goes off, -EINTR. *ret_output (its cap is set here) is what it printed on either stream; of
 * more than GUEST_OUTPUT_MAX the end. */
int guest_run(const Guest *guest, const char *command, int input_fd, int64_t deadline_ms, Buffer *ret_output,
                Error *error);
