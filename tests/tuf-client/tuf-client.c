/* SPDX-License-Identifier: Apache-2.0 */

/* The client library over HTTP, with the command line that conformance suites drive:
 *
 *     tuf-client --metadata-dir D init ROOTFILE
 *     tuf-client --metadata-url U --metadata-dir D refresh
 *     tuf-client --metadata-url U --metadata-dir D --target-name N [--target-name N2 ...]
 *                --target-dir T --target-base-url TU download
 *
 * Exit status 0 or 1. Every file is asked for once, by GET, under the name the specification gives it. */

#include "tuf-client.h"
#include "file.h"
#include "options.h"
#include "percent.h"
#include "strv.h"
#include "tuf-store-folder.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#define URL_MAX 65536
#define TARGET_MAX (1 * GIB)
#define PATH_KEPT "/!$&'()*+,;=:@" /* what may stand in a path unencoded (RFC 3986) */

typedef struct Arguments {
        const char *metadata_url, *metadata_dir, *target_dir, *target_base_url;
        char **target_names;
} Arguments;

static size_t receive(char *data, size_t one, size_t size, void *buffer)
{
        return buffer_append(buffer, data, one * size) < 0 ? 0 : one * size;
}

/* -ENOENT for the answers that mean "there is no such file". */
static int get_status(CURL *curl, CURLcode code, const char *url, Error *error)
{
        long status = 0;

        (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        if (code == CURLE_WRITE_ERROR)
                return -E2BIG;
        if (code != CURLE_OK)
                return error_set(error, ERROR_NETWORK, EIO, "%s: %s", url, curl_easy_strerror(code));
        if (status == 403 || status == 404)
                return -ENOENT;
        if (status != 200)
                return error_set(error, ERROR_NETWORK, EIO, "%s: the server answered %ld", url, status);
        return 0;
}

/* An error page must not count against the cap of the file. */
static size_t receive_if_good(char *data, size_t one, size_t size, void *pointer)
{
        void **pair = pointer;
        long status = 0;

        (void)curl_easy_getinfo((CURL *)pair[0], CURLINFO_RESPONSE_CODE, &status);
        return status == 200 ? receive(data, one, size, pair[1]) : one * size;
}

static int http_get(CURL *curl, const char *base, const char *path, Buffer *ret, Error *error)
{
        size_t length = strlen(base);
        _cleanup_free_ char *url = string_format(
                        "%s%s%s", base, length > 0 && base[length - 1] == '/' ? "" : "/", path);
        void *pair[] = { curl, ret };

        if (!url)
                return error_oom(error);
        curl_easy_reset(curl);
        (void)curl_easy_setopt(curl, CURLOPT_URL, url);
        (void)curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
        /* On a connection that is used again curl would repeat a request that the server did not answer. */
        (void)curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
        (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "127.0.0.1,localhost,::1");
        (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
        (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 30L);
        (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive_if_good);
        (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, pair);
        return get_status(curl, curl_easy_perform(curl), url, error);
}

typedef struct HttpTransport {
        CURL *curl;
        const char *base;
} HttpTransport;

static int fetch_metadata(void *data, const char *name, Buffer *ret, Error *error)
{
        HttpTransport *transport = data;

        return http_get(transport->curl, transport->base, name, ret, error);
}

/* Whether a target's path names a file below the target folder, and no other. */
static bool is_plain_path(const char *path)
{
        const char *p = path;

        for (;;) {
                size_t length = strcspn(p, "/");

                if (length == 0 || length > 200 || (length <= 2 && strspn(p, ".") >= length))
                        return false;
                if (!p[length])
                        return true;
                p += length + 1;
        }
}

/* Where a target is kept: under its own path if that is harmless, else under its encoded form. */
static int target_file(const char *folder, const char *path, char **ret)
{
        _cleanup_buffer_ Buffer name = BUFFER_WITH_CAP(URL_MAX);
        int r = is_plain_path(path) ? buffer_append_string(&name, path) : percent_encode(&name, path, NULL);

        if (r < 0)
                return r;
        if (strcmp((char *)name.data, ".") == 0 || strcmp((char *)name.data, "..") == 0)
                return -EINVAL;
        *ret = path_join(folder, (char *)name.data);
        return *ret ? 0 : -ENOMEM;
}

static bool is_cached(const char *file, const TufTarget *target)
{
        _cleanup_free_ char *data = NULL;
        size_t size;

        return file_read(AT_FDCWD, file, target->size_bytes, &data, &size) >= 0 &&
               tuf_target_verify(target, data, size, NULL) >= 0;
}

static int store_target(const char *file, const Buffer *bytes, Error *error)
{
        _cleanup_free_ char *folder = strdup(file);
        int r;

        if (!folder)
                return error_oom(error);
        *strrchr(folder, '/') = 0;
        r = directory_make(AT_FDCWD, folder, 0755);
        if (r >= 0)
                r = file_replace(AT_FDCWD, file, bytes->data ? (const void *)bytes->data : "", bytes->size,
                                0644);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot write %s: %s", file, strerror(-r)) : 0;
}

static int download_one(
                TufClient *client, CURL *curl, const Arguments *arguments, const char *name, Error *error)
{
        _cleanup_(tuf_target_freep) TufTarget *target = NULL;
        _cleanup_buffer_ Buffer bytes = { 0 }, path = BUFFER_WITH_CAP(URL_MAX);
        _cleanup_free_ char *file = NULL;
        int r = tuf_client_find_target(client, name, &target, error);

        if (r < 0)
                return r;
        if (target_file(arguments->target_dir, name, &file) < 0 ||
                        percent_encode(&path, target->download_path, PATH_KEPT) < 0)
                return error_set(error, ERROR_FAILED, EINVAL, "the target's name cannot be used");
        if (target->size_bytes > TARGET_MAX)
                return error_set(error, ERROR_FAILED, E2BIG, "the target is too big for this program");
        if (is_cached(file, target))
                return 0;
        bytes.cap = target->size_bytes;
        r = http_get(curl, arguments->target_base_url, (char *)path.data, &bytes, error);
        if (r < 0)
                return error_set(error, ERROR_NETWORK, -r, "cannot download %s: %s", name, strerror(-r));
        r = tuf_target_verify(target, bytes.data, bytes.size, error);
        return r < 0 ? r : store_target(file, &bytes, error);
}

static int init(const Arguments *arguments, const char *root_file, Error *error)
{
        TufStore store = tuf_store_folder(arguments->metadata_dir);
        _cleanup_free_ char *root = NULL;
        size_t size;
        int r = directory_make(AT_FDCWD, arguments->metadata_dir, 0755);

        if (r >= 0)
                r = file_read(AT_FDCWD, root_file, TUF_ROOT_MAX, &root, &size);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read %s: %s", root_file, strerror(-r));
        return store.save(store.data, "root", root, size, error);
}

static int with_client(const Arguments *arguments, bool is_download, Error *error)
{
        HttpTransport http = { curl_easy_init(), arguments->metadata_url };
        TufTransport transport = { fetch_metadata, &http };
        TufStore store = tuf_store_folder(arguments->metadata_dir);
        TufClient *client = NULL;
        int r;

        if (!http.curl)
                return error_oom(error);
        r = tuf_client_new(&transport, &store, time(NULL), &client, error);
        if (r >= 0)
                r = tuf_client_refresh(client, error);
        for (char **name = arguments->target_names; is_download && r >= 0 && name && *name; name++)
                r = download_one(client, http.curl, arguments, *name, error);
        tuf_client_free(client);
        curl_easy_cleanup(http.curl);
        return r;
}

static int run(const Arguments *arguments, char *const *words, int count, Error *error)
{
        if (count == 2 && strcmp(words[0], "init") == 0 && arguments->metadata_dir)
                return init(arguments, words[1], error);
        if (count == 1 && arguments->metadata_dir && arguments->metadata_url) {
                if (strcmp(words[0], "refresh") == 0)
                        return with_client(arguments, false, error);
                if (strcmp(words[0], "download") == 0 && arguments->target_names && arguments->target_dir &&
                                arguments->target_base_url)
                        return with_client(arguments, true, error);
        }
        return error_set(error, ERROR_USAGE, EINVAL,
                        "expected init ROOTFILE, refresh or download with their options");
}

int main(int argc, char **argv)
{
        Arguments arguments = { 0 };
        const Option options[] = {
                { "metadata-url", 0, OPTION_STRING, &arguments.metadata_url, "URL",
                                "where the metadata is served" },
                { "metadata-dir", 0, OPTION_STRING, &arguments.metadata_dir, "DIR", "where it is kept" },
                { "target-name", 0, OPTION_LIST, &arguments.target_names, "NAME", "target to download" },
                { "target-dir", 0, OPTION_STRING, &arguments.target_dir, "DIR", "where targets go" },
                { "target-base-url", 0, OPTION_STRING, &arguments.target_base_url, "URL",
                                "where they are served" },
                { 0 },
        };
        Error error = { 0 };
        char **words;
        bool is_help;
        int count, r;

        r = options_parse(argc, argv, options, &words, &count, &is_help, &error);
        if (r >= 0 && is_help) {
                options_print_help("tuf-client", "[OPTION...] init|refresh|download", "A plain TUF client.",
                                options);
                return 0;
        }
        if (r >= 0)
                r = run(&arguments, words, count, &error);
        if (r < 0)
                (void)program_exit("tuf-client", r, &error, false);
        strv_free(arguments.target_names);
        return r < 0 ? 1 : 0;
}
