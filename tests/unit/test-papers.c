/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"
#include "papers.h"
#include "test.h"

#include <jansson.h>
#include <string.h>

static const PaperPackage packages[] = {
        { "bash", "5.2.15-2+b7", "amd64", "bash", "5.2.15-2" },
        { "libstdc++6", "12.2.0-14", "amd64", "gcc-12", "12.2.0-14" },
        { "zlib1g", "1:1.2.13", "amd64", "zlib", "1:1.2.13" },
};

static char package_name[] = "libstdc++6", package_version[] = "12.2.0-14", package_architecture[] = "amd64",
            package_path[] = "pool/libstdc%2b%2b6.deb", suite[] = "s", mirror[] = "http://ada:pass@m.example/debian";
static LockPackage locked[] = { { .name = package_name,
                .version = package_version,
                .architecture = package_architecture,
                .path = package_path,
                .sha256 = { 0xab } } };
static LockSource sources[] = { { .suite = suite, .mirror = mirror, .sha256 = { 0xcd } } };
static Lock lock = { .sources = sources, .source_count = 1, .packages = locked, .package_count = 1 };

static PaperInput sample(const Lock *of)
{
        static const PaperFile products[] = { { "root.erofs", { 1 } }, { "uki.efi", { 2 } } };
        static const PaperFile inputs[] = { { "host.conf", { 3 } }, { "caf\xe9", { 4 } } };
        static char setting[] = "Image.Hostname=h", profile[] = "big";
        static char *settings[] = { setting, NULL }, *profiles[] = { profile, NULL };

        return (PaperInput){ .image_id = "host",
                .version = "1.0",
                .architecture = "x86-64",
                .distribution = "debian",
                .codename = "bookworm",
                .vendor = "Debian GNU/Linux",
                .epoch = 1767323045,
                .root_hash = { 7 },
                .packages = packages,
                .package_count = ELEMENTS(packages),
                .lock = of,
                .products = products,
                .product_count = ELEMENTS(products),
                .inputs = inputs,
                .input_count = ELEMENTS(inputs),
                .profiles = profiles,
                .settings = settings,
                .program_version = "0",
                .program_sha256 = "00" };
}

static json_t *make(int (*paper)(const PaperInput *, Buffer *), const Lock *of)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(PAPERS_MAX), again = BUFFER_WITH_CAP(PAPERS_MAX);
        PaperInput input = sample(of);
        json_t *json = NULL;

        if (paper(&input, &text) < 0 || paper(&input, &again) < 0 || text.size != again.size ||
                        memcmp(text.data, again.data, text.size) != 0 ||
                        json_parse((const char *)text.data, text.size, PAPERS_MAX, "paper", &json, NULL) < 0)
                return NULL;
        return json;
}

static const char *text_of(const json_t *object, const char *name)
{
        return json_string_value(json_object_get(object, name));
}

TEST(a_list_has_a_line_for_each_package)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(PAPERS_MAX);
        PaperInput input = sample(&lock);

        CHECK_OK(papers_list(&input, &text));
        CHECK_STR((const char *)text.data,
                        "bash 5.2.15-2+b7 amd64 bash\n"
                        "libstdc++6 12.2.0-14 amd64 gcc-12 "
                        "ab00000000000000000000000000000000000000000000000000000000000000\n"
                        "zlib1g 1:1.2.13 amd64 zlib\n");
}

/* What SPDX 2.3 demands of a document, a package and a relationship. */
TEST(a_bill_of_materials_has_what_spdx_demands)
{
        static const char *const needed[] = { "SPDXID", "name", "downloadLocation", "licenseConcluded",
                "licenseDeclared", "copyrightText", "versionInfo" };
        _cleanup_json_ json_t *json = make(papers_sbom, &lock);
        _cleanup_json_ json_t *seen = json_object();
        json_t *list = json_object_get(json, "packages"), *links = json_object_get(json, "relationships"),
               *item;
        size_t i;

        CHECK(json);
        CHECK_STR(text_of(json, "spdxVersion"), "SPDX-2.3");
        CHECK_STR(text_of(json, "dataLicense"), "CC0-1.0");
        CHECK_STR(text_of(json, "SPDXID"), "SPDXRef-DOCUMENT");
        CHECK_STR(text_of(json_object_get(json, "creationInfo"), "created"), "2026-01-02T03:04:05Z");
        CHECK(strncmp(text_of(json, "documentNamespace"), "urn:uuid:", 9) == 0);
        CHECK_EQ(json_array_size(list), 1 + ELEMENTS(packages));
        json_array_foreach(list, i, item)
        {
                const char *reference = text_of(item, "SPDXID");

                for (size_t j = 0; j < ELEMENTS(needed); j++)
                        CHECK(text_of(item, needed[j]));
                CHECK(strncmp(reference, "SPDXRef-", 8) == 0);
                CHECK_EQ(strspn(reference,
                                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"),
                                strlen(reference));
                CHECK(!json_object_get(seen, reference));
                CHECK_OK(json_object_set_new(seen, reference, json_true()));
        }
        CHECK_OK(json_object_set_new(seen, "SPDXRef-DOCUMENT", json_true()));
        CHECK_EQ(json_array_size(links), 1 + ELEMENTS(packages));
        json_array_foreach(links, i, item) CHECK(json_object_get(seen, text_of(item, "spdxElementId")) &&
                                                 json_object_get(seen, text_of(item, "relatedSpdxElement")));
}

TEST(a_package_has_its_url_and_of_a_lock_its_origin)
{
        _cleanup_json_ json_t *json = make(papers_sbom, &lock), *unlocked = make(papers_sbom, NULL);
        const json_t *package = json_array_get(json_object_get(json, "packages"), 2);
        const json_t *reference = json_array_get(json_object_get(package, "externalRefs"), 0);
        const json_t *sum = json_array_get(json_object_get(package, "checksums"), 0);

        CHECK_STR(text_of(reference, "referenceLocator"),
                        "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-bookworm");
        CHECK_STR(text_of(package, "downloadLocation"), "http://m.example/debian/pool/libstdc%2b%2b6.deb");
        CHECK(strncmp(text_of(sum, "checksumValue"), "ab00", 4) == 0);
        CHECK_STR(text_of(package, "sourceInfo"), "built from the source package gcc-12 12.2.0-14");
        package = json_array_get(json_object_get(unlocked, "packages"), 2);
        CHECK_STR(text_of(package, "downloadLocation"), "NOASSERTION");
        CHECK(!json_object_get(package, "checksums"));
        CHECK(strcmp(text_of(json, "documentNamespace"), text_of(unlocked, "documentNamespace")) != 0);
}

TEST(a_provenance_names_products_and_all_that_went_in)
{
        _cleanup_json_ json_t *json = make(papers_provenance, &lock);
        const json_t *predicate = json_object_get(json, "predicate");
        const json_t *definition = json_object_get(predicate, "buildDefinition");
        const json_t *inputs = json_object_get(definition, "resolvedDependencies");
        const json_t *asked = json_object_get(definition, "externalParameters");

        CHECK_STR(json_string_value(json_array_get(json_object_get(asked, "settings"), 0)),
                        "Image.Hostname=h");
        CHECK_STR(json_string_value(json_array_get(json_object_get(asked, "profiles"), 0)), "big");
        CHECK_STR(text_of(json, "_type"), "https://in-toto.io/Statement/v1");
        CHECK_STR(text_of(json, "predicateType"), "https://slsa.dev/provenance/v1");
        CHECK_STR(text_of(json_array_get(json_object_get(json, "subject"), 1), "name"), "uki.efi");
        CHECK_EQ(json_array_size(inputs), 2 + 1 + ELEMENTS(packages));
        CHECK_STR(text_of(json_array_get(inputs, 1), "name"), "caf%E9");
        CHECK_STR(text_of(json_array_get(inputs, 2), "uri"), "http://m.example/debian/dists/s/InRelease");
        CHECK(!json_object_get(json_array_get(inputs, 3), "digest"));
        CHECK(strncmp(text_of(json_object_get(json_array_get(inputs, 4), "digest"), "sha256"), "ab00", 4) ==
                        0);
        CHECK(text_of(definition, "buildType"));
        CHECK(text_of(json_object_get(json_object_get(predicate, "runDetails"), "builder"), "id"));
}

TEST_MAIN
