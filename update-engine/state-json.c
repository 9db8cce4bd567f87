/* SPDX-License-Identifier: Apache-2.0 */
#include "state-json.h"

#include "json.h"

static int bad_state(Error *error, const char *what)
{
        return error_set(error, ERROR_CORRUPT, EBADMSG, "state.json: %s", what);
}

/* A version, or "" where that is allowed, into a fixed member. */
static int get_version(const json_t *object, const char *name, bool may_be_empty,
                char ret[static VERSION_MAX + 1], Error *error)
{
        const char *text = "";
        int r = may_be_empty ? json_get_string_optional(object, name, &text, error)
                             : json_get_string(object, name, &text, error);
        if (r < 0)
                return r;
        if (!version_is_valid(text) && !(may_be_empty && !*text))
                return bad_state(error, "a version is not valid");
        (void)snprintf(ret, VERSION_MAX + 1, "%s", text);
        return 0;
}

static int find_name(const char *text, const char *(*name_of)(unsigned), unsigned count, unsigned *ret)
{
        for (unsigned i = 0; i < count; i++) {
                if (strcmp(text, name_of(i)) == 0) {
                        *ret = i;
                        return 0;
                }
        }
        return -EBADMSG;
}

static const char *ledger_name_of(unsigned kind)
{
        return ledger_kind_name((LedgerKind)kind);
}

static const char *history_name_of(unsigned kind)
{
        return history_kind_name((HistoryKind)kind);
}

static int parse_ledger(State *state, const json_t *item, Error *error)
{
        char version[VERSION_MAX + 1];
        const char *kind_text = NULL, *reason = "";
        unsigned kind = 0;
        uint64_t time = 0;
        int r = get_version(item, "version", false, version, error);
        if (r >= 0)
                r = json_get_string(item, "kind", &kind_text, error);
        if (r >= 0)
                r = json_get_string_optional(item, "reason", &reason, error);
        if (r >= 0)
                r = json_get_u64_optional(item, "time", &time, error);
        if (r >= 0 && find_name(kind_text, ledger_name_of, LEDGER_KIND_MAX, &kind) < 0)
                r = bad_state(error, "an entry of the ledger is of an unknown kind");
        return r < 0 ? r : state_ledger_add(state, version, (LedgerKind)kind, time, reason);
}

static int parse_history(State *state, const json_t *item, Error *error)
{
        HistoryEntry entry = { 0 };
        const char *kind_text = NULL, *detail = "";
        unsigned kind = 0;
        int r = get_version(item, "version", true, entry.version, error);
        if (r >= 0)
                r = get_version(item, "from", true, entry.from_version, error);
        if (r >= 0)
                r = json_get_string(item, "kind", &kind_text, error);
        if (r >= 0)
                r = json_get_string_optional(item, "detail", &detail, error);
        if (r >= 0)
                r = json_get_u64_optional(item, "time", &entry.time, error);
        if (r >= 0)
                r = json_get_u64_optional(item, "fetched", &entry.fetched_bytes, error);
        if (r >= 0)
                r = json_get_u64_optional(item, "written", &entry.written_bytes, error);
        if (r >= 0)
                r = json_get_u64_optional(item, "full", &entry.full_bytes, error);
        if (r >= 0)
                r = json_get_u64_optional(item, "seconds", &entry.seconds, error);
        if (r >= 0 && find_name(kind_text, history_name_of, HISTORY_KIND_MAX, &kind) < 0)
                r = bad_state(error, "an entry of the history is of an unknown kind");
        if (r < 0)
                return r;
        entry.kind = (HistoryKind)kind;
        entry.detail = (char *)detail;
        return state_history_add(state, &entry);
}

static int parse_list(State *state, const json_t *root, const char *name, size_t max,
                int (*parse)(State *state, const json_t *item, Error *error), Error *error)
{
        json_t *list = NULL;
        int r = json_get_array(root, name, &list, error);
        if (r >= 0 && json_array_size(list) > max)
                r = bad_state(error, "a list is too long");
        for (size_t i = 0; r >= 0 && i < json_array_size(list); i++)
                r = parse(state, json_array_get(list, i), error);
        return r;
}

static int parse_members(State *state, const json_t *root, Error *error)
{
        uint64_t format = 0;
        const char *pinned = NULL;
        int r = json_get_u64(root, "format", &format, error);
        if (r >= 0 && format != STATE_FORMAT)
                r = bad_state(error, "it is of another format");
        if (r >= 0)
                r = json_get_string_optional(root, "pinned", &pinned, error);
        if (r >= 0 && pinned && !version_is_valid(pinned))
                r = bad_state(error, "the pinned version is not valid");
        if (r >= 0 && pinned)
                r = state_pin(state, pinned);
        if (r >= 0)
                r = get_version(root, "last_running", true, state->last_running, error);
        if (r >= 0)
                r = get_version(root, "last_blessed", true, state->last_blessed, error);
        if (r >= 0)
                r = json_get_u64_optional(root, "last_check", &state->last_check, error);
        if (r >= 0)
                r = json_get_u64_optional(root, "latest_known_time", &state->latest_known_time, error);
        if (r >= 0)
                r = json_get_u64_optional(root, "host_seed", &state->host_seed, error);
        return r;
}

int state_parse(const char *text, size_t size, State **ret, Error *error)
{
        _cleanup_json_ json_t *root = NULL;
        int r = json_parse(text, size, STATE_FILE_MAX, "state.json", &root, error);
        if (r < 0)
                return r;
        _cleanup_(state_freep) State *state = calloc(1, sizeof(*state));
        if (!state)
                return error_oom(error);
        r = parse_members(state, root, error);
        if (r >= 0)
                r = parse_list(state, root, "ledger", LEDGER_MAX, parse_ledger, error);
        if (r >= 0)
                r = parse_list(state, root, "history", HISTORY_MAX, parse_history, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(state);
        return 0;
}

/* Text that may quote anything: what is not UTF-8 becomes '?', so that the file can always be written. */
static json_t *text_to_json(const char *text)
{
        json_t *value = json_string(text ? text : "");
        if (value)
                return value;
        _cleanup_free_ char *copy = strdup(text);
        for (char *c = copy; c && *c; c++)
                if ((unsigned char)*c >= 0x80)
                        *c = '?';
        return copy ? json_string(copy) : NULL;
}

static int set_text(json_t *object, const char *name, const char *text)
{
        return json_object_set_new(object, name, text_to_json(text));
}

static int set_number(json_t *object, const char *name, uint64_t number)
{
        return json_object_set_new(object, name, json_integer((json_int_t)MIN_OF(number, STATE_NUMBER_MAX)));
}

static json_t *ledger_to_json(const State *state)
{
        json_t *list = json_array();
        int failed = list ? 0 : -1;
        for (size_t i = 0; i < state->ledger_count && failed == 0; i++) {
                const LedgerEntry *entry = &state->ledger[i];
                json_t *item = json_object();
                failed |= set_text(item, "version", entry->version);
                failed |= set_text(item, "kind", ledger_kind_name(entry->kind));
                failed |= set_text(item, "reason", entry->reason);
                failed |= set_number(item, "time", entry->time);
                failed |= json_array_append_new(list, item);
        }
        if (failed == 0)
                return list;
        json_decref(list);
        return NULL;
}

static json_t *history_to_json(const State *state)
{
        json_t *list = json_array();
        int failed = list ? 0 : -1;
        for (size_t i = 0; i < state->history_count && failed == 0; i++) {
                const HistoryEntry *entry = &state->history[i];
                json_t *item = json_object();
                failed |= set_text(item, "version", entry->version);
                failed |= set_text(item, "from", entry->from_version);
                failed |= set_text(item, "kind", history_kind_name(entry->kind));
                failed |= set_text(item, "detail", entry->detail);
                failed |= set_number(item, "time", entry->time);
                failed |= set_number(item, "fetched", entry->fetched_bytes);
                failed |= set_number(item, "written", entry->written_bytes);
                failed |= set_number(item, "full", entry->full_bytes);
                failed |= set_number(item, "seconds", entry->seconds);
                failed |= json_array_append_new(list, item);
        }
        if (failed == 0)
                return list;
        json_decref(list);
        return NULL;
}

int state_format(const State *state, char **ret, Error *error)
{
        _cleanup_json_ json_t *root = json_object();
        int failed = set_number(root, "format", STATE_FORMAT);
        if (state->pinned_version)
                failed |= set_text(root, "pinned", state->pinned_version);
        failed |= set_text(root, "last_running", state->last_running);
        failed |= set_text(root, "last_blessed", state->last_blessed);
        failed |= set_number(root, "last_check", state->last_check);
        failed |= set_number(root, "latest_known_time", state->latest_known_time);
        failed |= set_number(root, "host_seed", state->host_seed);
        failed |= json_object_set_new(root, "ledger", ledger_to_json(state));
        failed |= json_object_set_new(root, "history", history_to_json(state));
        char *text = failed ? NULL : json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
        if (!text)
                return error_oom(error);
        *ret = text;
        return 0;
}
