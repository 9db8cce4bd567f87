/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* GET over libcurl from a list of mirrors, for role fetch only. Servers are hostile: they may hang, trickle,
 * send too much, another range, another encoding or redirect in circles. Paths are sent as they are given.
 * No more than what was asked for is read of an answer, but for a server that sends a file from its start.
 */

#include "buffer.h"
#include "error.h"
#include "http-headers.h"
#include "mirrors.h"

typedef struct HttpClient HttpClient;

typedef struct HttpOptions {
        char **mirrors;           /* strv of base URLs; borrowed */
        uint64_t bandwidth_bytes; /* a second; 0: no limit */
        uint64_t timeout_seconds; /* without progress worth the name */
        uint64_t retry_seconds;   /* before a mirror is asked again, the first time */
        const void *ca_data;      /* PEM certificates; NULL: the system's; borrowed */
        size_t ca_size;
        /* Called now and then with the bytes received since the client was made. */
        void (*progress)(void *data, uint64_t received_bytes);
        /* Called when a mirror begins to fail, or to serve; may be NULL. */
        void (*mirror)(void *data, size_t number, bool is_good);
        void *data;
} HttpOptions;

int http_client_new(const HttpOptions *options, HttpClient **ret, Error *error);
HttpClient *http_client_free(HttpClient *client);
DEFINE_CLEANUP(HttpClient *, http_client_free)

/* The whole file at BASE/path; the cap of `ret` is the most that is read. Mirrors that fail are left behind
 * for the client's life. -ENOENT (403 and 404; no Error is set) is an answer when `is_absence_normal`;
 * otherwise the next mirror is asked. -E2BIG past the cap. ERROR_NETWORK for everything else. */
int http_get(HttpClient *client, const char *path, bool is_absence_normal, Buffer *ret, Error *error);

/* The same, unless it is the file that a server has given this tag ("": none is known): 1 then, and nothing
 * in `ret`. With 0 comes the tag of what was brought, "" without one. */
int http_get_unless(HttpClient *client, const char *path, const char *etag, Buffer *ret,
                char ret_etag[static HTTP_ETAG_MAX], Error *error);

/* Writes `size` bytes from `offset` of BASE/path to a descriptor. Goes on where a broken connection stopped,
 * with the next mirror. Once all of them have been asked there is a pause, of a random length around one
 * that doubles each time that no mirror has brought anything worth a connection, until it is given up. */
int http_stream(HttpClient *client, const char *path, uint64_t offset, uint64_t size, int fd, Error *error);

/* The same into memory; one round, since it only asks whether the bytes are there. */
int http_get_range(HttpClient *client, const char *path, uint64_t offset, uint64_t size, Buffer *ret,
                Error *error);

/* What the mirror in use has brought is not what it should be: the next one is asked from now on. */
void http_distrust(HttpClient *client);
/* The mirror to ask first from now on. */
void http_begin_with(HttpClient *client, size_t number);

/* Everything that the servers have sent: headers, bodies, and what was dropped. */
uint64_t http_received_bytes(const HttpClient *client);
