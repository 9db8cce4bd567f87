/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch.h"

#include "frames.h"
#include "http.h"
#include "memory-store.h"
#include "roles.h"
#include "strv.h"
#include "tuf-client.h"

#include <string.h>

#define PATH_MAX_BYTES 1024
#define URL_MAX_BYTES 2048
#define TIMESTAMP_FILE "timestamp.json"

typedef struct Fetch {
        char **mirrors;
        Buffer authorities; /* PEM */
        HttpClient *http;
        MemoryStore given;        /* trusted metadata as it came, by role */
        char etag[HTTP_ETAG_MAX]; /* of the timestamp among it; "": none */
        MemoryStore trusted;      /* the same, and what a refresh has verified */
        TufClient *tuf;
} Fetch;

static void tell_fetched(void *data, uint64_t received_bytes)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(64);
        if (frame_put_u64(&body, received_bytes) >= 0)
                (void)frame_send(ROLE_FD_CONTROL, FRAME_FETCHED, &body);
}

static void tell_mirror(void *data, size_t number, bool is_good)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(64);
        if (frame_put_u64(&body, number) >= 0 && frame_put_u64(&body, is_good) >= 0)
                (void)frame_send(ROLE_FD_CONTROL, FRAME_MIRROR, &body);
}

static int bad_frame(Error *error)
{
        return error_set(error, ERROR_FAILED, EBADMSG, "fetch got a frame that makes no sense");
}

/* Roots are asked for until there is none: then, and only then, absence is an answer. */
static bool is_absence_normal(const char *name)
{
        size_t digits = strspn(name, "0123456789");
        return digits > 0 && strcmp(name + digits, ".root.json") == 0;
}

static int send_metadata(
                FrameType type, const char *name, const char *etag, const Buffer *bytes, Error *error)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(FRAME_BODY_MAX);
        int r = frame_put_text(&body, name);
        if (r >= 0 && bytes)
                r = frame_put_text(&body, etag);
        if (r >= 0 && bytes)
                r = frame_put_bytes(&body, bytes->data, bytes->size);
        if (r >= 0)
                r = frame_send(ROLE_FD_CONTROL, type, &body);
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "cannot pass on %s: %s", name, strerror(-r)) : 0;
}

/* The one file that changes under its name, and that every host asks for again and again. */
static int fetch_timestamp(Fetch *fetch, const char *path, Buffer *ret, Error *error)
{
        const MemoryPiece *known = memory_store_find(&fetch->given, "timestamp");
        char etag[HTTP_ETAG_MAX] = "";
        int r = http_get_unless(fetch->http, path, known ? fetch->etag : "", ret, etag, error);
        if (r < 0)
                return r;
        if (r > 0)
                memcpy(etag, fetch->etag, sizeof(etag));
        if (r > 0 && buffer_append(ret, known->data, known->size) < 0)
                return error_oom(error);
        return send_metadata(FRAME_METADATA, TIMESTAMP_FILE, etag, ret, error);
}

static int transport_fetch(void *data, const char *name, Buffer *ret, Error *error)
{
        Fetch *fetch = data;
        char path[PATH_MAX_BYTES];

        if (snprintf(path, sizeof(path), "metadata/%s", name) >= (int)sizeof(path))
                return error_set(error, ERROR_UNTRUSTED, ENAMETOOLONG,
                                "the name of a metadata file is too long");
        if (strcmp(name, TIMESTAMP_FILE) == 0)
                return fetch_timestamp(fetch, path, ret, error);
        int r = http_get(fetch->http, path, is_absence_normal(name), ret, error);
        if (r == -ENOENT && is_absence_normal(name)) {
                int sent = send_metadata(FRAME_METADATA_ABSENT, name, "", NULL, error);
                return sent < 0 ? sent : r;
        }
        return r < 0 ? r : send_metadata(FRAME_METADATA, name, "", ret, error);
}

static int store_load(void *data, const char *role, Buffer *ret, Error *error)
{
        const Fetch *fetch = data;
        const MemoryPiece *piece = memory_store_find(&fetch->trusted, role);
        if (!piece)
                return -ENOENT;
        return buffer_append(ret, piece->data, piece->size);
}

static int store_save(void *data, const char *role, const void *bytes, size_t size, Error *error)
{
        Fetch *fetch = data;
        int r = memory_store_put(&fetch->trusted, role, bytes, size);
        /* A root counts from when it was seen: for the next mirror too, which may know of no such one. */
        if (r >= 0 && strcmp(role, "root") == 0)
                r = memory_store_put(&fetch->given, role, bytes, size);
        return r < 0 ? error_set(error, ERROR_UNTRUSTED, -r, "there is too much metadata") : 0;
}

/* What a root takes away is taken away for the next mirror, too. */
static int store_remove(void *data, const char *role, Error *error)
{
        Fetch *fetch = data;
        memory_store_remove(&fetch->trusted, role);
        memory_store_remove(&fetch->given, role);
        return 0;
}

static int do_setup(Fetch *fetch, Frame *frame, Error *error)
{
        HttpOptions options = { .progress = tell_fetched, .mirror = tell_mirror };
        const uint8_t *authorities;
        size_t authorities_size;
        uint64_t count = 0;
        char url[URL_MAX_BYTES];

        if (fetch->http || frame_take_u64(frame, &options.bandwidth_bytes) < 0 ||
                        frame_take_u64(frame, &options.timeout_seconds) < 0 ||
                        frame_take_u64(frame, &options.retry_seconds) < 0 ||
                        frame_take_bytes(frame, &authorities, &authorities_size) < 0 ||
                        frame_take_u64(frame, &count) < 0 || count > MIRRORS_MAX)
                return bad_frame(error);
        for (uint64_t i = 0; i < count; i++) {
                if (frame_take_text(frame, url, sizeof(url)) < 0)
                        return bad_frame(error);
                if (strv_append(&fetch->mirrors, url) < 0)
                        return error_oom(error);
        }
        if (frame_end(frame) < 0)
                return bad_frame(error);
        if (buffer_append(&fetch->authorities, authorities, authorities_size) < 0)
                return error_oom(error);
        options.ca_data = fetch->authorities.data;
        options.ca_size = fetch->authorities.size;
        options.mirrors = fetch->mirrors;
        return http_client_new(&options, &fetch->http, error);
}

static int do_trusted(Fetch *fetch, Frame *frame, Error *error)
{
        char role[MEMORY_STORE_NAME_MAX], etag[HTTP_ETAG_MAX];
        const uint8_t *data;
        size_t size;
        if (frame_take_text(frame, role, sizeof(role)) < 0 ||
                        frame_take_text(frame, etag, sizeof(etag)) < 0 ||
                        frame_take_bytes(frame, &data, &size) < 0 || frame_end(frame) < 0)
                return bad_frame(error);
        if (strcmp(role, "timestamp") == 0)
                memcpy(fetch->etag, etag, sizeof(etag));
        int r = memory_store_put(&fetch->given, role, data, size);
        return r < 0 ? error_set(error, ERROR_UNTRUSTED, -r, "there is too much metadata") : 0;
}

/* From what was given, and roots that were seen since, beginning with that mirror. */
static int refresh_from(Fetch *fetch, size_t mirror, int64_t now, Error *error)
{
        TufTransport transport = { .fetch = transport_fetch, .data = fetch };
        TufStore store = { store_load, store_save, store_remove, fetch };
        int r = 0;

        fetch->tuf = tuf_client_free(fetch->tuf);
        memory_store_done(&fetch->trusted);
        for (size_t i = 0; i < fetch->given.count && r >= 0; i++) {
                const MemoryPiece *piece = &fetch->given.pieces[i];
                r = memory_store_put(&fetch->trusted, piece->name, piece->data, piece->size);
        }
        if (r < 0)
                return error_set(error, ERROR_UNTRUSTED, -r, "there is too much metadata");
        http_begin_with(fetch->http, mirror);
        r = tuf_client_new(&transport, &store, now, &fetch->tuf, error);
        return r < 0 ? r : tuf_client_refresh(fetch->tuf, error);
}

/* A mirror that lies, is stale, or was asked in mid-change is no reason not to hear the next one. */
static bool may_another_mirror_do(int r, const Error *problem)
{
        return problem->code == ERROR_UNTRUSTED || r == -ENOENT;
}

static int do_refresh(Fetch *fetch, Frame *frame, Error *error)
{
        uint64_t now;
        int result = 0;
        if (!fetch->http || fetch->tuf || frame_take_u64(frame, &now) < 0 || frame_end(frame) < 0)
                return bad_frame(error);
        for (size_t i = 0; i < strv_length(fetch->mirrors); i++) {
                Error problem = { 0 };
                int r = refresh_from(fetch, i, (int64_t)now, &problem);
                if (r >= 0)
                        return frame_send(ROLE_FD_CONTROL, FRAME_REFRESHED, NULL);
                /* The first sentence stays: it is of the mirror that is preferred. */
                if (i == 0) {
                        result = r;
                        *error = problem;
                }
                if (!may_another_mirror_do(r, &problem))
                        break;
                if (r != -ENOENT)
                        http_distrust(fetch->http);
        }
        return result;
}

static int send_target(const Buffer *bytes, Error *error)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(FRAME_BODY_MAX);
        if (frame_put_bytes(&body, bytes ? bytes->data : NULL, bytes ? bytes->size : 0) < 0)
                return error_oom(error);
        return frame_send(ROLE_FD_CONTROL, FRAME_TARGET, &body);
}

/* From the first mirror that has it as it was signed. */
static int get_target(Fetch *fetch, const TufTarget *target, const char *path, Buffer *bytes, Error *error)
{
        int r = 0;
        for (size_t i = 0; i < strv_length(fetch->mirrors); i++) {
                r = http_get(fetch->http, path, false, bytes, error);
                if (r < 0)
                        return r;
                Error problem = { 0 };
                r = tuf_target_verify(target, bytes->data, bytes->size, &problem);
                if (r >= 0)
                        return 0;
                if (i + 1 == strv_length(fetch->mirrors))
                        return error_set(error, problem.code, -r, "%s", problem.message);
                http_distrust(fetch->http);
        }
        return r;
}

/* With most 0 only the way to the target is wanted: its delegations. */
static int do_target(Fetch *fetch, Frame *frame, Error *error)
{
        _cleanup_(tuf_target_freep) TufTarget *target = NULL;
        char name[PATH_MAX_BYTES], path[PATH_MAX_BYTES];
        uint64_t most;

        if (!fetch->tuf || frame_take_text(frame, name, sizeof(name)) < 0 ||
                        frame_take_u64(frame, &most) < 0 || frame_end(frame) < 0 ||
                        most > FRAME_BODY_MAX - KIB)
                return bad_frame(error);
        int r = tuf_client_find_target(fetch->tuf, name, &target, error);
        if (r < 0)
                return r;
        if (most == 0)
                return send_target(NULL, error);
        if (target->size_bytes > most)
                return error_set(error, ERROR_UNTRUSTED, E2BIG, "target %s is longer than it may be", name);
        if (snprintf(path, sizeof(path), "targets/%s", target->download_path) >= (int)sizeof(path))
                return error_set(error, ERROR_UNTRUSTED, ENAMETOOLONG, "the path of target %s is too long",
                                name);
        _cleanup_buffer_ Buffer bytes = BUFFER_WITH_CAP((size_t)target->size_bytes);
        r = get_target(fetch, target, path, &bytes, error);
        return r < 0 ? r : send_target(&bytes, error);
}

/* Is the payload there? Its first bytes say so. */
static int do_probe(Fetch *fetch, Frame *frame, Error *error)
{
        char name[PATH_MAX_BYTES], path[PATH_MAX_BYTES + 16];
        uint64_t size;
        if (!fetch->http || frame_take_text(frame, name, sizeof(name)) < 0 ||
                        frame_take_u64(frame, &size) < 0 || frame_end(frame) < 0 || size == 0 ||
                        size > FRAME_BODY_MAX - KIB)
                return bad_frame(error);
        (void)snprintf(path, sizeof(path), "targets/%s", name);
        _cleanup_buffer_ Buffer bytes = BUFFER_WITH_CAP((size_t)size);
        Error problem = { 0 };
        int r = http_get_range(fetch->http, path, 0, size, &bytes, &problem);
        if (r >= 0)
                return send_target(&bytes, error);
        /* Another payload may do instead, so this role lives on. */
        return frame_send_error(ROLE_FD_CONTROL, r, &problem);
}

static int do_stream(Fetch *fetch, Frame *frame, Error *error)
{
        char name[PATH_MAX_BYTES], path[PATH_MAX_BYTES + 16];
        uint64_t offset, size;
        if (!fetch->http || frame_take_text(frame, name, sizeof(name)) < 0 ||
                        frame_take_u64(frame, &offset) < 0 || frame_take_u64(frame, &size) < 0 ||
                        frame_end(frame) < 0 || size == 0 || offset > INT64_MAX - size)
                return bad_frame(error);
        (void)snprintf(path, sizeof(path), "targets/%s", name);
        int r = http_stream(fetch->http, path, offset, size, ROLE_FD_DATA, error);
        return r < 0 ? r : frame_send(ROLE_FD_CONTROL, FRAME_STREAMED, NULL);
}

typedef struct FetchOrder {
        FrameType type;
        int (*run)(Fetch *fetch, Frame *frame, Error *error);
} FetchOrder;

static const FetchOrder orders[] = {
        { FRAME_FETCH_SETUP, do_setup },
        { FRAME_FETCH_TRUSTED, do_trusted },
        { FRAME_FETCH_REFRESH, do_refresh },
        { FRAME_FETCH_TARGET, do_target },
        { FRAME_FETCH_PROBE, do_probe },
        { FRAME_FETCH_STREAM, do_stream },
};

static int run_order(Fetch *fetch, Frame *frame, Error *error)
{
        for (size_t i = 0; i < ELEMENTS(orders); i++)
                if (orders[i].type == (FrameType)frame->type)
                        return orders[i].run(fetch, frame, error);
        return bad_frame(error);
}

int fetch_main(void)
{
        _cleanup_frame_reader_ FrameReader reader = FRAME_READER(FRAME_BODY_MAX);
        Fetch fetch = { .authorities = BUFFER_WITH_CAP(FRAME_BODY_MAX) };
        Error error = { 0 };
        Frame frame;
        int r = 0;

        while (r >= 0) {
                r = frame_receive(&reader, ROLE_FD_CONTROL, &frame);
                if (r == -EPIPE)
                        break;
                if (r >= 0)
                        r = run_order(&fetch, &frame, &error);
                if (r < 0)
                        role_tell_failure(ROLE_FETCH, r, &error);
        }
        tuf_client_free(fetch.tuf);
        http_client_free(fetch.http);
        strv_free(fetch.mirrors);
        memory_store_done(&fetch.given);
        memory_store_done(&fetch.trusted);
        buffer_done(&fetch.authorities);
        return r < 0 && r != -EPIPE ? EXIT_FAILURE : EXIT_SUCCESS;
}
