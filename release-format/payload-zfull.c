/* SPDX-License-Identifier: Apache-2.0 */
#include "payload-op.h"
#include "x86-filter.h"

/* The op ZFULL: one zstd frame, unpacked after a raw prefix made of the op's ranges. And ZX86: one without
 * ranges, whose content is filtered code. */

int payload_zfull_decode(
                PayloadWork *work, const PayloadOp *op, const uint8_t *blob, uint8_t *target, Error *error)
{
        uint8_t *prefix = payload_work_scratch(work);
        size_t prefix_size = 0;

        for (size_t i = 0; i < op->range_count; i++) {
                int r = payload_work_read(work, &op->ranges[i], prefix + prefix_size, error);

                if (r < 0)
                        return r;
                prefix_size += op->ranges[i].size_bytes;
        }
        return payload_work_unzstd(work, blob, op->blob_size_bytes, prefix, prefix_size, target,
                        op->target_size_bytes, error);
}

int payload_zx86_decode(
                PayloadWork *work, const PayloadOp *op, const uint8_t *blob, uint8_t *target, Error *error)
{
        int r = payload_work_unzstd(
                        work, blob, op->blob_size_bytes, NULL, 0, target, op->target_size_bytes, error);

        if (r >= 0)
                x86_unfilter(target, op->target_size_bytes, op->parameters[PAYLOAD_ZX86_PARTS]);
        return r;
}
