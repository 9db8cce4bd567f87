/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"
#include "options.h"
#include "verbs.h"

int main(int argc, char **argv)
{
        static const Verb verbs[] = {
                { "build", "RECIPE -o DIR", "Build images from a recipe", verb_build },
                { "lock", "RECIPE", "Choose a recipe's packages once, and write them down", verb_lock },
                { "repro", "RECIPE", "Build twice, and tell whether and why not both are the same",
                                verb_repro },
                { "release", "DIR", "Publish a built image as a signed release of a channel", verb_release },
                { "withdraw", "VERSION", "Take a release back from a channel", verb_withdraw },
                { "inspect", "PATH", "Explain a repository, an image, a release, a payload or a disk",
                                verb_inspect },
                { "diff", "OLD NEW", "Show what changed between two images or releases", verb_diff },
                { "size", "IMAGE", "Show what takes the room in an image", verb_size },
                { "test", "IMAGE",
                                "Boot an image in a virtual machine, and try it, its update and the way "
                                "back",
                                verb_test },
                { "payload", "make|apply|inspect FILE", "Make, apply or explain a payload of an image",
                                verb_payload },
                { "recipe", "check|show RECIPE", "Check a recipe, or show it with all its parts",
                                verb_recipe },
                { "gc", "", "Bound the cache of finished steps and packages", verb_gc },
                { "keys", "WORD DIR", "Make and change signing keys and the root metadata", verb_keys },
                { "refresh", "REPO", "Sign a repository's timestamp and snapshot anew", verb_refresh },
                { "sign", "FILE", "Add root signatures to a root metadata file", verb_sign },
                { "verify", "REPO", "Check a whole repository as a client would", verb_verify },
                { 0 },
        };

        log_open(PROGRAM_NAME);
        return verbs_run(PROGRAM_NAME, "Builds immutable host images and publishes them as signed releases.",
                        verbs, argc, argv);
}
