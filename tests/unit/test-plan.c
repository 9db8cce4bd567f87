/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"
#include "strv.h"
#include "test.h"

#define NOW 1000000

typedef struct Fixture {
        HostFacts host;
        State *state;
        Channel *channel;
} Fixture;

static void fixture_done(Fixture *fixture)
{
        state_free(fixture->state);
        channel_free(fixture->channel);
}
#define _cleanup_fixture_ _cleanup_(fixture_done)

/* A blessed host on release 2, and a channel with releases 1 to 5. */
static Fixture fixture_new(void)
{
        Fixture fixture = { .state = calloc(1, sizeof(State)), .channel = calloc(1, sizeof(Channel)) };
        HostFacts *host = &fixture.host;
        (void)snprintf(host->image_id, sizeof(host->image_id), "thing");
        (void)snprintf(host->architecture, sizeof(host->architecture), "x86-64");
        host->running = (HostRelease){ .exists = true, .version = "2", .has_slot = true, .has_entry = true };
        host->has_other_slot = true;
        host->other_slot = SLOT_B;
        host->slot_data_bytes = 100 * MIB;
        host->slot_hash_bytes = 2 * MIB;
        host->esp_free_bytes = 50 * MIB;
        host->var_free_bytes = 100 * MIB;
        fixture.channel->name = strdup("stable");
        fixture.channel->image_id = strdup("thing");
        for (char version[] = "1"; version[0] <= '5'; version[0]++) {
                ChannelRelease *release = NULL;
                if (channel_add(fixture.channel, version, &release, NULL) >= 0)
                        (void)strv_append(&release->architectures, "x86-64");
        }
        return fixture;
}

static Plan *choose(const Fixture *fixture, const char *version, unsigned flags)
{
        PlanInput input = { .host = &fixture->host,
                .state = fixture->state,
                .channel = fixture->channel,
                .wanted_version = version,
                .flags = flags,
                .now = NOW };
        Plan *plan = NULL;
        return plan_choose(&input, &plan, NULL) < 0 ? NULL : plan;
}

/* Chooses, and compares verdict and version. */
#define CHECK_PLAN(fixture, wanted, flags, expected_verdict, expected_version)                              \
        do {                                                                                                \
                _cleanup_(plan_freep) Plan *_plan = choose(fixture, wanted, flags);                         \
                CHECK(_plan && _plan->reason);                                                              \
                CHECK_STR(plan_verdict_name(_plan->verdict), plan_verdict_name(expected_verdict));          \
                CHECK_STR(_plan->version, expected_version);                                                \
        } while (0)

TEST(chooses_the_newest)
{
        _cleanup_fixture_ Fixture f = fixture_new();
        CHECK_PLAN(&f, NULL, 0, PLAN_INSTALL, "5");
        CHECK_PLAN(&f, "3", 0, PLAN_INSTALL, "3");
        CHECK_PLAN(&f, "2", 0, PLAN_UP_TO_DATE, "2");
        CHECK_PLAN(&f, "9", 0, PLAN_UNKNOWN_VERSION, "9");
        (void)snprintf(f.host.running.version, sizeof(f.host.running.version), "5");
        CHECK_PLAN(&f, NULL, 0, PLAN_UP_TO_DATE, "");
}

TEST(skips_what_the_ledger_names)
{
        _cleanup_fixture_ Fixture f = fixture_new();
        CHECK_OK(state_ledger_add(f.state, "5", LEDGER_TRIAL_FAILED, 1, "it broke"));
        CHECK_PLAN(&f, NULL, 0, PLAN_INSTALL, "4");
        CHECK_PLAN(&f, "5", 0, PLAN_LEDGER, "5");
        CHECK_PLAN(&f, "5", INSTALL_FORCE_LEDGER, PLAN_INSTALL, "5");
        CHECK_PLAN(&f, NULL, INSTALL_FORCE_LEDGER, PLAN_INSTALL, "5");
        CHECK_OK(state_ledger_add(f.state, "4", LEDGER_TRIAL_FAILED, 1, "it broke"));
        CHECK_OK(state_ledger_add(f.state, "3", LEDGER_TRIAL_FAILED, 1, "it broke"));
        CHECK_PLAN(&f, NULL, 0, PLAN_LEDGER, "5");
        _cleanup_(plan_freep) Plan *plan = choose(&f, NULL, 0);
        CHECK(strstr(plan->reason, "it broke"));
}

TEST(older_only_when_asked)
{
        _cleanup_fixture_ Fixture f = fixture_new();
        CHECK_PLAN(&f, "1", 0, PLAN_OLDER, "1");
        CHECK_PLAN(&f, "1", INSTALL_ALLOW_OLDER, PLAN_INSTALL, "1");
}

TEST(a_pin_holds)
{
        _cleanup_fixture_ Fixture f = fixture_new();
        CHECK_OK(state_pin(f.state, "2"));
        CHECK_PLAN(&f, NULL, 0, PLAN_PINNED, "5");
        CHECK_PLAN(&f, "3", 0, PLAN_PINNED, "3");
        CHECK_PLAN(&f, "3", INSTALL_FORCE_PIN, PLAN_INSTALL, "3");
        CHECK_OK(state_pin(f.state, "4"));
        CHECK_PLAN(&f, NULL, 0, PLAN_INSTALL, "4");
        CHECK_PLAN(&f, NULL, INSTALL_FORCE_PIN, PLAN_INSTALL, "5");
}

TEST(withdrawn_releases_are_not_installed)
{
        _cleanup_fixture_ Fixture f = fixture_new();
        ChannelRelease *release = channel_find(f.channel, "5");
        release->is_withdrawn = true;
        release->withdrawn_reason = strdup("it eats data");
        CHECK_PLAN(&f, NULL, 0, PLAN_INSTALL, "4");
        CHECK_PLAN(&f, "5", 0, PLAN_WITHDRAWN, "5");
        CHECK_PLAN(&f, "5", INSTALL_ALLOW_WITHDRAWN, PLAN_INSTALL, "5");
        _cleanup_(plan_freep) Plan *plan = choose(&f, "5", 0);
        CHECK(strstr(plan->reason, "it eats data"));
}

TEST(floors_are_passed_through)
{
        _cleanup_fixture_ Fixture f = fixture_new();
        channel_find(f.channel, "4")->is_floor = true;
        CHECK_PLAN(&f, NULL, 0, PLAN_INSTALL, "4");
        CHECK_PLAN(&f, "5", 0, PLAN_FLOOR, "5");
        CHECK_PLAN(&f, "5", INSTALL_FORCE_FLOOR, PLAN_INSTALL, "5");
        CHECK_PLAN(&f, "4", 0, PLAN_INSTALL, "4");
        CHECK_PLAN(&f, "3", 0, PLAN_INSTALL, "3");
}

TEST(waves_hold_back_only_the_timer)
{
        _cleanup_fixture_ Fixture f = fixture_new();
        for (size_t i = 2; i < f.channel->release_count; i++)
                f.channel->releases[i].wave_start = NOW + 100;
        channel_find(f.channel, "5")->wave_seconds = 1000;
        f.state->host_seed = 500000; /* the middle */
        CHECK_PLAN(&f, NULL, 0, PLAN_INSTALL, "5");
        CHECK_PLAN(&f, NULL, INSTALL_AUTOMATIC, PLAN_WAVE, "5");
        _cleanup_(plan_freep) Plan *plan = choose(&f, NULL, INSTALL_AUTOMATIC);
        CHECK_EQ(plan->wave_opens, NOW + 100 + 500);
}

TEST(refuses_other_products_and_machines)
{
        _cleanup_fixture_ Fixture f = fixture_new();
        (void)snprintf(f.host.architecture, sizeof(f.host.architecture), "arm64");
        CHECK_PLAN(&f, "5", 0, PLAN_ARCHITECTURE, "5");
        (void)snprintf(f.host.image_id, sizeof(f.host.image_id), "other");
        CHECK_PLAN(&f, NULL, 0, PLAN_IMAGE_ID, "");
}

TEST(refuses_while_the_running_release_is_on_trial)
{
        _cleanup_fixture_ Fixture f = fixture_new();
        f.host.running.is_counted = true;
        f.host.running.tries_left = 2;
        CHECK_PLAN(&f, NULL, 0, PLAN_UNBLESSED, "5");
        f.host.running.is_counted = false;
        f.host.has_other_slot = false;
        CHECK_PLAN(&f, NULL, 0, PLAN_NO_SLOT, "5");
}

TEST(the_last_try_is_no_rollback)
{
        _cleanup_fixture_ Fixture f = fixture_new();
        f.host.other = (HostRelease){ .exists = true, .version = "1" };
        f.host.running.is_counted = true;
        f.host.is_waiting = true;
        HostFacts last_try = f.host, rolled_back = f.host;
        plan_judge_waiting(f.state, &last_try);
        CHECK(!last_try.is_waiting && plan_is_trial(f.state, &last_try));
        CHECK_OK(state_ledger_add(f.state, "2", LEDGER_ROLLED_BACK, 1, "r"));
        plan_judge_waiting(f.state, &rolled_back);
        CHECK(rolled_back.is_waiting && !plan_is_trial(f.state, &rolled_back));
        f.host = rolled_back;
        _cleanup_(plan_freep) Plan *plan = choose(&f, NULL, 0);
        CHECK_EQ(plan->verdict, PLAN_UNBLESSED);
        CHECK(strstr(plan->reason, "waits for a reboot"));
}

TEST(knows_what_waits_already)
{
        _cleanup_fixture_ Fixture f = fixture_new();
        f.host.other = (HostRelease){ .exists = true, .version = "5" };
        f.host.is_waiting = true;
        CHECK_PLAN(&f, NULL, 0, PLAN_ALREADY_READY, "5");
        CHECK_PLAN(&f, NULL, INSTALL_REINSTALL, PLAN_INSTALL, "5");
        CHECK_PLAN(&f, "4", 0, PLAN_INSTALL, "4");
        f.host.is_waiting = false;
        CHECK_PLAN(&f, NULL, 0, PLAN_INSTALL, "5");
}

static PayloadReference payloads[2] = {
        { .path = (char *)"payloads/a", .size_bytes = 10 * MIB, .is_full = true },
        { .path = (char *)"payloads/b", .size_bytes = 5 * MIB, .is_full = true }
};

static Manifest example_manifest(void)
{
        Manifest manifest = { .image_id = (char *)"thing",
                .version = (char *)"5",
                .architecture = (char *)"x86-64",
                .minimum_engine = 1,
                .notes = (char *)"new" };
        manifest.images[IMAGE_ROOT] = (ManifestImage){
                .size_bytes = 50 * MIB, .payloads = &payloads[0], .payload_count = 1
        };
        manifest.images[IMAGE_UKI] = (ManifestImage){
                .size_bytes = 20 * MIB, .payloads = &payloads[1], .payload_count = 1
        };
        return manifest;
}

static PlanVerdict judge_under(const Fixture *fixture, const SecureBoot *secure_boot,
                const Manifest *manifest, Error *error)
{
        PlanInput input = { .host = &fixture->host,
                .state = fixture->state,
                .channel = fixture->channel,
                .now = NOW,
                .secure_boot = secure_boot };
        _cleanup_(plan_freep) Plan *plan = NULL;
        if (plan_choose(&input, &plan, NULL) < 0 || plan_manifest(plan, &input, manifest, NULL) < 0)
                return PLAN_VERDICT_MAX;
        (void)plan_error(plan, error);
        return plan->verdict;
}

static PlanVerdict judge(const Fixture *fixture, const Manifest *manifest, Error *error)
{
        return judge_under(fixture, NULL, manifest, error);
}

TEST(a_manifest_that_fits_is_installed)
{
        _cleanup_fixture_ Fixture f = fixture_new();
        Manifest manifest = example_manifest();
        Error error = { 0 };
        CHECK_EQ(judge(&f, &manifest, &error), PLAN_INSTALL);
        CHECK(!error_is_set(&error));
}

TEST(a_manifest_must_be_the_chosen_one)
{
        _cleanup_fixture_ Fixture f = fixture_new();
        Manifest manifest = example_manifest();
        Error error = { 0 };
        manifest.version = (char *)"4";
        CHECK_EQ(judge(&f, &manifest, &error), PLAN_IMAGE_ID);
        CHECK_EQ(error.code, ERROR_INCOMPATIBLE);
        manifest = example_manifest();
        manifest.image_id = (char *)"other";
        CHECK_EQ(judge(&f, &manifest, NULL), PLAN_IMAGE_ID);
        manifest = example_manifest();
        manifest.architecture = (char *)"arm64";
        CHECK_EQ(judge(&f, &manifest, NULL), PLAN_ARCHITECTURE);
        manifest = example_manifest();
        manifest.minimum_engine = ENGINE_LEVEL + 1;
        CHECK_EQ(judge(&f, &manifest, NULL), PLAN_MINIMUM_ENGINE);
}

TEST(what_the_firmware_would_not_start_is_not_planned)
{
        /* One list with the digest of one program. */
        static const uint8_t db[28 + 48] = { 0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40, 0xac, 0xa9,
                0x41, 0xf9, 0x36, 0x93, 0x43, 0x28, 76, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0, [28 + 16] = 1, 2,
                3 };
        _cleanup_(secure_boot_freep) SecureBoot *secure_boot = NULL;
        _cleanup_fixture_ Fixture f = fixture_new();
        Manifest manifest = example_manifest();
        ImageSignatures *signatures = &manifest.images[IMAGE_UKI].signatures;
        Error error = { 0 };

        CHECK_OK(secure_boot_new(db, sizeof(db), NULL, 0, &secure_boot, NULL));
        CHECK_EQ(judge_under(&f, secure_boot, &manifest, &error), PLAN_SECURE_BOOT);
        CHECK_EQ(error.code, ERROR_UNTRUSTED);
        signatures->is_known = true;
        memcpy(signatures->digest, "\1\2\3", 3);
        CHECK_EQ(judge_under(&f, secure_boot, &manifest, NULL), PLAN_INSTALL);
        signatures->digest[31] = 1;
        CHECK_EQ(judge_under(&f, secure_boot, &manifest, NULL), PLAN_SECURE_BOOT);
        CHECK_EQ(judge(&f, &manifest, NULL), PLAN_INSTALL);
}

TEST(room_is_checked_before_anything_is_written)
{
        _cleanup_fixture_ Fixture f = fixture_new();
        Manifest manifest = example_manifest();
        Error error = { 0 };
        f.host.slot_data_bytes = 50 * MIB - 1;
        CHECK_EQ(judge(&f, &manifest, &error), PLAN_SLOT_TOO_SMALL);
        CHECK_EQ(error.code, ERROR_NO_SPACE);
        f.host.slot_data_bytes = 50 * MIB;
        f.host.slot_hash_bytes = 100 * KIB;
        CHECK_EQ(judge(&f, &manifest, NULL), PLAN_SLOT_TOO_SMALL);
        f.host.slot_hash_bytes = 2 * MIB;
        f.host.esp_free_bytes = 20 * MIB - 1;
        CHECK_EQ(judge(&f, &manifest, NULL), PLAN_ESP_FULL);
        f.host.esp_free_bytes = 20 * MIB;
        f.host.var_free_bytes = 1 * MIB;
        CHECK_EQ(judge(&f, &manifest, NULL), PLAN_VAR_FULL);
}

TEST(every_verdict_has_a_name_and_a_code)
{
        for (PlanVerdict verdict = 0; verdict < PLAN_VERDICT_MAX; verdict++) {
                CHECK(plan_verdict_name(verdict));
                CHECK_EQ(plan_verdict_code(verdict) == ERROR_NONE, verdict == PLAN_INSTALL);
        }
        _cleanup_fixture_ Fixture f = fixture_new();
        _cleanup_(plan_freep) Plan *plan = choose(&f, "1", 0), *copy = plan_copy(plan);
        Error error = { 0 };
        CHECK_STR(copy->reason, plan->reason);
        CHECK(plan_error(copy, &error) < 0);
        CHECK_EQ(error.code, ERROR_REFUSED);
}

TEST_MAIN
