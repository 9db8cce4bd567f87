/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"

#include "clock.h"
#include "file.h"
#include "hex.h"
#include "version-order.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

const char *build_step_name(BuildStep step)
{
        static const char *const names[] = { "base", "packages", "root", "verity", "initrd", "uki", "disk",
                "qcow2", "installer" };

        return step < BUILD_FORMAT ? names[step] : disk_formats[step - BUILD_FORMAT].name;
}

/* ---- figures ---- */

static double seconds(const struct timeval *time)
{
        return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

void build_clocks(double *ret_wall, double *ret_cpu)
{
        struct rusage self, children;

        (void)getrusage(RUSAGE_SELF, &self);
        (void)getrusage(RUSAGE_CHILDREN, &children);
        *ret_wall = (double)monotonic_ms() / 1000;
        *ret_cpu = seconds(&self.ru_utime) + seconds(&self.ru_stime) + seconds(&children.ru_utime) +
                   seconds(&children.ru_stime);
}

void build_note_figures(Build *build, BuildStep step, bool is_cached, double wall, double cpu)
{
        BuildFigures *figures = &build->figures[step];
        double wall_now, cpu_now;
        char size[SIZE_TEXT_MAX], remark[2 * SIZE_TEXT_MAX];

        build_clocks(&wall_now, &cpu_now);
        figures->is_done = true;
        figures->is_cached = is_cached;
        figures->wall_seconds = wall_now - wall;
        figures->cpu_seconds = cpu_now - cpu;
        (void)snprintf(remark, sizeof(remark), "%s%s", size_format(figures->size_bytes, size),
                        is_cached ? ", unchanged" : "");
        progress_end(build->progress, remark);
}

/* ---- steps ---- */

int build_check_key(Build *build, BuildStep step, Error *error)
{
        CacheKey *key = &build->keys[step];
        const CacheKey before = *key;
        int r;

        cache_key_done(key);
        r = build_key(build, step, error);
        if (r < 0 || (strcmp(key->text, before.text) == 0 && key->touched == before.touched))
                return r;
        return error_set(error, ERROR_FAILED, EAGAIN,
                        "a file that the recipe names changed while it was read; run this again");
}

/* Tree-reading steps compose it first, so that it shows as a step of its own. */
static int make_entry(Build *build, BuildStep step, Error *error)
{
        int r = step == BUILD_ROOT || step == BUILD_INITRD ? build_compose(build, error) : 0;

        if (r < 0)
                return r;
        progress_begin(build->progress, build_step_name(step), 0);
        r = build_make(build, step, NULL, error);
        if (r >= 0 && step == BUILD_INITRD) /* of the same tree */
                r = build_check_key(build, BUILD_ROOT, error);
        if (r >= 0)
                r = build_check_key(build, step, error);
        return r < 0 ? r : cache_commit(&build->entries[step], error);
}

static int run_cached_step(Build *build, BuildStep step, Error *error)
{
        CacheEntry *entry = &build->entries[step];
        double wall, cpu;
        bool is_cached;
        int r;

        build_clocks(&wall, &cpu);
        r = build_key(build, step, error);
        if (r >= 0) {
                progress_begin(build->progress, build_step_name(step), 0);
                r = cache_acquire(build->cache, build_step_name(step), &build->keys[step], entry, error);
        }
        if (r < 0)
                return r;
        is_cached = entry->is_present;
        if (!is_cached)
                r = make_entry(build, step, error);
        if (r >= 0)
                r = build_load(build, step, error);
        if (r < 0)
                return r;
        build_note_figures(build, step, is_cached, wall, cpu);
        return 0;
}

/* ---- beginning and end ---- */

/* The salt of the verity tree follows from what the image calls itself. */
static void make_salt(Build *build)
{
        char text[sizeof("bascule-verity") + 2 * (VERSION_MAX + 2)];
        int size = snprintf(text, sizeof(text), "bascule-verity%c%s%c%s", 0, build->recipe->image_id, 0,
                        build->recipe->version);

        sha256_of(text, (size_t)size, build->salt);
}

static int fetch_releases(Build *build, Error *error)
{
        _cleanup_free_ char *log_path = NULL, *folder = NULL;
        _cleanup_fd_ int log_fd = -1;
        char name[64];
        int r;

        build->epoch = (int64_t)build->recipe->epoch;
        if (!build_has_step(build, BUILD_PACKAGES))
                return 0;
        r = sources_resolve(build->recipe, build->options->mirror, &build->sources, error);
        (void)snprintf(name, sizeof(name), "releases-%d", (int)getpid());
        folder = string_format("%s/scratch-%d", cache_folder(build->cache), (int)getpid());
        if (r >= 0 && !folder)
                return error_oom(error);
        if (r >= 0)
                r = cache_open_log(build->cache, name, &log_fd, &log_path, error);
        if (r < 0)
                return r;
        r = directory_make(AT_FDCWD, folder, 0755);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot make %s: %s", folder, strerror(-r));
        r = sources_fetch_releases(build->sources, folder, log_fd, error);
        (void)tree_remove(AT_FDCWD, folder);
        if (r >= 0)
                (void)unlink(log_path);
        if (!build->recipe->epoch)
                build->epoch = sources_newest_time(build->sources);
        return r;
}

static void build_done(Build *build)
{
        for (unsigned step = 0; step < BUILD_STEP_MAX; step++) {
                free(build->placed[step]);
                cache_key_done(&build->keys[step]);
                cache_entry_done(&build->entries[step]);
        }
        build_drop_partials(build);
        if (build->is_composed)
                composition_done(&build->composition);
        image_signer_free(build->signer);
        EVP_PKEY_free(build->pcr_public);
        sources_free(build->sources);
        lock_free(build->lock);
        base_free(build->base);
        cache_close(build->cache);
        progress_free(build->progress);
        fd_close(build->output_fd);
        fd_close(build->previous_fd);
        free(build->output);
}

static int run(Build *build, BuildResult *ret, Error *error)
{
        _cleanup_(image_info_freep) ImageInfo *info = NULL;
        int r = build_open_signing(build, error);

        if (r >= 0)
                r = build_open_output(build, build->options->output, error);
        if (r >= 0)
                r = cache_open(build->options->cache, &build->cache, error);
        if (r >= 0)
                r = cache_tool_hash(build->tool_hash, error);
        if (r >= 0)
                r = build_open_previous(build, error);
        if (r >= 0 && build->recipe->base)
                r = base_open(build->recipe, &build->base, error);
        if (r >= 0)
                r = build_open_lock(build, error);
        if (r >= 0 && !build->lock)
                r = fetch_releases(build, error);
        make_salt(build);
        for (unsigned step = BUILD_BASE; r >= 0 && step <= BUILD_UKI; step++)
                r = build_has_step(build, step) ? run_cached_step(build, step, error) : 0;
        if (r >= 0)
                r = build_check_budget(build, error);
        if (r >= 0)
                r = build_outputs(build, error);
        if (r >= 0)
                r = build_fill_info(build, &info, error);
        if (r >= 0)
                r = build_papers(build, info, error);
        if (r >= 0)
                r = build_publish(build, info, error);
        if (r < 0)
                return r;
        memcpy(ret->figures, build->figures, sizeof(ret->figures));
        ret->info = TAKE_PTR(info);
        return 0;
}

int build(const Recipe *recipe, const BuildOptions *options, BuildResult *ret, Error *error)
{
        Build state = { .recipe = recipe,
                .options = options,
                .output_fd = -1,
                .previous_fd = -1,
                .progress = progress_new() };
        int r;

        for (unsigned step = 0; step < BUILD_STEP_MAX; step++)
                state.entries[step] = CACHE_ENTRY_NONE;
        *ret = (BuildResult){ 0 };
        (void)umask(022);
        r = run(&state, ret, error);
        build_done(&state);
        return r;
}

void build_result_done(BuildResult *result)
{
        result->info = image_info_free(result->info);
}
