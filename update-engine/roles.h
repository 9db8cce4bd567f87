/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The processes that basculed parts itself into (docs/ARCHITECTURE.md, "Processes on the host"). A role is
 * the same program started again: one const table says its name, user, descriptors, limits, confinement and
 * main function. Descriptors stand at fixed numbers; everything else is closed. A role is a child of
 * basculed, or, where systemd starts it, a service (role-service.h); both are watched and stopped in the
 * same way. */

#include "confine.h"
#include "error.h"

#include <sys/types.h>

typedef enum RoleName { ROLE_FETCH, ROLE_APPLY, ROLE_NAME_MAX } RoleName;

/* Descriptors of every role. */
enum {
        ROLE_FD_CONTROL = 3, /* stream socket to basculed: frames both ways */
        ROLE_FD_DATA = 4,    /* pipe from fetch to apply; -1 while fetch only brings metadata */
        ROLE_FD_TARGET = 5,  /* apply: what is written */
        ROLE_FD_SOURCES = 6, /* apply: PAYLOAD_SOURCES_MAX descriptors from here, or closed */
        ROLE_FD_MAX = 16
};

typedef struct Role {
        const char *name;  /* "fetch" */
        const char *user;  /* sysusers.d name, used when basculed is root */
        int (*main)(void); /* after confinement; exit status */
        const ConfineProfile *confine;
        bool is_idle;    /* yields to all else; not for who is measured by time, as servers are */
        bool is_service; /* where systemd offers it: started in a unit of its own (role-service.h) */
        uint64_t address_space_bytes; /* of program and libraries; RoleLimits.memory_bytes come on top */
        uint64_t open_files;
} Role;

/* The first thing in main() of a program that starts roles: true when this process is one, and then it has
 * run and *ret_status is what to exit with. */
bool role_dispatch(int argc, char **argv, int *ret_status);

typedef struct RoleProcess {
        RoleName role;
        pid_t pid;       /* 0: none */
        int pid_fd;      /* readable when it has ended */
        int control_fd;  /* our end */
        bool is_service; /* systemd's child, not ours */
} RoleProcess;

#define ROLE_PROCESS_NONE ((RoleProcess){ .pid_fd = -1, .control_fd = -1 })

/* Starts a role. `fds`: pairs of (our descriptor, number there); the control socket is made here. The
 * descriptors stay ours to close. */
typedef struct RoleFd {
        int fd;
        int number;
} RoleFd;
typedef struct RoleLimits {
        uint64_t memory_bytes;    /* that the work needs, from signed metadata */
        uint64_t file_size_bytes; /* no file grows past this */
} RoleLimits;
int role_spawn(RoleName role, const RoleLimits *limits, const RoleFd *fds, size_t fd_count, RoleProcess *ret,
                Error *error);

/* Where systemd starts a role, and a descriptor that is readable when nobody waits for that any more (-1:
 * none). */
typedef struct RoleService {
        const char *socket_path;
        int cancel_fd;
} RoleService;

/* The same, but a role that can be a service is asked for there; NULL, or without a path: it is a child.
 * -ECANCELED. */
int role_start(RoleName role, const RoleService *service, const RoleLimits *limits, const RoleFd *fds,
                size_t fd_count, RoleProcess *ret, Error *error);

/* Kills, if it still runs, and waits for its end. A role that may not be killed is left after a few seconds:
 * its socket is closed, and that is an order to end. Safe on ROLE_PROCESS_NONE. */
void role_stop(RoleProcess *process);

/* Waits for the end (it was asked to end, or has closed its socket); one that does not come to it in that
 * time is stopped. 0 when it exited with 0; otherwise -EIO and an Error that names role and signal or
 * status. How a service ended is not known here: that is -EIO, too. */
#define ROLE_DEATH_MS 5000 /* between the end of its socket and its own, when it did not say why */
#define ROLE_END_MS 60000  /* what decodes is idle work: on a busy machine even that takes a while */
int role_wait(RoleProcess *process, int timeout_ms, Error *error);

const char *role_name(RoleName role);

/* In a role: tells basculed why it ends. A failure without a sentence is one of their conversation. */
void role_tell_failure(RoleName role, int r, Error *error);
