/* SPDX-License-Identifier: Apache-2.0 */
#include "prefer.h"

#include "file.h"
#include "pe-image.h"
#include "secure-boot.h"
#include "uki.h"

#include <fcntl.h>
#include <string.h>

int prefer_release(const Host *host, Esp *esp, const char *version, Error *error)
{
        if (version_compare(version, host->running_version) >= 0)
                return 0;
        int r = host->boot->reject(esp, host->image_id, host->running_version, error);
        return r == -ENOENT ? 0 : r;
}

static int rollback_progress(void *data, uint64_t done_bytes)
{
        operation_tell(data, done_bytes);
        return operation_check(data, NULL);
}

static int refuse(const Operation *operation, const HostFacts *facts, Error *error)
{
        const LedgerEntry *bad;

        if (!facts->has_other_slot)
                return error_set(error, ERROR_REFUSED, ENOENT, "the disk has no second slot to go back to");
        if (!facts->other.has_slot)
                return error_set(error, ERROR_REFUSED, ENOENT,
                                "slot %s holds no complete release, so there is nothing to go back to",
                                slot_name(facts->other_slot));
        if (!facts->other.exists)
                return error_set(error, ERROR_REFUSED, ENOENT,
                                "no boot entry belongs to the release in slot %s, so there is nothing to go "
                                "back to",
                                slot_name(facts->other_slot));
        if (facts->is_waiting)
                return error_set(error, ERROR_NOTHING_TO_DO, EALREADY,
                                "release %s starts at the next boot already", facts->other.version);
        /* Back from there is where this host just came from. */
        bad = state_ledger_find(operation->state, facts->other.version);
        if (bad && bad->kind == LEDGER_TRIAL_FAILED)
                return error_set(error, ERROR_REFUSED, EPERM,
                                "release %s failed here (%s); `bascule ledger clear %s` lets it be tried "
                                "again",
                                bad->version, bad->reason, bad->version);
        return 0;
}

/* What the firmware trusts may have changed since that release ran. */
static int judge_entry(const Host *host, int fd, Error *error)
{
        _cleanup_(image_signatures_done) ImageSignatures signatures = { 0 };
        _cleanup_(secure_boot_freep) SecureBoot *secure_boot = NULL;
        int r = secure_boot_load(host->efi_variables, &secure_boot, error);
        if (r < 0 || !secure_boot)
                return r;
        r = pe_image_read_signatures(fd, &signatures, error);
        return r < 0 ? r : secure_boot_judge(secure_boot, &signatures, error);
}

/* The root hash that the entry will demand at boot, if the firmware would start it. */
static int entry_root_hash(const Host *host, int esp_fd, const HostRelease *release,
                uint8_t ret[static SHA256_SIZE], Error *error)
{
        _cleanup_free_ char *path = path_join("EFI/Linux", release->entry_file);
        if (!path)
                return error_oom(error);
        _cleanup_fd_ int fd = openat(esp_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        int r = fd < 0 ? -errno : uki_read_root_hash(fd, ret);
        if (r < 0)
                return error_set(error, ERROR_CORRUPT, -r, "the boot entry of release %s cannot be read: %s",
                                release->version, strerror(-r));
        r = judge_entry(host, fd, error);
        return r < 0 ? error_prefix(error, r, "release %s would not start", release->version) : 0;
}

static int prove_other(Operation *operation, const Disk *disk, const HostFacts *facts,
                const uint8_t *root_hash, Error *error)
{
        _cleanup_extent_ Extent data = { .fd = -1 }, hash = { .fd = -1 };
        SlotContent content;
        int r = slot_read(disk, facts->other_slot, &content, error);
        if (r >= 0)
                r = disk_open_partition(
                                disk, slot_data_role(facts->other_slot), O_RDONLY | O_CLOEXEC, &data, error);
        if (r >= 0)
                r = disk_open_partition(
                                disk, slot_hash_role(facts->other_slot), O_RDONLY | O_CLOEXEC, &hash, error);
        if (r < 0)
                return r;
        operation->progress.total_bytes = content.data_size_bytes;
        r = verity_verify(data.fd, data.offset_bytes, hash.fd, hash.offset_bytes, root_hash,
                        rollback_progress, operation, error);
        if (r == -ECANCELED)
                return operation_check(operation, error);
        return r < 0 ? error_prefix(error, r, "release %s is damaged, so it is not made the next to boot",
                                       facts->other.version)
                     : 0;
}

int rollback_run(Operation *operation, const HostFacts *facts, Error *error)
{
        const Host *host = operation->host;
        const HostRelease *other = &facts->other;
        _cleanup_(disk_freep) Disk *disk = NULL;
        _cleanup_(esp_closep) Esp *esp = NULL;
        uint8_t root_hash[SHA256_SIZE];

        int r = refuse(operation, facts, error);
        if (r >= 0)
                r = disk_open(host->disk_path, &disk, error);
        if (r >= 0)
                r = host_open_esp(host, disk, true, &esp, error);
        if (r >= 0)
                r = entry_root_hash(host, esp_fd(esp), other, root_hash, error);
        esp = esp_close(esp); /* reading a slot takes minutes, and others wait for the ESP */
        if (r >= 0)
                r = prove_other(operation, disk, facts, root_hash, error);
        if (r >= 0)
                r = operation_check(operation, error);
        if (r >= 0)
                r = host_open_esp(host, disk, true, &esp, error);
        if (r >= 0 && other->is_counted)
                r = host->boot->retry(esp, host->image_id, other->version, operation->config->tries, error);
        return r < 0 ? r : prefer_release(host, esp, other->version, error);
}
