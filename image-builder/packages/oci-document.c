/* SPDX-License-Identifier: Apache-2.0 */
#include "oci-document.h"
#include "hex.h"
#include "json.h"

#define DIGEST_PREFIX "sha256:"
#define NAME_MAX_BYTES 255
#define REF_NAME "org.opencontainers.image.ref.name"

static const struct {
        const char *name;
        OciKind kind;
} media_types[] = {
        { "application/vnd.oci.image.index.v1+json", OCI_INDEX },
        { "application/vnd.docker.distribution.manifest.list.v2+json", OCI_INDEX },
        { "application/vnd.oci.image.manifest.v1+json", OCI_MANIFEST },
        { "application/vnd.docker.distribution.manifest.v2+json", OCI_MANIFEST },
        { "application/vnd.oci.image.config.v1+json", OCI_CONFIG },
        { "application/vnd.docker.container.image.v1+json", OCI_CONFIG },
        { "application/vnd.oci.image.layer.v1.tar", OCI_LAYER },
        { "application/vnd.oci.image.layer.v1.tar+gzip", OCI_LAYER },
        { "application/vnd.oci.image.layer.v1.tar+zstd", OCI_LAYER },
        { "application/vnd.docker.image.rootfs.diff.tar", OCI_LAYER },
        { "application/vnd.docker.image.rootfs.diff.tar.gzip", OCI_LAYER },
};

static int refuse(Error *error, const char *why)
{
        return error_set(error, ERROR_UNTRUSTED, EBADMSG, "%s", why);
}

static void descriptor_done(OciDescriptor *descriptor)
{
        free(descriptor->tag);
        free(descriptor->os);
        free(descriptor->architecture);
        free(descriptor->variant);
}

void oci_list_done(OciList *list)
{
        for (size_t i = 0; i < list->count; i++)
                descriptor_done(&list->items[i]);
        free(list->items);
        *list = (OciList){ 0 };
}

void oci_config_done(OciConfig *config)
{
        free(config->os);
        free(config->architecture);
        free(config->layers);
        *config = (OciConfig){ 0 };
}

/* ---- members ---- */

static int parse_digest(const char *text, uint8_t ret[static SHA256_SIZE], Error *error)
{
        if (strncmp(text, DIGEST_PREFIX, strlen(DIGEST_PREFIX)) != 0)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "\"%.80s\" is not a digest that is known: only sha256 is", text);
        text += strlen(DIGEST_PREFIX);
        if (strlen(text) != 2 * SHA256_SIZE || text[strspn(text, "0123456789abcdef")] ||
                        hex_decode(text, ret, SHA256_SIZE) < 0)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "\"%.80s\" is not a SHA-256", text);
        return 0;
}

/* A text of an object, which may be missing. */
static int take_text(const json_t *object, const char *name, char **ret, Error *error)
{
        const char *text = NULL;
        int r = json_get_string_optional(object, name, &text, error);

        if (r < 0 || !text)
                return r;
        if (strlen(text) > NAME_MAX_BYTES)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "\"%s\" is too long", name);
        *ret = strdup(text);
        return *ret ? 0 : error_oom(error);
}

/* An object within an object; NULL when it is missing. */
static int take_object(const json_t *object, const char *name, const json_t **ret, Error *error)
{
        const json_t *value = json_object_get(object, name);

        if (value && !json_is_object(value) && !json_is_null(value))
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "\"%s\" is not an object", name);
        *ret = json_is_object(value) ? value : NULL;
        return 0;
}

static OciKind find_kind(const char *media_type)
{
        for (size_t i = 0; i < ELEMENTS(media_types); i++)
                if (strcmp(media_type, media_types[i].name) == 0)
                        return media_types[i].kind;
        return OCI_OTHER;
}

static int parse_descriptor(const json_t *object, OciDescriptor *ret, Error *error)
{
        const json_t *annotations = NULL, *platform = NULL;
        const char *media_type, *digest;
        int r;

        if (!json_is_object(object))
                return refuse(error, "what should describe a blob is not an object");
        r = json_get_string(object, "mediaType", &media_type, error);
        if (r >= 0)
                r = json_get_string(object, "digest", &digest, error);
        if (r >= 0)
                r = parse_digest(digest, ret->sha256, error);
        if (r >= 0)
                r = json_get_u64(object, "size", &ret->size_bytes, error);
        if (r >= 0 && ret->size_bytes > OCI_BLOB_MAX)
                return refuse(error, "the size of a blob is impossible");
        if (r >= 0)
                r = take_object(object, "annotations", &annotations, error);
        if (r >= 0)
                r = take_object(object, "platform", &platform, error);
        if (r >= 0 && annotations)
                r = take_text(annotations, REF_NAME, &ret->tag, error);
        if (r >= 0 && platform)
                r = take_text(platform, "os", &ret->os, error);
        if (r >= 0 && platform)
                r = take_text(platform, "architecture", &ret->architecture, error);
        if (r >= 0 && platform)
                r = take_text(platform, "variant", &ret->variant, error);
        if (r >= 0)
                ret->kind = find_kind(media_type);
        return r;
}

static int append(OciList *list, const json_t *object, Error *error)
{
        OciDescriptor *grown = reallocarray(list->items, list->count + 1, sizeof(*grown));

        if (!grown)
                return error_oom(error);
        list->items = grown;
        grown[list->count] = (OciDescriptor){ 0 };
        return parse_descriptor(object, &grown[list->count++], error);
}

static int append_all(OciList *list, const json_t *array, size_t max, const char *what, Error *error)
{
        int r = 0;

        if (json_array_size(array) > max)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG, "it has %zu %s, and %zu is the most",
                                json_array_size(array), what, max);
        for (size_t i = 0; r >= 0 && i < json_array_size(array); i++)
                r = append(list, json_array_get(array, i), error);
        return r;
}

/* A document may say what it is; then it must be that. */
static int open_document(
                const char *text, size_t size, const char *what, OciKind kind, json_t **ret, Error *error)
{
        _cleanup_json_ json_t *root = NULL;
        const char *media_type = NULL;
        uint64_t version;
        int r = json_parse(text, size, OCI_DOCUMENT_MAX, what, &root, error);

        if (r >= 0)
                r = json_get_u64(root, "schemaVersion", &version, error);
        if (r >= 0)
                r = json_get_string_optional(root, "mediaType", &media_type, error);
        if (r < 0)
                return r;
        if (version != 2)
                return refuse(error, "its schemaVersion is not 2");
        if (media_type && find_kind(media_type) != kind)
                return refuse(error, "its mediaType is that of something else");
        *ret = TAKE_PTR(root);
        return 0;
}

/* ---- documents ---- */

int oci_parse_layout(const char *text, size_t size, Error *error)
{
        _cleanup_json_ json_t *root = NULL;
        const char *version;
        int r = json_parse(text, size, OCI_DOCUMENT_MAX, "oci-layout", &root, error);

        if (r >= 0)
                r = json_get_string(root, "imageLayoutVersion", &version, error);
        if (r >= 0 && strncmp(version, "1.", 2) != 0)
                r = error_set(error, ERROR_UNTRUSTED, EBADMSG, "the layout's version %.40s is not known",
                                version);
        return r < 0 ? error_prefix(error, r, "oci-layout") : 0;
}

int oci_parse_index(const char *text, size_t size, const char *what, OciList *ret, Error *error)
{
        _cleanup_oci_list_ OciList list = { 0 };
        _cleanup_json_ json_t *root = NULL;
        json_t *array;
        int r = open_document(text, size, what, OCI_INDEX, &root, error);

        if (r >= 0)
                r = json_get_array(root, "manifests", &array, error);
        if (r >= 0)
                r = append_all(&list, array, OCI_ENTRIES_MAX, "manifests", error);
        if (r < 0)
                return error_prefix(error, r, "%s", what);
        *ret = list;
        list = (OciList){ 0 };
        return 0;
}

static int check_manifest(const OciList *list, Error *error)
{
        if (list->items[0].kind != OCI_CONFIG)
                return refuse(error, "its config is not that of a container image");
        for (size_t i = 1; i < list->count; i++)
                if (list->items[i].kind != OCI_LAYER)
                        return refuse(error, "it has a layer of a kind that is not known, or that lies "
                                             "elsewhere");
        return 0;
}

int oci_parse_manifest(const char *text, size_t size, OciList *ret, Error *error)
{
        _cleanup_oci_list_ OciList list = { 0 };
        _cleanup_json_ json_t *root = NULL;
        json_t *config, *array;
        int r = open_document(text, size, "the manifest", OCI_MANIFEST, &root, error);

        if (r >= 0)
                r = json_get_object(root, "config", &config, error);
        if (r >= 0)
                r = json_get_array(root, "layers", &array, error);
        if (r >= 0)
                r = append(&list, config, error);
        if (r >= 0)
                r = append_all(&list, array, OCI_LAYERS_MAX, "layers", error);
        if (r >= 0)
                r = check_manifest(&list, error);
        if (r < 0)
                return error_prefix(error, r, "the manifest");
        *ret = list;
        list = (OciList){ 0 };
        return 0;
}

static int parse_layers(const json_t *root, OciConfig *ret, Error *error)
{
        const char *type;
        json_t *rootfs, *array;
        int r = json_get_object(root, "rootfs", &rootfs, error);

        if (r >= 0)
                r = json_get_string(rootfs, "type", &type, error);
        if (r >= 0 && strcmp(type, "layers") != 0)
                return refuse(error, "its rootfs is not made of layers");
        if (r >= 0)
                r = json_get_array(rootfs, "diff_ids", &array, error);
        if (r < 0)
                return r;
        if (json_array_size(array) > OCI_LAYERS_MAX)
                return refuse(error, "it has too many layers");
        ret->layers = calloc(json_array_size(array) + 1, sizeof(*ret->layers));
        if (!ret->layers)
                return error_oom(error);
        for (; r >= 0 && ret->layer_count < json_array_size(array); ret->layer_count++) {
                const char *digest = json_string_value(json_array_get(array, ret->layer_count));

                r = digest ? parse_digest(digest, ret->layers[ret->layer_count], error)
                           : refuse(error, "the hash of a layer is not a text");
        }
        return r;
}

int oci_parse_config(const char *text, size_t size, OciConfig *ret, Error *error)
{
        _cleanup_oci_config_ OciConfig config = { 0 };
        _cleanup_json_ json_t *root = NULL;
        int r = json_parse(text, size, OCI_DOCUMENT_MAX, "the config", &root, error);

        if (r >= 0)
                r = take_text(root, "os", &config.os, error);
        if (r >= 0)
                r = take_text(root, "architecture", &config.architecture, error);
        if (r >= 0)
                r = parse_layers(root, &config, error);
        if (r < 0)
                return error_prefix(error, r, "the config");
        *ret = config;
        config = (OciConfig){ 0 };
        return 0;
}
