/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest.h"

#include "hex.h"
#include "json.h"
#include "payload-format.h"

#include <string.h>

static const char *const kind_names[IMAGE_KIND_MAX] = { [IMAGE_ROOT] = "root", [IMAGE_UKI] = "uki" };

const char *image_kind_name(ImageKind kind)
{
        return kind < IMAGE_KIND_MAX ? kind_names[kind] : "unknown";
}

static bool consists_of(const char *text, size_t max, const char *others)
{
        size_t length = strlen(text);

        if (length == 0 || length > max)
                return false;
        for (const char *p = text; *p; p++)
                if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && !strchr(others, *p))
                        return false;
        return true;
}

bool architecture_is_valid(const char *text)
{
        return consists_of(text, ARCHITECTURE_MAX, "-") && text[0] != '-';
}

bool payload_path_is_valid(const char *text)
{
        if (!consists_of(text, PAYLOAD_PATH_MAX, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._~^/") ||
                        strncmp(text, "payloads/", strlen("payloads/")) != 0)
                return false;
        for (const char *part = text; part; part = strchr(part, '/')) {
                size_t length;

                part += *part == '/' ? 1 : 0;
                length = strcspn(part, "/");
                if (length == 0 || (length == 1 && part[0] == '.') ||
                                (length == 2 && memcmp(part, "..", 2) == 0))
                        return false;
        }
        return true;
}

Manifest *manifest_free(Manifest *manifest)
{
        if (!manifest)
                return NULL;
        for (size_t i = 0; i < IMAGE_KIND_MAX; i++) {
                ManifestImage *image = &manifest->images[i];

                for (size_t j = 0; j < image->payload_count; j++)
                        free(image->payloads[j].path);
                free(image->payloads);
                if (image->pieces)
                        free(image->pieces->path);
                free(image->pieces);
                image_signatures_done(&image->signatures);
        }
        free(manifest->image_id);
        free(manifest->version);
        free(manifest->architecture);
        free(manifest->notes);
        free(manifest);
        return NULL;
}

static int refuse(Error *error, const char *rule)
{
        return error_set(error, ERROR_UNTRUSTED, EBADMSG, "%s", rule);
}

/* A member that must be a string for which `is_valid` (may be NULL) holds, copied. */
static int get_text(const json_t *object, const char *name, bool (*is_valid)(const char *text), char **ret,
                Error *error)
{
        const char *text;
        int r = json_get_string(object, name, &text, error);

        if (r < 0)
                return r;
        if (is_valid && !is_valid(text))
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "member \"%s\" is not valid: \"%s\"", name,
                                text);
        *ret = strdup(text);
        return *ret ? 0 : error_oom(error);
}

static int get_source(const json_t *json, PayloadReference *ret, Error *error)
{
        json_t *from;
        int r;

        ret->is_full = !json_object_get(json, "from");
        if (ret->is_full)
                return 0;
        r = json_get_object(json, "from", &from, error);
        if (r < 0)
                return r;
        r = json_get_hex(from, "root-hash", ret->source_root_hash, SHA256_SIZE, error);
        return r < 0 ? r : json_get_hex(from, "uki-sha256", ret->source_uki_sha256, SHA256_SIZE, error);
}

static int get_reference(const json_t *json, PayloadReference *ret, Error *error)
{
        const struct {
                const char *name;
                uint64_t *value;
        } numbers[] = {
                { "size", &ret->size_bytes },
                { "index-size", &ret->index_size_bytes },
                { "memory", &ret->memory_bytes },
        };
        int r = get_text(json, "path", payload_path_is_valid, &ret->path, error);

        for (size_t i = 0; i < ELEMENTS(numbers) && r >= 0; i++)
                r = json_get_u64(json, numbers[i].name, numbers[i].value, error);
        if (r >= 0)
                r = json_get_hex(json, "sha256", ret->sha256, SHA256_SIZE, error);
        if (r >= 0)
                r = json_get_hex(json, "index-sha256", ret->index_sha256, SHA256_SIZE, error);
        if (r >= 0)
                r = get_source(json, ret, error);
        if (r >= 0)
                r = json_get_u64_optional(json, "minimum-engine", &ret->minimum_engine, error);
        if (r < 0)
                return r;
        /* Even an image that does not compress needs little more than itself. */
        if (ret->size_bytes > IMAGE_SIZE_MAX + PAYLOAD_INDEX_MAX)
                return refuse(error, "the payload is larger than any image can be");
        if (ret->index_size_bytes <= PAYLOAD_HEADER_SIZE || ret->index_size_bytes > PAYLOAD_INDEX_MAX ||
                        ret->index_size_bytes > ret->size_bytes)
                return refuse(error, "the payload's index has an impossible size");
        if (ret->memory_bytes > PAYLOAD_MEMORY_MAX)
                return refuse(error, "the payload needs more memory than any payload may");
        return 0;
}

static int get_payloads(const json_t *json, ManifestImage *ret, Error *error)
{
        json_t *array;
        size_t count;
        int r = json_get_array(json, "payloads", &array, error);

        if (r < 0)
                return r;
        count = json_array_size(array);
        if (count == 0 || count > MANIFEST_PAYLOADS_MAX)
                return refuse(error, "there is no payload, or too many");
        ret->payloads = calloc(count, sizeof(*ret->payloads));
        if (!ret->payloads)
                return error_oom(error);
        for (ret->payload_count = 0; ret->payload_count < count;) {
                size_t i = ret->payload_count++;

                r = get_reference(json_array_get(array, i), &ret->payloads[i], error);
                if (r < 0)
                        return error_prefix(error, r, "payload %zu", i + 1);
                if (ret->payloads[i].is_full != (i == 0))
                        return refuse(error, "not exactly the first payload is the full one");
        }
        return 0;
}

static int get_pieces(const json_t *json, ManifestImage *ret, Error *error)
{
        const json_t *pieces = json_object_get(json, "pieces");
        int r;

        if (!pieces)
                return 0;
        ret->pieces = calloc(1, sizeof(*ret->pieces));
        if (!ret->pieces)
                return error_oom(error);
        r = get_reference(pieces, ret->pieces, error);
        if (r >= 0 && !ret->pieces->is_full)
                return refuse(error, "pieces do not start from another release");
        return r < 0 ? error_prefix(error, r, "pieces") : 0;
}

static int get_verity(const json_t *json, VerityParameters *ret, Error *error)
{
        const char *salt;
        json_t *verity;
        int r = json_get_object(json, "verity", &verity, error);

        if (r >= 0)
                r = json_get_string(verity, "salt", &salt, error);
        if (r < 0)
                return r;
        ret->salt_size = strlen(salt) / 2;
        if (ret->salt_size > VERITY_SALT_MAX || hex_decode(salt, ret->salt, ret->salt_size) < 0)
                return refuse(error, "the verity salt is not at most 32 bytes in hexadecimal");
        return json_get_hex(verity, "root-hash", ret->root_hash, SHA256_SIZE, error);
}

static int get_signatures(const json_t *json, ImageSignatures *ret, Error *error)
{
        json_t *object;
        int r = json_get_object(json, "secure-boot", &object, error);

        return r < 0 ? r : image_signatures_parse(object, ret, error);
}

static int get_image(const json_t *images, ImageKind kind, ManifestImage *ret, Error *error)
{
        json_t *json;
        int r = json_get_object(images, image_kind_name(kind), &json, error);

        if (r >= 0)
                r = json_get_u64(json, "size", &ret->size_bytes, error);
        if (r >= 0)
                r = json_get_hex(json, "sha256", ret->sha256, SHA256_SIZE, error);
        if (r >= 0 && kind == IMAGE_ROOT)
                r = get_verity(json, &ret->verity, error);
        if (r >= 0 && kind == IMAGE_UKI && json_object_get(json, "secure-boot"))
                r = get_signatures(json, &ret->signatures, error);
        if (r < 0)
                return r;
        if (ret->size_bytes == 0 || ret->size_bytes > IMAGE_SIZE_MAX ||
                        (kind == IMAGE_ROOT && ret->size_bytes % PAYLOAD_BLOCK_SIZE != 0))
                return refuse(error, "the image has an impossible size");
        r = get_payloads(json, ret, error);
        return r < 0 ? r : get_pieces(json, ret, error);
}

static int get_manifest(const json_t *json, Manifest *ret, Error *error)
{
        const char *notes = "";
        json_t *images;
        uint64_t format;
        int r = json_get_u64(json, "format", &format, error);

        if (r < 0)
                return r;
        if (format != MANIFEST_FORMAT)
                return error_set(error, ERROR_INCOMPATIBLE, EPROTONOSUPPORT,
                                "it has format %llu, this version reads format %d; update bascule first",
                                (unsigned long long)format, MANIFEST_FORMAT);
        r = get_text(json, "id", image_id_is_valid, &ret->image_id, error);
        if (r >= 0)
                r = get_text(json, "version", version_is_valid, &ret->version, error);
        if (r >= 0)
                r = get_text(json, "architecture", architecture_is_valid, &ret->architecture, error);
        if (r >= 0)
                r = json_get_u64(json, "minimum-engine", &ret->minimum_engine, error);
        if (r >= 0)
                r = json_get_string_optional(json, "notes", &notes, error);
        if (r >= 0)
                r = json_get_object(json, "images", &images, error);
        if (r < 0)
                return r;
        if (strlen(notes) > MANIFEST_NOTES_MAX)
                return refuse(error, "the notes are too long");
        ret->notes = strdup(notes);
        if (!ret->notes)
                return error_oom(error);
        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++) {
                r = get_image(images, kind, &ret->images[kind], error);
                if (r < 0)
                        return error_prefix(error, r, "image \"%s\"", image_kind_name(kind));
        }
        return 0;
}

int manifest_parse(const char *text, size_t size, Manifest **ret, Error *error)
{
        _cleanup_(manifest_freep) Manifest *manifest = calloc(1, sizeof(*manifest));
        _cleanup_json_ json_t *json = NULL;
        int r;

        if (!manifest)
                return error_oom(error);
        r = json_parse(text, size, MANIFEST_MAX, "the release manifest", &json, error);
        if (r < 0)
                return r;
        r = get_manifest(json, manifest, error);
        if (r < 0)
                return error_prefix(error, r, "the release manifest");
        *ret = TAKE_PTR(manifest);
        return 0;
}

static json_t *hex_json(const uint8_t *data, size_t size)
{
        char text[2 * MAX_OF(SHA256_SIZE, VERITY_SALT_MAX) + 1];

        hex_encode(data, size, text);
        return json_string(text);
}

static json_t *reference_json(const PayloadReference *reference)
{
        json_t *json = json_pack("{s:s, s:I, s:o, s:I, s:o, s:I}", "path", reference->path, "size",
                        (json_int_t)reference->size_bytes, "sha256",
                        hex_json(reference->sha256, SHA256_SIZE), "index-size",
                        (json_int_t)reference->index_size_bytes, "index-sha256",
                        hex_json(reference->index_sha256, SHA256_SIZE), "memory",
                        (json_int_t)reference->memory_bytes);

        if (json && reference->minimum_engine > 0 &&
                        json_object_set_new(json, "minimum-engine",
                                        json_integer((json_int_t)reference->minimum_engine)) < 0) {
                json_decref(json);
                return NULL;
        }
        if (json && !reference->is_full &&
                        json_object_set_new(json, "from",
                                        json_pack("{s:o, s:o}", "root-hash",
                                                        hex_json(reference->source_root_hash, SHA256_SIZE),
                                                        "uki-sha256",
                                                        hex_json(reference->source_uki_sha256,
                                                                        SHA256_SIZE))) < 0) {
                json_decref(json);
                return NULL;
        }
        return json;
}

static json_t *image_json(const ManifestImage *image, ImageKind kind)
{
        _cleanup_json_ json_t *json = json_pack("{s:I, s:o}", "size", (json_int_t)image->size_bytes,
                        "sha256", hex_json(image->sha256, SHA256_SIZE));
        json_t *payloads = json_array();

        if (!json || !payloads)
                return json_decref(payloads), NULL;
        for (size_t i = 0; i < image->payload_count; i++)
                if (json_array_append_new(payloads, reference_json(&image->payloads[i])) < 0)
                        return json_decref(payloads), NULL;
        if (kind == IMAGE_ROOT &&
                        json_object_set_new(json, "verity",
                                        json_pack("{s:o, s:o}", "salt",
                                                        hex_json(image->verity.salt,
                                                                        image->verity.salt_size),
                                                        "root-hash",
                                                        hex_json(image->verity.root_hash, SHA256_SIZE))) < 0)
                return json_decref(payloads), NULL;
        if (json_object_set_new(json, "payloads", payloads) < 0)
                return NULL;
        if (image->pieces && json_object_set_new(json, "pieces", reference_json(image->pieces)) < 0)
                return NULL;
        if (image->signatures.is_known && json_object_set_new(json, "secure-boot",
                                                          image_signatures_json(&image->signatures)) < 0)
                return NULL;
        return TAKE_PTR(json);
}

int manifest_format(const Manifest *manifest, char **ret, Error *error)
{
        _cleanup_json_ json_t *json = json_pack("{s:i, s:s, s:s, s:s, s:I, s:s, s:{s:o, s:o}}", "format",
                        MANIFEST_FORMAT, "id", manifest->image_id, "version", manifest->version,
                        "architecture", manifest->architecture, "minimum-engine",
                        (json_int_t)manifest->minimum_engine, "notes",
                        manifest->notes ? manifest->notes : "", "images", "root",
                        image_json(&manifest->images[IMAGE_ROOT], IMAGE_ROOT), "uki",
                        image_json(&manifest->images[IMAGE_UKI], IMAGE_UKI));

        if (!json)
                return error_set(error, ERROR_FAILED, EINVAL,
                                "the release manifest cannot be written: its texts must be UTF-8");
        *ret = json_dumps(json, JSON_INDENT(2));
        return *ret ? 0 : error_oom(error);
}

const PayloadReference *manifest_choose_payload(
                const ManifestImage *image, const uint8_t *root_hash, const uint8_t *uki_sha256)
{
        for (size_t i = 1; root_hash && uki_sha256 && i < image->payload_count; i++) {
                const PayloadReference *payload = &image->payloads[i];

                if (payload->minimum_engine <= ENGINE_LEVEL &&
                                memcmp(payload->source_root_hash, root_hash, SHA256_SIZE) == 0 &&
                                memcmp(payload->source_uki_sha256, uki_sha256, SHA256_SIZE) == 0)
                        return payload;
        }
        return image->payload_count > 0 ? &image->payloads[0] : NULL;
}
