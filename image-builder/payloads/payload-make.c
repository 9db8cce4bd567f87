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

/* By files where both are EROFS images, a kernel image by what is in it, all else by blocks. */
static int match(const PayloadInputs *inputs, uint64_t size, uint64_t group_size, PayloadPlan **ret,
                Error *error)
{
        int r = -EBADMSG;

        if (inputs->sources[PAYLOAD_SOURCE_OLD_ROOT].fd >= 0)
                r = payload_match_files(inputs->target_fd, size, inputs->sources, group_size, ret, NULL);
        if (r == -EBADMSG || r == -EOPNOTSUPP)
                r = payload_match_uki(inputs->target_fd, size, inputs->sources, group_size, ret, NULL);
        if (r == -EBADMSG || r == -EOPNOTSUPP)
                r = payload_match_blocks(inputs->target_fd, size, inputs->sources, group_size, ret, error);
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "cannot compare the images: %s", strerror(-r)) : 0;
}

int payload_make(const PayloadInputs *inputs, const PayloadMakeOptions *options, const char *path,
                PayloadReport *ret, Error *error)
{
        _cleanup_(payload_plan_freep) PayloadPlan *plan = NULL;
        uint64_t size;
        int r = fd_size(inputs->target_fd, &size);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the image: %s", strerror(-r));
        r = has_source(inputs) ? match(inputs, size, options->group_size_bytes, &plan, error)
                               : payload_match_full(inputs->target_fd, size, options->group_size_bytes,
                                                 options->history_bytes, &plan, error);
        return r < 0 ? r
                     : payload_encode(inputs, plan, options->threads, path, options->progress,
                                       options->progress_data, ret, error);
}
