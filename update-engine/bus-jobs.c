/* SPDX-License-Identifier: Apache-2.0 */
#include "bus-describe.h"
#include "bus-internal.h"
#include "bus-json.h"
#include "bus-names.h"
#include "bus-request.h"
#include "json.h"

#include <string.h>

BusJob *bus_job_new(Bus *bus, const char *operation, sd_bus_message *call)
{
        BusJob *job = calloc(1, sizeof(*job));

        if (!job)
                return NULL;
        *job = (BusJob){
                .next = bus->jobs,
                .bus = bus,
                .number = ++bus->last_job,
                .operation = operation,
                .call = sd_bus_message_ref(call),
        };
        bus->jobs = job;
        return job;
}

void bus_job_free(BusJob *job)
{
        BusJob **link = &job->bus->jobs;

        while (*link && *link != job)
                link = &(*link)->next;
        if (*link)
                *link = job->next;
        sd_bus_message_unref(job->call);
        free(job);
}

static int reply_plan(sd_bus_message *call, const Plan *plan)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_json_ json_t *description = describe_plan(plan);
        int r = sd_bus_message_new_method_return(call, &reply);

        if (r >= 0)
                r = bus_json_append_object(reply, description);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static void answer_waiting_call(const BusJob *job, int r, const Error *error, const Plan *plan)
{
        _cleanup_(sd_bus_error_free) sd_bus_error bus_error = SD_BUS_ERROR_NULL;

        if (plan && reply_plan(job->call, plan) >= 0)
                return;
        (void)bus_answer_error(&bus_error, r < 0 ? r : -EIO, error);
        (void)sd_bus_reply_method_error(job->call, &bus_error);
}

void bus_job_finish(void *data, int r, const Error *error, const Plan *plan)
{
        BusJob *job = data;
        ErrorCode code = r >= 0 ? ERROR_NONE : error_is_set(error) ? error->code : ERROR_FAILED;
        const char *sentence = r >= 0 ? "" : error_is_set(error) ? error->message : strerror(-r);

        bus_changed(job->bus);
        if (job->call)
                answer_waiting_call(job, r, error, plan);
        else
                (void)sd_bus_emit_signal(job->bus->bus, BUS_PATH, BUS_INTERFACE, "JobFinished", "tsss",
                                job->number, job->operation, error_code_name(code), sentence);
        bus_job_free(job);
}

int bus_job_answer(BusJob *job, sd_bus_message *call, int r, const Error *error, sd_bus_error *bus_error)
{
        if (r < 0) {
                bus_job_free(job);
                return bus_answer_error(bus_error, r, error);
        }
        return job->call ? 1 : sd_bus_reply_method_return(call, "t", job->number);
}
