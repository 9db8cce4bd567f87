/* SPDX-License-Identifier: Apache-2.0 */
#include "budget.h"
#include "build.h"
#include "pe-image.h"
#include "size-report.h"

#include <fcntl.h>
#include <string.h>

#define DETAILS_MAX 768

/* What takes the room in the image that was made, and what grew since the previous one, if there is one. */
static int describe_root(const Build *build, char details[static DETAILS_MAX], Error *error)
{
        _cleanup_free_ char *path = cache_entry_file(&build->entries[BUILD_ROOT], BUILD_ROOT_FILE);
        _cleanup_diff_image_ DiffImage image = DIFF_IMAGE_CLOSED, previous = DIFF_IMAGE_CLOSED;
        _cleanup_(size_report_done) SizeReport now = { 0 }, before = { 0 };
        int r = path ? diff_image_open(&(DiffSource){ .name = path }, &image, error) : error_oom(error);

        if (r >= 0)
                r = size_report_make(&image, &now, error);
        if (r >= 0 && build->previous_fd >= 0) {
                r = diff_image_open_fd(build->previous_fd, "the previous image", &previous, error);
                if (r >= 0)
                        r = size_report_make(&previous, &before, error);
        }
        if (r < 0)
                return r;
        return size_report_summary(&now, build->previous_fd >= 0 ? &before : NULL, details, DETAILS_MAX) < 0
                               ? error_oom(error)
                               : 0;
}

static int read_kernel(int fd, BudgetKernel *ret)
{
        BudgetKernel kernel = { 0 };
        PeImage image;
        int r = pe_image_read(fd, &image, NULL);

        if (r >= 0)
                r = pe_image_section_size(fd, &image, ".linux", &kernel.kernel_bytes);
        if (r >= 0)
                r = pe_image_section_size(fd, &image, ".initrd", &kernel.initrd_bytes);
        if (r >= 0)
                *ret = kernel;
        return r;
}

/* The same of the kernel image. What is not known of the previous one is not said. */
static int describe_kernel(Build *build, char details[static DETAILS_MAX], Error *error)
{
        _cleanup_free_ char *path = cache_entry_file(&build->entries[BUILD_UKI], BUILD_UKI_FILE);
        _cleanup_fd_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1, previous = -1;
        BudgetKernel now, before;
        bool is_known;
        int r = fd < 0 ? -errno : read_kernel(fd, &now);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read %s: %s", path ? path : BUILD_UKI_FILE,
                                strerror(-r));
        is_known = build_open_previous_uki(build, &previous, NULL) >= 0 && previous >= 0 &&
                   read_kernel(previous, &before) >= 0;
        budget_describe_kernel(&now, is_known ? &before : NULL, details);
        return 0;
}

int build_check_budget(Build *build, Error *error)
{
        char details[DETAILS_MAX];
        int r = budget_check(build->recipe, build->root_size_bytes, build->uki_size_bytes, NULL, NULL);

        if (r >= 0)
                return 0;
        r = r == -EFBIG ? describe_kernel(build, details, error) : describe_root(build, details, error);
        return r < 0 ? r
                     : budget_check(build->recipe, build->root_size_bytes, build->uki_size_bytes, details,
                                       error);
}
