/* SPDX-License-Identifier: Apache-2.0 */
#include "payload-make.h"

#include "file.h"
#include "payload-match.h"

#include <string.h>

static bool has_source(const PayloadInputs *inputs)
{
        for (size_t i = 0; i < PAYLOAD_SOURCE_TARGET; i++)
                if (inputs->sources[i].fd >= 0)
                        return true;
        return false;
}

int payload_make(const PayloadInputs *inputs, const PayloadMakeOptions *options, const char *path,
                PayloadReport *ret, Error *error)
{
        _cleanup_(payload_plan_freep) PayloadPlan *plan = NULL;
        uint64_t size;
        int r = fd_size(inputs->target_fd, &size);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the image: %s", strerror(-r));
        r = has_source(inputs) ? payload_match_blocks(inputs->target_fd, size, inputs->sources,
                                                 options->group_size_bytes, &plan, error)
                               : payload_match_full(inputs->target_fd, size, options->group_size_bytes,
                                                 options->history_bytes, &plan, error);
        return r < 0 ? r
                     : payload_encode(inputs, plan, options->threads, path, options->progress,
                                       options->progress_data, ret, error);
}
