/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "scratch-folder.h"
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define TRIES 6000 /* a hundredth of a second apart */

static char place[] = "/tmp/bascule-scratch-XXXXXX";

static void use_place(void)
{
        if ((place[sizeof(place) - 2] == 'X' && !mkdtemp(place)) || setenv("TMPDIR", place, 1) < 0)
                abort();
}

static int fill(const char *path)
{
        _cleanup_free_ char *below = path_join(path, "a/b"), *file = path_join(path, "a/b/file");

        return directory_make(AT_FDCWD, below, 0755) < 0 || file_replace(AT_FDCWD, file, "x", 1, 0644) < 0;
}

static bool goes(const char *path)
{
        for (unsigned i = 0; i < TRIES; i++) {
                if (access(path, F_OK) < 0)
                        return true;
                (void)usleep(10000);
        }
        return false;
}

TEST(a_folder_goes_when_it_is_done_with)
{
        ScratchFolder folder = SCRATCH_FOLDER_NONE;
        _cleanup_free_ char *path = NULL;
        struct stat status;

        use_place();
        CHECK_OK(scratch_folder_make("bascule-test", &folder, NULL));
        path = strdup(folder.path);
        CHECK(strncmp(path, place, strlen(place)) == 0 && strstr(path, "/bascule-test-"));
        CHECK(stat(path, &status) == 0 && (status.st_mode & 0777) == 0700);
        CHECK(!fill(path));
        scratch_folder_done(&folder);
        CHECK(access(path, F_OK) < 0);
        CHECK(!folder.path);
        scratch_folder_done(&folder);
}

/* Ctrl-C reaches the whole group of processes; SIGKILL one of them. */
static void kill_a_maker(int number, bool whole_group)
{
        char path[256] = "";
        int ends[2], status;
        pid_t child;

        CHECK(pipe2(ends, O_CLOEXEC) == 0);
        child = fork();
        if (child == 0) {
                ScratchFolder folder = SCRATCH_FOLDER_NONE;

                (void)signal(number,
                                SIG_DFL); /* a shell ignores SIGINT for what it starts in the background */
                if (setpgid(0, 0) < 0 || scratch_folder_make("bascule-test", &folder, NULL) < 0 ||
                                fill(folder.path) ||
                                write_full(ends[1], folder.path, strlen(folder.path)) < 0 ||
                                close(ends[1]) < 0)
                        _exit(1);
                for (;;)
                        (void)pause();
        }
        CHECK(child > 0);
        (void)close(ends[1]);
        CHECK(read(ends[0], path, sizeof(path) - 1) > 0);
        (void)close(ends[0]);
        CHECK(access(path, F_OK) == 0);
        CHECK(kill(whole_group ? -child : child, number) == 0);
        CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
        CHECK(goes(path));
}

TEST(a_folder_goes_with_a_maker_that_is_killed)
{
        use_place();
        kill_a_maker(SIGKILL, false);
        kill_a_maker(SIGINT, true);
        kill_a_maker(SIGTERM, true);
        CHECK_EQ(rmdir(place), 0);
}

TEST_MAIN
