/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a machine's serial console tells of its start: when each phase began, how often it was started, and
 * what it complained of last. The console is the guest's, thus hostile: lines are cut, numbers bounded, and
 * nothing but printable ASCII is kept. What the guest's systemd knows can be added (boot_times_merge()).
 *
 * Times are milliseconds since the machine was switched on, -1 for what is not known. A kernel that has no
 * console there (console=ttyS0) leaves only the firmware's part. */

#include "macro.h"

typedef enum BootMark {
        BOOT_POWER_ON,
        BOOT_LOADER,    /* firmware hands over to the boot loader */
        BOOT_KERNEL,    /* the kernel's clock begins */
        BOOT_INITRD,    /* the kernel starts the init of its initrd */
        BOOT_USERSPACE, /* systemd begins */
        BOOT_READY,     /* multi-user.target is reached */
        BOOT_HEALTHY,   /* the release is blessed */
        BOOT_MARK_MAX
} BootMark;

typedef struct BootTimes {
        int64_t at_ms[BOOT_MARK_MAX];
} BootTimes;

/* What passes between two marks that are known. When marks in between are not, `name` is a list:
 * "kernel + initrd". */
typedef struct BootPhase {
        char name[80];
        BootMark first; /* the mark that it begins with */
        int64_t begin_ms, end_ms;
} BootPhase;

#define BOOT_LINE_MAX 400

typedef struct BootWatch {
        BootTimes times;               /* of the latest start */
        unsigned starts;               /* so often the firmware has handed over */
        char complaint[BOOT_LINE_MAX]; /* "": none; a panic, or a unit that failed */
        char line[BOOT_LINE_MAX];
        size_t length;
} BootWatch;

void boot_watch_begin(BootWatch *watch);
/* More of the console, which came at this time. */
void boot_watch_feed(BootWatch *watch, const void *data, size_t size, int64_t now_ms);

/* The command whose output boot_times_merge() reads. */
extern const char boot_times_command[];
/* Adds what the guest says. Where both know, the console's clock is believed for firmware and loader and the
 * guest's for the rest, counted from the start of its kernel. */
void boot_times_merge(BootTimes *times, const char *text);

/* In order; returns how many. Times that go backwards count as not known. */
size_t boot_phases(const BootTimes *times, BootPhase ret[static BOOT_MARK_MAX]);
