/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which release, and why or why not. Pure: it is given everything it looks at. */

#include "channel.h"
#include "host.h"
#include "manifest.h"
#include "secure-boot.h"
#include "state.h"

typedef enum InstallFlags {
        INSTALL_ALLOW_OLDER = 1 << 0,  /* a version below the running one */
        INSTALL_FORCE_LEDGER = 1 << 1, /* a version that the ledger names */
        INSTALL_FORCE_PIN = 1 << 2,    /* although another version is pinned */
        INSTALL_FORCE_FLOOR = 1 << 3,  /* past a release that hosts must pass through */
        INSTALL_ALLOW_WITHDRAWN = 1 << 4,
        INSTALL_AUTOMATIC = 1 << 5,     /* by timer: the rollout waves count */
        INSTALL_REBOOT = 1 << 6,        /* reboot when done, whatever the policy (with its grace period) */
        INSTALL_REINSTALL = 1 << 7,     /* although the other slot holds it, ready to boot */
        INSTALL_ALLOW_EXPIRED = 1 << 8, /* believe expired metadata; logged */
} InstallFlags;

/* What stands in the way. Each is refused before anything is written. */
typedef enum PlanVerdict {
        PLAN_INSTALL,         /* nothing: it can be installed */
        PLAN_UP_TO_DATE,      /* no newer release */
        PLAN_ALREADY_READY,   /* it is in the other slot, waiting for a reboot */
        PLAN_UNKNOWN_VERSION, /* the channel does not list it */
        PLAN_PINNED,
        PLAN_LEDGER,
        PLAN_OLDER,
        PLAN_FLOOR,
        PLAN_WITHDRAWN,
        PLAN_WAVE,     /* its rollout has not reached this host */
        PLAN_IMAGE_ID, /* the repository is of another product */
        PLAN_ARCHITECTURE,
        PLAN_MINIMUM_ENGINE,
        PLAN_SECURE_BOOT, /* the firmware would not start it */
        PLAN_SLOT_TOO_SMALL,
        PLAN_ESP_FULL,
        PLAN_VAR_FULL,
        PLAN_UNBLESSED, /* the running release is still on trial */
        PLAN_NO_SLOT,   /* the disk has no second slot */
        PLAN_VERDICT_MAX
} PlanVerdict;

typedef struct Plan {
        PlanVerdict verdict;
        char *reason; /* one sentence: what was found, what to do. Never NULL */
        char version[VERSION_MAX +
                        1]; /* the release chosen, or that would be but for the verdict; may be "" */
        char from_version[VERSION_MAX + 1];
        SlotName slot;        /* that would be written */
        uint64_t fetch_bytes; /* of payloads, when nothing is there already; without a delta the most it can
                                 be */
        uint64_t full_bytes;  /* what the full payloads would be */
        uint64_t write_bytes; /* slot, its tree, and ESP */
        uint64_t slot_needed_bytes, slot_size_bytes;
        uint64_t esp_needed_bytes, esp_free_bytes;
        uint64_t var_needed_bytes, var_free_bytes;
        uint64_t memory_bytes; /* peak of the decoder */
        bool is_delta;         /* the root image comes as a delta */
        uint64_t wave_opens;   /* PLAN_WAVE: seconds since 1970 when this host is let in; else 0 */
        char *notes;           /* of the release; may be "" */
} Plan;

/* Stable names: "install", "up-to-date", "ready", "unknown-version", "pinned", "ledger", "older", "floor",
 * "withdrawn", "wave", "image-id", "architecture", "minimum-engine", "secure-boot", "slot-too-small",
 * "esp-full", "var-full", "unblessed", "no-slot". */
const char *plan_verdict_name(PlanVerdict verdict);
/* The code under which a verdict is reported as an Error; ERROR_NONE for PLAN_INSTALL. */
ErrorCode plan_verdict_code(PlanVerdict verdict);

/* What the choice is made from; all borrowed. */
typedef struct PlanInput {
        const HostFacts *host;
        const State *state;
        const Channel *channel;
        const char *wanted_version;        /* NULL: the best one */
        unsigned flags;                    /* InstallFlags */
        uint64_t now;                      /* seconds since 1970 */
        const uint8_t *running_uki_sha256; /* SHA256_SIZE bytes; NULL: not known, then no delta of the UKI */
        const SecureBoot *secure_boot;     /* NULL: the firmware starts anything */
} PlanInput;

/* First step, from the channel alone: fills version and verdict. With PLAN_INSTALL the manifest of
 * plan->version is to be fetched and judged by plan_manifest(). */
int plan_choose(const PlanInput *input, Plan **ret, Error *error);

/* Second step: sizes, identity, engine level, whether the firmware would start it. */
int plan_manifest(Plan *plan, const PlanInput *input, const Manifest *manifest, Error *error);

/* Sets *error to the plan's reason; 0 for PLAN_INSTALL. */
int plan_error(const Plan *plan, Error *error);

/* The running release without tries left is either in its last try, or was rolled back from (the ledger
 * knows). In the first case nothing waits for a reboot, whatever the loader would take next: its trial is
 * not over. Clears facts->is_waiting then. */
void plan_judge_waiting(const State *state, HostFacts *facts);

/* Whether the running release is on trial: has a counter, and was not rolled back from. */
bool plan_is_trial(const State *state, const HostFacts *facts);

Plan *plan_copy(const Plan *plan);
Plan *plan_free(Plan *plan);
DEFINE_CLEANUP(Plan *, plan_free)
