/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"
#include "file.h"
#include "papers.h"
#include "sparse.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define LOCK_TRIES 50 /* a tenth of a second apart */
#define INFO_MAX (16 * MIB)

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

/* What build_put() writes about them. */
static const char *const texts[] = { PAPERS_LIST_FILE, PAPERS_SBOM_FILE, PAPERS_PROVENANCE_FILE,
        PAPERS_FIXES_FILE, IMAGE_INFO_NAME };

#define OUTPUT_COUNT (ELEMENTS(first_outputs) + DISK_FORMAT_COUNT)

static Output output_at(size_t number)
{
        size_t format = number - ELEMENTS(first_outputs);

        if (number < ELEMENTS(first_outputs))
                return first_outputs[number];
        return (Output){ (BuildStep)(BUILD_FORMAT + format), disk_formats[format].file,
                disk_formats[format].name };
}

static bool is_wanted(const Build *build, const Output *output)
{
        return !output->format || recipe_wants_format(build->recipe, output->format);
}

/* What a file is called until it gets its name. */
static char *partial_name(const char *name)
{
        return string_format(".%s.partial", name);
}

static void drop_partial(const Build *build, const char *name)
{
        _cleanup_free_ char *partial = partial_name(name);

        if (partial)
                (void)unlinkat(build->output_fd, partial, 0);
}

void build_drop_partials(const Build *build)
{
        if (build->output_fd < 0)
                return;
        for (size_t i = 0; i < OUTPUT_COUNT; i++)
                drop_partial(build, output_at(i).name);
        for (size_t i = 0; i < ELEMENTS(texts); i++)
                drop_partial(build, texts[i]);
}

/* ---- the folder ---- */

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

int build_open_output(Build *build, const char *path, Error *error)
{
        _cleanup_fd_ int fd = -1;
        int r = directory_make(AT_FDCWD, path, 0755);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot make the folder %s: %s", path, strerror(-r));
        build->output = realpath(path, NULL);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (!build->output || fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open the folder %s: %s", path,
                                strerror(errno));
        if (lock_folder(fd) < 0)
                return error_set(error, ERROR_BUSY, EBUSY, "another build writes to %s", path);
        build->output_fd = TAKE_FD(fd);
        build_drop_partials(build); /* of a build that was killed */
        return 0;
}

/* ---- what goes there, under partial names ---- */

static uint64_t size_of(const char *path)
{
        struct stat status;

        return lstat(path, &status) < 0 ? 0 : (uint64_t)status.st_size;
}

/* Puts a step's file beside its place in the output folder, unless it is there, untouched, from before. */
static int place(Build *build, BuildStep step, const char *name, Error *error)
{
        _cleanup_free_ char *final = path_join(build->output, name), *partial = partial_name(name);
        _cleanup_free_ char *source = NULL;
        char *path = partial ? path_join(build->output, partial) : NULL;
        bool is_made_here = step >= BUILD_DISK;
        double wall, cpu;
        int r;

        build->placed[step] = path;
        if (!final || !path)
                return error_oom(error);
        build_clocks(&wall, &cpu);
        if (is_made_here)
                progress_begin(build->progress, build_step_name(step), 0);
        if (cache_is_placed(build->cache, final, &build->keys[step])) {
                free(path);
                build->placed[step] = NULL;
                build->figures[step].size_bytes = size_of(final);
                if (is_made_here)
                        build_note_figures(build, step, true, wall, cpu);
                return 0;
        }
        source = is_made_here ? strdup("") : cache_entry_file(&build->entries[step], name);
        if (!source)
                return error_oom(error);
        r = is_made_here ? build_make(build, step, path, error) : sparse_copy_file(source, path, error);
        if (r >= 0 && is_made_here)
                r = build_check_key(build, step, error);
        if (r >= 0 && is_made_here) {
                build->figures[step].size_bytes = size_of(path);
                build_note_figures(build, step, false, wall, cpu);
        }
        return r;
}

/* Whether a raw disk is needed to make another format from. */
static bool is_raw_needed(const Build *build)
{
        for (size_t i = 0; i < OUTPUT_COUNT; i++) {
                Output output = output_at(i);
                _cleanup_free_ char *path = NULL;

                if (output.step <= BUILD_DISK || !is_wanted(build, &output) ||
                                (output.step >= BUILD_FORMAT &&
                                                disk_formats[output.step - BUILD_FORMAT].of_root))
                        continue;
                path = path_join(build->output, output.name);
                if (!path || !cache_is_placed(build->cache, path, &build->keys[output.step]))
                        return true;
        }
        return false;
}

int build_outputs(Build *build, Error *error)
{
        int r = 0;

        for (unsigned step = BUILD_DISK; r >= 0 && step < BUILD_STEP_MAX; step++)
                r = build_key(build, step, error);
        for (size_t i = 0; r >= 0 && i < OUTPUT_COUNT; i++) {
                Output output = output_at(i);

                if (is_wanted(build, &output) || (output.step == BUILD_DISK && is_raw_needed(build)))
                        r = place(build, output.step, output.name, error);
        }
        return r;
}

int build_put(const Build *build, const char *name, const void *data, size_t size, Error *error)
{
        _cleanup_free_ char *partial = partial_name(name);
        _cleanup_fd_ int fd = -1;
        int r;

        if (!partial)
                return error_oom(error);
        fd = openat(build->output_fd, partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        r = fd < 0 ? -errno : write_full(fd, data, size);
        if (r >= 0 && fsync(fd) < 0)
                r = -errno;
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot write %s/%s: %s", build->output, partial,
                                       strerror(-r))
                     : 0;
}

/* ---- their names ---- */

static int give_name(const Build *build, const char *name, Error *error)
{
        _cleanup_free_ char *partial = partial_name(name);

        if (!partial)
                return error_oom(error);
        if (renameat(build->output_fd, partial, build->output_fd, name) < 0)
                return error_set(error, ERROR_IO, errno, "cannot rename %s/%s to %s: %s", build->output,
                                partial, name, strerror(errno));
        return 0;
}

static int name_images(Build *build, Error *error)
{
        for (size_t i = 0; i < OUTPUT_COUNT; i++) {
                Output output = output_at(i);
                _cleanup_free_ char *final = path_join(build->output, output.name);
                char **placed = &build->placed[output.step];
                int r;

                if (!final)
                        return error_oom(error);
                if (!*placed || !is_wanted(build, &output))
                        continue;
                r = give_name(build, output.name, error);
                if (r < 0)
                        return r;
                free(*placed);
                *placed = NULL;
                cache_note_placed(build->cache, final, &build->keys[output.step]);
        }
        return 0;
}

static int remove_name(const Build *build, const char *name, Error *error)
{
        if (unlinkat(build->output_fd, name, 0) < 0 && errno != ENOENT)
                return error_set(error, ERROR_IO, errno,
                                "cannot remove %s/%s, which is not of this build: %s", build->output, name,
                                strerror(errno));
        return 0;
}

static bool is_told_in(const ImageInfo *info, const char *text)
{
        for (size_t i = 0; i < info->paper_count; i++)
                if (strcmp(info->papers[i].file, text) == 0)
                        return true;
        return strcmp(text, IMAGE_INFO_NAME) == 0;
}

/* A format that is no longer asked for, or a paper that this build does not have, must not lie about as if
 * it belonged to it. */
static int remove_stale(const Build *build, const ImageInfo *info, Error *error)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < OUTPUT_COUNT; i++) {
                Output output = output_at(i);

                if (!is_wanted(build, &output))
                        r = remove_name(build, output.name, error);
        }
        for (size_t i = 0; r >= 0 && i < ELEMENTS(texts); i++)
                if (!is_told_in(info, texts[i]))
                        r = remove_name(build, texts[i], error);
        return r;
}

/* Whether the folder has this very build already: no image is new, and image.json, which has the hashes of
 * papers, is the same. */
static bool is_published(const Build *build, const char *text)
{
        _cleanup_free_ char *before = NULL;
        size_t size;

        for (unsigned step = 0; step < BUILD_STEP_MAX; step++)
                if (build->placed[step])
                        return false;
        return file_read(build->output_fd, IMAGE_INFO_NAME, INFO_MAX, &before, &size) >= 0 &&
               strcmp(before, text) == 0;
}

static int sync_names(const Build *build, Error *error)
{
        return fsync(build->output_fd) < 0 ? error_set(error, ERROR_IO, errno, "cannot write to %s: %s",
                                                             build->output, strerror(errno))
                                           : 0;
}

/* No image.json ever stands beside files of another build: the old one goes before the first file changes,
 * the new one comes after the last. */
int build_publish(Build *build, const ImageInfo *info, Error *error)
{
        _cleanup_free_ char *text = NULL;
        int r = image_info_format(info, &text, error);

        if (r >= 0)
                r = build_put(build, IMAGE_INFO_NAME, text, strlen(text), error);
        if (r >= 0 && !is_published(build, text)) {
                r = remove_name(build, IMAGE_INFO_NAME, error);
                if (r >= 0)
                        r = sync_names(build, error);
        }
        if (r >= 0)
                r = remove_stale(build, info, error);
        if (r >= 0)
                r = name_images(build, error);
        for (size_t i = 0; r >= 0 && i < info->paper_count; i++)
                r = give_name(build, info->papers[i].file, error);
        if (r >= 0)
                r = give_name(build, IMAGE_INFO_NAME, error);
        return r < 0 ? r : sync_names(build, error);
}
