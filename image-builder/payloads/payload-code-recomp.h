/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Codes the op RECOMP: unpacks both streams, finds what they share, and writes the patch. */

#include "patch-writer.h"
#include "payload-plan.h"

/* `packed` are the bytes of the op's ranges, `target` those that it makes. The plan has filled the
 * parameters of codings and of the view; those of the patch are filled in here. Memory: both contents, and
 * what program_match() takes. */
int payload_recomp_code(PatchWriter *patches, PlanOp *op, const uint8_t *packed, size_t packed_size,
                const uint8_t *target, Error *error);
