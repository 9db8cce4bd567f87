/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"
#include "options.h"
#include "verbs.h"

int main(int argc, char **argv)
{
        static const Verb verbs[] = {
                { "payload", "make|apply|inspect FILE", "Make, apply or explain a payload of an image",
                                verb_payload },
                { "recipe", "check|show RECIPE", "Check a recipe, or show it with all its parts",
                                verb_recipe },
                { 0 },
        };

        log_open(PROGRAM_NAME);
        return verbs_run(PROGRAM_NAME, "Builds immutable host images and publishes them as signed releases.",
                        verbs, argc, argv);
}
