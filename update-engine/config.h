/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* engine.conf: /usr/lib/bascule/engine.conf, overridden by /etc/bascule/engine.conf, and drop-ins in
 * engine.conf.d/ of both (docs/man/bascule-engine.conf.5.scd describes every key). An unknown key is an error. */

#include "error.h"
#include "window.h"

typedef enum RebootPolicy {
        REBOOT_NONE,        /* an administrator reboots */
        REBOOT_IMMEDIATELY, /* as soon as a release is ready, after the grace period */
        REBOOT_WINDOW,      /* in the next window */
        REBOOT_POLICY_MAX
} RebootPolicy;

typedef struct Config {
        /* [Update] */
        char **repositories;               /* Repository= base URLs, mirrors in order of preference */
        char *channel;                     /* Channel= */
        bool is_automatic;                 /* Automatic=: the timer installs; otherwise it only checks */
        uint64_t check_interval_seconds;   /* CheckInterval= */
        uint64_t randomized_delay_seconds; /* RandomizedDelay= */
        uint64_t bandwidth_bytes;          /* BandwidthLimit= a second; 0: none */
        uint64_t timeout_seconds;          /* Timeout= without a byte from a server */
        uint64_t retry_seconds;            /* RetryDelay= before the mirrors are asked again */
        bool allow_older;                  /* AllowOlder=: a version that is named or pinned may be older */
        char *ca_file;                     /* CertificateAuthorities=; NULL: the system's */
        /* [Reboot] */
        RebootPolicy reboot_policy; /* Policy= */
        WindowList windows;         /* Windows= */
        uint64_t grace_seconds;     /* GracePeriod= between message and reboot */
        char *message;              /* Message= to logged-in users */
        /* [Boot] */
        unsigned tries;           /* Tries= */
        uint64_t confirm_seconds; /* ConfirmSeconds= for an administrator to confirm; 0: not needed */
} Config;

/* `folders`, NULL-terminated, most important first; NULL means /etc/bascule and /usr/lib/bascule. Members
 * that no file sets have their defaults. */
int config_load(const char *const *folders, Config **ret, Error *error);
/* The same from one text; `name` is for messages. */
int config_parse(const char *name, const char *text, size_t size, Config **ret, Error *error);
Config *config_free(Config *config);
DEFINE_CLEANUP(Config *, config_free)

/* As INI text, every key with the value in force; freed by the caller. */
int config_format(const Config *config, char **ret, Error *error);

const char *reboot_policy_name(RebootPolicy policy); /* "none", "immediately", "window" */
