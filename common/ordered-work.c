/* SPDX-License-Identifier: Apache-2.0 */
#include "ordered-work.h"

#include <pthread.h>
#include <sched.h>

typedef struct Slot {
        bool is_produced;
        int result;
        Error error;
} Slot;

typedef struct Crew {
        const OrderedWork *work;
        pthread_mutex_t lock; /* guards all below */
        pthread_cond_t changed;
        size_t next, consumed, window;
        unsigned threads_started;
        bool stop;
        Slot *slots;
} Crew;

size_t ordered_work_window(unsigned threads)
{
        /* One item under work and one finished for each thread keeps all of them busy while the caller
         * writes. */
        return 2 * (size_t)threads;
}

unsigned processor_count(void)
{
        cpu_set_t set;
        int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

        return (unsigned)MAX_OF(1, MIN_OF(count, ORDERED_WORK_THREADS_MAX));
}

/* Takes the next item; false when there is none left to start. Called with the lock held. */
static bool take(Crew *crew, size_t *ret)
{
        while (!crew->stop && crew->next < crew->work->count && crew->next >= crew->consumed + crew->window)
                (void)pthread_cond_wait(&crew->changed, &crew->lock);
        if (crew->stop || crew->next >= crew->work->count)
                return false;
        *ret = crew->next++;
        return true;
}

static void *worker(void *data)
{
        Crew *crew = data;
        unsigned thread;
        size_t item;

        (void)pthread_mutex_lock(&crew->lock);
        thread = crew->threads_started++;
        while (take(crew, &item)) {
                Slot *slot = &crew->slots[item % crew->window];

                (void)pthread_mutex_unlock(&crew->lock);
                slot->result = crew->work->produce(crew->work->data, item, thread, &slot->error);
                (void)pthread_mutex_lock(&crew->lock);
                slot->is_produced = true;
                (void)pthread_cond_broadcast(&crew->changed);
        }
        (void)pthread_mutex_unlock(&crew->lock);
        return NULL;
}

/* Waits for an item and clears its slot, but leaves the window where it is until the item is consumed. */
static int await(Crew *crew, size_t item, Error *error)
{
        Slot *slot = &crew->slots[item % crew->window];
        int r;

        (void)pthread_mutex_lock(&crew->lock);
        while (!slot->is_produced)
                (void)pthread_cond_wait(&crew->changed, &crew->lock);
        r = slot->result;
        if (r < 0 && error && !error_is_set(error))
                *error = slot->error;
        slot->is_produced = false;
        (void)pthread_mutex_unlock(&crew->lock);
        return r;
}

static void advance(Crew *crew)
{
        (void)pthread_mutex_lock(&crew->lock);
        crew->consumed++;
        (void)pthread_cond_broadcast(&crew->changed);
        (void)pthread_mutex_unlock(&crew->lock);
}

static int consume_all(Crew *crew, Error *error)
{
        for (size_t item = 0; item < crew->work->count; item++) {
                int r = await(crew, item, error);

                if (r >= 0)
                        r = crew->work->consume(crew->work->data, item, error);
                if (r < 0)
                        return r;
                advance(crew);
        }
        return 0;
}

static void dismiss(Crew *crew, pthread_t *ids, unsigned count)
{
        (void)pthread_mutex_lock(&crew->lock);
        crew->stop = true;
        (void)pthread_cond_broadcast(&crew->changed);
        (void)pthread_mutex_unlock(&crew->lock);
        for (unsigned i = 0; i < count; i++)
                (void)pthread_join(ids[i], NULL);
}

int ordered_work_run(const OrderedWork *work, unsigned threads, Error *error)
{
        pthread_t ids[ORDERED_WORK_THREADS_MAX];
        Crew crew = { .work = work };
        unsigned started = 0;
        int r;

        threads = MAX_OF(1U, MIN_OF(threads, (unsigned)ORDERED_WORK_THREADS_MAX));
        crew.window = ordered_work_window(threads);
        crew.slots = calloc(crew.window, sizeof(*crew.slots));
        if (!crew.slots)
                return error_oom(error);
        (void)pthread_mutex_init(&crew.lock, NULL);
        (void)pthread_cond_init(&crew.changed, NULL);
        while (started < threads && pthread_create(&ids[started], NULL, worker, &crew) == 0)
                started++;
        r = started > 0 ? consume_all(&crew, error)
                        : error_set(error, ERROR_FAILED, EAGAIN, "no thread could be started");
        dismiss(&crew, ids, started);
        (void)pthread_cond_destroy(&crew.changed);
        (void)pthread_mutex_destroy(&crew.lock);
        free(crew.slots);
        return r;
}
