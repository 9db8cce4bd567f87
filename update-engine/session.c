/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include "clock.h"
#include "file.h"
#include "memory-store.h"
#include "plan.h"
#include "strv.h"
#include "trust-store.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

#define AUTHORITIES_MAX (1 * MIB)
#define PROBE_MAX (1 * MIB)
#define RECEIVED_MAX (64 * MIB) /* of metadata, from all mirrors; a refresh keeps less than half of that */
#define LONGEST_SECONDS 3600    /* of a session; a fetch that was taken over may want to go on for ever */

struct Session {
        Operation *operation;
        RoleProcess process;
        FrameReader reader;
        MemoryStore brought; /* by file name; a piece without data: the server has none */
        MirrorOrder order;
        char etag[HTTP_ETAG_MAX]; /* of the timestamp that was brought */
        TrustStore store;
        TufClient *tuf;
        uint64_t received_before; /* of the operation, when this session began */
        uint64_t received;
        uint64_t started; /* monotonic seconds */
};

/* Time that fetch may be silent: each of its requests ends by itself before. */
static uint64_t patience_ms(const Session *session)
{
        const Config *config = session->operation->config;
        size_t mirrors = MAX_OF(strv_length(config->repositories), (size_t)1);
        return MIN_OF((config->timeout_seconds * 2 * mirrors + 30) * 1000, (uint64_t)INT32_MAX);
}

int fetch_setup_put(Buffer *body, const Config *config, const MirrorOrder *order, Error *error)
{
        _cleanup_free_ char *authorities = NULL;
        size_t authorities_size = 0;
        int r = 0;

        if (config->ca_file && *config->ca_file)
                r = file_read(AT_FDCWD, config->ca_file, AUTHORITIES_MAX, &authorities, &authorities_size);
        if (r < 0)
                return error_set(error, ERROR_CONFIG, -r, "cannot read CertificateAuthorities=%s: %s",
                                config->ca_file, strerror(-r));
        r = frame_put_u64(body, config->bandwidth_bytes);
        if (r >= 0)
                r = frame_put_u64(body, config->timeout_seconds);
        if (r >= 0)
                r = frame_put_u64(body, config->retry_seconds);
        if (r >= 0)
                r = frame_put_bytes(body, authorities, authorities_size);
        if (r >= 0)
                r = frame_put_u64(body, order->count);
        for (size_t i = 0; i < order->count && r >= 0; i++)
                r = frame_put_text(body, config->repositories[order->numbers[i]]);
        return r < 0 ? error_oom(error) : 0;
}

static int pass_failed(int r, Error *error)
{
        return error_set(error, ERROR_FAILED, -r, "cannot talk to role fetch: %s", strerror(-r));
}

/* METADATA and METADATA_ABSENT. */
static int keep_metadata(Session *session, Frame *frame, Error *error)
{
        char name[MEMORY_STORE_NAME_MAX], etag[HTTP_ETAG_MAX] = "";
        const uint8_t *data = NULL;
        size_t size = 0;
        int r = frame_take_text(frame, name, sizeof(name));
        if (r >= 0 && frame->type == FRAME_METADATA)
                r = frame_take_text(frame, etag, sizeof(etag));
        if (r >= 0 && frame->type == FRAME_METADATA)
                r = frame_take_bytes(frame, &data, &size);
        if (r >= 0)
                r = frame_end(frame);
        if (r >= 0)
                r = memory_store_put(
                                &session->brought, name, frame->type == FRAME_METADATA ? data : NULL, size);
        if (r >= 0 && strcmp(name, "timestamp.json") == 0)
                memcpy(session->etag, etag, sizeof(etag));
        return r < 0 ? error_set(error, ERROR_UNTRUSTED, -r, "fetch brought metadata that cannot be taken")
                     : 0;
}

/* A fetch that was taken over cannot keep an operation going by saying this again and again. */
static int note_received(Session *session, Frame *frame, Error *error)
{
        uint64_t received;
        if (frame_take_u64(frame, &received) < 0 || received < session->received)
                return error_set(error, ERROR_FAILED, EBADMSG, "fetch sent a frame that makes no sense");
        if (received > RECEIVED_MAX)
                return error_set(error, ERROR_NETWORK, EOVERFLOW,
                                "the servers sent far more metadata than there can be");
        session->received = received;
        session->operation->progress.fetched_bytes = session->received_before + received;
        return 0;
}

/* Receives until a frame of that type; keeps the metadata that comes before it. */
static int await_frame(Session *session, FrameType type, Frame *ret, Error *error)
{
        Operation *operation = session->operation;
        for (;;) {
                Frame frame;
                if (monotonic_seconds() - session->started > LONGEST_SECONDS)
                        return error_set(error, ERROR_NETWORK, ETIMEDOUT,
                                        "the repository's metadata does not come to an end");
                int r = operation_receive(operation, &session->process, &session->reader,
                                patience_ms(session), &frame, error);
                if (r < 0)
                        return r;
                if (frame.type == type) {
                        *ret = frame;
                        return 0;
                }
                if (frame.type == FRAME_METADATA || frame.type == FRAME_METADATA_ABSENT)
                        r = keep_metadata(session, &frame, error);
                else if (frame.type == FRAME_FETCHED)
                        r = note_received(session, &frame, error);
                else if (frame.type == FRAME_MIRROR)
                        r = operation_note_mirror(operation, &session->order, &frame, error);
                else
                        r = error_set(error, ERROR_FAILED, EBADMSG, "fetch sent a frame out of turn");
                if (r < 0)
                        return r;
        }
}

static int replay_fetch(void *data, const char *name, Buffer *ret, Error *error)
{
        const Session *session = data;
        const MemoryPiece *piece = memory_store_find(&session->brought, name);
        if (piece && !piece->data)
                return -ENOENT;
        if (!piece)
                return error_set(error, ERROR_UNTRUSTED, ENODATA, "fetch did not bring %s", name);
        int r = buffer_append(ret, piece->data, piece->size);
        return r < 0 ? error_set(error, ERROR_UNTRUSTED, -r, "%s is longer than it may be", name) : 0;
}

static int send_trusted(Session *session, Error *error)
{
        static const char *const roles[] = { "root", "timestamp", "snapshot", "targets" };
        for (size_t i = 0; i < ELEMENTS(roles); i++) {
                _cleanup_buffer_ Buffer bytes = BUFFER_WITH_CAP(TUF_TARGETS_MAX);
                _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(FRAME_BODY_MAX);
                TufStore store = trust_store_interface(&session->store);
                char etag[HTTP_ETAG_MAX] = "";
                int r = store.load(store.data, roles[i], &bytes, error);
                if (r == -ENOENT && i > 0)
                        continue;
                if (r < 0)
                        return r;
                if (strcmp(roles[i], "timestamp") == 0)
                        trust_store_etag(&session->store, etag);
                r = frame_put_text(&body, roles[i]);
                if (r >= 0)
                        r = frame_put_text(&body, etag);
                if (r >= 0)
                        r = frame_put_bytes(&body, bytes.data, bytes.size);
                if (r >= 0)
                        r = frame_send(session->process.control_fd, FRAME_FETCH_TRUSTED, &body);
                if (r < 0)
                        return pass_failed(r, error);
        }
        return 0;
}

static int start_fetch(Session *session, uint64_t now, Error *error)
{
        _cleanup_buffer_ Buffer setup = BUFFER_WITH_CAP(FETCH_SETUP_MAX), time = BUFFER_WITH_CAP(64);
        RoleLimits limits = { 0 };
        int r = operation_start_role(
                        session->operation, ROLE_FETCH, &limits, NULL, 0, &session->process, error);
        if (r < 0)
                return r;
        operation_order_mirrors(session->operation, &session->order);
        r = fetch_setup_put(&setup, session->operation->config, &session->order, error);
        if (r < 0)
                return r;
        r = frame_send(session->process.control_fd, FRAME_FETCH_SETUP, &setup);
        if (r < 0)
                return pass_failed(r, error);
        r = send_trusted(session, error);
        if (r < 0)
                return r;
        r = frame_put_u64(&time, now);
        if (r >= 0)
                r = frame_send(session->process.control_fd, FRAME_FETCH_REFRESH, &time);
        return r < 0 ? pass_failed(r, error) : 0;
}

/* Verifies what fetch brought, and keeps each role that verifies. Nothing else that fetch says counts. */
static int replay(Session *session, uint64_t now, Error *error)
{
        TufTransport transport = { .fetch = replay_fetch, .data = session };
        TufStore store = trust_store_interface(&session->store);
        int r = tuf_client_new(&transport, &store, (int64_t)now, &session->tuf, error);
        return r < 0 ? r : tuf_client_refresh(session->tuf, error);
}

int session_open(Operation *operation, unsigned flags, Session **ret, Error *error)
{
        Frame frame;
        uint64_t now = flags & INSTALL_ALLOW_EXPIRED ? (uint64_t)INT64_MIN : operation->now;
        _cleanup_(session_freep) Session *session = calloc(1, sizeof(*session));
        if (!session)
                return error_oom(error);
        session->started = monotonic_seconds();
        session->operation = operation;
        session->process = ROLE_PROCESS_NONE;
        session->reader = FRAME_READER(FRAME_BODY_MAX);
        session->received_before = operation->progress.fetched_bytes;
        int r = trust_store_open(&session->store, operation->host, error);
        if (r >= 0)
                r = start_fetch(session, now, error);
        if (r >= 0)
                r = await_frame(session, FRAME_REFRESHED, &frame, error);
        /* A root that takes keys away counts from when it was seen, whatever failed after it. */
        if (r < 0 && session->brought.count > 0)
                (void)replay(session, now, NULL);
        if (r >= 0)
                r = replay(session, now, error);
        if (r < 0)
                return r;
        trust_store_note_etag(&session->store, session->etag);
        *ret = TAKE_PTR(session);
        return 0;
}

Session *session_free(Session *session)
{
        if (!session)
                return NULL;
        role_stop(&session->process);
        tuf_client_free(session->tuf);
        frame_reader_done(&session->reader);
        memory_store_done(&session->brought);
        trust_store_close(&session->store);
        free(session);
        return NULL;
}

/* Lets fetch bring a target (or, with most 0, the metadata of the delegations on the way to it). */
static int ask_target(Session *session, const char *path, uint64_t most, Frame *ret, Error *error)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(4 * KIB);
        int r = frame_put_text(&body, path);
        if (r >= 0)
                r = frame_put_u64(&body, most);
        if (r >= 0)
                r = frame_send(session->process.control_fd, FRAME_FETCH_TARGET, &body);
        return r < 0 ? pass_failed(r, error) : await_frame(session, FRAME_TARGET, ret, error);
}

int session_get(Session *session, const char *target_path, Buffer *ret, Error *error)
{
        _cleanup_(tuf_target_freep) TufTarget *target = NULL;
        const uint8_t *data;
        size_t size;
        Frame frame;

        int r = ask_target(session, target_path, ret->cap, &frame, error);
        if (r < 0)
                return r;
        if (frame_take_bytes(&frame, &data, &size) < 0 || frame_end(&frame) < 0)
                return error_set(error, ERROR_FAILED, EBADMSG, "fetch sent a frame that makes no sense");
        r = tuf_client_find_target(session->tuf, target_path, &target, error);
        if (r >= 0)
                r = tuf_target_verify(target, data, size, error);
        if (r < 0)
                return r;
        r = buffer_append(ret, data, size);
        return r < 0 ? error_set(error, ERROR_UNTRUSTED, -r, "target %s is longer than it may be",
                                       target_path)
                     : 0;
}

int session_locate(Session *session, const char *target_path, uint64_t size_bytes,
                const uint8_t sha256[static SHA256_SIZE], char **ret, Error *error)
{
        _cleanup_(tuf_target_freep) TufTarget *target = NULL;
        Frame frame;
        int r = ask_target(session, target_path, 0, &frame, error);
        if (r >= 0)
                r = tuf_client_find_target(session->tuf, target_path, &target, error);
        if (r < 0)
                return r;
        if (target->size_bytes != size_bytes ||
                        (target->has_sha256 && memcmp(target->sha256, sha256, SHA256_SIZE) != 0))
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "manifest and repository disagree about length or hash of %s", target_path);
        *ret = strdup(target->download_path);
        return *ret ? 0 : error_oom(error);
}

int session_probe(Session *session, const char *download_path, uint64_t index_size_bytes,
                const uint8_t index_sha256[static SHA256_SIZE], Error *error)
{
        _cleanup_buffer_ Buffer body = BUFFER_WITH_CAP(4 * KIB);
        uint64_t size = MIN_OF(index_size_bytes, PROBE_MAX);
        const uint8_t *data;
        uint8_t hash[SHA256_SIZE];
        size_t got;
        Frame frame;

        int r = frame_put_text(&body, download_path);
        if (r >= 0)
                r = frame_put_u64(&body, size);
        if (r >= 0)
                r = frame_send(session->process.control_fd, FRAME_FETCH_PROBE, &body);
        if (r < 0)
                return pass_failed(r, error);
        r = await_frame(session, FRAME_TARGET, &frame, error);
        if (r < 0)
                return r;
        if (frame_take_bytes(&frame, &data, &got) < 0 || frame_end(&frame) < 0 || got != size)
                return error_set(error, ERROR_FAILED, EBADMSG, "fetch sent a frame that makes no sense");
        /* Where there are more mirrors, another may be right: the transfer finds out. */
        if (strv_length(session->operation->config->repositories) > 1)
                return 0;
        sha256_of(data, got, hash);
        if (size == index_size_bytes && memcmp(hash, index_sha256, SHA256_SIZE) != 0)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "%s does not begin with what was signed",
                                download_path);
        return 0;
}
