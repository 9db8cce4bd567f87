/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Messages between basculed and its roles: over a stream socket, each one is
 *
 *     u32 length of the body, u8 type, 3 bytes of zero, body
 *
 * little-endian, with a body of fields: u64, or u32 length and bytes. A role may have been taken over, so
 * what it sends is hostile: lengths are capped before anything is allocated, and a reader that is fed piece
 * by piece never waits for the rest of a frame. */

#include "buffer.h"
#include "error.h"

#define FRAME_HEADER_SIZE 8
#define FRAME_BODY_MAX (9 * MIB) /* the largest metadata file and its name */

typedef enum FrameType {
        /* To fetch. */
        FRAME_FETCH_SETUP = 1, /* bandwidth, timeout, retry delay, certificates, count, base URLs */
        FRAME_FETCH_TRUSTED,   /* role, tag that its server gave it or "", bytes: trusted metadata */
        FRAME_FETCH_REFRESH,   /* now */
        FRAME_FETCH_TARGET,    /* target path, most bytes (0: only the way to it) */
        FRAME_FETCH_PROBE,     /* download path, size: the first bytes of a payload, answered as TARGET */
        FRAME_FETCH_STREAM,    /* download path, offset, size: into the data pipe */
        /* To a role that is a service, and its answer (role-service.h). */
        FRAME_ROLE_BEGIN = 16, /* memory, file size, number of each descriptor */
        FRAME_ROLE_READY,
        /* From fetch. */
        FRAME_METADATA = 32,   /* name, tag or "", bytes */
        FRAME_METADATA_ABSENT, /* name */
        FRAME_REFRESHED,
        FRAME_TARGET,   /* bytes */
        FRAME_FETCHED,  /* bytes received from the network since the start */
        FRAME_STREAMED, /* a stream is complete */
        FRAME_MIRROR,   /* number of the base URL in SETUP, 1: it serves, 0: it failed */
        /* To apply. */
        FRAME_APPLY_SETUP = 64, /* transfer-frames.h */
        /* From apply. */
        FRAME_NEED = 96, /* payload number, offset, size */
        FRAME_PROGRESS,  /* target bytes that are right, bytes written */
        FRAME_APPLIED,   /* bytes written */
        /* From both. */
        FRAME_FAILED = 128, /* error code, errno, sentence */
} FrameType;

/* One frame; the body is borrowed from the reader until its next call. Fields are taken from the front. */
typedef struct Frame {
        uint8_t type;
        const uint8_t *data;
        size_t size;
} Frame;

typedef struct FrameReader {
        Buffer input;
        size_t used; /* bytes of `input` that the last frame took */
        size_t body_max;
} FrameReader;

#define FRAME_READER(max)                                                                                   \
        ((FrameReader){ .input = BUFFER_WITH_CAP((max) + FRAME_HEADER_SIZE), .body_max = (max) })
void frame_reader_done(FrameReader *reader);
#define _cleanup_frame_reader_ _cleanup_(frame_reader_done)

/* Takes what the descriptor has, by one read(). Bytes read, 0 at the end of the stream, -EAGAIN. */
ssize_t frame_reader_fill(FrameReader *reader, int fd);
/* Takes bytes from memory. -E2BIG past one frame of the greatest length. */
int frame_reader_feed(FrameReader *reader, const void *data, size_t size);
/* 1 and a frame, 0 when more bytes are needed, -EBADMSG for what cannot be a frame. */
int frame_reader_next(FrameReader *reader, Frame *ret);
/* For roles: waits until there is a frame. 0, -EPIPE at the end of the stream, -EBADMSG. */
int frame_receive(FrameReader *reader, int fd, Frame *ret);

/* Fields, from the front of a frame. -EBADMSG when the body has no such field. Bytes are borrowed. Text: a
 * string without NUL that fits into `ret` of `ret_size` bytes. */
int frame_take_u64(Frame *frame, uint64_t *ret);
int frame_take_bytes(Frame *frame, const uint8_t **ret, size_t *ret_size);
int frame_take_fixed(Frame *frame, void *ret, size_t size);
int frame_take_text(Frame *frame, char *ret, size_t ret_size);
/* The body has been used up. */
int frame_end(const Frame *frame);

/* Building: fields are appended to a body. */
int frame_put_u64(Buffer *body, uint64_t value);
int frame_put_bytes(Buffer *body, const void *data, size_t size);
int frame_put_text(Buffer *body, const char *text);

/* Writes a frame whole; waits when the socket is full, but -ETIMEDOUT when nothing is taken for half a
 * minute. -EPIPE, without a signal, when the other end is gone. */
int frame_send(int fd, FrameType type, const Buffer *body);
/* The same at once, for a small frame, with descriptors (SCM_RIGHTS) that stay the caller's. */
#define FRAME_DESCRIPTORS_MAX 8
int frame_send_descriptors(int fd, FrameType type, const Buffer *body, const int *fds, size_t count);
/* An Error as a frame, and back: *error is set from it. A code or errno that makes no sense becomes
 * ERROR_FAILED and EIO. Returns the negative errno. */
int frame_send_error(int fd, int r, const Error *error);
int frame_take_error(Frame *frame, Error *error);
