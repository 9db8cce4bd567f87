/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "papers.h"
#include "raw-disk.h"
#include "utc.h"
#include "uuid.h"

#include <ctype.h>
#include <string.h>

/* SPDX 2.3, clauses 6 (document), 7 (packages) and 11 (relationships). */

#define IMAGE_REFERENCE "SPDXRef-Image"
#define UNKNOWN "NOASSERTION"

/* Letters, digits, '.' and '-' only; numbered, so that what they lose does not make two alike. */
static char *reference_of(const PaperPackage *package, size_t number)
{
        char *ret = string_format("SPDXRef-Package-%zu-%s-%s", number, package->name, package->architecture);

        for (char *p = ret; p && *p; p++)
                if (!isascii((unsigned char)*p) || (!isalnum((unsigned char)*p) && *p != '.' && *p != '-'))
                        *p = '-';
        return ret;
}

static json_t *checksums(const uint8_t sha256[static SHA256_SIZE])
{
        return json_pack("[{s:s, s:o}]", "algorithm", "SHA256", "checksumValue", papers_hash(sha256));
}

static json_t *image_json(const PaperInput *input)
{
        _cleanup_free_ char *vendor = string_format("Organization: %s", input->vendor);
        json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s}", "SPDXID",
                        IMAGE_REFERENCE, "name", input->image_id, "versionInfo", input->version,
                        "primaryPackagePurpose", "OPERATING_SYSTEM", "downloadLocation", UNKNOWN,
                        "filesAnalyzed", 0, "licenseConcluded", UNKNOWN, "licenseDeclared", UNKNOWN,
                        "copyrightText", UNKNOWN, "supplier", UNKNOWN);

        if (json && input->product_count > 0) {
                (void)json_object_set_new(json, "packageFileName", json_string(input->products[0].name));
                (void)json_object_set_new(json, "checksums", checksums(input->products[0].sha256));
        }
        if (json && vendor)
                (void)json_object_set_new(json, "originator", json_string(vendor));
        return json;
}

static void add_origin(const PaperInput *input, const LockPackage *locked, json_t *json)
{
        _cleanup_free_ char *mirror = papers_mirror(&input->lock->sources[locked->source]);
        _cleanup_free_ char *url = mirror ? string_format("%s/%s", mirror, locked->path) : NULL;

        if (url)
                (void)json_object_set_new(json, "downloadLocation", json_string(url));
        (void)json_object_set_new(json, "checksums", checksums(locked->sha256));
}

static json_t *package_json(const PaperInput *input, const PaperPackage *package, const char *reference)
{
        _cleanup_free_ char *url = papers_package_url(input, package);
        _cleanup_free_ char *source = string_format(
                        "built from the source package %s %s", package->source, package->source_version);
        _cleanup_free_ char *vendor = string_format("Organization: %s", input->vendor);
        const LockPackage *locked = papers_find_locked(input, package);
        json_t *json;

        if (!url || !source || !vendor)
                return NULL;
        json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:[{s:s, s:s, s:s}]}", "SPDXID",
                        reference, "name", package->name, "versionInfo", package->version, "supplier",
                        vendor, "downloadLocation", UNKNOWN, "filesAnalyzed", 0, "sourceInfo", source,
                        "licenseConcluded", UNKNOWN, "licenseDeclared", UNKNOWN, "copyrightText", UNKNOWN,
                        "externalRefs", "referenceCategory", "PACKAGE-MANAGER", "referenceType", "purl",
                        "referenceLocator", url);
        if (json && locked)
                add_origin(input, locked, json);
        return json;
}

static json_t *relationship(const char *from, const char *kind, const char *to)
{
        return json_pack("{s:s, s:s, s:s}", "spdxElementId", from, "relationshipType", kind,
                        "relatedSpdxElement", to);
}

/* Fills both lists. */
static int add_packages(const PaperInput *input, json_t *packages, json_t *relationships)
{
        int r = json_array_append_new(packages, image_json(input));

        if (r >= 0)
                r = json_array_append_new(relationships,
                                relationship("SPDXRef-DOCUMENT", "DESCRIBES", IMAGE_REFERENCE));
        for (size_t i = 0; r >= 0 && i < input->package_count; i++) {
                _cleanup_free_ char *reference = reference_of(&input->packages[i], i + 1);

                if (!reference)
                        return -ENOMEM;
                r = json_array_append_new(packages, package_json(input, &input->packages[i], reference));
                if (r >= 0)
                        r = json_array_append_new(
                                        relationships, relationship(IMAGE_REFERENCE, "CONTAINS", reference));
        }
        return r < 0 ? -EINVAL : 0;
}

int papers_sbom(const PaperInput *input, Buffer *ret)
{
        _cleanup_free_ char *name = string_format("%s-%s", input->image_id, input->version);
        _cleanup_free_ char *tool = string_format("Tool: bascule-image-%s", input->program_version);
        json_t *packages = json_array(), *relationships = json_array();
        char space[sizeof("urn:uuid:") + UUID_TEXT_SIZE] = "urn:uuid:", created[UTC_TEXT_MAX];
        uint8_t uuid[16];
        int r = name && tool ? utc_format(input->epoch, created) : -ENOMEM;

        raw_disk_uuid(input->lock ? "spdx-locked" : "spdx", input->root_hash, uuid);
        uuid_format(uuid, space + strlen(space));
        if (r >= 0)
                r = add_packages(input, packages, relationships);
        if (r < 0) {
                json_decref(packages);
                json_decref(relationships);
                return r;
        }
        return papers_put_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:s, s:[s]}, s:o, s:o}",
                                               "spdxVersion", "SPDX-2.3", "dataLicense", "CC0-1.0", "SPDXID",
                                               "SPDXRef-DOCUMENT", "name", name, "documentNamespace", space,
                                               "creationInfo", "created", created, "creators", tool,
                                               "packages", packages, "relationships", relationships),
                        ret);
}
