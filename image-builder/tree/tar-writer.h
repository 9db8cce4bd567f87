/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writes archives member by member (POSIX.1-2001, pax). What a header has no room for stands in an extended
 * one before it; extended attributes are SCHILY.xattr records there.
 *
 * For each member: tar_writer_begin(), its attributes, tar_writer_header(), its bytes, tar_writer_pad(). */

#include "buffer.h"
#include "tar-header.h"

#include <sys/types.h>

#define TAR_WRITER_EXTENDED_MAX (1 * MIB)

typedef struct TarWriter {
        int fd; /* borrowed */
        uint64_t at;
        Buffer extended;
} TarWriter;

#define TAR_WRITER(descriptor)                                                                              \
        ((TarWriter){ .fd = (descriptor), .extended = BUFFER_WITH_CAP(TAR_WRITER_EXTENDED_MAX) })
void tar_writer_done(TarWriter *writer);

void tar_writer_begin(TarWriter *writer);
int tar_writer_add_xattr(TarWriter *writer, const char *name, const void *value, size_t size);
/* Names of any length; those in `header` are not used. `link` may be NULL. */
int tar_writer_header(TarWriter *writer, const TarHeader *header, const char *name, const char *link);
int tar_writer_put(TarWriter *writer, const void *data, size_t size);
/* Bytes to the next block are the zeros of a hole. */
void tar_writer_pad(TarWriter *writer);
/* The end mark. A negative errno, as all of these. */
int tar_writer_end(TarWriter *writer);

/* TAR_TYPE_... of a mode. */
char tar_type_of(mode_t mode);
