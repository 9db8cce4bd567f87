/* SPDX-License-Identifier: Apache-2.0 */
/* The file that tells an installer what to do: nothing is installed that it does not clearly ask for. */
#include "fuzz.h"
#include "install-answers.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const serials[] = { "A", "B", "A" };
        _cleanup_(install_answers_freep) InstallAnswers *answers = NULL;
        size_t index;

        if (install_answers_parse("fuzz", (const char *)data, size, &answers, NULL) < 0)
                return 0;
        MUST(*answers->disk || *answers->serial || answers->is_only);
        MUST(!*answers->disk || strncmp(answers->disk, "/dev/", 5) == 0);
        MUST(!*answers->disk || *answers->serial || strchr(answers->disk + 5, '/'));
        /* Else a name that passes would hide behind a step back. */
        MUST(!strstr(answers->disk, "//") && !strstr(answers->disk, "/./") &&
                        !strstr(answers->disk, "/../"));
        for (size_t count = 0; count <= ELEMENTS(serials); count++)
                if (install_answers_choose(answers, serials, count, &index, NULL) >= 0)
                        MUST(index < count &&
                                        (!*answers->serial || strcmp(serials[index], answers->serial) == 0));
        return 0;
}
