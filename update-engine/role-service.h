/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A role as a service of its own. systemd starts one process for each connection to the role's socket
 * (units/bascule-fetch.socket), in a unit that grants what the role needs and basculed does not: the
 * network. The connection is the role's ROLE_FD_CONTROL. Before the frames of its work there are two:
 *
 *     basculed -> BEGIN    limits, and descriptors with the numbers that they are to have
 *     role     -> READY    it is confined; or FAILED
 *
 * The kernel names the process that READY came from, and by that it is watched and killed like a child: it
 * has read nothing of a server by then. systemd stops it when basculed ends (BindsTo=). */

#include "roles.h"

/* As role_start(). Waits for READY: ERROR_FAILED when there is none within two minutes. */
int role_service_connect(RoleName name, const RoleService *service, const RoleLimits *limits,
                const RoleFd *fds, size_t fd_count, RoleProcess *ret, Error *error);

/* In the service, first of all: takes the connection over from systemd (sd_listen_fds(3)), forgets the
 * environment and puts the descriptors at their numbers. -EINVAL when systemd did not start this process;
 * -EBADMSG for a BEGIN that makes no sense, such as a number that is no role's. */
int role_service_begin(RoleLimits *ret);
