/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "file.h"

#include <fcntl.h>
#include <string.h>

#define PATH_BYTES 512

void check_result_done(CheckResult *result)
{
        plan_free(result->plan);
        manifest_free(result->manifest);
        free(result->available);
        for (size_t image = 0; image < IMAGE_KIND_MAX; image++)
                for (size_t i = 0; i < CHECK_PAYLOADS_MAX; i++)
                        free(result->paths[image][i]);
        *result = (CheckResult){ 0 };
}

static int get_channel(Session *session, const char *name, Channel **ret, Error *error)
{
        char path[PATH_BYTES];
        _cleanup_buffer_ Buffer bytes = BUFFER_WITH_CAP(CHANNEL_MAX);
        (void)snprintf(path, sizeof(path), "channels/%s.json", name);
        int r = session_get(session, path, &bytes, error);
        return r < 0 ? r : channel_parse((const char *)bytes.data, bytes.size, ret, error);
}

static int get_manifest(Session *session, const char *version, const char *architecture, Manifest **ret,
                Error *error)
{
        char path[PATH_BYTES];
        _cleanup_buffer_ Buffer bytes = BUFFER_WITH_CAP(MANIFEST_MAX);
        (void)snprintf(path, sizeof(path), "releases/%s/%s/manifest.json", version, architecture);
        int r = session_get(session, path, &bytes, error);
        return r < 0 ? r : manifest_parse((const char *)bytes.data, bytes.size, ret, error);
}

/* The running UKI, as a possible source of deltas. Not being able to read it is no failure. */
static void hash_running_uki(Operation *operation, const HostFacts *facts, CheckResult *result)
{
        _cleanup_(disk_freep) Disk *disk = NULL;
        _cleanup_(esp_closep) Esp *esp = NULL;
        uint64_t size;

        if (!facts->running.has_entry || disk_open(operation->host->disk_path, &disk, NULL) < 0 ||
                        host_open_esp(operation->host, disk, false, &esp, NULL) < 0)
                return;
        _cleanup_free_ char *path = path_join("EFI/Linux", facts->running.entry_file);
        _cleanup_fd_ int fd = path ? openat(esp_fd(esp), path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
        if (fd >= 0 && fd_size(fd, &size) >= 0)
                result->has_running_uki = sha256_of_fd(fd, 0, size, result->running_uki_sha256) >= 0;
}

/* Chooses the payload of each image and finds out where they lie. */
static int locate_payloads(Session *session, const HostFacts *facts, CheckResult *result, Error *error)
{
        const uint8_t *root_hash = facts->has_running_root_hash ? facts->running_root_hash : NULL;
        const uint8_t *uki = result->has_running_uki ? result->running_uki_sha256 : NULL;
        for (size_t image = 0; image < IMAGE_KIND_MAX; image++) {
                const ManifestImage *wanted = &result->manifest->images[image];
                const PayloadReference *chosen = manifest_choose_payload(wanted, root_hash, uki);
                size_t count = 0;
                if (!chosen->is_full)
                        result->payloads[image][count++] = chosen;
                if (wanted->pieces)
                        result->payloads[image][count++] = wanted->pieces;
                result->payloads[image][count++] = &wanted->payloads[0];
                result->payload_counts[image] = count;
                for (size_t i = 0; i < count; i++) {
                        const PayloadReference *payload = result->payloads[image][i];
                        int r = session_locate(session, payload->path, payload->size_bytes, payload->sha256,
                                        &result->paths[image][i], error);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* The repository lost the chosen payload of an image: the next one is chosen. */
static void drop_payload(CheckResult *result, size_t image)
{
        const PayloadReference **payloads = result->payloads[image];
        Plan *plan = result->plan;

        const ManifestImage *wanted = &result->manifest->images[image];

        if (payloads[0] != wanted->pieces)
                plan->fetch_bytes += wanted->payloads[0].size_bytes - payloads[0]->size_bytes;
        if (image == IMAGE_ROOT)
                plan->is_delta = false;
        free(result->paths[image][0]);
        result->payload_counts[image]--;
        for (size_t i = 0; i < result->payload_counts[image]; i++) {
                payloads[i] = payloads[i + 1];
                result->paths[image][i] = result->paths[image][i + 1];
        }
        result->paths[image][result->payload_counts[image]] = NULL;
}

/* Of each image the chosen payload, or else the next. */
static int probe_payloads(Session *session, CheckResult *result, Error *error)
{
        for (size_t image = 0; image < IMAGE_KIND_MAX; image++) {
                for (;;) {
                        const PayloadReference *payload = result->payloads[image][0];
                        Error problem = { 0 };
                        int r = session_probe(session, result->paths[image][0], payload->index_size_bytes,
                                        payload->index_sha256, &problem);
                        if (r >= 0)
                                break;
                        if (r == -ECANCELED || result->payload_counts[image] == 1) {
                                if (error && !error_is_set(error))
                                        *error = problem;
                                return error_prefix(error, r, "%s image", image_kind_name((ImageKind)image));
                        }
                        drop_payload(result, image);
                }
        }
        return 0;
}

static int set_available(const PlanInput *input, CheckResult *result, Error *error)
{
        const ChannelRelease *newest = channel_next(input->channel, input->host->running.version,
                        input->host->architecture, 1.0, UINT64_MAX / 4, NULL, NULL);
        if (!newest)
                return 0;
        result->available = strdup(newest->version);
        return result->available ? 0 : error_oom(error);
}

int check_run(Operation *operation, const HostFacts *facts, const char *version, unsigned flags, bool probe,
                CheckResult *ret, Error *error)
{
        _cleanup_(session_freep) Session *session = NULL;
        _cleanup_(channel_freep) Channel *channel = NULL;
        _cleanup_(check_result_done) CheckResult result = { 0 };
        _cleanup_(secure_boot_freep) SecureBoot *secure_boot = NULL;

        int r = session_open(operation, flags, &session, error);
        if (r >= 0)
                r = get_channel(session, operation->config->channel, &channel, error);
        if (r >= 0)
                r = secure_boot_load(operation->host->efi_variables, &secure_boot, error);
        if (r < 0)
                return r;
        PlanInput input = { .host = facts,
                .state = operation->state,
                .channel = channel,
                .wanted_version = version,
                .flags = flags | (operation->config->allow_older ? INSTALL_ALLOW_OLDER : 0),
                .now = operation->now,
                .secure_boot = secure_boot };
        r = plan_choose(&input, &result.plan, error);
        if (r >= 0)
                r = set_available(&input, &result, error);
        if (r >= 0 && *result.plan->version && result.plan->verdict != PLAN_UNKNOWN_VERSION &&
                        result.plan->verdict != PLAN_UP_TO_DATE &&
                        result.plan->verdict != PLAN_ARCHITECTURE) {
                hash_running_uki(operation, facts, &result);
                input.running_uki_sha256 = result.has_running_uki ? result.running_uki_sha256 : NULL;
                r = get_manifest(
                                session, result.plan->version, facts->architecture, &result.manifest, error);
                if (r >= 0)
                        r = plan_manifest(result.plan, &input, result.manifest, error);
                if (r >= 0 && result.plan->verdict == PLAN_INSTALL)
                        r = locate_payloads(session, facts, &result, error);
                if (r >= 0 && result.plan->verdict == PLAN_INSTALL && probe)
                        r = probe_payloads(session, &result, error);
        }
        if (r < 0)
                return r;
        *ret = result;
        result = (CheckResult){ 0 };
        return 0;
}
