/* SPDX-License-Identifier: Apache-2.0 */
#include "image-test.h"

#include "boot-picture.h"
#include "file.h"
#include "image-info.h"
#include "process.h"
#include "test-run.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PICTURE_MAX MIB

/* ---- before ---- */

/* The disk of an image: the path itself, or what image.json of the folder names. */
static int find_disk(const char *path, char **ret, Error *error)
{
        _cleanup_(image_info_freep) ImageInfo *info = NULL;
        struct stat status;
        int r;

        if (stat(path, &status) < 0)
                return error_set(error, ERROR_USAGE, errno, "cannot look at %s: %s", path, strerror(errno));
        if (!S_ISDIR(status.st_mode)) {
                *ret = strdup(path);
                return *ret ? 0 : error_oom(error);
        }
        r = image_info_read(path, &info, error);
        if (r < 0)
                return r;
        if (strcmp(info->architecture, "x86-64") != 0)
                return error_set(error, ERROR_INCOMPATIBLE, EINVAL,
                                "%s is for %s; only x86-64 can be tested", path, info->architecture);
        if (!info->disk_file && !info->qcow2_file)
                return error_set(error, ERROR_USAGE, ENOENT,
                                "%s has no disk that QEMU reads; add raw or qcow2 to Formats= of the recipe",
                                path);
        *ret = path_join(path, info->disk_file ? info->disk_file : info->qcow2_file);
        return *ret ? 0 : error_oom(error);
}

static int check_files(const ImageTestOptions *options, Error *error)
{
        for (char **check = options->checks; check && *check; check++)
                if (access(*check, R_OK) < 0)
                        return error_set(error, ERROR_USAGE, errno, "cannot read the check %s: %s", *check,
                                        strerror(errno));
        if (options->ssh_key && access(options->ssh_key, R_OK) < 0)
                return error_set(error, ERROR_USAGE, errno, "cannot read the key %s: %s", options->ssh_key,
                                strerror(errno));
        return 0;
}

static int find_tools(TestRun *run, Error *error)
{
        int r = process_find(run->options->qemu, &run->qemu, error);

        if (r >= 0 && run->options->ssh_key)
                r = process_find("ssh", &run->ssh, error);
        return r;
}

/* ---- the machines ---- */

/* What the update is to install must be there before an hour of waiting for it. */
static int open_repository(TestRun *run, int *ret_fd)
{
        const char *repository = run->options->repository;
        _cleanup_free_ char *release = string_format("targets/releases/%s", run->result->version);

        if (!release)
                return error_oom(run->error);
        *ret_fd = open(repository, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (*ret_fd < 0)
                return error_set(run->error, ERROR_USAGE, errno, "cannot open the repository %s: %s",
                                repository, strerror(errno));
        if (faccessat(*ret_fd, release, F_OK, 0) < 0)
                return error_set(run->error, ERROR_USAGE, errno,
                                "%s has no release %s; publish it there with `bascule-image release`",
                                repository, run->result->version);
        return 0;
}

static void copy_version(char to[static VERSION_MAX + 1], const char *from)
{
        memcpy(to, from, strlen(from) + 1);
}

static void test_image(TestRun *run, const char *disk)
{
        run->group = "image";
        if (test_machine_on(run, disk, "serial", -1)) {
                copy_version(run->result->image_id, run->entry.image_id);
                copy_version(run->result->version, run->entry.version);
        }
        test_boot(run);
        test_healthy(run, "healthy");
        if (run->options->ssh_key) {
                test_login(run);
                test_checks(run);
        }
        run->result->times = run->vm.watch.times;
        test_machine_off(run);
}

static void test_from(TestRun *run, const char *old_disk)
{
        _cleanup_fd_ int repository_fd = -1;

        run->group = "update";
        if (!run->is_over) {
                int r = open_repository(run, &repository_fd);

                if (r < 0)
                        test_trouble(run, r);
        }
        if (test_machine_on(run, old_disk, "serial-update", repository_fd)) {
                copy_version(run->result->old_version, run->entry.version);
                if (strcmp(run->result->old_version, run->result->version) == 0)
                        test_trouble(run, error_set(run->error, ERROR_USAGE, EINVAL,
                                                          "both images are of version %s",
                                                          run->result->version));
        }
        test_boot(run);
        test_healthy(run, "healthy");
        if (run->options->ssh_key)
                test_login(run);
        test_update(run, run->result->version);
        test_machine_off(run);
}

/* ---- after ---- */

static int write_file(const char *folder, const char *name, const Buffer *content, Error *error)
{
        _cleanup_free_ char *path = path_join(folder, name);
        int r = path ? file_replace(AT_FDCWD, path, content->data, content->size, 0644) : -ENOMEM;

        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot write %s in %s: %s", name, folder,
                                       strerror(-r))
                     : 0;
}

static int write_results(const ImageTestOptions *options, const ImageTestResult *result, Error *error)
{
        _cleanup_buffer_ Buffer junit = BUFFER_WITH_CAP(JUNIT_MAX), picture = BUFFER_WITH_CAP(PICTURE_MAX);
        _cleanup_free_ char *title = string_format("%s %s, %s", result->image_id, result->version,
                        result->has_kvm ? "kvm" : "emulation");
        int r = title ? junit_write(&result->report, "bascule-image test", &junit) : -ENOMEM;

        if (r >= 0)
                r = boot_picture(&result->times, title, &picture);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "cannot make the report: %s", strerror(-r));
        r = write_file(options->output, "junit.xml", &junit, error);
        return r < 0 ? r : write_file(options->output, "boot.svg", &picture, error);
}

int image_test_run(const ImageTestOptions *options, ImageTestResult *ret, Error *error)
{
        _cleanup_free_ char *disk = NULL, *old_disk = NULL;
        TestRun run = { .options = options, .result = ret, .vm = VM_OFF, .group = "image", .error = error };
        int r = directory_make(AT_FDCWD, options->output, 0755), written;

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot make the folder %s: %s", options->output,
                                strerror(-r));
        boot_watch_begin(&run.vm.watch);
        r = find_disk(options->image, &disk, error);
        if (r >= 0 && options->update_from)
                r = find_disk(options->update_from, &old_disk, error);
        if (r >= 0)
                r = check_files(options, error);
        if (r >= 0)
                r = find_tools(&run, error);
        if (r < 0)
                test_trouble(&run, r);
        test_image(&run, disk);
        if (options->update_from)
                test_from(&run, old_disk);
        free(run.qemu);
        free(run.ssh);
        written = write_results(options, ret, error);
        return run.r < 0 ? run.r : written;
}

void image_test_result_done(ImageTestResult *result)
{
        junit_done(&result->report);
}
