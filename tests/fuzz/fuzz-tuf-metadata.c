/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include "tuf-metadata.h"

static void use_targets(const TufMetadata *metadata)
{
        uint64_t size_bytes;
        TufHashes hashes;

        (void)tuf_targets_find(metadata, "a", &size_bytes, &hashes);
        for (size_t i = 0; i < metadata->delegation_count; i++) {
                (void)tuf_delegation_matches(&metadata->delegations[i], "a/b");
                (void)tuf_verify(
                                "input", metadata, &metadata->keys, &metadata->delegations[i].signers, NULL);
        }
}

/* The input is a metadata file, tried as each role in turn. Verification is with the keys it brings itself,
 * which the seeds satisfy, so that the whole way is walked. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        for (TufRole role = TUF_ROLE_ROOT; role < TUF_ROLE_MAX; role++) {
                _cleanup_(tuf_metadata_freep) TufMetadata *metadata = NULL;
                TufFileInfo info;
                Error error = { 0 };

                if (tuf_metadata_parse("input", role, data, size, &metadata, &error) < 0) {
                        MUST(error_is_set(&error));
                        continue;
                }
                MUST(metadata->version > 0);
                MUST(metadata->canonical.size > 0);
                if (role == TUF_ROLE_ROOT)
                        for (unsigned i = 0; i < TUF_ROLE_MAX; i++)
                                (void)tuf_verify("input", metadata, &metadata->keys, &metadata->signers[i],
                                                NULL);
                if (role == TUF_ROLE_SNAPSHOT)
                        MUST(tuf_snapshot_find(metadata, "targets", &info) >= 0);
                if (role == TUF_ROLE_TARGETS)
                        use_targets(metadata);
        }
        return 0;
}
