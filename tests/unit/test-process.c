/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"
#include "test.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Runs that in a shell, with a log of which the file may be no regular one. */
static int run_shell(const char *script, int log_fd, Error *error)
{
        return process_check((const char *const[]){ "sh", "-c", script, NULL },
                        &(ProcessOptions){ .log_fd = log_fd }, error);
}

static int run_logged(const char *script, Error *error)
{
        _cleanup_fd_ int log_fd = memfd_create("log", MFD_CLOEXEC);

        *error = (Error){ 0 };
        return log_fd < 0 ? -errno : run_shell(script, log_fd, error);
}

TEST(a_failure_quotes_the_last_line)
{
        Error error;

        CHECK_OK(run_logged("echo No space left on device; exit 0", &error));
        CHECK_EQ(run_logged("echo one; echo two >&2; exit 3", &error), -EIO);
        CHECK_EQ(error.code, ERROR_FAILED);
        CHECK_STR(error.message, "sh failed with status 3: two");
        CHECK_EQ(run_logged("exit 3", &error), -EIO);
        CHECK_STR(error.message, "sh failed with status 3");
        error_clear(&error);
        CHECK_EQ(run_shell("echo No space left on device; exit 3", -1, &error), -EIO);
        CHECK_STR(error.message, "sh failed with status 3");
}

TEST(a_full_disk_is_told_from_what_a_program_said)
{
        static const char *const lines[] = { "cp: x: No space left on device", "cp: x: Disk quota exceeded",
                "E: You don't have enough free space in /var/cache/apt/archives/." };

        for (size_t i = 0; i < ELEMENTS(lines); i++) {
                char script[256];
                Error error;

                (void)snprintf(script, sizeof(script), "echo first; echo \"  %s\"; echo last; exit 1",
                                lines[i]);
                CHECK_EQ(run_logged(script, &error), -ENOSPC);
                CHECK_EQ(error.code, ERROR_NO_SPACE);
                CHECK(strstr(error.message, ": ") && strstr(error.message, lines[i]));
                CHECK(strstr(error.message, lines[i])[-1] == ' ' && !strstr(error.message, "last"));
        }
}

/* The line is the only one, has no end, is longer than what is quoted, and lies behind a megabyte. */
TEST(a_log_may_have_any_shape)
{
        Error error;

        CHECK_EQ(run_logged("printf 'No space left on device'; exit 1", &error), -ENOSPC);
        CHECK_EQ(run_logged("printf '%04000d No space left on device' 1; exit 1", &error), -ENOSPC);
        CHECK_EQ(run_logged("printf 'x\\0\\0No space left on device\\0\\n'; exit 1", &error), -ENOSPC);
        CHECK_EQ(run_logged("head -c 1500000 /dev/zero; echo No space left on device; exit 1", &error),
                        -ENOSPC);
        CHECK_EQ(run_logged("echo No space left on device; head -c 1500000 /dev/zero; exit 1", &error),
                        -EIO);
}

TEST_MAIN
