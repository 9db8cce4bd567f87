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

typedef struct Fetch {
        char **mirrors;
        Buffer authorities; /* PEM */
        HttpClient *http;
        MemoryStore trusted; /* by role */
        TufClient *tuf;
} Fetch;

static void tell_fetched(void *data, uint64_t received_bytes)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(64);
        if (frame_put_u64(&body, received_bytes) >= 0)
                (void)frame_send(ROLE_FD_CONTROL, FRAME_FETCHED, &body);
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

static int send_metadata(FrameType type, const char *name, const Buffer *bytes, Error *error)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(FRAME_BODY_MAX);
        int r = frame_put_text(&body, name);
        if (r >= 0 && bytes)
                r = frame_put_bytes(&body, bytes->data, bytes->size);
        if (r >= 0)
                r = frame_send(ROLE_FD_CONTROL, type, &body);
        return r < 0 ? error_set(error, ERROR_FAILED, -r, "cannot pass on %s: %s", name, strerror(-r)) : 0;
}

static int transport_fetch(void *data, const char *name, Buffer *ret, Error *error)
{
        Fetch *fetch = data;
        char path[PATH_MAX_BYTES];

        if (snprintf(path, sizeof(path), "metadata/%s", name) >= (int)sizeof(path))
                return error_set(error, ERROR_UNTRUSTED, ENAMETOOLONG,
                                "the name of a metadata file is too long");
        int r = http_get(fetch->http, path, is_absence_normal(name), ret, error);
        if (r == -ENOENT && is_absence_normal(name)) {
                int sent = send_metadata(FRAME_METADATA_ABSENT, name, NULL, error);
                return sent < 0 ? sent : r;
        }
        return r < 0 ? r : send_metadata(FRAME_METADATA, name, ret, error);
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
        return r < 0 ? error_set(error, ERROR_UNTRUSTED, -r, "there is too much metadata") : 0;
}

static int store_remove(void *data, const char *role, Error *error)
{
        Fetch *fetch = data;
        memory_store_remove(&fetch->trusted, role);
        return 0;
}

static int do_setup(Fetch *fetch, Frame *frame, Error *error)
{
        HttpOptions options = { .progress = tell_fetched };
        const uint8_t *authorities;
        size_t authorities_size;
        uint64_t count = 0;
        char url[URL_MAX_BYTES];

        if (fetch->http || frame_take_u64(frame, &options.bandwidth_bytes) < 0 ||
                        frame_take_u64(frame, &options.timeout_seconds) < 0 ||
                        frame_take_u64(frame, &options.retry_seconds) < 0 ||
                        frame_take_bytes(frame, &authorities, &authorities_size) < 0 ||
                        frame_take_u64(frame, &count) < 0 || count > HTTP_MIRRORS_MAX)
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
        char role[MEMORY_STORE_NAME_MAX];
        const uint8_t *data;
        size_t size;
        if (frame_take_text(frame, role, sizeof(role)) < 0 || frame_take_bytes(frame, &data, &size) < 0 ||
                        frame_end(frame) < 0)
                return bad_frame(error);
        return store_save(fetch, role, data, size, error);
}

static int do_refresh(Fetch *fetch, Frame *frame, Error *error)
{
        TufTransport transport = { .fetch = transport_fetch, .data = fetch };
        TufStore store = { store_load, store_save, store_remove, fetch };
        uint64_t now;
        if (!fetch->http || fetch->tuf || frame_take_u64(frame, &now) < 0 || frame_end(frame) < 0)
                return bad_frame(error);
        int r = tuf_client_new(&transport, &store, (int64_t)now, &fetch->tuf, error);
        if (r >= 0)
                r = tuf_client_refresh(fetch->tuf, error);
        if (r < 0)
                return r;
        return frame_send(ROLE_FD_CONTROL, FRAME_REFRESHED, NULL);
}

static int send_target(const Buffer *bytes, Error *error)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(FRAME_BODY_MAX);
        if (frame_put_bytes(&body, bytes ? bytes->data : NULL, bytes ? bytes->size : 0) < 0)
                return error_oom(error);
        return frame_send(ROLE_FD_CONTROL, FRAME_TARGET, &body);
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
        r = http_get(fetch->http, path, false, &bytes, error);
        if (r >= 0)
                r = tuf_target_verify(target, bytes.data, bytes.size, error);
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
                        (void)frame_send_error(ROLE_FD_CONTROL, r, &error);
        }
        tuf_client_free(fetch.tuf);
        http_client_free(fetch.http);
        strv_free(fetch.mirrors);
        memory_store_done(&fetch.trusted);
        buffer_done(&fetch.authorities);
        return r < 0 && r != -EPIPE ? EXIT_FAILURE : EXIT_SUCCESS;
}
