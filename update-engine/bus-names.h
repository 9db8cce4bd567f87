/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The names of the D-Bus interface, for the daemon and its clients (docs/man/io.bascule.Engine1.5.scd). The
 * digit is the version of the interface: what is in it stays; members are only added. */

#include "error.h"

#define BUS_NAME "io.bascule.Engine1"
#define BUS_PATH "/io/bascule/Engine1"
#define BUS_INTERFACE "io.bascule.Engine1"
#define BUS_ERROR_PREFIX "io.bascule.Error."

/* Room for "io.bascule.Error.MissingTool". */
#define BUS_ERROR_NAME_MAX 64

/* "io.bascule.Error.NoSpace" for ERROR_NO_SPACE; ret is also returned. */
const char *bus_error_name(ErrorCode code, char ret[static BUS_ERROR_NAME_MAX]);

/* The reverse, and the codes for the bus's own errors: ERROR_UNAVAILABLE when the service cannot be reached,
 * ERROR_PERMISSION when it is not allowed, ERROR_FAILED for anything unknown (NULL too). */
ErrorCode bus_error_code(const char *name);
