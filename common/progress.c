/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include "file.h"

#include <string.h>
#include <time.h>

struct Progress {
        char step[96];
        uint64_t total_bytes;
        double began, drawn; /* seconds */
        bool terminal;
        bool active;
};

static double now_seconds(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

Progress *progress_new(void)
{
        Progress *progress = calloc(1, sizeof(*progress));

        if (progress)
                progress->terminal = isatty(STDERR_FILENO) == 1;
        return progress;
}

Progress *progress_free(Progress *progress)
{
        if (progress && progress->active && progress->terminal)
                (void)fputc('\n', stderr);
        free(progress);
        return NULL;
}

void progress_begin(Progress *progress, const char *step, uint64_t total_bytes)
{
        if (!progress)
                return;
        (void)snprintf(progress->step, sizeof(progress->step), "%s", step);
        progress->total_bytes = total_bytes;
        progress->began = now_seconds();
        progress->drawn = 0;
        progress->active = true;
        if (progress->terminal)
                (void)fprintf(stderr, "\r\033[K%s ...", step);
}

void progress_update(Progress *progress, uint64_t done_bytes)
{
        char done[SIZE_TEXT_MAX], rate[SIZE_TEXT_MAX];
        double now, elapsed, speed;

        if (!progress || !progress->terminal || !progress->active)
                return;
        now = now_seconds();
        if (now - progress->drawn < 0.1)
                return;
        progress->drawn = now;
        elapsed = MAX_OF(now - progress->began, 0.001);
        speed = (double)done_bytes / elapsed;
        (void)fprintf(stderr, "\r\033[K%s %s  %s/s", progress->step, size_format(done_bytes, done),
                        size_format((uint64_t)speed, rate));
        if (progress->total_bytes > done_bytes && speed > 0)
                (void)fprintf(stderr, "  %.0f%%  %.0f s left",
                                100.0 * (double)done_bytes / (double)progress->total_bytes,
                                (double)(progress->total_bytes - done_bytes) / speed);
}

void progress_end(Progress *progress, const char *remark)
{
        if (!progress || !progress->active)
                return;
        (void)fprintf(stderr, "%s%-28s %6.1f s  %s\n", progress->terminal ? "\r\033[K" : "", progress->step,
                        now_seconds() - progress->began, remark ? remark : "");
        progress->active = false;
}
