/* SPDX-License-Identifier: Apache-2.0 */
#include "bus-describe.h"

#include "file.h"
#include "hex.h"
#include "json.h"

#include <string.h>

static json_t *text(const char *value)
{
        /* What came from a disk may not be UTF-8, which neither JSON nor the bus would take. */
        json_t *string = json_string(value ? value : "");

        return string ? string : json_string("?");
}

static json_t *number(uint64_t value)
{
        return json_integer((json_int_t)MIN_OF(value, (uint64_t)INT64_MAX));
}

static void put(json_t *object, const char *name, json_t *value)
{
        (void)json_object_set_new(object, name, value);
}

static const char *release_state(const HostRelease *release)
{
        if (!release->has_slot && !release->has_entry)
                return "empty";
        if (!release->has_entry)
                return "no-entry";
        if (!release->has_slot)
                return "no-slot";
        if (!release->is_counted)
                return "blessed";
        return release->tries_left == 0 ? "given-up" : "trial";
}

static json_t *describe_progress(const UpdaterProgress *progress)
{
        json_t *object = json_object();

        put(object, "done_bytes", number(progress->done_bytes));
        put(object, "total_bytes", number(progress->total_bytes));
        put(object, "rate_bytes", number(progress->rate_bytes));
        put(object, "fetched_bytes", number(progress->fetched_bytes));
        put(object, "written_bytes", number(progress->written_bytes));
        put(object, "full_bytes", number(progress->full_bytes));
        return object;
}

static void put_releases(json_t *object, const UpdaterStatus *status)
{
        const HostFacts *host = &status->host;

        put(object, "ImageId", text(host->image_id));
        put(object, "Architecture", text(host->architecture));
        put(object, "RunningVersion", text(host->running.version));
        put(object, "RunningSlot", text(host->running.has_slot ? slot_name(host->running.slot) : ""));
        put(object, "RunningState", text(status->is_trial ? "trial" : "blessed"));
        put(object, "RunningTriesLeft", number(host->running.is_counted ? host->running.tries_left : 0));
        put(object, "OtherVersion", text(host->other.version));
        put(object, "OtherSlot", text(host->has_other_slot ? slot_name(host->other_slot) : ""));
        put(object, "OtherState", text(release_state(&host->other)));
        put(object, "OtherTriesLeft", number(host->other.is_counted ? host->other.tries_left : 0));
        put(object, "PendingReboot", json_boolean(host->is_waiting));
}

json_t *describe_properties(const UpdaterStatus *status, const Config *config)
{
        const Error *error = &status->last_error;
        json_t *object = json_object();

        put_releases(object, status);
        put(object, "Version", text(BASCULE_VERSION));
        put(object, "State", text(engine_state_name(status->state)));
        put(object, "OperationVersion", text(status->operation_version));
        put(object, "Progress", describe_progress(&status->progress));
        put(object, "AvailableVersion", text(status->available_version));
        put(object, "LastCheck", number(status->last_check));
        put(object, "LastErrorCode", text(error_is_set(error) ? error_code_name(error->code) : ""));
        put(object, "LastErrorMessage", text(error_is_set(error) ? error->message : ""));
        put(object, "RebootAt", number(status->is_reboot_planned ? status->reboot_at : 0));
        put(object, "PinnedVersion", text(status->pinned_version));
        put(object, "Channel", text(config->channel));
        put(object, "Automatic", json_boolean(config->is_automatic));
        put(object, "RebootPolicy", text(reboot_policy_name(config->reboot_policy)));
        return object;
}

json_t *describe_plan(const Plan *plan)
{
        json_t *object = json_object();

        put(object, "verdict", text(plan_verdict_name(plan->verdict)));
        put(object, "code", text(error_code_name(plan_verdict_code(plan->verdict))));
        put(object, "reason", text(plan->reason));
        put(object, "version", text(plan->version));
        put(object, "from_version", text(plan->from_version));
        put(object, "slot", text(slot_name(plan->slot)));
        put(object, "fetch_bytes", number(plan->fetch_bytes));
        put(object, "full_bytes", number(plan->full_bytes));
        put(object, "write_bytes", number(plan->write_bytes));
        put(object, "slot_needed_bytes", number(plan->slot_needed_bytes));
        put(object, "slot_size_bytes", number(plan->slot_size_bytes));
        put(object, "esp_needed_bytes", number(plan->esp_needed_bytes));
        put(object, "esp_free_bytes", number(plan->esp_free_bytes));
        put(object, "var_needed_bytes", number(plan->var_needed_bytes));
        put(object, "var_free_bytes", number(plan->var_free_bytes));
        put(object, "memory_bytes", number(plan->memory_bytes));
        put(object, "is_delta", json_boolean(plan->is_delta));
        put(object, "wave_opens", number(plan->wave_opens));
        put(object, "notes", text(plan->notes));
        return object;
}

static json_t *describe_slot(const HostRelease *release, SlotName slot, bool is_running, bool is_next)
{
        char half[2 * sizeof(release->root_hash_half) + 1] = "";
        json_t *object = json_object();

        if (release->has_slot)
                hex_encode(release->root_hash_half, sizeof(release->root_hash_half), half);
        put(object, "slot", text(slot_name(slot)));
        put(object, "version", text(release->version));
        put(object, "state", text(release_state(release)));
        put(object, "is_running", json_boolean(is_running));
        put(object, "is_next", json_boolean(is_next));
        put(object, "is_counted", json_boolean(release->is_counted));
        put(object, "tries_left", number(release->tries_left));
        put(object, "tries_done", number(release->tries_done));
        put(object, "root_hash_begin", text(half));
        put(object, "entry_file", text(release->entry_file));
        return object;
}

json_t *describe_slots(const HostFacts *host)
{
        json_t *array = json_array(), *running, *other = NULL;
        SlotName slot = host->running.has_slot ? host->running.slot : SLOT_A;
        bool other_first = host->has_other_slot && host->other_slot < slot;

        running = describe_slot(&host->running, slot, true, !host->is_waiting);
        if (host->has_other_slot)
                other = describe_slot(&host->other, host->other_slot, false, host->is_waiting);
        if (other_first)
                (void)json_array_append_new(array, other);
        (void)json_array_append_new(array, running);
        if (other && !other_first)
                (void)json_array_append_new(array, other);
        return array;
}

json_t *describe_history(const State *state, size_t count)
{
        json_t *array = json_array();
        size_t first = count == 0 || count > state->history_count ? 0 : state->history_count - count;

        for (size_t i = first; i < state->history_count; i++) {
                const HistoryEntry *entry = &state->history[i];
                json_t *object = json_object();

                put(object, "time", number(entry->time));
                put(object, "kind", text(history_kind_name(entry->kind)));
                put(object, "version", text(entry->version));
                put(object, "from_version", text(entry->from_version));
                put(object, "detail", text(entry->detail));
                put(object, "fetched_bytes", number(entry->fetched_bytes));
                put(object, "written_bytes", number(entry->written_bytes));
                put(object, "full_bytes", number(entry->full_bytes));
                put(object, "seconds", number(entry->seconds));
                (void)json_array_append_new(array, object);
        }
        return array;
}

json_t *describe_ledger(const State *state)
{
        json_t *array = json_array();

        for (size_t i = 0; i < state->ledger_count; i++) {
                const LedgerEntry *entry = &state->ledger[i];
                json_t *object = json_object();

                put(object, "version", text(entry->version));
                put(object, "kind", text(ledger_kind_name(entry->kind)));
                put(object, "time", number(entry->time));
                put(object, "reason", text(entry->reason));
                (void)json_array_append_new(array, object);
        }
        return array;
}

static void put_setting(json_t *section, const char *name, const char *value)
{
        json_t *there = json_object_get(section, name);

        if (!there) {
                put(section, name, text(value));
                return;
        }
        if (!json_is_array(there)) {
                json_t *array = json_array();

                (void)json_array_append(array, there);
                put(section, name, array);
                there = array;
        }
        (void)json_array_append_new(there, text(value));
}

json_t *describe_config(const char *config)
{
        _cleanup_free_ char *copy = strdup(config);
        json_t *object = json_object(), *section = NULL;
        char *rest = copy, *line;

        while (rest && (line = strsep(&rest, "\n"))) {
                char *equals = strchr(line, '=');
                char *end = strchr(line, ']');

                if (line[0] == '[' && end) {
                        *end = 0;
                        section = json_object();
                        put(object, line + 1, section);
                } else if (section && equals && line[0] != '#') {
                        *equals = 0;
                        put_setting(section, line, equals + 1);
                }
        }
        return object;
}

void describe_line(const UpdaterStatus *status, char ret[static DESCRIBE_LINE_MAX])
{
        const UpdaterProgress *progress = &status->progress;
        const HostFacts *host = &status->host;
        char done[SIZE_TEXT_MAX], total[SIZE_TEXT_MAX];

        if (engine_is_busy(status->state) && progress->total_bytes > 0)
                (void)snprintf(ret, DESCRIBE_LINE_MAX, "%s %s: %s of %s", engine_state_name(status->state),
                                status->operation_version, size_format(progress->done_bytes, done),
                                size_format(progress->total_bytes, total));
        else if (engine_is_busy(status->state))
                (void)snprintf(ret, DESCRIBE_LINE_MAX, "%s %s", engine_state_name(status->state),
                                status->operation_version);
        else if (host->is_waiting)
                (void)snprintf(ret, DESCRIBE_LINE_MAX, "running %s; %s starts at the next boot",
                                host->running.version, host->other.version);
        else
                (void)snprintf(ret, DESCRIBE_LINE_MAX, "running %s%s", host->running.version,
                                status->is_trial ? ", on trial" : "");
}
