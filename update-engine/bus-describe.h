/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the engine knows, as JSON values in the shape that the bus carries (bus-json.h) and --json prints.
 * The members are documented in docs/man/io.bascule.Engine1.5.scd and never change their meaning. Every
 * function returns a new reference, or NULL when out of memory. */

#include "config.h"
#include "plan.h"
#include "state.h"
#include "updater.h"

#include <jansson.h>

/* Every property of the interface by name; each member is always there and always of the same type. */
json_t *describe_properties(const UpdaterStatus *status, const Config *config);

json_t *describe_plan(const Plan *plan);
json_t *describe_slots(const HostFacts *host);
/* The last `count` events, oldest first; 0: all. */
json_t *describe_history(const State *state, size_t count);
json_t *describe_ledger(const State *state);
/* Sections and settings from the text of config_format(); a setting that repeats becomes an array. */
json_t *describe_config(const char *text);

/* One line for sd_notify(STATUS=): what goes on, for "systemctl status". */
#define DESCRIBE_LINE_MAX 256
void describe_line(const UpdaterStatus *status, char ret[static DESCRIBE_LINE_MAX]);
