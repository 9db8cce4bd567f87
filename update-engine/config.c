/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "buffer.h"
#include "ini.h"
#include "mirrors.h"
#include "strv.h"

#include <inttypes.h>

#include <stddef.h>
#include <string.h>

#define CONFIG_TEXT_MAX (64 * KIB)

static const char *const policy_names[REBOOT_POLICY_MAX] = {
        [REBOOT_NONE] = "none",
        [REBOOT_IMMEDIATELY] = "immediately",
        [REBOOT_WINDOW] = "window",
};

const char *reboot_policy_name(RebootPolicy policy)
{
        return policy < REBOOT_POLICY_MAX ? policy_names[policy] : "unknown";
}

static int set_policy(void *data, const IniKey *key, const char *value, IniPlace place, Error *error)
{
        Config *config = data;
        for (unsigned i = 0; i < REBOOT_POLICY_MAX; i++) {
                if (strcmp(value, policy_names[i]) == 0) {
                        config->reboot_policy = (RebootPolicy)i;
                        return 0;
                }
        }
        return error_set(error, ERROR_CONFIG, EINVAL,
                        "%s=%s: the policy is one of none, immediately and window", key->name, value);
}

static int set_window(void *data, const IniKey *key, const char *value, IniPlace place, Error *error)
{
        Config *config = data;
        if (!*value) {
                config->windows.count = 0;
                return 0;
        }
        if (config->windows.count >= WINDOWS_MAX)
                return error_set(error, ERROR_CONFIG, E2BIG, "%s=: more than %d windows", key->name,
                                WINDOWS_MAX);
        int r = window_parse(value, &config->windows.windows[config->windows.count], error);
        if (r < 0)
                return r;
        config->windows.count++;
        return 0;
}

static int set_repository(void *data, const IniKey *key, const char *value, IniPlace place, Error *error)
{
        Config *config = data;
        if (!*value) {
                config->repositories = strv_free(config->repositories);
                return 0;
        }
        if (strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "%s=%s: a repository is an http:// or https:// address", key->name, value);
        if (strv_length(config->repositories) >= MIRRORS_MAX)
                return error_set(error, ERROR_CONFIG, E2BIG, "%s=: more than %d mirrors", key->name,
                                MIRRORS_MAX);
        return strv_append(&config->repositories, value) < 0 ? error_oom(error) : 0;
}

#define KEY(section, name, setter, member)                                                                  \
        {                                                                                                   \
                section, name, setter, offsetof(Config, member)                                             \
        }

static const IniKey config_keys[] = {
        KEY("Update", "Repository", set_repository, repositories),
        KEY("Update", "Channel", ini_set_string, channel),
        KEY("Update", "Automatic", ini_set_bool, is_automatic),
        KEY("Update", "CheckInterval", ini_set_seconds, check_interval_seconds),
        KEY("Update", "RandomizedDelay", ini_set_seconds, randomized_delay_seconds),
        KEY("Update", "BandwidthLimit", ini_set_size, bandwidth_bytes),
        KEY("Update", "Timeout", ini_set_seconds, timeout_seconds),
        KEY("Update", "RetryDelay", ini_set_seconds, retry_seconds),
        KEY("Update", "AllowOlder", ini_set_bool, allow_older),
        KEY("Update", "CertificateAuthorities", ini_set_string, ca_file),
        KEY("Reboot", "Policy", set_policy, reboot_policy),
        KEY("Reboot", "Windows", set_window, windows),
        KEY("Reboot", "GracePeriod", ini_set_seconds, grace_seconds),
        KEY("Reboot", "Message", ini_set_string, message),
        KEY("Boot", "Tries", ini_set_unsigned, tries),
        KEY("Boot", "ConfirmSeconds", ini_set_seconds, confirm_seconds),
        { 0 },
};

static int config_defaults(Config *config)
{
        config->is_automatic = true;
        config->check_interval_seconds = 6 * 3600;
        config->randomized_delay_seconds = 3600;
        config->timeout_seconds = 30;
        config->retry_seconds = 1;
        config->reboot_policy = REBOOT_NONE;
        config->grace_seconds = 300;
        config->tries = 3;
        config->channel = strdup("stable");
        config->message = strdup("The system reboots into a new release.");
        return config->channel && config->message ? 0 : -ENOMEM;
}

/* Rules between keys, and ranges that the setters do not know. */
static int config_check(const Config *config, Error *error)
{
        if (config->reboot_policy == REBOOT_WINDOW && config->windows.count == 0)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "[Reboot] Policy=window needs at least one Windows= such as \"Mon..Fri "
                                "02:00-04:00\"");
        if (config->tries < 1 || config->tries > 9)
                return error_set(error, ERROR_CONFIG, ERANGE, "[Boot] Tries=%u is not between 1 and 9",
                                config->tries);
        if (config->timeout_seconds < 1 || config->timeout_seconds > 3600)
                return error_set(
                                error, ERROR_CONFIG, ERANGE, "[Update] Timeout= is not between 1 s and 1 h");
        if (config->retry_seconds > 60)
                return error_set(error, ERROR_CONFIG, ERANGE, "[Update] RetryDelay= is longer than 1 min");
        if (config->check_interval_seconds < 60)
                return error_set(error, ERROR_CONFIG, ERANGE, "[Update] CheckInterval= is below one minute");
        for (const char *c = config->channel; c && *c; c++)
                if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", *c))
                        return error_set(error, ERROR_CONFIG, EINVAL,
                                        "[Update] Channel=%s has characters other than a-z, 0-9 and -",
                                        config->channel);
        if (!config->channel || !*config->channel || strlen(config->channel) > 64)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "[Update] Channel= has not between 1 and 64 characters");
        return 0;
}

int config_parse(const char *name, const char *text, size_t size, Config **ret, Error *error)
{
        _cleanup_(config_freep) Config *config = calloc(1, sizeof(*config));
        if (!config || config_defaults(config) < 0)
                return error_oom(error);
        int r = ini_parse(name, text, size, config_keys, config, error);
        if (r >= 0)
                r = config_check(config, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(config);
        return 0;
}

int config_load(const char *const *folders, Config **ret, Error *error)
{
        static const char *const default_folders[] = { "/etc/bascule", "/usr/lib/bascule", NULL };
        _cleanup_(config_freep) Config *config = calloc(1, sizeof(*config));
        if (!config || config_defaults(config) < 0)
                return error_oom(error);
        int r = ini_parse_with_dropins(
                        folders ? folders : default_folders, "engine.conf", config_keys, config, error);
        if (r < 0)
                return r;
        r = config_check(config, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(config);
        return 0;
}

Config *config_free(Config *config)
{
        if (!config)
                return NULL;
        strv_free(config->repositories);
        free(config->channel);
        free(config->ca_file);
        free(config->message);
        free(config);
        return NULL;
}

int config_format(const Config *config, char **ret, Error *error)
{
        _cleanup_buffer_ Buffer text = BUFFER_WITH_CAP(CONFIG_TEXT_MAX);
        int r = buffer_append_string(&text, "[Update]\n");
        for (char **url = config->repositories; url && *url && r >= 0; url++)
                r = buffer_printf(&text, "Repository=%s\n", *url);
        if (r >= 0)
                r = buffer_printf(&text,
                                "Channel=%s\nAutomatic=%s\nCheckInterval=%" PRIu64
                                "s\nRandomizedDelay=%" PRIu64 "s\nBandwidthLimit=%" PRIu64
                                "\nTimeout=%" PRIu64 "s\nRetryDelay=%" PRIu64 "s\nAllowOlder=%s\n"
                                "CertificateAuthorities=%s\n",
                                config->channel, config->is_automatic ? "yes" : "no",
                                config->check_interval_seconds, config->randomized_delay_seconds,
                                config->bandwidth_bytes, config->timeout_seconds, config->retry_seconds,
                                config->allow_older ? "yes" : "no", config->ca_file ? config->ca_file : "");
        if (r >= 0)
                r = buffer_printf(
                                &text, "\n[Reboot]\nPolicy=%s\n", reboot_policy_name(config->reboot_policy));
        for (size_t i = 0; i < config->windows.count && r >= 0; i++) {
                char window[WINDOW_TEXT_MAX];
                window_format(&config->windows.windows[i], window);
                r = buffer_printf(&text, "Windows=%s\n", window);
        }
        if (r >= 0)
                r = buffer_printf(&text,
                                "GracePeriod=%" PRIu64
                                "s\nMessage=%s\n\n[Boot]\nTries=%u\nConfirmSeconds=%" PRIu64 "s\n",
                                config->grace_seconds, config->message, config->tries,
                                config->confirm_seconds);
        if (r < 0)
                return error_oom(error);
        *ret = buffer_take(&text, NULL);
        return *ret ? 0 : error_oom(error);
}
