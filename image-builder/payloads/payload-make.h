/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From images to a payload file, for whoever makes one: matching chosen by what there is to match with,
 * coding, proof. */

#include "payload-encode.h"

typedef struct PayloadMakeOptions {
        uint64_t group_size_bytes; /* 0: what the matcher thinks best */
        uint64_t history_bytes;    /* of a full payload: target before a group that its frames may use */
        unsigned threads;          /* 0: as many as there are processors */
        PayloadProgress progress;  /* may be NULL */
        void *progress_data;
} PayloadMakeOptions;

/* A delta when any source is there (fd not -1), else a full payload. Errors are those of payload_encode().
 */
int payload_make(const PayloadInputs *inputs, const PayloadMakeOptions *options, const char *path,
                PayloadReport *ret, Error *error);
