/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"
#include "file.h"
#include "hex.h"
#include "key-options.h"
#include "options.h"
#include "strv.h"
#include "verbs.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/resource.h>

static json_t *file_json(const char *name, uint64_t size_bytes, const uint8_t *sha256)
{
        json_t *object = json_pack("{s:s, s:I}", "file", name, "size_bytes", (json_int_t)size_bytes);
        char hex[SHA256_HEX_SIZE];

        if (!sha256)
                return object;
        hex_encode(sha256, SHA256_SIZE, hex);
        (void)json_object_set_new(object, "sha256", json_string(hex));
        return object;
}

static json_t *steps_json(const BuildResult *result)
{
        json_t *steps = json_array();

        for (unsigned step = 0; step < BUILD_STEP_MAX; step++) {
                const BuildFigures *figures = &result->figures[step];

                if (figures->is_done)
                        (void)json_array_append_new(steps,
                                        json_pack("{s:s, s:b, s:f, s:f, s:I}", "step", build_step_name(step),
                                                        "cached", figures->is_cached, "seconds",
                                                        figures->wall_seconds, "cpu_seconds",
                                                        figures->cpu_seconds, "size_bytes",
                                                        (json_int_t)figures->size_bytes));
        }
        return steps;
}

static long peak_kib(int who)
{
        struct rusage usage;

        return getrusage(who, &usage) < 0 ? 0 : usage.ru_maxrss;
}

/* What getrusage() tells of a process begins with what it was before it became this program. */
static long own_peak_kib(void)
{
        static const char label[] = "\nVmHWM:";
        _cleanup_free_ char *text = NULL;
        const char *at;
        size_t size;

        if (file_read(AT_FDCWD, "/proc/self/status", 64 * KIB, &text, &size) < 0)
                return peak_kib(RUSAGE_SELF);
        at = strstr(text, label);
        return at ? strtol(at + strlen(label), NULL, 10) : peak_kib(RUSAGE_SELF);
}

static void print_json(const BuildResult *result, const char *output)
{
        const ImageInfo *info = result->info;
        char root_hash[SHA256_HEX_SIZE];
        json_t *files = json_object(), *packages = json_array(), *root;

        hex_encode(info->verity.root_hash, SHA256_SIZE, root_hash);
        (void)json_object_set_new(
                        files, "root", file_json(info->root_file, info->root_size_bytes, info->root_sha256));
        (void)json_object_set_new(files, "verity",
                        file_json(info->verity_file, result->figures[BUILD_VERITY].size_bytes, NULL));
        (void)json_object_set_new(
                        files, "uki", file_json(info->uki_file, info->uki_size_bytes, info->uki_sha256));
        if (info->disk_file)
                (void)json_object_set_new(files, "disk",
                                file_json(info->disk_file, result->figures[BUILD_DISK].size_bytes, NULL));
        if (info->qcow2_file)
                (void)json_object_set_new(files, "qcow2",
                                file_json(info->qcow2_file, result->figures[BUILD_QCOW2].size_bytes, NULL));
        if (result->figures[BUILD_INSTALLER].is_done)
                (void)json_object_set_new(files, BUILD_INSTALLER_FORMAT,
                                file_json(BUILD_INSTALLER_FILE, result->figures[BUILD_INSTALLER].size_bytes,
                                                NULL));
        for (unsigned i = 0; i < DISK_FORMAT_COUNT; i++)
                if (result->figures[BUILD_FORMAT + i].is_done)
                        (void)json_object_set_new(files, disk_formats[i].name,
                                        file_json(disk_formats[i].file,
                                                        result->figures[BUILD_FORMAT + i].size_bytes, NULL));
        for (size_t i = 0; i < info->package_count; i++)
                (void)json_array_append_new(
                                packages, json_pack("{s:s, s:s, s:s}", "name", info->packages[i].name,
                                                          "version", info->packages[i].version,
                                                          "architecture", info->packages[i].architecture));
        root = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:I, s:I}", "image_id", info->image_id,
                        "version", info->version, "architecture", info->architecture, "folder", output,
                        "root_hash", root_hash, "files", files, "steps", steps_json(result), "packages",
                        packages, "peak_memory_kib", (json_int_t)own_peak_kib(), "peak_memory_children_kib",
                        (json_int_t)peak_kib(RUSAGE_CHILDREN));
        (void)json_dumpf(root, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        json_decref(root);
}

static void print_text(const BuildResult *result, const char *output)
{
        const ImageInfo *info = result->info;
        char root_hash[SHA256_HEX_SIZE];

        hex_encode(info->verity.root_hash, SHA256_SIZE, root_hash);
        printf("%s %s for %s, %zu packages, in %s\nroot hash %s\n", info->image_id, info->version,
                        info->architecture, info->package_count, output, root_hash);
}

typedef struct Arguments {
        BuildOptions build;
        const char *version;
        char **settings, **profiles;
        bool json;
} Arguments;

static int run(const char *recipe_path, const Arguments *arguments, Error *error)
{
        _cleanup_recipe_ Recipe *recipe = NULL;
        BuildResult result = { 0 };
        int r = recipe_load(recipe_path,
                        &(RecipeOptions){ .profiles = arguments->profiles,
                                        .settings = arguments->settings,
                                        .version = arguments->version },
                        &recipe, error);

        if (r >= 0)
                r = build(recipe, &arguments->build, &result, error);
        if (r < 0)
                return r;
        if (arguments->json)
                print_json(&result, arguments->build.output);
        else
                print_text(&result, arguments->build.output);
        build_result_done(&result);
        return 0;
}

int verb_build(int argc, char **argv)
{
        Arguments a = { .build.engine_root = "/" };
        const Option options[] = {
                { "output", 'o', OPTION_STRING, &a.build.output, "DIR", "Put the images into this folder" },
                { "version", 0, OPTION_STRING, &a.version, "VERSION",
                                "Version of the image, instead of the recipe's" },
                { "profile", 0, OPTION_LIST, &a.profiles, "NAME", "Read this profile of the recipe" },
                { "set", 's', OPTION_LIST, &a.settings, "SECTION.KEY=VALUE", "Read this after the recipe" },
                { "mirror", 'm', OPTION_STRING, &a.build.mirror, "URL", "Package mirror, instead of apt's" },
                { "locked", 0, OPTION_FLAG, &a.build.must_be_locked, NULL,
                                "Refuse to build without a lock" },
                { "no-lock", 0, OPTION_FLAG, &a.build.without_lock, NULL,
                                "Choose packages anew, even if there is a lock" },
                { "cache", 0, OPTION_STRING, &a.build.cache, "DIR",
                                "Keep finished steps here (~/.cache/bascule)" },
                { "engine-root", 0, OPTION_STRING, &a.build.engine_root, "DIR",
                                "Take the engine from this installation (/)" },
                { "secure-boot-key", 0, OPTION_STRING, &a.build.secure_boot_key, "KEY",
                                "Sign kernel image and boot loader with this key (a file, or a pkcs11: "
                                "URI)" },
                { "secure-boot-certificate", 0, OPTION_STRING, &a.build.secure_boot_certificate, "FILE",
                                "Certificate of that key" },
                { "secure-boot-enroll", 0, OPTION_STRING, &a.build.secure_boot_enroll, "DIR",
                                "Let firmware in setup mode enrol the keys of this folder" },
                { "pcr-key", 0, OPTION_STRING, &a.build.pcr_key, "KEY",
                                "Sign what register 11 of a TPM will hold with this RSA key (a file, or a "
                                "pkcs11: URI)" },
                PASSPHRASE_OPTIONS(a.build.passphrase),
                { "previous", 'p', OPTION_STRING, &a.build.previous, "PATH",
                                "Lay files out as in this image, image folder, or repository's last "
                                "release" },
                { "json", 0, OPTION_FLAG, &a.json, NULL, "Print what was made as JSON" },
                { 0 },
        };
        const Usage usage = { PROGRAM_NAME, "build RECIPE -o DIR [OPTION...]",
                "Builds the root image, kernel image and disk images that a recipe describes.", 1, 1 };
        Error error = { 0 };
        char **arguments;
        int r = options_take(argc, argv, options, &usage, &arguments, &error);

        if (r == 0 && !a.build.output)
                r = error_set(&error, ERROR_USAGE, EINVAL, "name the folder for what is made: -o DIR");
        if (r == 0 && a.build.must_be_locked && a.build.without_lock)
                r = error_set(&error, ERROR_USAGE, EINVAL, "--locked and --no-lock exclude each other");
        if (r == 0)
                r = run(arguments[0], &a, &error);
        a.profiles = strv_free(a.profiles);
        a.settings = strv_free(a.settings);
        return program_exit(PROGRAM_NAME, r, &error, a.json);
}
