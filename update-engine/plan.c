/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include "file.h"
#include "strv.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

/* State file, metadata and a little room so that /var is not filled to the brim by us. */
#define VAR_NEEDED_BYTES (16 * MIB)
/* "Any time": later than every wave. */
#define WAVES_OVER (UINT64_MAX / 4)

typedef struct VerdictText {
        const char *name;
        ErrorCode code;
} VerdictText;

static const VerdictText verdicts[PLAN_VERDICT_MAX] = {
        [PLAN_INSTALL] = { "install", ERROR_NONE },
        [PLAN_UP_TO_DATE] = { "up-to-date", ERROR_NOTHING_TO_DO },
        [PLAN_ALREADY_READY] = { "ready", ERROR_NOTHING_TO_DO },
        [PLAN_UNKNOWN_VERSION] = { "unknown-version", ERROR_REFUSED },
        [PLAN_PINNED] = { "pinned", ERROR_REFUSED },
        [PLAN_LEDGER] = { "ledger", ERROR_REFUSED },
        [PLAN_OLDER] = { "older", ERROR_REFUSED },
        [PLAN_FLOOR] = { "floor", ERROR_REFUSED },
        [PLAN_WITHDRAWN] = { "withdrawn", ERROR_REFUSED },
        [PLAN_WAVE] = { "wave", ERROR_REFUSED },
        [PLAN_IMAGE_ID] = { "image-id", ERROR_INCOMPATIBLE },
        [PLAN_ARCHITECTURE] = { "architecture", ERROR_INCOMPATIBLE },
        [PLAN_MINIMUM_ENGINE] = { "minimum-engine", ERROR_INCOMPATIBLE },
        [PLAN_SECURE_BOOT] = { "secure-boot", ERROR_UNTRUSTED },
        [PLAN_SLOT_TOO_SMALL] = { "slot-too-small", ERROR_NO_SPACE },
        [PLAN_ESP_FULL] = { "esp-full", ERROR_NO_SPACE },
        [PLAN_VAR_FULL] = { "var-full", ERROR_NO_SPACE },
        [PLAN_UNBLESSED] = { "unblessed", ERROR_REFUSED },
        [PLAN_NO_SLOT] = { "no-slot", ERROR_INCOMPATIBLE },
};

const char *plan_verdict_name(PlanVerdict verdict)
{
        return verdict < PLAN_VERDICT_MAX ? verdicts[verdict].name : "unknown";
}

ErrorCode plan_verdict_code(PlanVerdict verdict)
{
        return verdict < PLAN_VERDICT_MAX ? verdicts[verdict].code : ERROR_FAILED;
}

/* Sets verdict and sentence. */
static int _printf_(3, 4) decide(Plan *plan, PlanVerdict verdict, const char *format, ...)
{
        char *reason = NULL;
        va_list list;
        va_start(list, format);
        int length = vasprintf(&reason, format, list);
        va_end(list);
        if (length < 0)
                return -ENOMEM;
        free(plan->reason);
        plan->reason = reason;
        plan->verdict = verdict;
        return 0;
}

static void set_version(Plan *plan, const char *version)
{
        (void)snprintf(plan->version, sizeof(plan->version), "%s", version);
}

static bool is_in_ledger(void *data, const char *version)
{
        return state_ledger_find(data, version) != NULL;
}

/* When a release's rollout lets this host in. */
static uint64_t wave_opens(const ChannelRelease *release, const State *state)
{
        return release->wave_start + (uint64_t)((double)release->wave_seconds * state_host_fraction(state));
}

/* The release that the channel offers to this host, or NULL with the verdict that says why there is none. */
static int choose_best(Plan *plan, const PlanInput *input, const ChannelRelease **ret)
{
        const HostFacts *host = input->host;
        const char *current = host->running.version;
        double fraction = state_host_fraction(input->state);
        uint64_t now = input->flags & INSTALL_AUTOMATIC ? input->now : WAVES_OVER;
        ChannelSkip skip = input->flags & INSTALL_FORCE_LEDGER ? NULL : is_in_ledger;
        void *ledger = (void *)input->state;

        *ret = channel_next(input->channel, current, host->architecture, fraction, now, skip, ledger);
        if (*ret)
                return 0;
        const ChannelRelease *later = channel_next(
                        input->channel, current, host->architecture, fraction, WAVES_OVER, skip, ledger);
        if (later) {
                char when[32] = "later";
                plan->wave_opens = wave_opens(later, input->state);
                time_t clock = (time_t)plan->wave_opens;
                struct tm tm;
                if (gmtime_r(&clock, &tm))
                        (void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", &tm);
                set_version(plan, later->version);
                return decide(plan, PLAN_WAVE,
                                "release %s reaches this host at %s; `bascule update` installs it sooner",
                                later->version, when);
        }
        const ChannelRelease *bad = channel_next(
                        input->channel, current, host->architecture, fraction, WAVES_OVER, NULL, NULL);
        if (bad) {
                const LedgerEntry *entry = state_ledger_find(input->state, bad->version);
                set_version(plan, bad->version);
                return decide(plan, PLAN_LEDGER,
                                "release %s is in the ledger (%s); it is not installed again until a newer "
                                "one "
                                "appears or `bascule ledger clear %s` is run",
                                bad->version, entry ? entry->reason : "it failed", bad->version);
        }
        return decide(plan, PLAN_UP_TO_DATE, "release %s is the newest of channel %s", current,
                        input->channel->name);
}

/* A floor that the move would skip; NULL when there is none. */
static const char *floor_between(const Channel *channel, const char *current, const char *wanted)
{
        for (size_t i = 0; i < channel->release_count; i++) {
                const ChannelRelease *release = &channel->releases[i];
                if (release->is_floor && !release->is_withdrawn &&
                                version_compare(release->version, current) > 0 &&
                                version_compare(release->version, wanted) < 0)
                        return release->version;
        }
        return NULL;
}

/* Rules that apply to a version that someone asked for by name. */
static int judge_wanted(Plan *plan, const PlanInput *input, const ChannelRelease *release)
{
        const char *version = release->version, *current = input->host->running.version;
        const LedgerEntry *bad = state_ledger_find(input->state, version);
        const char *floor = floor_between(input->channel, current, version);

        if (release->is_withdrawn && !(input->flags & INSTALL_ALLOW_WITHDRAWN))
                return decide(plan, PLAN_WITHDRAWN, "release %s was withdrawn: %s", version,
                                release->withdrawn_reason ? release->withdrawn_reason : "no reason given");
        if (version_compare(version, current) < 0 && !(input->flags & INSTALL_ALLOW_OLDER))
                return decide(plan, PLAN_OLDER,
                                "release %s is older than %s, which runs; --allow-older installs it",
                                version, current);
        if (bad && !(input->flags & INSTALL_FORCE_LEDGER))
                return decide(plan, PLAN_LEDGER,
                                "release %s is in the ledger (%s); `bascule ledger clear %s` lets it in "
                                "again",
                                version, bad->reason, version);
        if (floor && !(input->flags & INSTALL_FORCE_FLOOR))
                return decide(plan, PLAN_FLOOR,
                                "a host on %s must first pass through release %s before it moves to %s",
                                current, floor, version);
        return decide(plan, PLAN_INSTALL, "release %s can be installed", version);
}

static bool is_rejected(const State *state, const HostRelease *running)
{
        const LedgerEntry *entry = state_ledger_find(state, running->version);
        return running->has_entry && running->is_counted && running->tries_left == 0 && entry &&
               entry->kind == LEDGER_ROLLED_BACK;
}

bool plan_is_trial(const State *state, const HostFacts *facts)
{
        return facts->running.has_entry && facts->running.is_counted && !is_rejected(state, &facts->running);
}

void plan_judge_waiting(const State *state, HostFacts *facts)
{
        if (plan_is_trial(state, facts) && facts->running.tries_left == 0)
                facts->is_waiting = false;
}

/* Rules for every choice, whoever made it. */
static int judge_any(Plan *plan, const PlanInput *input, const ChannelRelease *release)
{
        const HostFacts *host = input->host;
        const char *version = release->version, *pin = input->state->pinned_version;

        set_version(plan, version);
        if (strcmp(version, host->running.version) == 0)
                return decide(plan, PLAN_UP_TO_DATE, "release %s is the one that runs", version);
        if (pin && strcmp(pin, version) != 0 && !(input->flags & INSTALL_FORCE_PIN))
                return decide(plan, PLAN_PINNED,
                                "this host is pinned to release %s; `bascule unpin` lets it move to %s", pin,
                                version);
        if (!strv_contains(release->architectures, host->architecture))
                return decide(plan, PLAN_ARCHITECTURE, "release %s is not made for %s", version,
                                host->architecture);
        if (host->is_waiting && strcmp(host->other.version, version) == 0 &&
                        !(input->flags & INSTALL_REINSTALL))
                return decide(plan, PLAN_ALREADY_READY, "release %s is installed and waits for a reboot",
                                version);
        if (is_rejected(input->state, &host->running))
                return decide(plan, PLAN_UNBLESSED,
                                "release %s waits for a reboot since this host was told to go back to it; "
                                "reboot, or run `bascule bless` to stay on %s",
                                host->other.version, host->running.version);
        if (plan_is_trial(input->state, host))
                return decide(plan, PLAN_UNBLESSED,
                                "the running release %s is not blessed yet, so the other slot may be the "
                                "only good "
                                "one; wait for its health checks, or run `bascule bless`",
                                host->running.version);
        if (!host->has_other_slot)
                return decide(plan, PLAN_NO_SLOT, "the disk has no second slot to install into");
        return 0;
}

int plan_choose(const PlanInput *input, Plan **ret, Error *error)
{
        _cleanup_(plan_freep) Plan *plan = calloc(1, sizeof(*plan));
        const ChannelRelease *release = NULL;
        const char *wanted = input->wanted_version;
        int r;

        if (!plan)
                return error_oom(error);
        (void)snprintf(plan->from_version, sizeof(plan->from_version), "%s", input->host->running.version);
        plan->slot = input->host->other_slot;
        plan->verdict = PLAN_INSTALL;
        if (!wanted && input->state->pinned_version && !(input->flags & INSTALL_FORCE_PIN) &&
                        strcmp(input->state->pinned_version, input->host->running.version) != 0)
                wanted = input->state->pinned_version;
        if (strcmp(input->channel->image_id, input->host->image_id) != 0) {
                r = decide(plan, PLAN_IMAGE_ID, "the channel offers releases of %s, but this host is %s",
                                input->channel->image_id, input->host->image_id);
        } else if (wanted) {
                release = channel_find(input->channel, wanted);
                set_version(plan, version_is_valid(wanted) ? wanted : "");
                r = release ? judge_wanted(plan, input, release)
                            : decide(plan, PLAN_UNKNOWN_VERSION, "channel %s does not offer release %s",
                                              input->channel->name, wanted);
        } else {
                r = choose_best(plan, input, &release);
        }
        if (r >= 0 && release) {
                PlanVerdict first = plan->verdict;
                _cleanup_free_ char *reason = first == PLAN_INSTALL ? NULL : TAKE_PTR(plan->reason);
                plan->verdict = PLAN_INSTALL;
                r = judge_any(plan, input, release);
                if (r >= 0 && reason && plan->verdict != PLAN_UP_TO_DATE) {
                        free(plan->reason);
                        plan->reason = TAKE_PTR(reason);
                        plan->verdict = first;
                }
        }
        if (r >= 0 && !plan->reason)
                r = decide(plan, PLAN_INSTALL, "release %s can be installed", plan->version);
        if (r < 0)
                return error_oom(error);
        *ret = TAKE_PTR(plan);
        return 0;
}

/* What the release is: it must be the one that was chosen, for this machine, within this engine's powers. */
static int judge_identity(Plan *plan, const PlanInput *input, const Manifest *manifest)
{
        const HostFacts *host = input->host;
        if (strcmp(manifest->image_id, host->image_id) != 0 || strcmp(manifest->version, plan->version) != 0)
                return decide(plan, PLAN_IMAGE_ID, "the manifest of %s %s describes %s %s", host->image_id,
                                plan->version, manifest->image_id, manifest->version);
        if (strcmp(manifest->architecture, host->architecture) != 0)
                return decide(plan, PLAN_ARCHITECTURE, "release %s is made for %s, not for %s",
                                plan->version, manifest->architecture, host->architecture);
        if (manifest->minimum_engine > ENGINE_LEVEL)
                return decide(plan, PLAN_MINIMUM_ENGINE,
                                "release %s needs an engine of level %" PRIu64
                                ", this one has %d; install an "
                                "earlier release first",
                                plan->version, manifest->minimum_engine, ENGINE_LEVEL);
        return 0;
}

/* By what the manifest says of the UKI's signatures; the UKI itself is judged again when it is there. */
static int judge_boot(Plan *plan, const PlanInput *input, const Manifest *manifest)
{
        Error reason = { 0 };
        int r = input->secure_boot ? secure_boot_judge(input->secure_boot,
                                                     &manifest->images[IMAGE_UKI].signatures, &reason)
                                   : 0;
        if (r == 0 || r == -ENOMEM)
                return r;
        return decide(plan, PLAN_SECURE_BOOT, "release %s would not start: %s", plan->version,
                        reason.message);
}

static int judge_room(Plan *plan, const PlanInput *input, uint64_t tree_bytes)
{
        char needed[SIZE_TEXT_MAX], room[SIZE_TEXT_MAX];
        const HostFacts *host = input->host;
        if (plan->slot_needed_bytes > host->slot_data_bytes)
                return decide(plan, PLAN_SLOT_TOO_SMALL,
                                "slot %s holds %s, but the image of release %s is %s long; the host must be "
                                "installed anew with larger slots",
                                slot_name(plan->slot), size_format(host->slot_data_bytes, room),
                                plan->version, size_format(plan->slot_needed_bytes, needed));
        if (tree_bytes > host->slot_hash_bytes)
                return decide(plan, PLAN_SLOT_TOO_SMALL,
                                "the verity partition of slot %s holds %s, but release %s needs %s",
                                slot_name(plan->slot), size_format(host->slot_hash_bytes, room),
                                plan->version, size_format(tree_bytes, needed));
        if (plan->esp_needed_bytes > host->esp_free_bytes)
                return decide(plan, PLAN_ESP_FULL,
                                "the ESP has %s to spare, but release %s needs %s; remove what others put "
                                "there",
                                size_format(host->esp_free_bytes, room), plan->version,
                                size_format(plan->esp_needed_bytes, needed));
        if (plan->var_needed_bytes > host->var_free_bytes)
                return decide(plan, PLAN_VAR_FULL, "/var has only %s to spare, %s are needed; free some",
                                size_format(host->var_free_bytes, room),
                                size_format(plan->var_needed_bytes, needed));
        return 0;
}

int plan_manifest(Plan *plan, const PlanInput *input, const Manifest *manifest, Error *error)
{
        const HostFacts *host = input->host;
        const ManifestImage *root = &manifest->images[IMAGE_ROOT], *uki = &manifest->images[IMAGE_UKI];
        const uint8_t *hash = host->has_running_root_hash ? host->running_root_hash : NULL;
        const PayloadReference *root_payload =
                        manifest_choose_payload(root, hash, input->running_uki_sha256);
        const PayloadReference *uki_payload = manifest_choose_payload(uki, hash, input->running_uki_sha256);
        uint64_t tree_bytes = verity_hash_area_size(root->size_bytes);

        free(plan->notes);
        plan->notes = strdup(manifest->notes ? manifest->notes : "");
        if (!plan->notes)
                return error_oom(error);
        plan->fetch_bytes = root_payload->size_bytes + uki_payload->size_bytes;
        plan->full_bytes = root->payloads[0].size_bytes + uki->payloads[0].size_bytes;
        plan->write_bytes = root->size_bytes + tree_bytes + uki->size_bytes;
        plan->memory_bytes = MAX_OF(root_payload->memory_bytes, uki_payload->memory_bytes);
        plan->is_delta = !root_payload->is_full;
        plan->slot_needed_bytes = root->size_bytes;
        plan->slot_size_bytes = host->slot_data_bytes;
        plan->esp_needed_bytes = uki->size_bytes;
        plan->esp_free_bytes = host->esp_free_bytes;
        plan->var_needed_bytes = VAR_NEEDED_BYTES;
        plan->var_free_bytes = host->var_free_bytes;
        if (plan->verdict != PLAN_INSTALL)
                return 0;
        int r = judge_identity(plan, input, manifest);
        if (r >= 0 && plan->verdict == PLAN_INSTALL)
                r = judge_boot(plan, input, manifest);
        if (r >= 0 && plan->verdict == PLAN_INSTALL)
                r = judge_room(plan, input, tree_bytes);
        return r < 0 ? error_oom(error) : 0;
}

int plan_error(const Plan *plan, Error *error)
{
        if (plan->verdict == PLAN_INSTALL)
                return 0;
        ErrorCode code = plan_verdict_code(plan->verdict);
        return error_set(error, code, code == ERROR_NO_SPACE ? ENOSPC : EPERM, "%s", plan->reason);
}

Plan *plan_copy(const Plan *plan)
{
        _cleanup_(plan_freep) Plan *copy = malloc(sizeof(*copy));
        if (!copy)
                return NULL;
        *copy = *plan;
        copy->reason = plan->reason ? strdup(plan->reason) : NULL;
        copy->notes = plan->notes ? strdup(plan->notes) : NULL;
        if ((plan->reason && !copy->reason) || (plan->notes && !copy->notes))
                return NULL;
        return TAKE_PTR(copy);
}

Plan *plan_free(Plan *plan)
{
        if (!plan)
                return NULL;
        free(plan->reason);
        free(plan->notes);
        free(plan);
        return NULL;
}
