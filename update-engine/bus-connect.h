/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The one place that knows how a bus is named on a command line. */

#include <systemd/sd-bus.h>

/* Connects to the bus that `where` names: "system" (also NULL), "session", or a D-Bus address. Negative
 * errno. */
int bus_connect(const char *where, sd_bus **ret);
