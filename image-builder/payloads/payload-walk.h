/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Payload files on this machine, decoded with the engine's own decoder: for `payload apply`, and for the
 * proof that the encoder gives of everything it writes. */

#include "error.h"
#include "payload.h"
#include "progress.h"

/* Called now and then with the bytes of target so far. */
typedef void (*PayloadProgress)(void *data, uint64_t done_bytes);

/* Reads and checks the index of a payload file, of which nothing is known beforehand. `expectation` (may be
 * NULL) is filled with what a manifest would say; payload_size_bytes is that of the file. */
int payload_file_open(int fd, PayloadIndex **ret, PayloadExpectation *expectation, Error *error);

/* Writes the image to output_fd, which must be open for reading too. `sources` has PAYLOAD_SOURCES_MAX
 * elements, of which the last, the target, is ignored. */
int payload_file_apply(int fd, const PayloadIndex *index, const PayloadSource *sources, int output_fd,
                PayloadProgress progress, void *progress_data, Error *error);

/* Makes the image of a full payload in a file without a name beside `scratch_path`; `step` is what progress
 * (may be NULL) calls it. *ret is the caller's to close. */
int payload_file_restore(int fd, const char *scratch_path, const char *step, Progress *progress, int *ret,
                Error *error);

/* Decodes and compares with the image at target_fd. -EBADMSG with ERROR_CORRUPT at the first difference. */
int payload_file_compare(int fd, const PayloadIndex *index, const PayloadSource *sources, int target_fd,
                PayloadProgress progress, void *progress_data, Error *error);
