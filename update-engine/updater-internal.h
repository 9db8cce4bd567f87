/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the updater share: updater.c (the object and its quick operations), updater-job.c (the
 * thread that does an operation's work), updater-end.c (what is remembered of it), updater-start.c (what
 * happened since the daemon last ran), updater-reboot.c (the planned reboot). */

#include "check.h"
#include "updater.h"

#include <pthread.h>

typedef enum JobKind { JOB_CHECK, JOB_INSTALL, JOB_ROLLBACK } JobKind;

#define JOB_EVENTS_MAX 32

/* What the thread tells the loop; under the lock. */
typedef struct JobNews {
        EngineEvent events[JOB_EVENTS_MAX];
        size_t event_count;
        char version[VERSION_MAX + 1];
        OperationProgress progress;
        bool has_ended;
} JobNews;

typedef struct Job {
        Updater *updater;
        JobKind kind;
        char *version; /* NULL: the best */
        unsigned flags;
        bool is_reboot_wanted;
        UpdaterDone done;
        void *done_data;

        pthread_t thread;
        pthread_mutex_t lock;
        JobNews news;
        int wake_fd, cancel_fd; /* eventfds */
        sd_event_source *source;

        /* Copies for the thread. */
        Operation operation;
        State *state;

        /* Results, read after the thread has ended. */
        bool is_prepared; /* something may have been written */
        int result;
        Error error;
        HostFacts facts;
        CheckResult check;
        uint64_t started; /* seconds since 1970 */
} Job;

struct Updater {
        UpdaterOptions options;
        sd_event *event;
        Host *host;
        Config *config;
        MirrorMemory mirrors; /* of config->repositories; the job's while there is one */
        State *state;
        int state_fd, lock_fd; /* folder and lock file */
        UpdaterStatus status;
        Job *job; /* NULL: none under way */
        sd_event_source *reboot_timer, *changed_source, *trial_watch;
        bool is_announced;      /* the planned reboot */
        bool is_reboot_ordered; /* planned, or held: by someone, whatever the policy says */
        bool is_reboot_held;    /* while an operation makes another release ready */
        bool is_reload_wanted;
        uint64_t rate_time_ms, rate_bytes; /* last sample */
};

/* updater.c */
uint64_t clock_seconds(void);
/* Lets `changed` be called soon. */
void updater_touch(Updater *updater);
/* Writes state.json. A failure is kept as the last error. */
void updater_save(Updater *updater);
/* Feeds the state machine and does what it says. ERROR_BUSY and ERROR_NOTHING_TO_DO when it refuses. */
int updater_step(Updater *updater, EngineEvent event, Error *error);
/* Takes over facts, notes a bless that happened meanwhile, drops a reboot that nothing waits for any more.
 */
void updater_set_facts(Updater *updater, const HostFacts *facts);
/* Makes this the last error of the status, and logs it. */
void updater_report(Updater *updater, const Error *error);
/* One line of history; detail may be NULL. */
void updater_note(Updater *updater, HistoryKind kind, const char *version, const char *detail);

/* updater-job.c */
int job_start(Updater *updater, JobKind kind, const char *version, unsigned flags, bool reboot,
                UpdaterDone done, void *data, Error *error);
/* -EBUSY while the last operation's thread has not ended, though the state says that there is none: a reboot
 * stopped it, and was refused. */
int job_check_ended(const Updater *updater, Error *error);
void updater_take_progress(Updater *updater, const OperationProgress *news);
void job_cancel(Job *job);
/* Cancels, waits for the thread, frees. */
Job *job_free(Job *job);

/* updater-end.c: the thread has ended. Takes the job. */
void updater_job_ended(Updater *updater, Job *job);

/* updater-start.c */
void updater_notice_boot(Updater *updater);

/* updater-reboot.c */
/* Once the grace period is over, or as the policy says; `ordered`: someone asked, so the policy is not. */
void updater_plan_reboot(Updater *updater, bool ordered);
void updater_hold_reboot(Updater *updater);
void updater_resume_reboot(Updater *updater);
void updater_drop_reboot(Updater *updater);
/* Whether the waiting release was made to wait, and not left by someone who chose the other one at boot. */
bool updater_waits_by_plan(const HostFacts *facts);
