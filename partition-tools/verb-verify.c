/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs.h"

#include "file.h"
#include "hex.h"
#include "json.h"
#include "progress.h"

#include <fcntl.h>
#include <string.h>

typedef struct Verification {
        const Disk *disk;
        const uint8_t *wanted; /* root hash that was asked for, or NULL */
        Progress *progress;
        json_t *results; /* or NULL for text */
        bool found_wanted;
        Error first_error; /* of the first slot that failed */
} Verification;

typedef enum SlotVerdict { SLOT_EMPTY, SLOT_OTHER, SLOT_GOOD, SLOT_BAD } SlotVerdict;

static const char *const verdict_names[] = {
        [SLOT_EMPTY] = "empty",
        [SLOT_OTHER] = "another release",
        [SLOT_GOOD] = "good",
        [SLOT_BAD] = "bad",
};

static int count_progress(void *data, uint64_t done_bytes)
{
        progress_update(data, done_bytes);
        return 0;
}

/* Past the page cache where that can be had: what counts is what the device holds. */
static int open_to_check(const Disk *disk, PartitionRole role, Extent *ret, Error *error)
{
        if (disk->is_block_device && disk_open_partition(disk, role, O_RDONLY | O_DIRECT, ret, NULL) >= 0)
                return 0;
        return disk_open_partition(disk, role, O_RDONLY, ret, error);
}

/* The root hash to check against: the one asked for, else what the stored tree stands for, provided that the
 * superblock agrees with it. */
static int choose_root_hash(const Verification *verification, const SlotContent *content, const Extent *data,
                const Extent *hash, uint8_t ret[static SHA256_SIZE], Error *error)
{
        int r;

        if (verification->wanted) {
                memcpy(ret, verification->wanted, SHA256_SIZE);
                return 0;
        }
        r = verity_stored_root_hash(data->fd, data->offset_bytes, hash->fd, hash->offset_bytes, ret);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the top of the hash tree: %s",
                                strerror(-r));
        if (memcmp(ret, content->superblock.uuid, UUID_SIZE) != 0)
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "the top of the hash tree does not belong to the root hash that the "
                                "superblock names");
        return 0;
}

static int check_slot(Verification *verification, SlotName slot, const SlotContent *content,
                uint8_t ret_root_hash[static SHA256_SIZE], Error *error)
{
        _cleanup_extent_ Extent data = { .fd = -1 }, hash = { .fd = -1 };
        char step[32];
        int r = open_to_check(verification->disk, slot_data_role(slot), &data, error);

        if (r >= 0)
                r = open_to_check(verification->disk, slot_hash_role(slot), &hash, error);
        if (r >= 0)
                r = choose_root_hash(verification, content, &data, &hash, ret_root_hash, error);
        if (r < 0)
                return r;
        (void)snprintf(step, sizeof(step), "slot %s", slot_name(slot));
        progress_begin(verification->progress, step, content->data_size_bytes);
        r = verity_verify(data.fd, data.offset_bytes, hash.fd, hash.offset_bytes, ret_root_hash,
                        count_progress, verification->progress, error);
        progress_end(verification->progress, r < 0 ? "bad" : "good");
        return r;
}

static void report(Verification *verification, SlotName slot, SlotVerdict verdict, const uint8_t *root_hash,
                const Error *error)
{
        char text[SHA256_HEX_SIZE] = "";

        if (verdict == SLOT_GOOD)
                hex_encode(root_hash, SHA256_SIZE, text);
        if (verification->results)
                (void)json_array_append_new(verification->results,
                                json_pack("{s:s,s:s,s:s,s:s}", "name", slot_name(slot), "verdict",
                                                verdict_names[verdict], "root_hash", text, "reason",
                                                error->message));
        else
                printf("Slot %s: %s%s%s%s%s\n", slot_name(slot), verdict_names[verdict],
                                *text ? ", root hash " : "", text, error_is_set(error) ? ": " : "",
                                error->message);
}

static void verify_slot(Verification *verification, SlotName slot)
{
        uint8_t root_hash[SHA256_SIZE] = { 0 };
        SlotContent content = { 0 };
        SlotVerdict verdict = SLOT_GOOD;
        Error error = { 0 };
        int r = slot_read(verification->disk, slot, &content, &error);

        if (r >= 0 && !content.is_valid)
                verdict = SLOT_EMPTY;
        else if (r >= 0 && verification->wanted &&
                        memcmp(verification->wanted, content.superblock.uuid, UUID_SIZE) != 0)
                verdict = SLOT_OTHER;
        else if (r < 0 || check_slot(verification, slot, &content, root_hash, &error) < 0)
                verdict = SLOT_BAD;
        if (verdict == SLOT_GOOD)
                verification->found_wanted = true;
        report(verification, slot, verdict, root_hash, &error);
        if (verdict == SLOT_BAD && !error_is_set(&verification->first_error)) {
                verification->first_error = error;
                (void)error_prefix(&verification->first_error, 0, "slot %s", slot_name(slot));
        }
}

/* Both slots, whatever the first one was like. */
static int verify_disk(Verification *verification, Error *error)
{
        for (unsigned slot = 0; slot < SLOT_NAME_MAX; slot++)
                verify_slot(verification, (SlotName)slot);
        if (verification->results) {
                _cleanup_json_ json_t *json = json_pack("{s:s,s:O}", "path", verification->disk->path,
                                "slots", verification->results);

                if (!json)
                        return error_oom(error);
                (void)json_dumpf(json, stdout, JSON_INDENT(2));
                (void)putchar('\n');
        }
        if (error_is_set(&verification->first_error)) {
                *error = verification->first_error;
                return -EBADMSG;
        }
        if (verification->wanted && !verification->found_wanted)
                return error_set(error, ERROR_CORRUPT, ENOENT,
                                "no slot holds the release with this root hash");
        return 0;
}

static int parse_root_hash(const char *text, uint8_t ret[static SHA256_SIZE], Error *error)
{
        if (hex_decode(text, ret, SHA256_SIZE) < 0)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "--root-hash takes 64 hexadecimal digits, not \"%s\"", text);
        return 0;
}

int verb_verify(int argc, char **argv)
{
        bool json = false;
        const char *root_hash = NULL;
        const Option options[] = {
                { "root-hash", 0, OPTION_STRING, &root_hash, "HEX",
                                "The slot that holds it must match this hash" },
                { "json", 'j', OPTION_FLAG, &json, NULL, "Print JSON" },
                { 0 },
        };
        _cleanup_(disk_freep) Disk *disk = NULL;
        _cleanup_(progress_freep) Progress *progress = progress_new();
        _cleanup_json_ json_t *results = json_array();
        _cleanup_free_ char *path = NULL;
        uint8_t wanted[SHA256_SIZE];
        Verification verification = { .progress = progress };
        Error error = { 0 };
        int r = verb_disk_argument(argc, argv, options, "verify [OPTION...] [DISK]",
                        "Reads both slots and checks data and hash tree, block by block. Without "
                        "--root-hash the\n"
                        "hash is taken from the tree itself: that finds damage, but proves no origin.",
                        &path, &error);

        if (r > 0)
                return 0;
        if (r >= 0 && root_hash) {
                r = parse_root_hash(root_hash, wanted, &error);
                verification.wanted = wanted;
        }
        if (r >= 0)
                r = disk_open(path, &disk, &error);
        if (r < 0)
                return program_exit(PROGRAM_NAME, r, &error, json);
        verification.disk = disk;
        verification.results = json ? results : NULL;
        r = verify_disk(&verification, &error);
        /* With --json the verdicts are already the whole answer; only the status is left to give. */
        return json && r < 0 ? (int)error.code : program_exit(PROGRAM_NAME, r, &error, json);
}
