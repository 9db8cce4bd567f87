/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include "clock.h"
#include "file.h"

#include <string.h>

struct Progress {
        char step[96];
        uint64_t total_bytes;
        double began, drawn; /* seconds */
        bool terminal;
        bool active;
};

static double now_seconds(void)
{
        return (double)monotonic_ms() / 1000;
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

/* Whether a line is to be drawn now: on a terminal, ten times a second at most. */
static bool is_due(Progress *progress)
{
        double now = now_seconds();

        if (!progress || !progress->terminal || !progress->active || now - progress->drawn < 0.1)
                return false;
        progress->drawn = now;
        return true;
}

static void draw(const Progress *progress, uint64_t done_bytes, double rate)
{
        char done[SIZE_TEXT_MAX], rate_text[SIZE_TEXT_MAX];

        (void)fprintf(stderr, "\r\033[K%s %s", progress->step, size_format(done_bytes, done));
        if (rate > 0)
                (void)fprintf(stderr, "  %s/s", size_format((uint64_t)rate, rate_text));
        if (progress->total_bytes > done_bytes)
                (void)fprintf(stderr, "  %.0f%%",
                                100.0 * (double)done_bytes / (double)progress->total_bytes);
        if (progress->total_bytes > done_bytes && rate > 0)
                (void)fprintf(stderr, "  %.0f s left", (double)(progress->total_bytes - done_bytes) / rate);
}

void progress_update(Progress *progress, uint64_t done_bytes)
{
        if (is_due(progress))
                draw(progress, done_bytes,
                                (double)done_bytes / MAX_OF(progress->drawn - progress->began, 0.001));
}

void progress_set(Progress *progress, uint64_t done_bytes, uint64_t total_bytes, uint64_t rate_bytes)
{
        if (!is_due(progress))
                return;
        progress->total_bytes = total_bytes;
        draw(progress, done_bytes, (double)rate_bytes);
}

void progress_end(Progress *progress, const char *remark)
{
        if (!progress || !progress->active)
                return;
        (void)fprintf(stderr, "%s%-28s %6.1f s  %s\n", progress->terminal ? "\r\033[K" : "", progress->step,
                        now_seconds() - progress->began, remark ? remark : "");
        progress->active = false;
}
