/* SPDX-License-Identifier: Apache-2.0 */
#include "key-options.h"
#include "log.h"
#include "repository.h"
#include "utc.h"
#include "verbs.h"

#include <inttypes.h>
#include <time.h>

#define WARN_BEFORE_SECONDS (INT64_C(14) * 86400)
#define SECONDS_PER_DAY UINT64_C(86400)

typedef struct RefreshOptions {
        KeyOptions keys;
        uint64_t timestamp_days, snapshot_days, targets_days, prune_days;
        bool with_targets, resign;
} RefreshOptions;

/* What this verb, run by a timer, cannot prolong needs a person in time. */
static void report(const Repository *repository)
{
        for (unsigned role = 0; role < TUF_ROLE_MAX; role++) {
                char text[UTC_TEXT_MAX] = "";
                uint64_t version;
                int64_t expires;

                if (repository_role(repository, (TufRole)role, &version, &expires) < 0)
                        continue;
                (void)utc_format(expires, text);
                printf("%-9s version %" PRIu64 ", until %s\n", tuf_role_name((TufRole)role), version, text);
                if (expires - (int64_t)time(NULL) < WARN_BEFORE_SECONDS &&
                                (role == TUF_ROLE_ROOT || role == TUF_ROLE_TARGETS))
                        log_warning("%s metadata expires at %s: %s", tuf_role_name((TufRole)role), text,
                                        role == TUF_ROLE_ROOT ? "publish the next root before"
                                                              : "sign it anew with --targets");
        }
}

static int run(const char *path, const RefreshOptions *refresh, Error *error)
{
        const RepositoryPolicy policy = { .lifetime_seconds = {
                        [TUF_ROLE_TIMESTAMP] = refresh->timestamp_days * SECONDS_PER_DAY,
                        [TUF_ROLE_SNAPSHOT] = refresh->snapshot_days * SECONDS_PER_DAY,
                        [TUF_ROLE_TARGETS] = refresh->targets_days * SECONDS_PER_DAY,
                }, .resign_revoked = refresh->resign };
        _cleanup_(repository_freep) Repository *repository = NULL;
        _cleanup_(key_ring_freep) KeyRing *ring = NULL;
        size_t removed;
        int r = key_options_ring(&refresh->keys, &ring, error);

        if (r >= 0)
                r = repository_open(path, true, &repository, error);
        if (r >= 0 && refresh->with_targets)
                r = repository_resign_targets(repository, ring, &policy, error);
        else if (r >= 0)
                r = repository_refresh(repository, ring, &policy, error);
        if (r >= 0 && refresh->prune_days > 0) {
                r = repository_prune(repository, refresh->prune_days * SECONDS_PER_DAY, &removed, error);
                if (r >= 0)
                        printf("removed %zu old files\n", removed);
        }
        if (r >= 0)
                report(repository);
        return r;
}

static int check_days(const RefreshOptions *refresh, Error *error)
{
        const uint64_t days[] = { refresh->timestamp_days, refresh->snapshot_days, refresh->targets_days,
                refresh->prune_days };

        for (size_t i = 0; i < ELEMENTS(days); i++)
                if (days[i] > 36500)
                        return error_set(error, ERROR_USAGE, EINVAL,
                                        "%" PRIu64 " days is more than a hundred years", days[i]);
        return 0;
}

int verb_refresh(int argc, char **argv)
{
        RefreshOptions refresh = { 0 };
        const Option options[] = {
                KEY_OPTIONS(refresh.keys),
                { "timestamp-days", 0, OPTION_NUMBER, &refresh.timestamp_days, "N",
                                "Lifetime of timestamp (7)" },
                { "snapshot-days", 0, OPTION_NUMBER, &refresh.snapshot_days, "N",
                                "Lifetime of snapshot (30)" },
                { "targets-days", 0, OPTION_NUMBER, &refresh.targets_days, "N", "Lifetime of targets (90)" },
                { "targets", 0, OPTION_FLAG, &refresh.with_targets, NULL,
                                "Sign targets and snapshot anew too" },
                { "resign", 0, OPTION_FLAG, &refresh.resign, NULL,
                                "Sign anew what only revoked keys signed" },
                { "prune-days", 0, OPTION_NUMBER, &refresh.prune_days, "N",
                                "Remove files that nothing names and that are older" },
                { 0 },
        };
        const Usage usage = { PROGRAM_NAME, "refresh REPO --keys DIR [OPTION...]",
                "Signs a repository's timestamp anew, and its snapshot when that is due. Made to be run by "
                "a timer.",
                1, 1 };
        Error error = { 0 };
        char **arguments;
        int r = options_take(argc, argv, options, &usage, &arguments, &error);

        if (r == 0)
                r = check_days(&refresh, &error);
        if (r == 0)
                r = run(arguments[0], &refresh, &error);
        key_options_done(&refresh.keys);
        return program_exit(PROGRAM_NAME, r, &error, false);
}
