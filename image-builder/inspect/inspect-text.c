/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"
#include "file.h"
#include "inspect.h"
#include "json.h"
#include "manifest.h"
#include "strv.h"
#include "utc.h"

#include <fcntl.h>
#include <string.h>

static int read_text(const char *path, size_t cap, char **ret, size_t *ret_size, Error *error)
{
        int r = file_read(AT_FDCWD, path, cap, ret, ret_size);

        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot read \"%s\": %s", path, strerror(-r)) : 0;
}

static json_t *payloads_json(const Manifest *manifest)
{
        json_t *array = json_array();

        for (ImageKind kind = 0; array && kind < IMAGE_KIND_MAX; kind++)
                for (size_t i = 0; i < manifest->images[kind].payload_count; i++) {
                        const PayloadReference *payload = &manifest->images[kind].payloads[i];
                        json_t *row = json_pack("{s:s, s:s, s:I, s:I, s:o, s:s}", "image",
                                        image_kind_name(kind), "type", payload->is_full ? "full" : "delta",
                                        "size", (json_int_t)payload->size_bytes, "decoder-memory",
                                        (json_int_t)payload->memory_bytes, "from-root-hash",
                                        payload->is_full ? json_null()
                                                         : inspect_hex(payload->source_root_hash,
                                                                           SHA256_SIZE),
                                        "path", payload->path);

                        if (json_array_append_new(array, row) < 0)
                                return json_decref(array), NULL;
                }
        return array;
}

int inspect_manifest(const char *path, json_t **ret, Error *error)
{
        _cleanup_(manifest_freep) Manifest *manifest = NULL;
        _cleanup_free_ char *text = NULL;
        const ManifestImage *root, *uki;
        size_t size;
        int r = read_text(path, MANIFEST_MAX, &text, &size, error);

        if (r >= 0)
                r = manifest_parse(text, size, &manifest, error);
        if (r < 0)
                return r;
        root = &manifest->images[IMAGE_ROOT];
        uki = &manifest->images[IMAGE_UKI];
        *ret = json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:{s:I, s:o, s:o, s:o}, s:{s:I, s:o, s:o}, s:o}",
                        "kind", "release manifest", "id", manifest->image_id, "version", manifest->version,
                        "architecture", manifest->architecture, "minimum-engine",
                        (json_int_t)manifest->minimum_engine, "notes", manifest->notes, "root", "size",
                        (json_int_t)root->size_bytes, "sha256", inspect_hex(root->sha256, SHA256_SIZE),
                        "verity-root-hash", inspect_hex(root->verity.root_hash, SHA256_SIZE), "verity-salt",
                        inspect_hex(root->verity.salt, root->verity.salt_size), "uki", "size",
                        (json_int_t)uki->size_bytes, "sha256", inspect_hex(uki->sha256, SHA256_SIZE),
                        "signed-by", inspect_signers(&uki->signatures), "payloads", payloads_json(manifest));
        return *ret ? 0 : error_oom(error);
}

static json_t *wave_json(const ChannelRelease *release)
{
        char from[UTC_TEXT_MAX], to[UTC_TEXT_MAX];

        if (release->wave_seconds == 0 || utc_format((int64_t)release->wave_start, from) < 0 ||
                        utc_format((int64_t)(release->wave_start + release->wave_seconds), to) < 0)
                return json_string("at once");
        return json_sprintf("%s to %s", from, to);
}

static json_t *architectures_json(const ChannelRelease *release)
{
        json_t *array = json_array();

        for (size_t i = 0; array && release->architectures[i]; i++)
                if (json_array_append_new(array, json_string(release->architectures[i])) < 0)
                        return json_decref(array), NULL;
        return array;
}

static json_t *releases_json(const Channel *channel)
{
        json_t *array = json_array();

        for (size_t i = 0; array && i < channel->release_count; i++) {
                const ChannelRelease *release = &channel->releases[i];

                if (json_array_append_new(array,
                                    json_pack("{s:s, s:o, s:o, s:b, s:s}", "version", release->version,
                                                    "architectures", architectures_json(release), "rollout",
                                                    wave_json(release), "floor", release->is_floor,
                                                    "withdrawn",
                                                    release->is_withdrawn ? release->withdrawn_reason
                                                                          : "no")) < 0)
                        return json_decref(array), NULL;
        }
        return array;
}

json_t *channel_releases_json(const char *text, size_t size, Error *error)
{
        _cleanup_(channel_freep) Channel *channel = NULL;
        json_t *json;

        if (channel_parse(text, size, &channel, error) < 0)
                return NULL;
        json = releases_json(channel);
        if (!json)
                (void)error_oom(error);
        return json;
}

int inspect_channel(const char *path, json_t **ret, Error *error)
{
        _cleanup_(channel_freep) Channel *channel = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = read_text(path, CHANNEL_MAX, &text, &size, error);

        if (r >= 0)
                r = channel_parse(text, size, &channel, error);
        if (r < 0)
                return r;
        *ret = json_pack("{s:s, s:s, s:s, s:o}", "kind", "channel", "name", channel->name, "id",
                        channel->image_id, "releases", releases_json(channel));
        return *ret ? 0 : error_oom(error);
}
