/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "json.h"
#include "test.h"
#include "tuf-metadata.h"

#include <dirent.h>
#include <fcntl.h>

/* The seeds of the fuzz target are examples of the format: those named bad-* break one rule each. */
static char *corpus_file(const char *name)
{
        return string_format("%s/tests/corpus/tuf-metadata/%s", getenv("SOURCE_ROOT") ?: ".", name);
}

static int parse_file(const char *name, TufRole role, TufMetadata **ret, Error *error)
{
        _cleanup_free_ char *path = corpus_file(name), *text = NULL;
        size_t size;
        int r = file_read(AT_FDCWD, path, TUF_METADATA_MAX, &text, &size);

        return r < 0 ? r : tuf_metadata_parse(tuf_role_name(role), role, text, size, ret, error);
}

TEST(parses_each_role_and_verifies_it)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *root = NULL, *timestamp = NULL, *snapshot = NULL,
                                                  *targets = NULL;
        TufMetadata *const *const all[TUF_ROLE_MAX] = { &root, &timestamp, &snapshot, &targets };

        CHECK_OK(parse_file("root.json", TUF_ROLE_ROOT, &root, NULL));
        CHECK_OK(parse_file("timestamp.json", TUF_ROLE_TIMESTAMP, &timestamp, NULL));
        CHECK_OK(parse_file("snapshot.json", TUF_ROLE_SNAPSHOT, &snapshot, NULL));
        CHECK_OK(parse_file("targets.json", TUF_ROLE_TARGETS, &targets, NULL));
        for (unsigned role = 0; role < TUF_ROLE_MAX; role++) {
                CHECK_EQ((*all[role])->version, 1);
                CHECK_EQ((*all[role])->expires, 2051222400);
                CHECK_OK(tuf_verify("it", *all[role], &root->keys, &root->signers[role], NULL));
        }
        CHECK(root->is_consistent_snapshot);
        CHECK(timestamp->snapshot.has_size && timestamp->snapshot.has_hashes);
        CHECK_EQ(timestamp->snapshot.size_bytes, 7);
}

TEST(reads_what_snapshot_and_targets_list)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *snapshot = NULL, *targets = NULL;
        uint64_t size_bytes;
        TufFileInfo info;
        TufHashes hashes;

        CHECK_OK(parse_file("snapshot.json", TUF_ROLE_SNAPSHOT, &snapshot, NULL));
        CHECK_OK(tuf_snapshot_find(snapshot, "targets", &info));
        CHECK(!info.has_size && !info.has_hashes);
        CHECK_OK(tuf_snapshot_find(snapshot, "d", &info));
        CHECK_EQ(info.version, 3);
        CHECK(info.hashes.has_sha512 && info.hashes.has_unknown && !info.hashes.has_sha256);
        CHECK_EQ(tuf_snapshot_find(snapshot, "x", &info), -ENOENT);
        CHECK_OK(parse_file("targets.json", TUF_ROLE_TARGETS, &targets, NULL));
        CHECK_OK(tuf_targets_find(targets, "a", &size_bytes, &hashes));
        CHECK_EQ(size_bytes, 3);
        CHECK_EQ(tuf_targets_find(targets, "b", &size_bytes, &hashes), -ENOENT);
}

TEST(reads_delegations_in_order)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *targets = NULL;

        CHECK_OK(parse_file("targets.json", TUF_ROLE_TARGETS, &targets, NULL));
        CHECK_EQ(targets->delegation_count, 2);
        CHECK_STR(targets->delegations[0].name, "d");
        CHECK(targets->delegations[0].is_terminating);
        CHECK(tuf_delegation_matches(&targets->delegations[0], "a/x"));
        CHECK(!tuf_delegation_matches(&targets->delegations[0], "a/x/y"));
        CHECK(!targets->delegations[1].is_terminating);
        /* SHA-256 of "a/x" begins with c14..., that of "file-5" with a. */
        CHECK(!tuf_delegation_matches(&targets->delegations[1], "a/x"));
}

TEST(refuses_each_broken_rule)
{
        _cleanup_free_ char *folder = corpus_file("");
        DIR *handle = opendir(folder);
        unsigned count = 0;

        CHECK(handle);
        for (struct dirent *entry; (entry = readdir(handle));) {
                if (strncmp(entry->d_name, "bad-", 4) != 0)
                        continue;
                count++;
                for (TufRole role = TUF_ROLE_ROOT; role < TUF_ROLE_MAX; role++) {
                        _cleanup_(tuf_metadata_freep) TufMetadata *metadata = NULL;
                        Error error = { 0 };

                        /* A timestamp that calls itself a snapshot is one, if it can be. */
                        if (strcmp(entry->d_name, "bad-type.json") == 0 && role != TUF_ROLE_TIMESTAMP)
                                continue;
                        if (parse_file(entry->d_name, role, &metadata, &error) != -EBADMSG)
                                TEST_FAIL("%s was taken as %s", entry->d_name, tuf_role_name(role));
                        CHECK_EQ(error.code, ERROR_UNTRUSTED);
                }
        }
        (void)closedir(handle);
        CHECK(count > 30);
}

TEST(takes_what_a_newer_repository_may_add)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *key = NULL, *members = NULL, *foreign = NULL;

        CHECK_OK(parse_file("unknown-key-type.json", TUF_ROLE_ROOT, &key, NULL));
        CHECK_OK(parse_file("unicode-members.json", TUF_ROLE_ROOT, &members, NULL));
        CHECK_OK(tuf_verify("it", members, &members->keys, &members->signers[TUF_ROLE_ROOT], NULL));
        CHECK_OK(parse_file("foreign-signature-empty.json", TUF_ROLE_ROOT, &foreign, NULL));
        CHECK_OK(tuf_verify("it", foreign, &foreign->keys, &foreign->signers[TUF_ROLE_ROOT], NULL));
        CHECK_EQ(tuf_verify("it", key, &key->keys, &key->signers[TUF_ROLE_ROOT], NULL), -EBADMSG);
}

TEST(a_missing_key_or_threshold_is_never_enough)
{
        _cleanup_(tuf_metadata_freep) TufMetadata *root = NULL;
        const TufKeys no_keys = { 0 };
        TufSigners signers;

        CHECK_OK(parse_file("root.json", TUF_ROLE_ROOT, &root, NULL));
        signers = root->signers[TUF_ROLE_ROOT];
        CHECK_EQ(tuf_verify("it", root, &no_keys, &signers, NULL), -EBADMSG);
        signers.threshold = 0;
        CHECK_EQ(tuf_verify("it", root, &root->keys, &signers, NULL), -EBADMSG);
        signers.threshold = 2;
        CHECK_EQ(tuf_verify("it", root, &root->keys, &signers, NULL), -EBADMSG);
        signers.threshold = UINT64_MAX;
        CHECK_EQ(tuf_verify("it", root, &root->keys, &signers, NULL), -EBADMSG);
        signers = (TufSigners){ .threshold = 1 };
        CHECK_EQ(tuf_verify("it", root, &root->keys, &signers, NULL), -EBADMSG);
}

TEST(hashes_must_all_hold_and_be_known)
{
        TufHashes hashes = { 0 };

        CHECK(!tuf_hashes_match(&hashes, "", 0));
        sha256_of("abc", 3, hashes.sha256);
        hashes.has_sha256 = true;
        CHECK(tuf_hashes_match(&hashes, "abc", 3));
        CHECK(!tuf_hashes_match(&hashes, "abd", 3));
        hashes.has_sha512 = true;
        CHECK(!tuf_hashes_match(&hashes, "abc", 3));
        hashes.has_sha512 = false;
        hashes.has_unknown = true;
        CHECK(!tuf_hashes_match(&hashes, "abc", 3));
}

TEST(knows_a_lost_key_from_a_new_one)
{
        const char *ab[] = { "a", "b" }, *bc[] = { "b", "c" }, *abc[] = { "c", "b", "a" };
        const TufSigners first = { ab, 2, 1 }, second = { bc, 2, 1 }, all = { abc, 3, 1 };

        CHECK(!tuf_signers_lost_key(&first, &first));
        CHECK(!tuf_signers_lost_key(&first, &all));
        CHECK(tuf_signers_lost_key(&first, &second));
        CHECK(tuf_signers_lost_key(&all, &first));
}

TEST_MAIN
