/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Finds the compressed stream in a file, and how it was made: the payload of a Linux kernel (x86 boot
 * protocol), and whole files of gzip, xz, zstd and lz4. A coding is only believed once compressing the clear
 * bytes again gave the same bytes. All input is hostile. */

#include "recomp.h"

typedef struct RecompStream {
        uint64_t offset, size_bytes; /* the stream in its file */
        RecompCoding coding;
        uint64_t clear_size_bytes;
        uint64_t view_memory_bytes; /* what a RecompView of it holds */
} RecompStream;

/* Whether a Linux kernel (x86 boot protocol) begins here. */
bool recomp_is_kernel(const uint8_t *data, size_t size);

/* Where in a file a stream lies, and of which codec: sets offset, size and coding.codec. Nothing is unpacked
 * but what it takes to find the end. 1 when there is one, otherwise 0. */
int recomp_locate(const uint8_t *data, size_t size, RecompStream *ret);

/* Whether a file that begins like this can hold a stream: looks for what locating would begin with. */
#define RECOMP_HEAD_SIZE 0x250
bool recomp_may_hold(const uint8_t *head, size_t size);

/* Fills in what locating did not, for a stream that is only read: sizes, and that it unpacks. 0 when it does
 * not, or would hold more than `memory_max_bytes`. */
int recomp_measure(const uint8_t *data, uint64_t memory_max_bytes, RecompStream *stream, Error *error);

/* Finds the parameters with which the located stream was made, such that unpacking one like it while it is
 * made takes no more than `memory_max_bytes`. 1, or 0 when there are none. -ENOMEM. */
int recomp_prove(const uint8_t *data, uint64_t memory_max_bytes, RecompStream *stream, Error *error);

/* Shows bytes in memory. Borrows them. */
PatchView recomp_bytes_view(const uint8_t *data, size_t size);
