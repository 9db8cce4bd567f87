/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the bus service share; for them alone. */

#include "bus-authorize.h"
#include "bus.h"

#include <jansson.h>
#include <time.h>

typedef struct BusJob BusJob;

struct Bus {
        sd_bus *bus;
        Updater *updater; /* borrowed */
        BusAuthorizer *authorizer;
        json_t *properties; /* as last signalled */
        BusJob *jobs;
        uint64_t last_job;
        uint64_t refreshed; /* monotonic seconds */
};

/* An operation that was asked for over the bus. */
struct BusJob {
        BusJob *next;
        Bus *bus;
        uint64_t number;
        const char *operation;
        sd_bus_message *call; /* that waits for a plan as its answer; NULL: a signal tells the end */
};

/* NULL when out of memory. `call` as in BusJob. */
BusJob *bus_job_new(Bus *bus, const char *operation, sd_bus_message *call);
void bus_job_free(BusJob *job);
/* An UpdaterDone: answers the call that waits, or signals JobFinished, and frees the job (`data`). */
void bus_job_finish(void *data, int r, const Error *error, const Plan *plan);
/* Answers `call` with the number of a job that has begun, or frees the job and tells why it has not. */
int bus_job_answer(BusJob *job, sd_bus_message *call, int r, const Error *error, sd_bus_error *bus_error);

/* Methods of the interface: sd_bus_message_handler_t with the Bus as data. */
int bus_method_refresh(sd_bus_message *call, void *data, sd_bus_error *error);
int bus_method_get_slots(sd_bus_message *call, void *data, sd_bus_error *error);
int bus_method_get_history(sd_bus_message *call, void *data, sd_bus_error *error);
int bus_method_get_ledger(sd_bus_message *call, void *data, sd_bus_error *error);
int bus_method_get_config(sd_bus_message *call, void *data, sd_bus_error *error);
/* All those that change something: asks polkit, then does what the member's name says. */
int bus_method_guarded(sd_bus_message *call, void *data, sd_bus_error *error);
