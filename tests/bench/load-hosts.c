/* SPDX-License-Identifier: Apache-2.0 */
/* Many hosts that look for releases, in one process: each has trusted metadata of its own, and asks with the
 * engine's own HTTP and TUF clients what role fetch asks (update-engine/fetch.c).
 *
 *     load-hosts URL ROOT.json HOSTS WORKERS
 *
 * For each line "TARGET..." of standard input all hosts look once, each over a connection of its own, and
 * bring these targets; then a line of JSON tells what it took. */
#include "clock.h"
#include "file.h"
#include "http.h"
#include "memory-store.h"
#include "tuf-client.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <time.h>

#include <curl/curl.h>
#include <string.h>

#define LINE_BYTES 1024

typedef struct HostState {
        MemoryStore trusted;
        char etag[HTTP_ETAG_MAX];
} HostState;

/* One look of one host. */
typedef struct Look {
        HostState *host;
        HttpClient *http;
        TufClient *tuf;
        char *url;
} Look;

typedef struct Round {
        HostState *hosts;
        size_t count, next;
        char *url, *targets;
        size_t failed;
        uint64_t bytes;
        pthread_mutex_t lock;
} Round;

static int fetch(void *data, const char *name, Buffer *ret, Error *error)
{
        Look *look = data;
        char path[LINE_BYTES], etag[HTTP_ETAG_MAX] = "";
        const MemoryPiece *known = memory_store_find(&look->host->trusted, "timestamp");
        (void)snprintf(path, sizeof(path), "metadata/%s", name);
        if (strcmp(name, "timestamp.json") != 0)
                return http_get(look->http, path, strstr(name, ".root.json") != NULL, ret, error);
        int r = http_get_unless(look->http, path, known ? look->host->etag : "", ret, etag, error);
        if (r > 0)
                return buffer_append(ret, known->data, known->size);
        if (r == 0)
                memcpy(look->host->etag, etag, sizeof(etag));
        return r;
}

static int load(void *data, const char *role, Buffer *ret, Error *error)
{
        const Look *look = data;
        const MemoryPiece *piece = memory_store_find(&look->host->trusted, role);
        return piece ? buffer_append(ret, piece->data, piece->size) : -ENOENT;
}

static int save(void *data, const char *role, const void *bytes, size_t size, Error *error)
{
        const Look *look = data;
        return memory_store_put(&look->host->trusted, role, bytes, size);
}

static int forget(void *data, const char *role, Error *error)
{
        const Look *look = data;
        memory_store_remove(&look->host->trusted, role);
        return 0;
}

static int bring(Look *look, const char *name, Error *error)
{
        _cleanup_(tuf_target_freep) TufTarget *target = NULL;
        char path[LINE_BYTES];
        int r = tuf_client_find_target(look->tuf, name, &target, error);
        if (r < 0)
                return r;
        _cleanup_buffer_ Buffer bytes = BUFFER_WITH_CAP((size_t)target->size_bytes);
        (void)snprintf(path, sizeof(path), "targets/%s", target->download_path);
        r = http_get(look->http, path, false, &bytes, error);
        return r < 0 ? r : tuf_target_verify(target, bytes.data, bytes.size, error);
}

static int look_once(Look *look, const char *targets, Error *error)
{
        char *mirrors[] = { look->url, NULL }, line[LINE_BYTES], *rest = NULL;
        HttpOptions options = { .mirrors = mirrors, .timeout_seconds = 30 };
        TufTransport transport = { .fetch = fetch, .data = look };
        TufStore store = { load, save, forget, look };

        int r = http_client_new(&options, &look->http, error);
        if (r >= 0)
                r = tuf_client_new(&transport, &store, (int64_t)time(NULL), &look->tuf, error);
        if (r >= 0)
                r = tuf_client_refresh(look->tuf, error);
        (void)snprintf(line, sizeof(line), "%s", targets);
        for (char *name = strtok_r(line, " \n", &rest); name && r >= 0; name = strtok_r(NULL, " \n", &rest))
                r = bring(look, name, error);
        return r;
}

static void *work(void *data)
{
        Round *round = data;
        for (;;) {
                (void)pthread_mutex_lock(&round->lock);
                size_t number = round->next++;
                (void)pthread_mutex_unlock(&round->lock);
                if (number >= round->count)
                        return NULL;
                Error error = { 0 };
                Look look = { .host = &round->hosts[number], .url = round->url };
                int r = look_once(&look, round->targets, &error);
                (void)pthread_mutex_lock(&round->lock);
                if (r < 0 && round->failed++ == 0)
                        (void)fprintf(stderr, "load-hosts: %s\n", error.message);
                round->bytes += look.http ? http_received_bytes(look.http) : 0;
                (void)pthread_mutex_unlock(&round->lock);
                tuf_client_free(look.tuf);
                http_client_free(look.http);
        }
}

static double seconds_now(void)
{
        return (double)monotonic_ms() / 1000;
}

static int run_round(Round *round, size_t workers)
{
        pthread_t threads[64];
        size_t started = 0;
        double begun = seconds_now();
        round->next = round->failed = 0;
        round->bytes = 0;
        while (started < MIN_OF(workers, ELEMENTS(threads)) &&
                        pthread_create(&threads[started], NULL, work, round) == 0)
                started++;
        for (size_t i = 0; i < started; i++)
                (void)pthread_join(threads[i], NULL);
        (void)printf("{\"hosts\": %zu, \"failed\": %zu, \"bytes\": %" PRIu64 ", \"seconds\": %.3f}\n",
                        round->count, round->failed, round->bytes, seconds_now() - begun);
        return fflush(stdout) == 0 ? 0 : -EIO;
}

static int give_root(Round *round, const char *path)
{
        _cleanup_free_ char *root = NULL;
        size_t size = 0;
        int r = file_read(AT_FDCWD, path, TUF_ROOT_MAX, &root, &size);
        for (size_t i = 0; i < round->count && r >= 0; i++)
                r = memory_store_put(&round->hosts[i].trusted, "root", root, size);
        return r;
}

int main(int argc, char **argv)
{
        char line[LINE_BYTES];
        if (argc != 5)
                return ERROR_USAGE;
        Round round = { .url = argv[1],
                .count = strtoul(argv[3], NULL, 10),
                .targets = line,
                .lock = PTHREAD_MUTEX_INITIALIZER };
        size_t workers = strtoul(argv[4], NULL, 10);
        (void)curl_global_init(CURL_GLOBAL_DEFAULT);
        round.hosts = calloc(round.count, sizeof(*round.hosts));
        if (!round.hosts || give_root(&round, argv[2]) < 0)
                return ERROR_FAILED;
        while (fgets(line, sizeof(line), stdin) && run_round(&round, workers) >= 0)
                ;
        for (size_t i = 0; i < round.count; i++)
                memory_store_done(&round.hosts[i].trusted);
        free(round.hosts);
        return 0;
}
