/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"
#include "engine-files.h"
#include "file.h"
#include "fixes.h"
#include "hex.h"
#include "papers.h"
#include "strv.h"

#include <fcntl.h>
#include <string.h>

#define OS_RELEASE_MAX (64 * KIB)
#define PACKAGE_LIST_MAX (16 * MIB)
#define PRODUCTS_MAX 3

/* What a PaperInput borrows from. */
typedef struct Materials {
        char *list, *os_release, *fixes;
        char **request;
        PaperPackage *packages;
        PaperFile products[PRODUCTS_MAX], *inputs;
        char **input_names;
        PaperInput input;
} Materials;

static void materials_done(Materials *materials)
{
        free(materials->list);
        free(materials->os_release);
        free(materials->fixes);
        strv_free(materials->request);
        strv_free(materials->input_names);
        free(materials->inputs);
        free(materials->packages);
}

/* Cuts the value of KEY= or KEY="..." out of the text, which loses its rest; NULL when it is not there. */
static char *cut_value(char *text, const char *key)
{
        size_t length = strlen(key);

        for (char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, key, length) != 0 || line[length] != '=')
                        continue;
                line += length + 1;
                line += *line == '"';
                line[strcspn(line, "\"\n")] = 0;
                return line;
        }
        return NULL;
}

/* Each value is cut out of a copy of its own, one after the other in one allocation. */
static int read_os_release(Build *build, Materials *materials, Error *error)
{
        _cleanup_free_ char *text = NULL;
        char *copies[3];
        size_t size;
        int r = build_entry_read(
                        &build->entries[BUILD_ROOT], "os-release", OS_RELEASE_MAX, &text, &size, error);

        if (r < 0)
                return r;
        materials->os_release = malloc(3 * (size + 1));
        if (!materials->os_release)
                return error_oom(error);
        for (size_t i = 0; i < ELEMENTS(copies); i++) {
                copies[i] = materials->os_release + i * (size + 1);
                memcpy(copies[i], text, size + 1);
        }
        materials->input.distribution = cut_value(copies[0], "ID");
        materials->input.codename = cut_value(copies[1], "VERSION_CODENAME");
        materials->input.vendor = cut_value(copies[2], "NAME");
        if (!materials->input.distribution)
                materials->input.distribution = "linux";
        if (!materials->input.vendor)
                materials->input.vendor = materials->input.distribution;
        return 0;
}

/* "NAME VERSION ARCHITECTURE SOURCE SOURCE-VERSION" lines of our own writing. */
static int read_packages(Build *build, Materials *materials, Error *error)
{
        const CacheEntry *entry = &build->entries[BUILD_ROOT];
        size_t size, count = 0;
        char *next;
        int r = build_entry_read(entry, "packages", PACKAGE_LIST_MAX, &materials->list, &size, error);

        if (r < 0)
                return r;
        for (const char *p = materials->list; *p; p++)
                count += *p == '\n';
        materials->packages = calloc(count + 1, sizeof(*materials->packages));
        if (!materials->packages)
                return error_oom(error);
        next = materials->list;
        for (char *line; materials->input.package_count < count && (line = strsep(&next, "\n"));) {
                PaperPackage *package = &materials->packages[materials->input.package_count++];

                package->name = strsep(&line, " ");
                package->version = strsep(&line, " ");
                package->architecture = strsep(&line, " ");
                package->source = strsep(&line, " ");
                package->source_version = line;
                if (!line)
                        return error_set(error, ERROR_CORRUPT, EBADMSG,
                                        "the cache entry %s is damaged; remove it", entry->path);
        }
        materials->input.packages = materials->packages;
        return 0;
}

/* The text of a paper that was written already, when the packages were read. */
static int read_fixes(Build *build, Materials *materials, Error *error)
{
        size_t size;
        int r;

        if (!build_has_fixes(build))
                return 0;
        r = build_entry_read(&build->entries[BUILD_ROOT], BUILD_FIXES_FILE, FIXES_MAX, &materials->fixes,
                        &size, error);
        materials->input.fixes = materials->fixes;
        return r;
}

static int hash_file(const char *path, PaperFile *ret, Error *error)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        uint64_t size;
        int r = fd < 0 ? -errno : fd_size(fd, &size);

        if (r >= 0)
                r = sha256_of_fd(fd, 0, size, ret->sha256);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

/* Nothing is added that is there with the same hash. */
static int add_hash(Materials *materials, const char *name, const uint8_t sha256[static SHA256_SIZE],
                Error *error)
{
        size_t count = materials->input.input_count;
        PaperFile *grown;

        for (size_t i = 0; i < count; i++)
                if (memcmp(materials->inputs[i].sha256, sha256, SHA256_SIZE) == 0 &&
                                strcmp(materials->inputs[i].name, name) == 0)
                        return 0;
        grown = reallocarray(materials->inputs, count + 1, sizeof(*grown));
        if (!grown)
                return error_oom(error);
        materials->inputs = grown;
        materials->input.inputs = grown;
        if (strv_append(&materials->input_names, name) < 0)
                return error_oom(error);
        grown[count] = (PaperFile){ .name = materials->input_names[count] };
        memcpy(grown[count].sha256, sha256, SHA256_SIZE);
        materials->input.input_count++;
        return 0;
}

/* It lies beside the recipe. */
static int add_lock(const Build *build, Materials *materials, const char *path, Error *error)
{
        PaperFile file;
        int r = path ? hash_file(path, &file, error) : error_oom(error);

        return r < 0 ? r : add_hash(materials, recipe_input_name(build->recipe, path), file.sha256, error);
}

/* By its last component; an OCI image as its manifest and all that this names. */
static int add_base(Build *build, Materials *materials, Error *error)
{
        const OciList *parts = base_parts(build->base);
        const char *name = strrchr(build->recipe->base, '/') + 1;
        uint8_t identity[SHA256_SIZE];
        int r = hex_decode(base_identity(build->base), identity, SHA256_SIZE);

        r = r < 0 ? -EINVAL : add_hash(materials, name, identity, error);
        for (size_t i = 0; r >= 0 && i < parts->count; i++) {
                char text[SHA256_HEX_SIZE];
                _cleanup_free_ char *blob = NULL;

                hex_encode(parts->items[i].sha256, SHA256_SIZE, text);
                blob = string_format("%s/blobs/sha256/%s", name, text);
                r = blob ? add_hash(materials, blob, parts->items[i].sha256, error) : error_oom(error);
        }
        return r;
}

/* As they were when they were read. */
static int add_recipe(const Recipe *recipe, Materials *materials, Error *error)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < recipe->input_count; i++)
                if (recipe->inputs[i].is_text)
                        r = add_hash(materials, recipe->inputs[i].name, recipe->inputs[i].sha256, error);
        return r;
}

static int add_part(Build *build, Materials *materials, const CacheInput *input, Error *error)
{
        const char *below = engine_files_input_path(input, build->options->engine_root);
        _cleanup_free_ char *of_engine = below ? string_format("engine/%s", below) : NULL;

        if (below && !of_engine)
                return error_oom(error);
        return add_hash(materials, of_engine ? of_engine : recipe_input_name(build->recipe, input->path),
                        input->sha256, error);
}

/* What the steps have read, with the hashes that went into their keys: content and scripts, the engine, what
 * the kernel image and the ESP are made of beside packages. */
static int add_parts(Build *build, Materials *materials, Error *error)
{
        int r = 0;

        for (unsigned step = BUILD_ROOT; step < BUILD_FORMAT; step++)
                for (size_t i = 0; r >= 0 && i < build->keys[step].input_count; i++)
                        r = add_part(build, materials, &build->keys[step].inputs[i], error);
        return r;
}

static int add_inputs(Build *build, Materials *materials, Error *error)
{
        _cleanup_free_ char *path = lock_path(build->recipe);
        int r = add_recipe(build->recipe, materials, error);

        if (r >= 0 && build->lock)
                r = add_lock(build, materials, path, error);
        if (r >= 0 && build->base)
                r = add_base(build, materials, error);
        if (r >= 0 && build->previous_fd >= 0)
                r = add_hash(materials, "previous/" BUILD_ROOT_FILE, build->previous_sha256, error);
        return r < 0 ? r : add_parts(build, materials, error);
}

static int add_products(Build *build, Materials *materials, Error *error)
{
        _cleanup_free_ char *path = cache_entry_file(&build->entries[BUILD_VERITY], BUILD_VERITY_FILE);
        PaperFile *products = materials->products;

        if (!path)
                return error_oom(error);
        products[0].name = BUILD_ROOT_FILE;
        memcpy(products[0].sha256, build->root_sha256, SHA256_SIZE);
        products[1].name = BUILD_UKI_FILE;
        memcpy(products[1].sha256, build->uki_sha256, SHA256_SIZE);
        products[2].name = BUILD_VERITY_FILE;
        materials->input.products = products;
        materials->input.product_count = PRODUCTS_MAX;
        return hash_file(path, &products[2], error);
}

static int collect(Build *build, Materials *materials, Error *error)
{
        PaperInput *input = &materials->input;
        int r = read_os_release(build, materials, error);

        if (r >= 0)
                r = read_packages(build, materials, error);
        if (r >= 0)
                r = read_fixes(build, materials, error);
        if (r >= 0)
                r = add_inputs(build, materials, error);
        if (r >= 0)
                r = add_products(build, materials, error);
        if (r >= 0 && build_make_request(build, &materials->request) < 0)
                r = error_oom(error);
        if (r < 0)
                return r;
        input->image_id = build->recipe->image_id;
        input->version = build->recipe->version;
        input->architecture = build->recipe->architecture;
        input->epoch = build->epoch;
        memcpy(input->root_hash, build->root_hash, SHA256_SIZE);
        input->lock = build->lock;
        input->request = materials->request;
        input->profiles = build->recipe->profiles;
        input->settings = build->recipe->settings;
        input->program_version = BASCULE_VERSION;
        input->program_sha256 = build->tool_hash;
        return 0;
}

static int put(Build *build, const char *name, const Buffer *text, ImageInfoPaper *ret, Error *error)
{
        int r = build_put(build, name, text->data, text->size, error);

        if (r < 0)
                return r;
        sha256_of(text->data, text->size, ret->sha256);
        ret->file = strdup(name);
        return ret->file ? 0 : error_oom(error);
}

int build_papers(Build *build, ImageInfo *info, Error *error)
{
        static const struct {
                const char *file;
                int (*make)(const PaperInput *input, Buffer *ret);
        } papers[] = {
                { PAPERS_LIST_FILE, papers_list },
                { PAPERS_SBOM_FILE, papers_sbom },
                { PAPERS_PROVENANCE_FILE, papers_provenance },
                { PAPERS_FIXES_FILE, papers_fixes },
        };
        _cleanup_(materials_done) Materials materials = { 0 };
        int r = collect(build, &materials, error);

        info->papers = calloc(ELEMENTS(papers), sizeof(*info->papers));
        if (!info->papers)
                return error_oom(error);
        for (size_t i = 0; r >= 0 && i < ELEMENTS(papers); i++) {
                _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(PAPERS_MAX);

                r = papers[i].make(&materials.input, &text);
                if (r < 0)
                        return error_set(error, ERROR_FAILED, -r, "cannot make %s: %s", papers[i].file,
                                        strerror(-r));
                if (text.size > 0 || papers[i].make != papers_fixes)
                        r = put(build, papers[i].file, &text, &info->papers[info->paper_count++], error);
        }
        return r;
}
