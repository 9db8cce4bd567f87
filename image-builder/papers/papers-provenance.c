/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "papers.h"

#include <string.h>

/* in-toto Attestation Framework, Statement v1, with the predicate SLSA Provenance v1. It is not in an
 * envelope of its own: the release's metadata signs it. */

#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define PREDICATE_TYPE "https://slsa.dev/provenance/v1"
#define BUILD_TYPE "urn:bascule:build:1"
#define BUILDER_ID "urn:bascule:bascule-image"

static json_t *digest(const uint8_t sha256[static SHA256_SIZE])
{
        return json_pack("{s:o}", "sha256", papers_hash(sha256));
}

/* Names of files and settings need not be UTF-8; what is not ASCII of such a one is told as "%XX". */
static json_t *text_json(const char *text)
{
        json_t *json = json_string(text);
        _cleanup_free_ char *escaped = json ? NULL : malloc(3 * strlen(text) + 1);
        char *to = escaped;

        if (!escaped)
                return json;
        for (; *text; text++)
                to += sprintf(to, (unsigned char)*text < 0x80 ? "%c" : "%%%02X", (unsigned char)*text);
        *to = 0;
        return json_string(escaped);
}

static json_t *files_json(const PaperFile *files, size_t count)
{
        json_t *array = json_array();

        for (size_t i = 0; i < count; i++)
                (void)json_array_append_new(array, json_pack("{s:o, s:o}", "name", text_json(files[i].name),
                                                                   "digest", digest(files[i].sha256)));
        return array;
}

static json_t *package_json(const PaperInput *input, const PaperPackage *package)
{
        _cleanup_free_ char *url = papers_package_url(input, package);
        const LockPackage *locked = papers_find_locked(input, package);
        json_t *json = url ? json_pack("{s:s}", "uri", url) : NULL;

        if (json && locked)
                (void)json_object_set_new(json, "digest", digest(locked->sha256));
        return json;
}

/* The indexes that the lock came from, the packages, and files of the building machine. */
static json_t *dependencies_json(const PaperInput *input)
{
        json_t *array = files_json(input->inputs, input->input_count);

        for (size_t i = 0; input->lock && i < input->lock->source_count; i++) {
                const LockSource *source = &input->lock->sources[i];
                _cleanup_free_ char *mirror = papers_mirror(source);
                _cleanup_free_ char *url =
                                mirror ? string_format("%s/dists/%s/InRelease", mirror, source->suite)
                                       : NULL;

                (void)json_array_append_new(array,
                                url ? json_pack("{s:s, s:o}", "uri", url, "digest", digest(source->sha256))
                                    : NULL);
        }
        for (size_t i = 0; i < input->package_count; i++)
                (void)json_array_append_new(array, package_json(input, &input->packages[i]));
        return array;
}

static json_t *strings_json(char *const *strings)
{
        json_t *array = json_array();

        for (; strings && *strings; strings++)
                (void)json_array_append_new(array, text_json(*strings));
        return array;
}

int papers_provenance(const PaperInput *input, Buffer *ret)
{
        json_t *definition = json_pack("{s:s, s:{s:s, s:s, s:s, s:o, s:o, s:o}, s:{s:b, s:I}, s:o}",
                        "buildType", BUILD_TYPE, "externalParameters", "image", input->image_id, "version",
                        input->version, "architecture", input->architecture, "request",
                        strings_json(input->request), "profiles", strings_json(input->profiles), "settings",
                        strings_json(input->settings), "internalParameters", "locked", input->lock != NULL,
                        "epoch", (json_int_t)input->epoch, "resolvedDependencies", dependencies_json(input));
        json_t *details = json_pack("{s:{s:s, s:{s:s}, s:[{s:s, s:{s:s}}]}}", "builder", "id", BUILDER_ID,
                        "version", "bascule-image", input->program_version, "builderDependencies", "name",
                        "bascule-image", "digest", "sha256", input->program_sha256);

        if (!definition || !details) {
                json_decref(definition);
                json_decref(details);
                return -EINVAL;
        }
        return papers_put_json(json_pack("{s:s, s:o, s:s, s:{s:o, s:o}}", "_type", STATEMENT_TYPE, "subject",
                                               files_json(input->products, input->product_count),
                                               "predicateType", PREDICATE_TYPE, "predicate",
                                               "buildDefinition", definition, "runDetails", details),
                        ret);
}
