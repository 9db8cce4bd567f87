/* SPDX-License-Identifier: Apache-2.0 */
#include "updater-internal.h"

#include "reboot.h"

/* The clock may be set meanwhile, so it is looked at so often. */
#define TICK_SECONDS 30

static int arm(Updater *updater, uint64_t seconds);

static int on_tick(sd_event_source *source, uint64_t usec, void *data)
{
        Updater *updater = data;
        const Config *config = updater->config;
        uint64_t now = clock_seconds(), at = updater->status.reboot_at;

        if (now >= at) {
                updater_drop_reboot(updater);
                (void)updater_step(updater, ENGINE_EVENT_REBOOT, NULL);
                return 0;
        }
        if (!updater->is_announced && at - now <= config->grace_seconds) {
                updater->is_announced = true;
                reboot_announce(config->message, at - now);
        }
        uint64_t wait = at - now;
        if (!updater->is_announced)
                wait = wait - config->grace_seconds;
        return arm(updater, wait);
}

static int arm(Updater *updater, uint64_t seconds)
{
        updater->reboot_timer = sd_event_source_disable_unref(updater->reboot_timer);
        return sd_event_add_time_relative(updater->event, &updater->reboot_timer, CLOCK_MONOTONIC,
                        MIN_OF(seconds, (uint64_t)TICK_SECONDS) * 1000000, 100000, on_tick, updater);
}

static void stop_clock(Updater *updater)
{
        updater->reboot_timer = sd_event_source_disable_unref(updater->reboot_timer);
        updater->status.is_reboot_planned = false;
        updater->status.reboot_at = 0;
        updater->is_announced = false;
        updater_touch(updater);
}

void updater_drop_reboot(Updater *updater)
{
        stop_clock(updater);
        updater->is_reboot_ordered = updater->is_reboot_held = false;
}

void updater_hold_reboot(Updater *updater)
{
        updater->is_reboot_held |= updater->status.is_reboot_planned;
        stop_clock(updater);
}

void updater_resume_reboot(Updater *updater)
{
        if (updater->is_reboot_held && (updater->is_reboot_ordered || updater->status.state == ENGINE_READY))
                updater_plan_reboot(updater, false);
        updater->is_reboot_held = false;
}

bool updater_waits_by_plan(const HostFacts *facts)
{
        return facts->is_waiting &&
               (facts->other.is_counted || (facts->running.is_counted && facts->running.tries_left == 0));
}

void updater_plan_reboot(Updater *updater, bool ordered)
{
        uint64_t now = clock_seconds(), at = now + updater->config->grace_seconds;
        bool is_ordered = ordered || updater->is_reboot_ordered;

        updater_drop_reboot(updater);
        if (!is_ordered && reboot_plan(updater->config, now, &at) < 0)
                return;
        updater->is_reboot_ordered = is_ordered;
        updater->status.is_reboot_planned = true;
        updater->status.reboot_at = at;
        (void)arm(updater, 0);
}
