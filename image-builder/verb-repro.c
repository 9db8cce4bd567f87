/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "file.h"
#include "options.h"
#include "output-file.h"
#include "repro.h"
#include "strv.h"
#include "verbs.h"

#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

typedef struct Arguments {
        const char *recipe, *version, *mirror, *cache, *engine_root, *against;
        char **settings, **profiles;
        bool keep, json;
} Arguments;

/* One of the two builds. */
typedef struct Run {
        char *folder; /* it works in this one */
        char *cache, *output;
        bool is_strange; /* in surroundings that should not show */
} Run;

typedef struct Work {
        const Arguments *arguments;
        char *recipe, *engine_root; /* absolute: the builds have other working directories */
        char *folder;               /* scratch; NULL: not made yet */
        Run runs[2];
        Cache *cache; /* only its packages are used */
} Work;

static void work_done(Work *work)
{
        if (work->folder && !work->arguments->keep)
                (void)tree_remove(AT_FDCWD, work->folder);
        for (size_t i = 0; i < ELEMENTS(work->runs); i++) {
                free(work->runs[i].folder);
                free(work->runs[i].cache);
                free(work->runs[i].output);
        }
        cache_close(work->cache);
        free(work->recipe);
        free(work->engine_root);
        free(work->folder);
}

/* ---- a build ---- */

static int add_option(char ***argv, const char *name, const char *value)
{
        int r = value ? strv_append(argv, name) : 0;

        return r < 0 || !value ? r : strv_append(argv, value);
}

static int make_command(const Work *work, const Run *run, char ***ret)
{
        const Arguments *arguments = work->arguments;
        _cleanup_strv_ char **argv = NULL;
        int r = strv_append(&argv, PROGRAM_NAME);

        if (r >= 0)
                r = strv_append(&argv, "build");
        if (r >= 0)
                r = add_option(&argv, "--output", run->output);
        if (r >= 0)
                r = add_option(&argv, "--cache", run->cache);
        if (r >= 0)
                r = add_option(&argv, "--version", arguments->version);
        if (r >= 0)
                r = add_option(&argv, "--mirror", arguments->mirror);
        if (r >= 0)
                r = add_option(&argv, "--engine-root", work->engine_root);
        for (char **profile = arguments->profiles; r >= 0 && profile && *profile; profile++)
                r = add_option(&argv, "--profile", *profile);
        for (char **setting = arguments->settings; r >= 0 && setting && *setting; setting++)
                r = add_option(&argv, "--set", *setting);
        if (r >= 0)
                r = strv_append(&argv, work->recipe);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(argv);
        return 0;
}

/* In the child. */
static _noreturn_ void run_child(const Run *run, char **argv)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        cpu_set_t one;

        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
                        chdir(run->folder) < 0)
                _exit(126);
        if (run->is_strange) {
                CPU_ZERO(&one);
                CPU_SET(0, &one);
                (void)sched_setaffinity(0, sizeof(one), &one);
                (void)umask(077);
                if (setenv("TZ", "Pacific/Kiritimati", 1) < 0 || setenv("LC_ALL", "tr_TR.UTF-8", 1) < 0 ||
                                setenv("LANGUAGE", "tr", 1) < 0 || setenv("HOME", run->folder, 1) < 0 ||
                                setenv("USER", "somebody-else", 1) < 0 ||
                                setenv("LOGNAME", "somebody-else", 1) < 0 || setenv("COLUMNS", "40", 1) < 0)
                        _exit(126);
        }
        execv("/proc/self/exe", argv);
        _exit(127);
}

static int build(const Work *work, const Run *run, Error *error)
{
        _cleanup_strv_ char **argv = NULL;
        int status;
        pid_t child;

        if (make_command(work, run, &argv) < 0)
                return error_oom(error);
        child = fork();
        if (child == 0)
                run_child(run, argv);
        if (child < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot start a build: %s", strerror(errno));
        while (waitpid(child, &status, 0) < 0)
                if (errno != EINTR)
                        return error_set(error, ERROR_FAILED, errno, "cannot wait for a build: %s",
                                        strerror(errno));
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        return error_set(error,
                        WIFEXITED(status) && WEXITSTATUS(status) < ERROR_CODE_MAX
                                        ? (ErrorCode)WEXITSTATUS(status)
                                        : ERROR_FAILED,
                        EIO, "the %s build failed; it says above why", run->is_strange ? "second" : "first");
}

/* A cache of its own, but for the packages of a lock, which are checked by their hashes anyway. */
static int run_build(const Work *work, const Run *run, Error *error)
{
        _cleanup_free_ char *debs = path_join(cache_folder(work->cache), "debs");
        _cleanup_free_ char *link = path_join(run->cache, "debs");
        int r;

        if (!link || !debs)
                return error_oom(error);
        r = directory_make(AT_FDCWD, run->cache, 0755);
        if (r >= 0)
                r = directory_make(AT_FDCWD, debs, 0755);
        if (r >= 0 && symlink(debs, link) < 0)
                r = -errno;
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot make %s: %s", run->cache, strerror(-r));
        return build(work, run, error);
}

/* ---- both ---- */

static int prepare(Work *work, Error *error)
{
        const Arguments *arguments = work->arguments;
        _cleanup_free_ char *folder = scratch_path("bascule-repro-XXXXXX");

        work->recipe = realpath(arguments->recipe, NULL);
        if (!work->recipe)
                return error_set(error, ERROR_CONFIG, errno, "cannot read the recipe %s: %s",
                                arguments->recipe, strerror(errno));
        work->engine_root = realpath(arguments->engine_root, NULL);
        if (!work->engine_root)
                return error_set(error, ERROR_CONFIG, errno, "cannot look into %s: %s",
                                arguments->engine_root, strerror(errno));
        if (!folder)
                return error_oom(error);
        if (!mkdtemp(folder) || chmod(folder, 0755) < 0)
                return error_set(error, ERROR_IO, errno, "cannot make the folder %s: %s", folder,
                                strerror(errno));
        work->folder = TAKE_PTR(folder);
        for (size_t i = 0; i < ELEMENTS(work->runs); i++) {
                Run *run = &work->runs[i];
                int r;

                run->is_strange = i > 0;
                run->folder = path_join(
                                work->folder, i > 0 ? "second, under another and longer name" : "first");
                run->output = i == 0 && arguments->against ? realpath(arguments->against, NULL)
                              : run->folder                ? path_join(run->folder, "out")
                                                           : NULL;
                run->cache = run->folder ? path_join(run->folder, "cache") : NULL;
                if (!run->cache || !run->output)
                        return i == 0 && arguments->against && run->cache
                                               ? error_set(error, ERROR_USAGE, errno,
                                                                 "cannot look into %s: %s",
                                                                 arguments->against, strerror(errno))
                                               : error_oom(error);
                r = directory_make(AT_FDCWD, run->folder, 0755);
                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "cannot make %s: %s", run->folder,
                                        strerror(-r));
        }
        return cache_open(arguments->cache, &work->cache, error);
}

static int compare(Work *work, ReproReport *ret, Error *error)
{
        ReproHints hints = { .begin = time(NULL) };
        int r = prepare(work, error);

        for (size_t i = work->arguments->against ? 1 : 0; r >= 0 && i < ELEMENTS(work->runs); i++)
                r = run_build(work, &work->runs[i], error);
        if (r < 0)
                return r;
        hints.end = time(NULL);
        hints.first_folder = work->runs[0].folder;
        hints.second_folder = work->runs[1].folder;
        hints.first_cache = work->arguments->against ? NULL : work->runs[0].cache;
        hints.second_cache = work->runs[1].cache;
        return repro_compare(work->runs[0].output, work->runs[1].output, &hints, ret, error);
}

static json_t *scripts_json(const ReproScripts *scripts)
{
        json_t *list = json_array();

        for (size_t i = 0; i < scripts->count; i++)
                (void)json_array_append_new(list,
                                json_pack("{s:s, s:s, s:s}", "package", scripts->list[i].package, "kind",
                                                scripts->list[i].kind, "names", scripts->named));
        return list;
}

static void print_json(const ReproReport *report)
{
        json_t *artifacts = json_array(), *root = json_pack("{s:b}", "reproducible", report->is_same);

        for (size_t i = 0; i < report->artifact_count; i++)
                (void)json_array_append_new(
                                artifacts, json_pack("{s:s, s:b}", "file", report->artifacts[i].file, "same",
                                                           report->artifacts[i].is_same));
        (void)json_object_set_new(root, "artifacts", artifacts);
        if (!report->is_same)
                (void)json_object_set_new(root, "difference",
                                json_pack("{s:s, s:s?, s:s?, s:o, s:s, s:s}", "artifact", report->artifact,
                                                "path", report->path, "package", report->package, "scripts",
                                                scripts_json(&report->scripts), "cause",
                                                repro_cause_name(report->cause), "remedy",
                                                repro_cause_remedy(report->cause)));
        (void)json_dumpf(root, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        json_decref(root);
}

static int judge(const ReproReport *report, Error *error)
{
        _cleanup_free_ char *origin = NULL;

        if (report->is_same)
                return 0;
        if (!report->path)
                return error_set(error, ERROR_FAILED, EILSEQ, "not reproducible: %s differs, by %s: %s",
                                report->artifact, repro_cause_name(report->cause),
                                repro_cause_remedy(report->cause));
        origin = repro_origin_text(report);
        return !origin ? error_oom(error)
                       : error_set(error, ERROR_FAILED, EILSEQ,
                                         "not reproducible: the first file that differs is /%s (%s), by "
                                         "%s: %s",
                                         report->path, origin, repro_cause_name(report->cause),
                                         repro_cause_remedy(report->cause));
}

static int run(const Arguments *arguments, Error *error)
{
        Work work = { .arguments = arguments };
        ReproReport report = { 0 };
        int r = compare(&work, &report, error);

        if (r >= 0 && arguments->json)
                print_json(&report);
        else if (r >= 0)
                for (size_t i = 0; i < report.artifact_count; i++)
                        printf("%-9s %s\n", report.artifacts[i].is_same ? "same" : "DIFFERENT",
                                        report.artifacts[i].file);
        if (work.folder && arguments->keep)
                (void)fprintf(stderr, "both builds are in %s\n", work.folder);
        if (r >= 0)
                r = judge(&report, error);
        repro_report_done(&report);
        work_done(&work);
        return r;
}

int verb_repro(int argc, char **argv)
{
        Arguments a = { .engine_root = "/" };
        const Option options[] = {
                { "against", 'a', OPTION_STRING, &a.against, "DIR",
                                "Compare with what an earlier build left there, and build only once" },
                { "keep", 0, OPTION_FLAG, &a.keep, NULL, "Leave both builds for a look" },
                { "version", 0, OPTION_STRING, &a.version, "VERSION",
                                "Version of the image, instead of the recipe's" },
                { "profile", 0, OPTION_LIST, &a.profiles, "NAME", "Read this profile of the recipe" },
                { "set", 's', OPTION_LIST, &a.settings, "SECTION.KEY=VALUE", "Read this after the recipe" },
                { "mirror", 'm', OPTION_STRING, &a.mirror, "URL", "Package mirror, instead of apt's" },
                { "cache", 0, OPTION_STRING, &a.cache, "DIR", "Take packages of the lock from here" },
                { "engine-root", 0, OPTION_STRING, &a.engine_root, "DIR",
                                "Take the engine from this installation (/)" },
                { "json", 0, OPTION_FLAG, &a.json, NULL, "Report in JSON" },
                { 0 },
        };
        const Usage usage = { PROGRAM_NAME, "repro RECIPE [OPTION...]",
                "Builds twice in different surroundings, and tells whether, and why not, both are the same.",
                1, 1 };
        Error error = { 0 };
        char **arguments;
        int r = options_take(argc, argv, options, &usage, &arguments, &error);

        if (r == 0) {
                a.recipe = arguments[0];
                r = run(&a, &error);
        }
        a.profiles = strv_free(a.profiles);
        a.settings = strv_free(a.settings);
        return program_exit(PROGRAM_NAME, r, &error, a.json && r != -EILSEQ);
}
