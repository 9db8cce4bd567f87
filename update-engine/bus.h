/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The updater on the bus: interface io.bascule.Engine1 (docs/man/io.bascule.Engine1.5.scd). Everybody may
 * look; what changes something is asked of polkit (bus-authorize.h). Callers are hostile: nothing they send
 * is used before it was checked. */

#include "updater.h"

#include <systemd/sd-bus.h>

typedef struct Bus Bus;

/* Takes the name on the system bus, or on the one that `address` names: "system", "session" or a D-Bus
 * address. `updater` is borrowed and freed after bus_free(). */
int bus_new(sd_event *event, const char *address, Updater *updater, Bus **ret, Error *error);
Bus *bus_free(Bus *bus);
DEFINE_CLEANUP(Bus *, bus_free)

/* To be called when the updater says that something changed: signals what did. NULL is fine. */
void bus_changed(Bus *bus);
