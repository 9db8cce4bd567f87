/* SPDX-License-Identifier: Apache-2.0 */
#include "ceremony.h"
#include "key-options.h"
#include "verbs.h"

static int run(const char *path, const KeyOptions *key_options, Error *error)
{
        _cleanup_(key_ring_freep) KeyRing *ring = NULL;
        SigningState state;
        int r = key_options_ring(key_options, &ring, error);

        if (r >= 0)
                r = root_file_sign(path, ring, &state, error);
        if (r < 0)
                return r;
        if (state.old_threshold > 0)
                printf("%s: %llu of the %llu signatures needed by keys of the present root\n", path,
                                (unsigned long long)state.old_count,
                                (unsigned long long)state.old_threshold);
        printf("%s: %llu of the %llu signatures needed by its own root keys\n", path,
                        (unsigned long long)state.new_count, (unsigned long long)state.new_threshold);
        return 0;
}

int verb_sign(int argc, char **argv)
{
        KeyOptions key_options = { 0 };
        const Option options[] = { KEY_OPTIONS(key_options), { 0 } };
        const Usage usage = { PROGRAM_NAME, "sign FILE --key KEY...",
                "Adds the signatures of root keys to a root metadata file, such as the draft of the next "
                "root.",
                1, 1 };
        Error error = { 0 };
        char **arguments;
        int r = options_take(argc, argv, options, &usage, &arguments, &error);

        if (r == 0)
                r = run(arguments[0], &key_options, &error);
        key_options_done(&key_options);
        return program_exit(PROGRAM_NAME, r, &error, false);
}
