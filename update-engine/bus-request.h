/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The dictionary of options that callers of Check, Plan, Update and Rollback send, and errors as answers. */

#include "plan.h"

#include <systemd/sd-bus.h>

/* What a caller asks for, after it was checked. */
typedef struct BusRequest {
        char *version;     /* owned; NULL: the best */
        unsigned flags;    /* InstallFlags */
        bool is_scheduled; /* as the timer asks: the configuration decides */
        bool is_override;  /* a refusal is overridden: needs more than the right to update */
} BusRequest;

/* Reads the a{sv} that the call begins with; may be done more than once. An option that is not known, or of
 * the wrong type, is refused. The return value is as that of an sd-bus method. */
int bus_request_read(sd_bus_message *call, BusRequest *ret, sd_bus_error *error);
void bus_request_done(BusRequest *request);
#define _cleanup_bus_request_ _cleanup_(bus_request_done)

/* Puts into the log which refusals the caller overrides, if any: not to be forgotten when something is looked for
 * later. */
void bus_request_log(const BusRequest *request, sd_bus_message *call);

/* The version that the call begins with; *ret (borrowed) is NULL when it is empty. */
int bus_request_version(sd_bus_message *call, const char **ret, sd_bus_error *error);

/* An Error as the answer to a call; with an Error that is not set, errno `r` (negative). */
int bus_answer_error(sd_bus_error *ret, int r, const Error *error);
