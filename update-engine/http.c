/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include "clock.h"
#include "file.h"
#include "http-headers.h"
#include "http-pause.h"
#include "strv.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#define REDIRECTS_MAX 5
#define ROUNDS_MAX 3              /* through all mirrors without anything worth a connection */
#define WORTH_BYTES (16 * KIB)    /* what a connection must bring to be worth it, or half of what is left */
#define LOWEST_RATE UINT64_C(256) /* bytes a second over the whole timeout */
#define PROGRESS_MS 200
#define HEADERS_MAX (64 * KIB)

#define ANSWER_SLACK (128 * KIB) /* that an answer may be longer than what is wanted of it */

typedef enum Word { WORD_NONE, WORD_GOOD, WORD_BAD } Word;

struct HttpClient {
        HttpOptions options;
        CURL *curl;
        size_t mirror;           /* the one in use */
        uint64_t received;       /* in all */
        uint64_t reported_ms;    /* when progress was last told */
        Word words[MIRRORS_MAX]; /* last told of each mirror */
        char problem[CURL_ERROR_SIZE];
};

/* One request. */
typedef struct Transfer {
        HttpClient *client;
        Buffer *buffer;        /* http_get() */
        int fd;                /* http_stream() */
        uint64_t offset, size; /* asked for; size 0: the whole file */
        uint64_t done;         /* of `size` */
        uint64_t skip;         /* to drop: the server sent the file from its start */
        uint64_t range_first;
        uint64_t header_bytes, raw_bytes, raw_max;
        bool has_range, is_begun, is_encoded;
        const char *unless;               /* tag of the file that is known; "" or NULL: none */
        char etag[HTTP_ETAG_MAX];         /* of the answer; "": none */
        int64_t modified, date;           /* of the answer; -1: not told */
        int result;                       /* why a callback stopped the transfer */
        uint64_t window_ms, window_bytes; /* of the rate check */
} Transfer;

static size_t on_header(char *data, size_t one _unused_, size_t size, void *user)
{
        Transfer *transfer = user;
        char value[HTTP_ETAG_MAX];
        uint64_t last;

        transfer->header_bytes += size;
        if (transfer->header_bytes > HEADERS_MAX) {
                transfer->result = -EBADMSG;
                return 0;
        }
        if (size >= 5 && strncasecmp(data, "HTTP/", 5) == 0) { /* also the answer to a redirect */
                transfer->has_range = transfer->is_encoded = false;
                transfer->etag[0] = '\0';
                transfer->modified = transfer->date = -1;
        }
        if (http_header_value(data, size, "content-range:", value, sizeof(value)))
                transfer->has_range = http_parse_content_range(value, &transfer->range_first, &last) == 0;
        if (http_header_value(data, size, "content-encoding:", value, sizeof(value)))
                transfer->is_encoded = strncasecmp(value, "identity", 8) != 0;
        if (http_header_value(data, size, "etag:", value, sizeof(value)))
                (void)snprintf(transfer->etag, sizeof(transfer->etag), "%s",
                                http_etag_is_valid(value) ? value : "");
        if (http_header_value(data, size, "last-modified:", value, sizeof(value)))
                transfer->modified = curl_getdate(value, NULL);
        if (http_header_value(data, size, "date:", value, sizeof(value)))
                transfer->date = curl_getdate(value, NULL);
        return size;
}

/* Before the first byte of a body: is it what was asked for? */
static int begin_body(Transfer *transfer)
{
        long status = 0;
        (void)curl_easy_getinfo(transfer->client->curl, CURLINFO_RESPONSE_CODE, &status);
        transfer->is_begun = true;
        transfer->skip = 0;
        if (transfer->is_encoded)
                return -ENOTSUP;
        if (transfer->size == 0)
                return status == 200 ? 0 : -EPROTO;
        uint64_t wanted = transfer->offset + transfer->done;
        if (status == 206)
                return transfer->has_range && transfer->range_first == wanted ? 0 : -EPROTO;
        if (status != 200)
                return -EPROTO;
        transfer->skip = wanted; /* a server that knows no ranges */
        return 0;
}

static int take_body(Transfer *transfer, const uint8_t *data, size_t size)
{
        if (transfer->size == 0)
                return buffer_append(transfer->buffer, data, size);
        size_t skipped = (size_t)MIN_OF(transfer->skip, size);
        transfer->skip -= skipped;
        size_t useful = (size_t)MIN_OF(transfer->size - transfer->done, size - skipped);
        uint64_t before = (uint64_t)monotonic_ms();
        int r = transfer->buffer ? buffer_append(transfer->buffer, data + skipped, useful)
                                 : write_full(transfer->fd, data + skipped, useful);
        if (r < 0)
                return r;
        transfer->window_ms += (uint64_t)monotonic_ms() -
                               before; /* waiting for the disk is not the server's fault */
        transfer->done += useful;
        return 0;
}

static void tell_progress(HttpClient *client, bool always)
{
        uint64_t now = (uint64_t)monotonic_ms();
        if (!client->options.progress || (!always && now - client->reported_ms < PROGRESS_MS))
                return;
        client->reported_ms = now;
        client->options.progress(client->options.data, client->received);
}

static size_t on_body(char *data, size_t one _unused_, size_t size, void *user)
{
        Transfer *transfer = user;
        int r = transfer->is_begun ? 0 : begin_body(transfer);
        if (r >= 0) {
                transfer->window_bytes += size;
                r = take_body(transfer, (const uint8_t *)data, size);
        }
        if (r < 0) {
                transfer->result = r;
                return 0;
        }
        tell_progress(transfer->client, false);
        /* Everything is there: what the server sends beyond is not read. */
        return transfer->size > 0 && transfer->done == transfer->size ? 0 : size;
}

/* Called at least once a second: gives up on a server that sends nothing, or next to nothing. */
static int on_tick(void *user, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
        Transfer *transfer = user;
        const HttpOptions *options = &transfer->client->options;
        uint64_t now = (uint64_t)monotonic_ms();
        uint64_t rate = LOWEST_RATE;

        tell_progress(transfer->client, false);
        if (transfer->raw_bytes > transfer->raw_max) {
                transfer->result = -EOVERFLOW;
                return 1;
        }
        if (now < transfer->window_ms || now - transfer->window_ms < options->timeout_seconds * 1000)
                return 0;
        if (options->bandwidth_bytes > 0)
                rate = MIN_OF(rate, options->bandwidth_bytes / 4 + 1);
        if (transfer->window_bytes < rate * options->timeout_seconds) {
                transfer->result = -ETIMEDOUT;
                return 1;
        }
        transfer->window_ms = now;
        transfer->window_bytes = 0;
        return 0;
}

/* Counts everything that comes, also what no other callback sees: the body of a redirect, chunk headers. */
static int on_raw(CURL *curl, curl_infotype type, char *data, size_t size, void *user)
{
        Transfer *transfer = user;
        if (type != CURLINFO_DATA_IN && type != CURLINFO_HEADER_IN)
                return 0;
        transfer->raw_bytes += size;
        transfer->client->received += size;
        return 0;
}

static int set_options(HttpClient *client, Transfer *transfer, const char *url)
{
        CURL *curl = client->curl;
        const char *protocols = strncmp(url, "https:", 6) == 0 ? "https" : "http,https";
        CURLcode failed = CURLE_OK;

        curl_easy_reset(curl);
#define SET(option, value) failed = failed != CURLE_OK ? failed : curl_easy_setopt(curl, option, value)
        SET(CURLOPT_URL, url);
        SET(CURLOPT_PATH_AS_IS, 1L);
        SET(CURLOPT_PROTOCOLS_STR, "http,https");
        SET(CURLOPT_REDIR_PROTOCOLS_STR, protocols);
        SET(CURLOPT_FOLLOWLOCATION, 1L);
        SET(CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
        SET(CURLOPT_FAILONERROR, 1L);
        SET(CURLOPT_NOSIGNAL, 1L);
        SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
        SET(CURLOPT_USERAGENT, "bascule/" BASCULE_VERSION);
        SET(CURLOPT_CONNECTTIMEOUT, (long)client->options.timeout_seconds);
        SET(CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)client->options.bandwidth_bytes);
        SET(CURLOPT_ERRORBUFFER, client->problem);
        SET(CURLOPT_NOPROGRESS, 0L);
        SET(CURLOPT_XFERINFOFUNCTION, on_tick);
        SET(CURLOPT_XFERINFODATA, transfer);
        SET(CURLOPT_DEBUGFUNCTION, on_raw);
        SET(CURLOPT_DEBUGDATA, transfer);
        SET(CURLOPT_VERBOSE, 1L);
        SET(CURLOPT_HEADERFUNCTION, on_header);
        SET(CURLOPT_HEADERDATA, transfer);
        SET(CURLOPT_WRITEFUNCTION, on_body);
        SET(CURLOPT_WRITEDATA, transfer);
        struct curl_blob authorities = { (void *)client->options.ca_data, client->options.ca_size,
                CURL_BLOB_COPY };
        if (client->options.ca_size > 0)
                SET(CURLOPT_CAINFO_BLOB, &authorities);
#undef SET
        return failed == CURLE_OK ? 0 : -EINVAL;
}

static int network_error(
                HttpClient *client, const Transfer *transfer, const char *url, CURLcode code, Error *error)
{
        long status = 0;
        (void)curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
        if (transfer->result == -E2BIG)
                return error_set(error, ERROR_UNTRUSTED, E2BIG, "%s is longer than it may be", url);
        if (transfer->result == -EPIPE || transfer->result == -ENOMEM)
                return error_set(error, ERROR_FAILED, -transfer->result, "cannot pass on %s: %s", url,
                                strerror(-transfer->result));
        if (transfer->result == -ETIMEDOUT)
                return error_set(error, ERROR_NETWORK, ETIMEDOUT,
                                "the server sent next to nothing for %" PRIu64 " s: %s",
                                client->options.timeout_seconds, url);
        if (transfer->result == -EOVERFLOW)
                return error_set(error, ERROR_NETWORK, EOVERFLOW, "the server sends far more than %s is",
                                url);
        if (transfer->result == -ENOTSUP)
                return error_set(error, ERROR_NETWORK, ENOTSUP,
                                "the server encodes what it sends, which nobody asked it for: %s", url);
        if (transfer->result == -EPROTO)
                return error_set(error, ERROR_NETWORK, EPROTO,
                                "the server sent another part than was asked for: %s (status %ld)", url,
                                status);
        if (code == CURLE_HTTP_RETURNED_ERROR || code == CURLE_OK)
                return error_set(error, ERROR_NETWORK, EREMOTEIO, "the server answers %ld for %s", status,
                                url);
        return error_set(error, ERROR_NETWORK, EREMOTEIO, "cannot fetch %s: %s", url,
                        *client->problem ? client->problem : curl_easy_strerror(code));
}

/* A server that knows no ranges sends what comes before, and chunks need a little of their own. */
static uint64_t answer_max(const Transfer *transfer)
{
        uint64_t wanted = transfer->size > 0 ? transfer->offset + transfer->size : transfer->buffer->cap;
        return wanted + wanted / 4 + ANSWER_SLACK;
}

/* Which part is wanted, and unless which file. The headers are needed until the request is over. */
static int set_conditions(CURL *curl, const Transfer *transfer, struct curl_slist **ret_headers)
{
        char range[64], unless[HTTP_ETAG_MAX + 32];
        if (transfer->size > 0) {
                (void)snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64,
                                transfer->offset + transfer->done, transfer->offset + transfer->size - 1);
                return curl_easy_setopt(curl, CURLOPT_RANGE, range) == CURLE_OK ? 0 : -ENOMEM;
        }
        if (!transfer->unless || !*transfer->unless)
                return 0;
        (void)snprintf(unless, sizeof(unless), "If-None-Match: %s", transfer->unless);
        *ret_headers = curl_slist_append(NULL, unless);
        if (!*ret_headers)
                return -ENOMEM;
        return curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *ret_headers) == CURLE_OK ? 0 : -ENOMEM;
}

/* One request to the present mirror. */
static int request(HttpClient *client, const char *path, Transfer *transfer, Error *error)
{
        const char *base = client->options.mirrors[client->mirror];
        size_t length = strlen(base);
        _cleanup_free_ char *url = string_format(
                        "%s%s%s", base, length > 0 && base[length - 1] == '/' ? "" : "/", path);
        long status = 0;

        if (!url)
                return error_oom(error);
        client->problem[0] = '\0';
        transfer->client = client;
        transfer->is_begun = transfer->has_range = transfer->is_encoded = false;
        transfer->header_bytes = transfer->window_bytes = 0;
        transfer->result = 0;
        transfer->window_ms = (uint64_t)monotonic_ms();
        transfer->raw_bytes = 0;
        transfer->raw_max = answer_max(transfer);
        if (set_options(client, transfer, url) < 0)
                return error_set(error, ERROR_CONFIG, EINVAL, "libcurl does not take the address %s", url);
        struct curl_slist *headers = NULL;
        if (set_conditions(client->curl, transfer, &headers) < 0)
                return error_oom(error);
        CURLcode code = curl_easy_perform(client->curl);
        curl_slist_free_all(headers);
        if (transfer->size > 0 && transfer->done == transfer->size)
                return 0;
        (void)curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
        if (code == CURLE_HTTP_RETURNED_ERROR && (status == 403 || status == 404))
                return error_set(error, ERROR_NETWORK, ENOENT, "the server has no %s", url);
        if (code == CURLE_OK && status == 304 && transfer->unless && *transfer->unless)
                return 1;
        if (code == CURLE_OK && transfer->size == 0)
                return transfer->is_begun || status == 200
                                       ? 0
                                       : network_error(client, transfer, url, code, error);
        if (code == CURLE_OK)
                return error_set(error, ERROR_NETWORK, EREMOTEIO, "the server closed early: %s", url);
        return network_error(client, transfer, url, code, error);
}

/* Tells news of the mirror in use. */
static void tell_mirror(HttpClient *client, bool is_good)
{
        Word word = is_good ? WORD_GOOD : WORD_BAD;
        if (!client->options.mirror || client->words[client->mirror] == word)
                return;
        client->words[client->mirror] = word;
        client->options.mirror(client->options.data, client->mirror, is_good);
}

static void next_mirror(HttpClient *client)
{
        client->mirror = (client->mirror + 1) % strv_length(client->options.mirrors);
}

void http_distrust(HttpClient *client)
{
        tell_mirror(client, false);
        next_mirror(client);
}

void http_begin_with(HttpClient *client, size_t number)
{
        client->mirror = number % strv_length(client->options.mirrors);
}

/* What went wrong lies here and not with a server. */
static bool is_ours(int r)
{
        return r == -ENOMEM || r == -EPIPE;
}

/* Asks mirror after mirror, each once; `wanted` says what for, and then how it was answered. */
static int get(HttpClient *client, const char *path, Transfer *wanted, bool is_absence_normal, Error *error)
{
        size_t mirrors = strv_length(client->options.mirrors);
        for (size_t i = 0;; i++) {
                Error problem = { 0 };
                Transfer transfer = *wanted;
                buffer_clear(transfer.buffer);
                int r = request(client, path, &transfer, &problem);
                tell_progress(client, true);
                bool is_answer = r >= 0 || (r == -ENOENT && is_absence_normal);
                if (!is_ours(r))
                        tell_mirror(client, is_answer);
                if (is_answer) {
                        *wanted = transfer;
                        return r;
                }
                if (is_ours(r) || i + 1 >= mirrors) {
                        if (error && !error_is_set(error))
                                *error = problem;
                        return r;
                }
                next_mirror(client);
        }
}

int http_get(HttpClient *client, const char *path, bool is_absence_normal, Buffer *ret, Error *error)
{
        Transfer transfer = { .buffer = ret, .fd = -1 };
        return get(client, path, &transfer, is_absence_normal, error);
}

int http_get_unless(HttpClient *client, const char *path, const char *etag, Buffer *ret,
                char ret_etag[static HTTP_ETAG_MAX], Error *error)
{
        Transfer transfer = { .buffer = ret, .fd = -1, .unless = etag };
        int r = get(client, path, &transfer, false, error);
        if (r == 0)
                (void)snprintf(ret_etag, HTTP_ETAG_MAX, "%s",
                                http_etag_is_settled(transfer.modified, transfer.date) ? transfer.etag : "");
        return r;
}

static uint64_t any_number(void)
{
        uint64_t number = 0;
        if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number))
                number = (uint64_t)monotonic_ms() * 7919 + (uint64_t)getpid() * 104729;
        return number;
}

static void pause_for(uint64_t ms)
{
        struct timespec wait = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
        while (nanosleep(&wait, &wait) < 0 && errno == EINTR)
                ;
}

/* Goes on where the last connection stopped, until so many rounds through the mirrors have brought nothing.
 */
static int stream(HttpClient *client, const char *path, Transfer *transfer, size_t rounds, Error *error)
{
        size_t mirrors = strv_length(client->options.mirrors), failures = 0;

        for (size_t asked = 1; transfer->done < transfer->size; asked++) {
                Error problem = { 0 };
                uint64_t before = transfer->done;
                uint64_t worth = MIN_OF(WORTH_BYTES, (transfer->size - before + 1) / 2);
                int r = request(client, path, transfer, &problem);
                tell_progress(client, true);
                if (!is_ours(r))
                        tell_mirror(client, r >= 0);
                if (r >= 0)
                        break;
                failures = transfer->done - before >= worth ? 0 : failures + 1;
                size_t enough = r == -ENOENT ? mirrors : mirrors * rounds;
                if (is_ours(r) || failures >= enough) {
                        if (error && !error_is_set(error))
                                *error = problem;
                        return r;
                }
                next_mirror(client);
                /* Also when something came: who closes each connection is not asked as fast as can be. */
                if (asked % mirrors == 0)
                        pause_for(http_pause_ms(client->options.retry_seconds,
                                        (unsigned)(failures / mirrors), any_number()));
        }
        return 0;
}

int http_get_range(HttpClient *client, const char *path, uint64_t offset, uint64_t size, Buffer *ret,
                Error *error)
{
        Transfer transfer = { .buffer = ret, .fd = -1, .offset = offset, .size = size };
        return stream(client, path, &transfer, 1, error);
}

int http_stream(HttpClient *client, const char *path, uint64_t offset, uint64_t size, int fd, Error *error)
{
        Transfer transfer = { .fd = fd, .offset = offset, .size = size };
        return stream(client, path, &transfer, ROUNDS_MAX, error);
}

uint64_t http_received_bytes(const HttpClient *client)
{
        return client->received;
}

int http_client_new(const HttpOptions *options, HttpClient **ret, Error *error)
{
        if (strv_length(options->mirrors) == 0 || strv_length(options->mirrors) > MIRRORS_MAX)
                return error_set(error, ERROR_CONFIG, EDESTADDRREQ,
                                "no repository is configured: set Repository= in "
                                "/etc/bascule/engine.conf.d/90-local.conf");
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return error_set(error, ERROR_FAILED, EIO, "libcurl does not start");
        HttpClient *client = calloc(1, sizeof(*client));
        if (!client)
                return error_oom(error);
        client->options = *options;
        client->curl = curl_easy_init();
        if (!client->curl) {
                free(client);
                return error_oom(error);
        }
        *ret = client;
        return 0;
}

HttpClient *http_client_free(HttpClient *client)
{
        if (!client)
                return NULL;
        curl_easy_cleanup(client->curl);
        free(client);
        return NULL;
}
