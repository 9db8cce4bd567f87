/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the steps of an operation share: they run on a thread of their own, report to the loop's thread, and
 * stop when they are cancelled. */

#include "config.h"
#include "engine.h"
#include "frames.h"
#include "host.h"
#include "mirrors.h"
#include "roles.h"
#include "state.h"

typedef struct OperationProgress {
        uint64_t done_bytes, total_bytes;
        uint64_t fetched_bytes, written_bytes; /* of the whole operation */
        uint64_t full_bytes;                   /* of an install: what the full payloads would have been */
} OperationProgress;

/* Everything but `progress` and `mirrors` is borrowed and does not change while the operation runs. */
typedef struct Operation {
        const Host *host;
        const Config *config;
        const State *state;
        const char *fetch_socket; /* where role fetch is a service (role-service.h); NULL: a child */
        MirrorMemory *mirrors;    /* used by the operation alone while it runs; NULL: nothing is known */
        int cancel_fd;            /* readable: stop */
        uint64_t now;             /* seconds since 1970, never behind the latest known time */
        /* Called on the operation's thread. `version` may be NULL. */
        void (*enter)(void *data, EngineEvent event, const char *version);
        void (*tell)(void *data, const OperationProgress *progress);
        void *data;
        OperationProgress progress;
} Operation;

/* -ECANCELED with ERROR_CANCELLED when the operation is to stop. */
int operation_check(const Operation *operation, Error *error);

void operation_enter(Operation *operation, EngineEvent event, const char *version, uint64_t total_bytes);
void operation_tell(Operation *operation, uint64_t done_bytes);

/* Starts a role: fetch where it is a service, if it is one. */
int operation_start_role(Operation *operation, RoleName role, const RoleLimits *limits, const RoleFd *fds,
                size_t fd_count, RoleProcess *ret, Error *error);

/* The order in which a role fetch is to ask the mirrors, and which of them served last. */
typedef struct MirrorOrder {
        size_t numbers[MIRRORS_MAX]; /* places in the configuration */
        size_t count, serving;       /* an index of `numbers` */
} MirrorOrder;

void operation_order_mirrors(const Operation *operation, MirrorOrder *ret);
/* Takes a FRAME_MIRROR. */
int operation_note_mirror(Operation *operation, MirrorOrder *order, Frame *frame, Error *error);
/* The mirror that served last brought bytes that are wrong. */
void operation_distrust_mirror(Operation *operation, const MirrorOrder *order);

/* Waits for a frame from a role. A FRAME_FAILED becomes its Error. Errors beside that: ERROR_CANCELLED;
 * ERROR_NETWORK when nothing came for timeout_ms; the role's end. The frame is borrowed from the reader. */
int operation_receive(Operation *operation, RoleProcess *process, FrameReader *reader, uint64_t timeout_ms,
                Frame *ret, Error *error);
