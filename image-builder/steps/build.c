/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"

#include "clock.h"
#include "file.h"
#include "hex.h"
#include "sparse.h"
#include "version-order.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#define LOCK_TRIES 50 /* a tenth of a second apart */

/* What is copied or made in the output folder, in order; after these come the disk_formats. */
typedef struct Output {
        BuildStep step;
        const char *name, *format; /* of [Disk] Formats=; NULL: always */
} Output;

static const Output first_outputs[] = {
        { BUILD_ROOT, BUILD_ROOT_FILE, NULL },
        { BUILD_VERITY, BUILD_VERITY_FILE, NULL },
        { BUILD_UKI, BUILD_UKI_FILE, NULL },
        { BUILD_DISK, BUILD_DISK_FILE, "raw" },
        { BUILD_QCOW2, BUILD_QCOW2_FILE, "qcow2" },
        { BUILD_INSTALLER, BUILD_INSTALLER_FILE, BUILD_INSTALLER_FORMAT },
};

#define OUTPUT_COUNT (ELEMENTS(first_outputs) + DISK_FORMAT_COUNT)

static Output output_at(size_t number)
{
        size_t format = number - ELEMENTS(first_outputs);

        if (number < ELEMENTS(first_outputs))
                return first_outputs[number];
        return (Output){ (BuildStep)(BUILD_FORMAT + format), disk_formats[format].file,
                disk_formats[format].name };
}

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

static void read_clocks(double *ret_wall, double *ret_cpu)
{
        struct rusage self, children;

        (void)getrusage(RUSAGE_SELF, &self);
        (void)getrusage(RUSAGE_CHILDREN, &children);
        *ret_wall = (double)monotonic_ms() / 1000;
        *ret_cpu = seconds(&self.ru_utime) + seconds(&self.ru_stime) + seconds(&children.ru_utime) +
                   seconds(&children.ru_stime);
}

static void note_figures(Build *build, BuildStep step, bool is_cached, double wall, double cpu)
{
        BuildFigures *figures = &build->figures[step];
        double wall_now, cpu_now;
        char size[SIZE_TEXT_MAX], remark[2 * SIZE_TEXT_MAX];

        read_clocks(&wall_now, &cpu_now);
        figures->is_done = true;
        figures->is_cached = is_cached;
        figures->wall_seconds = wall_now - wall;
        figures->cpu_seconds = cpu_now - cpu;
        (void)snprintf(remark, sizeof(remark), "%s%s", size_format(figures->size_bytes, size),
                        is_cached ? ", unchanged" : "");
        progress_end(build->progress, remark);
}

/* ---- steps ---- */

/* Files are read after they were hashed. What one of them has changed in between would be found under the
 * key of what it was. */
static int check_key(Build *build, BuildStep step, Error *error)
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
                r = check_key(build, BUILD_ROOT, error);
        if (r >= 0)
                r = check_key(build, step, error);
        return r < 0 ? r : cache_commit(&build->entries[step], error);
}

static int run_cached_step(Build *build, BuildStep step, Error *error)
{
        CacheEntry *entry = &build->entries[step];
        double wall, cpu;
        bool is_cached;
        int r;

        read_clocks(&wall, &cpu);
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
        note_figures(build, step, is_cached, wall, cpu);
        return 0;
}

static uint64_t size_of(const char *path)
{
        struct stat status;

        return lstat(path, &status) < 0 ? 0 : (uint64_t)status.st_size;
}

/* Puts a step's file beside its place in the output folder, unless it is there, untouched, from before. */
static int place(Build *build, BuildStep step, const char *name, Error *error)
{
        _cleanup_free_ char *final = path_join(build->output, name), *source = NULL;
        char *temporary = final ? string_format("%s/.%s.partial", build->output, name) : NULL;
        bool is_made_here = step >= BUILD_DISK;
        double wall, cpu;
        int r;

        if (!temporary)
                return error_oom(error);
        read_clocks(&wall, &cpu);
        if (is_made_here)
                progress_begin(build->progress, build_step_name(step), 0);
        if (cache_is_placed(build->cache, final, &build->keys[step])) {
                free(temporary);
                build->figures[step].size_bytes = size_of(final);
                if (is_made_here)
                        note_figures(build, step, true, wall, cpu);
                return 0;
        }
        (void)unlink(temporary);
        build->placed[step] = temporary;
        source = is_made_here ? strdup("") : cache_entry_file(&build->entries[step], name);
        if (!source)
                return error_oom(error);
        r = is_made_here ? build_make(build, step, temporary, error)
                         : sparse_copy_file(source, temporary, error);
        if (r >= 0 && is_made_here)
                r = check_key(build, step, error);
        if (r >= 0 && is_made_here) {
                build->figures[step].size_bytes = size_of(temporary);
                note_figures(build, step, false, wall, cpu);
        }
        return r;
}

/* Everything is there: the files get their names. */
static int publish(Build *build, Error *error)
{
        for (size_t i = 0; i < OUTPUT_COUNT; i++) {
                Output output = output_at(i);
                _cleanup_free_ char *final = path_join(build->output, output.name);
                char **temporary = &build->placed[output.step];

                if (!final)
                        return error_oom(error);
                if (!*temporary)
                        continue;
                if (rename(*temporary, final) < 0)
                        return error_set(error, ERROR_IO, errno, "cannot rename %s: %s", *temporary,
                                        strerror(errno));
                free(*temporary);
                *temporary = NULL;
                cache_note_placed(build->cache, final, &build->keys[output.step]);
        }
        return 0;
}

/* A format that is no longer asked for must not lie about as if it belonged to this build. */
static void remove_stale(const Build *build)
{
        for (size_t i = 0; i < OUTPUT_COUNT; i++) {
                Output output = output_at(i);

                if (output.format && !recipe_wants_format(build->recipe, output.format))
                        (void)unlinkat(build->output_fd, output.name, 0);
        }
}

/* Whether a raw disk is needed to make another format from. */
static bool is_raw_needed(const Build *build)
{
        for (size_t i = 0; i < OUTPUT_COUNT; i++) {
                Output output = output_at(i);
                _cleanup_free_ char *path = NULL;

                if (output.step <= BUILD_DISK || !recipe_wants_format(build->recipe, output.format) ||
                                (output.step >= BUILD_FORMAT &&
                                                disk_formats[output.step - BUILD_FORMAT].of_root))
                        continue;
                path = path_join(build->output, output.name);
                if (!path || !cache_is_placed(build->cache, path, &build->keys[output.step]))
                        return true;
        }
        return false;
}

static int run_outputs(Build *build, Error *error)
{
        int r = 0;

        for (unsigned step = BUILD_DISK; r >= 0 && step < BUILD_STEP_MAX; step++)
                r = build_key(build, step, error);
        for (size_t i = 0; r >= 0 && i < OUTPUT_COUNT; i++) {
                Output output = output_at(i);

                if (!output.format || recipe_wants_format(build->recipe, output.format) ||
                                (output.step == BUILD_DISK && is_raw_needed(build)))
                        r = place(build, output.step, output.name, error);
        }
        return r;
}

/* ---- beginning and end ---- */

/* A build that was killed lets go of its folder only when its last child is gone: that is waited for. */
static int lock_folder(int fd)
{
        static const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };

        for (unsigned tries = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
                if (errno != EWOULDBLOCK || tries >= LOCK_TRIES)
                        return -errno;
                (void)nanosleep(&pause, NULL);
        }
        return 0;
}

static int open_output(Build *build, const char *path, Error *error)
{
        int r = directory_make(AT_FDCWD, path, 0755);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot make the folder %s: %s", path, strerror(-r));
        build->output = realpath(path, NULL);
        build->output_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (!build->output || build->output_fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open the folder %s: %s", path,
                                strerror(errno));
        if (lock_folder(build->output_fd) < 0)
                return error_set(error, ERROR_BUSY, EBUSY, "another build writes to %s", path);
        return 0;
}

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
                if (build->placed[step])
                        (void)unlink(build->placed[step]);
                free(build->placed[step]);
                cache_key_done(&build->keys[step]);
                cache_entry_done(&build->entries[step]);
        }
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
                r = open_output(build, build->options->output, error);
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
                r = run_outputs(build, error);
        if (r >= 0)
                r = build_fill_info(build, &info, error);
        if (r >= 0)
                r = publish(build, error);
        if (r >= 0)
                r = build_papers(build, info, error);
        if (r >= 0)
                r = image_info_write(build->output, info, error);
        if (r < 0)
                return r;
        remove_stale(build);
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
