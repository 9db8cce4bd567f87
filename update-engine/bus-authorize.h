/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether a caller on the bus may do something. Root, and the user that the daemon runs as, may do all;
 * others are asked about through polkit, which may ask them for a password. Without polkit they are refused.
 */

#include "error.h"

#include <systemd/sd-bus.h>

#define BUS_AUTHORIZE_PENDING_MAX 32 /* questions to polkit under way at a time */

typedef struct BusAuthorizer BusAuthorizer;

/* The caller is allowed: carry the call out and answer it. The return value is as that of an sd-bus method.
 */
typedef int (*BusAuthorized)(sd_bus_message *call, void *data, sd_bus_error *error);

int bus_authorizer_new(BusAuthorizer **ret);
/* Drops what is pending; those callers get no answer. */
BusAuthorizer *bus_authorizer_free(BusAuthorizer *authorizer);
DEFINE_CLEANUP(BusAuthorizer *, bus_authorizer_free)

/* For use as the last line of an sd-bus method: runs `authorized` at once or later, or answers the call with
 * io.bascule.Error.Permission. `action` is a polkit action id. */
int bus_authorize(BusAuthorizer *authorizer, sd_bus_message *call, const char *action,
                BusAuthorized authorized, void *data, sd_bus_error *error);
