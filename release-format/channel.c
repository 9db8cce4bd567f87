/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include "json.h"
#include "manifest.h"
#include "strv.h"

#include <string.h>

/* Far beyond any date or rollout, and small enough that sums of them are exact. */
#define SECONDS_MAX (UINT64_C(1) << 40)
#define REASON_MAX 4096 /* bytes */

static void release_done(ChannelRelease *release)
{
        free(release->version);
        (void)strv_free(release->architectures);
        free(release->withdrawn_reason);
}

Channel *channel_free(Channel *channel)
{
        if (!channel)
                return NULL;
        for (size_t i = 0; i < channel->release_count; i++)
                release_done(&channel->releases[i]);
        free(channel->releases);
        free(channel->name);
        free(channel->image_id);
        free(channel);
        return NULL;
}

static int refuse(Error *error, const char *rule)
{
        return error_set(error, ERROR_UNTRUSTED, EBADMSG, "%s", rule);
}

static int get_id(const json_t *json, const char *name, char **ret, Error *error)
{
        const char *text;
        int r = json_get_string(json, name, &text, error);

        if (r < 0)
                return r;
        if (!image_id_is_valid(text))
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "member \"%s\" is not valid: \"%s\"", name,
                                text);
        *ret = strdup(text);
        return *ret ? 0 : error_oom(error);
}

static int get_architectures(const json_t *json, ChannelRelease *ret, Error *error)
{
        json_t *array;
        int r = json_get_array(json, "architectures", &array, error);

        if (r < 0)
                return r;
        if (json_array_size(array) == 0 || json_array_size(array) > CHANNEL_ARCHITECTURES_MAX)
                return refuse(error, "it has no architecture, or too many");
        for (size_t i = 0; i < json_array_size(array); i++) {
                const char *text = json_string_value(json_array_get(array, i));

                if (!text || !architecture_is_valid(text))
                        return refuse(error, "an architecture is not valid");
                if (strv_contains(ret->architectures, text))
                        return refuse(error, "an architecture is there twice");
                if (strv_append(&ret->architectures, text) < 0)
                        return error_oom(error);
        }
        return 0;
}

static int get_wave(const json_t *json, ChannelRelease *ret, Error *error)
{
        json_t *wave;
        int r;

        if (!json_object_get(json, "wave"))
                return 0;
        r = json_get_object(json, "wave", &wave, error);
        if (r >= 0)
                r = json_get_u64(wave, "start", &ret->wave_start, error);
        if (r >= 0)
                r = json_get_u64(wave, "seconds", &ret->wave_seconds, error);
        if (r >= 0 && (ret->wave_start > SECONDS_MAX || ret->wave_seconds > SECONDS_MAX))
                return refuse(error, "its rollout lies beyond any date");
        return r;
}

static int get_withdrawal(const json_t *json, ChannelRelease *ret, Error *error)
{
        json_t *withdrawn;
        const char *reason;
        int r;

        ret->is_withdrawn = json_object_get(json, "withdrawn") != NULL;
        if (!ret->is_withdrawn)
                return 0;
        r = json_get_object(json, "withdrawn", &withdrawn, error);
        if (r >= 0)
                r = json_get_string(withdrawn, "reason", &reason, error);
        if (r < 0)
                return r;
        if (strlen(reason) > REASON_MAX)
                return refuse(error, "the reason of its withdrawal is too long");
        ret->withdrawn_reason = strdup(reason);
        return ret->withdrawn_reason ? 0 : error_oom(error);
}

static int get_release(const json_t *json, ChannelRelease *ret, Error *error)
{
        const json_t *floor = json_object_get(json, "floor");
        const char *version;
        int r = json_get_string(json, "version", &version, error);

        if (r < 0)
                return r;
        if (!version_is_valid(version))
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "\"%s\" is not a version", version);
        ret->version = strdup(version);
        if (!ret->version)
                return error_oom(error);
        if (floor && !json_is_boolean(floor))
                return refuse(error, "member \"floor\" is neither true nor false");
        ret->is_floor = json_is_true(floor);
        r = get_architectures(json, ret, error);
        if (r >= 0)
                r = get_wave(json, ret, error);
        return r < 0 ? r : get_withdrawal(json, ret, error);
}

static int get_releases(const json_t *json, Channel *channel, Error *error)
{
        json_t *array;
        size_t count;
        int r = json_get_array(json, "releases", &array, error);

        if (r < 0)
                return r;
        count = json_array_size(array);
        if (count > CHANNEL_RELEASES_MAX)
                return refuse(error, "it lists too many releases");
        channel->releases = calloc(count + 1, sizeof(*channel->releases));
        if (!channel->releases)
                return error_oom(error);
        for (channel->release_count = 0; channel->release_count < count;) {
                size_t i = channel->release_count++;

                r = get_release(json_array_get(array, i), &channel->releases[i], error);
                if (r < 0)
                        return error_prefix(error, r, "release %zu", i + 1);
                if (i > 0 && version_compare(channel->releases[i - 1].version,
                                             channel->releases[i].version) >= 0)
                        return refuse(error, "its releases are not in order, or one is there twice");
        }
        return 0;
}

static int get_channel(const json_t *json, Channel *channel, Error *error)
{
        uint64_t format;
        int r = json_get_u64(json, "format", &format, error);

        if (r < 0)
                return r;
        if (format != CHANNEL_FORMAT)
                return error_set(error, ERROR_INCOMPATIBLE, EPROTONOSUPPORT,
                                "it has format %llu, this version reads format %d; update bascule first",
                                (unsigned long long)format, CHANNEL_FORMAT);
        r = get_id(json, "name", &channel->name, error);
        if (r >= 0)
                r = get_id(json, "id", &channel->image_id, error);
        return r < 0 ? r : get_releases(json, channel, error);
}

int channel_parse(const char *text, size_t size, Channel **ret, Error *error)
{
        _cleanup_(channel_freep) Channel *channel = calloc(1, sizeof(*channel));
        _cleanup_json_ json_t *json = NULL;
        int r;

        if (!channel)
                return error_oom(error);
        r = json_parse(text, size, CHANNEL_MAX, "the channel", &json, error);
        if (r < 0)
                return r;
        r = get_channel(json, channel, error);
        if (r < 0)
                return error_prefix(error, r, "the channel");
        *ret = TAKE_PTR(channel);
        return 0;
}

static json_t *strv_json(char *const *strv)
{
        json_t *array = json_array();

        for (size_t i = 0; array && strv && strv[i]; i++)
                if (json_array_append_new(array, json_string(strv[i])) < 0)
                        return json_decref(array), NULL;
        return array;
}

static json_t *release_json(const ChannelRelease *release)
{
        _cleanup_json_ json_t *json = json_pack("{s:s, s:o}", "version", release->version, "architectures",
                        strv_json(release->architectures));

        if (!json)
                return NULL;
        if ((release->wave_start > 0 || release->wave_seconds > 0) &&
                        json_object_set_new(json, "wave",
                                        json_pack("{s:I, s:I}", "start", (json_int_t)release->wave_start,
                                                        "seconds", (json_int_t)release->wave_seconds)) < 0)
                return NULL;
        if (release->is_floor && json_object_set_new(json, "floor", json_true()) < 0)
                return NULL;
        if (release->is_withdrawn &&
                        json_object_set_new(json, "withdrawn",
                                        json_pack("{s:s}", "reason",
                                                        release->withdrawn_reason ? release->withdrawn_reason
                                                                                  : "")) < 0)
                return NULL;
        return TAKE_PTR(json);
}

int channel_format(const Channel *channel, char **ret, Error *error)
{
        _cleanup_json_ json_t *json = json_pack("{s:i, s:s, s:s, s:[]}", "format", CHANNEL_FORMAT, "name",
                        channel->name, "id", channel->image_id, "releases");
        json_t *releases = json_object_get(json, "releases");

        for (size_t i = 0; releases && i < channel->release_count; i++)
                if (json_array_append_new(releases, release_json(&channel->releases[i])) < 0)
                        releases = NULL;
        if (!releases)
                return error_set(error, ERROR_FAILED, EINVAL,
                                "the channel cannot be written: its texts must be UTF-8");
        *ret = json_dumps(json, JSON_INDENT(2));
        return *ret ? 0 : error_oom(error);
}

ChannelRelease *channel_find(const Channel *channel, const char *version)
{
        for (size_t i = 0; i < channel->release_count; i++)
                if (strcmp(channel->releases[i].version, version) == 0)
                        return &channel->releases[i];
        return NULL;
}

int channel_add(Channel *channel, const char *version, ChannelRelease **ret, Error *error)
{
        ChannelRelease *releases;
        size_t place = 0;
        char *copy;

        if (channel->release_count >= CHANNEL_RELEASES_MAX)
                return error_set(error, ERROR_REFUSED, E2BIG,
                                "channel \"%s\" is full: it lists %zu releases", channel->name,
                                channel->release_count);
        while (place < channel->release_count &&
                        version_compare(channel->releases[place].version, version) < 0)
                place++;
        if (place < channel->release_count &&
                        version_compare(channel->releases[place].version, version) == 0)
                return error_set(error, ERROR_REFUSED, EEXIST, "channel \"%s\" has a release %s already",
                                channel->name, channel->releases[place].version);
        copy = strdup(version);
        if (!copy)
                return error_oom(error);
        releases = reallocarray(channel->releases, channel->release_count + 1, sizeof(*releases));
        if (!releases) {
                free(copy);
                return error_oom(error);
        }
        memmove(releases + place + 1, releases + place,
                        (channel->release_count - place) * sizeof(*releases));
        releases[place] = (ChannelRelease){ .version = copy };
        channel->releases = releases;
        channel->release_count++;
        *ret = &releases[place];
        return 0;
}

static bool wave_admits(const ChannelRelease *release, double host_fraction, uint64_t now)
{
        return (double)now >= (double)release->wave_start + host_fraction * (double)release->wave_seconds;
}

/* Goes up from the oldest: the last acceptable release before, or at, the first floor is the answer. A
 * withdrawn floor holds nobody up, as nobody can reach it. */
const ChannelRelease *channel_next(const Channel *channel, const char *current, const char *architecture,
                double host_fraction, uint64_t now, ChannelSkip skip, void *skip_data)
{
        const ChannelRelease *best = NULL;

        for (size_t i = 0; i < channel->release_count; i++) {
                const ChannelRelease *release = &channel->releases[i];

                if (release->is_withdrawn || !strv_contains(release->architectures, architecture) ||
                                version_compare(release->version, current) <= 0)
                        continue;
                if (wave_admits(release, host_fraction, now) && !(skip && skip(skip_data, release->version)))
                        best = release;
                if (release->is_floor)
                        break;
        }
        return best;
}
