/* SPDX-License-Identifier: Apache-2.0 */
#include "updater-internal.h"

#include "clock.h"
#include "file.h"
#include "install.h"
#include "log.h"
#include "prefer.h"

#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#define BEHIND_SECONDS 60 /* a clock that was set back by less is nothing to report */

/* On the thread. */
static void wake(Job *job)
{
        uint64_t one = 1;
        if (write_full(job->wake_fd, &one, sizeof(one)) < 0)
                return; /* only when the counter is full, and then the loop is awake */
}

static void on_enter(void *data, EngineEvent event, const char *version)
{
        Job *job = data;
        if (event == ENGINE_EVENT_PREPARE)
                job->is_prepared = true;
        (void)pthread_mutex_lock(&job->lock);
        if (job->news.event_count < JOB_EVENTS_MAX)
                job->news.events[job->news.event_count++] = event;
        if (version)
                (void)snprintf(job->news.version, sizeof(job->news.version), "%s", version);
        (void)pthread_mutex_unlock(&job->lock);
        wake(job);
}

static void on_tell(void *data, const OperationProgress *progress)
{
        Job *job = data;
        (void)pthread_mutex_lock(&job->lock);
        job->news.progress = *progress;
        (void)pthread_mutex_unlock(&job->lock);
        wake(job);
}

static int run_install(Job *job)
{
        int r = check_run(&job->operation, &job->facts, job->version, job->flags, true, &job->check,
                        &job->error);
        if (r >= 0)
                r = plan_error(job->check.plan, &job->error);
        return r < 0 ? r : install_run(&job->operation, &job->facts, &job->check, &job->error);
}

static int run_job(Job *job)
{
        int r = host_read_facts(job->operation.host, &job->facts, &job->error);
        if (r < 0)
                return r;
        plan_judge_waiting(job->state, &job->facts);
        switch (job->kind) {
        case JOB_CHECK:
                return check_run(&job->operation, &job->facts, job->version, job->flags, false, &job->check,
                                &job->error);
        case JOB_INSTALL:
                return run_install(job);
        case JOB_ROLLBACK:
                return rollback_run(&job->operation, &job->facts, &job->error);
        }
        return -EINVAL;
}

static void *thread_main(void *data)
{
        Job *job = data;
        job->result = run_job(job);
        (void)pthread_mutex_lock(&job->lock);
        job->news.has_ended = true;
        (void)pthread_mutex_unlock(&job->lock);
        wake(job);
        return NULL;
}

/* On the loop. */
void updater_take_progress(Updater *updater, const OperationProgress *news)
{
        UpdaterProgress *progress = &updater->status.progress;
        uint64_t now = (uint64_t)monotonic_ms(), elapsed = now - updater->rate_time_ms;
        if (news->done_bytes < updater->rate_bytes || updater->rate_time_ms == 0) {
                updater->rate_time_ms = now;
                updater->rate_bytes = news->done_bytes;
                progress->rate_bytes = 0;
        } else if (elapsed >= 1000) {
                uint64_t rate = (news->done_bytes - updater->rate_bytes) * 1000 / elapsed;
                progress->rate_bytes = progress->rate_bytes ? (progress->rate_bytes * 3 + rate) / 4 : rate;
                updater->rate_time_ms = now;
                updater->rate_bytes = news->done_bytes;
        }
        progress->done_bytes = news->done_bytes;
        progress->total_bytes = news->total_bytes;
        progress->fetched_bytes = news->fetched_bytes;
        progress->written_bytes = news->written_bytes;
        progress->full_bytes = news->full_bytes;
}

static int on_wake(sd_event_source *source, int fd, uint32_t revents, void *data)
{
        Job *job = data;
        Updater *updater = job->updater;
        uint64_t count;
        if (read(fd, &count, sizeof(count)) < 0)
                return 0;
        (void)pthread_mutex_lock(&job->lock);
        JobNews news = job->news;
        job->news.event_count = 0;
        (void)pthread_mutex_unlock(&job->lock);

        for (size_t i = 0; i < news.event_count; i++)
                (void)updater_step(updater, news.events[i], NULL);
        if (*news.version)
                (void)snprintf(updater->status.operation_version, sizeof(updater->status.operation_version),
                                "%s", news.version);
        updater_take_progress(updater, &news.progress);
        updater_touch(updater);
        if (news.has_ended) {
                updater->job = NULL;
                updater_job_ended(updater, job);
        }
        return 0;
}

static int copy_state(const State *state, State **ret, Error *error)
{
        _cleanup_free_ char *text = NULL;
        int r = state_format(state, &text, error);
        return r < 0 ? r : state_parse(text, strlen(text), ret, error);
}

/* Seconds since 1970, but not before what was known when the image was made or metadata was last good: what
 * a machine without a clock goes by until it is told the time. */
static uint64_t believable_now(Updater *updater)
{
        struct stat root;
        uint64_t clock = clock_seconds(), now = state_now(updater->state, clock);
        if (stat(updater->host->trusted_root_path, &root) == 0 && root.st_mtime > 0)
                now = MAX_OF(now, (uint64_t)root.st_mtime);
        updater->status.clock_behind_seconds = now - clock;
        if (now - clock >= BEHIND_SECONDS)
                log_warning("the clock is %" PRIu64
                            " s behind the latest time that is known; expiry is judged by the latter",
                                now - clock);
        return now;
}

static int job_new(
                Updater *updater, JobKind kind, const char *version, unsigned flags, Job **ret, Error *error)
{
        Job *job = calloc(1, sizeof(*job));
        if (!job)
                return error_oom(error);
        (void)pthread_mutex_init(&job->lock, NULL);
        job->updater = updater;
        job->kind = kind;
        job->flags = flags;
        job->started = clock_seconds();
        job->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        job->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        int r = job->wake_fd < 0 || job->cancel_fd < 0 ? -errno : 0;
        if (r >= 0 && version && !(job->version = strdup(version)))
                r = -ENOMEM;
        if (r >= 0)
                r = copy_state(updater->state, &job->state, error);
        if (r >= 0)
                r = sd_event_add_io(updater->event, &job->source, job->wake_fd, 0x001 /* EPOLLIN */, on_wake,
                                job);
        if (r < 0) {
                job_free(job);
                return error_set(error, ERROR_FAILED, -r, "cannot begin: %s", strerror(-r));
        }
        job->operation = (Operation){ .host = updater->host,
                .config = updater->config,
                .state = job->state,
                .fetch_socket = updater->options.fetch_socket,
                .mirrors = &updater->mirrors,
                .cancel_fd = job->cancel_fd,
                .now = believable_now(updater),
                .enter = on_enter,
                .tell = on_tell,
                .data = job };
        *ret = job;
        return 0;
}

static EngineEvent event_of(JobKind kind)
{
        static const EngineEvent events[] = { [JOB_CHECK] = ENGINE_EVENT_CHECK,
                [JOB_INSTALL] = ENGINE_EVENT_INSTALL,
                [JOB_ROLLBACK] = ENGINE_EVENT_ROLLBACK };
        return events[kind];
}

int job_check_ended(const Updater *updater, Error *error)
{
        return updater->job ? error_set(error, ERROR_BUSY, EBUSY,
                                              "an operation comes to its end; try again later")
                            : 0;
}

int job_start(Updater *updater, JobKind kind, const char *version, unsigned flags, bool reboot,
                UpdaterDone done, void *data, Error *error)
{
        Job *job = NULL;
        if (version && !version_is_valid(version))
                return error_set(error, ERROR_USAGE, EINVAL, "\"%s\" is not a version", version);
        if (engine_is_busy(updater->status.state))
                return updater_step(updater, event_of(kind), error);
        int r = job_check_ended(updater, error);
        if (r < 0)
                return r;
        r = job_new(updater, kind, version, flags, &job, error);
        if (r < 0)
                return r;
        job->is_reboot_wanted = reboot;
        job->done = done;
        job->done_data = data;
        r = pthread_create(&job->thread, NULL, thread_main, job);
        if (r != 0) {
                job_free(job);
                return error_set(error, ERROR_FAILED, r, "cannot start a thread: %s", strerror(r));
        }
        updater->job = job;
        updater->status.progress = (UpdaterProgress){ 0 };
        updater->rate_time_ms = 0;
        (void)snprintf(updater->status.operation_version, sizeof(updater->status.operation_version), "%s",
                        version                ? version
                        : kind == JOB_ROLLBACK ? updater->status.host.other.version
                                               : "");
        updater_touch(updater);
        return updater_step(updater, event_of(kind), error);
}

void job_cancel(Job *job)
{
        uint64_t one = 1;
        if (write_full(job->cancel_fd, &one, sizeof(one)) < 0)
                return; /* it was cancelled already */
}

Job *job_free(Job *job)
{
        if (!job)
                return NULL;
        if (job->thread) {
                job_cancel(job);
                (void)pthread_join(job->thread, NULL);
        }
        sd_event_source_disable_unref(job->source);
        (void)fd_close(job->wake_fd);
        (void)fd_close(job->cancel_fd);
        (void)pthread_mutex_destroy(&job->lock);
        check_result_done(&job->check);
        state_free(job->state);
        free(job->version);
        free(job);
        return NULL;
}
