/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"
#include "engine-files.h"
#include "fixes.h"
#include "installer-disk.h"

/* Steps whose result a step reads: their keys go into its own. */
static const bool needs[BUILD_STEP_MAX][BUILD_STEP_MAX] = {
        [BUILD_PACKAGES] = { [BUILD_BASE] = true },
        [BUILD_ROOT] = { [BUILD_BASE] = true, [BUILD_PACKAGES] = true },
        [BUILD_VERITY] = { [BUILD_ROOT] = true },
        [BUILD_INITRD] = { [BUILD_ROOT] = true },
        [BUILD_UKI] = { [BUILD_ROOT] = true, [BUILD_VERITY] = true, [BUILD_INITRD] = true },
        [BUILD_DISK] = { [BUILD_ROOT] = true, [BUILD_VERITY] = true, [BUILD_UKI] = true },
        [BUILD_QCOW2... BUILD_STEP_MAX - 1] = { [BUILD_DISK] = true },
};

static void key_of_packages(Build *build, CacheKey *key)
{
        const Recipe *recipe = build->recipe;

        cache_key_add_number(key, "format", 3);
        cache_key_add_text(key, "architecture", recipe->architecture);
        cache_key_add_list(key, "area", recipe->areas);
        cache_key_add_list(key, "package", recipe->packages);
        cache_key_add_list(key, "excluded", recipe->excluded_packages);
        cache_key_add_text(key, "kernel", recipe->kernel_package);
        cache_key_add_number(key, "flags",
                        (recipe->with_recommended ? 1 : 0) + (recipe->with_documentation ? 2 : 0));
        cache_key_add_number(key, "epoch", (uint64_t)build->epoch);
        if (build->lock)
                cache_key_add_number(key, "fixes", FIXES_READER);
        for (size_t i = 0; build->lock && i < build->lock->package_count; i++) {
                cache_key_add_text(key, "locked", build->lock->packages[i].name);
                cache_key_add(key, "sha256", build->lock->packages[i].sha256, SHA256_SIZE);
        }
        for (size_t i = 0; build->sources && i < build->sources->count; i++) {
                cache_key_add_text(key, "suite", build->sources->items[i].suite);
                cache_key_add_text(key, "mirror", build->sources->items[i].mirror);
                cache_key_add_text(key, "release", build->sources->items[i].release_sha256);
        }
}

static int key_of_disk(Build *build, CacheKey *key, Error *error)
{
        int r;

        cache_key_add_text(key, "id", build->recipe->image_id);
        cache_key_add_text(key, "version", build->recipe->version);
        cache_key_add_number(key, "epoch", (uint64_t)build->epoch);
        cache_key_add_number(key, "esp", build->recipe->esp_size_bytes);
        cache_key_add_number(key, "slot", build->recipe->slot_size_bytes);
        cache_key_add_number(key, "var", build->recipe->var_size_bytes);
        r = build_key_of_enrolment(build, key, error);
        return r < 0 ? r : cache_key_add_file(key, "boot-loader", BOOT_LOADER_PATH, error);
}

static int key_of_initrd(Build *build, CacheKey *key, Error *error)
{
        cache_key_add_list(key, "module", build->recipe->modules);
        return engine_files_key_init(key, build->options->engine_root, error);
}

int build_key(Build *build, BuildStep step, Error *error)
{
        CacheKey *key = &build->keys[step];
        ComposeOptions options = build_compose_options(build);
        int r = 0;

        if (step == BUILD_BASE) {
                base_key(build->base, key);
                return cache_key_finish(key, error);
        }
        cache_key_begin(key, build_step_name(step));
        if (step != BUILD_PACKAGES)
                cache_key_add_text(key, "tool", build->tool_hash);
        for (unsigned i = 0; i < BUILD_STEP_MAX; i++)
                if (needs[step][i] && build_has_step(build, i))
                        cache_key_add_text(key, "needs", build->keys[i].text);
        switch (step) {
        case BUILD_PACKAGES:
                key_of_packages(build, key);
                break;
        case BUILD_ROOT:
                if (build->previous_fd >= 0)
                        cache_key_add(key, "previous", build->previous_sha256, SHA256_SIZE);
                r = compose_key(key, &options, error);
                break;
        case BUILD_INITRD:
                r = key_of_initrd(build, key, error);
                break;
        case BUILD_UKI:
                cache_key_add_list(key, "command-line", build->recipe->command_line);
                if (recipe_wants_format(build->recipe, BUILD_INSTALLER_FORMAT))
                        cache_key_add_text(key, "installer", INSTALLER_COMMAND_LINE);
                r = cache_key_add_file(key, "stub", STUB_PATH, error);
                if (r >= 0)
                        r = build_key_of_signing(build, key, error);
                break;
        case BUILD_INSTALLER: /* its own ESP has loader and keys too, signed or not */
        case BUILD_DISK:
                r = key_of_disk(build, key, error);
                break;
        default:
                break;
        }
        return r < 0 ? r : cache_key_finish(key, error);
}
