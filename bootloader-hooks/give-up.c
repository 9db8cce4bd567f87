/* SPDX-License-Identifier: Apache-2.0 */
#include "give-up.h"

#include "log.h"

#include <string.h>
#include <time.h>

/* True also when the ESP cannot be read, since it is not known then. */
static bool has_way_out(const Booted *booted, const char *esp_folder)
{
        _cleanup_(esp_closep) Esp *esp = NULL;
        Error problem = { 0 };

        if (trial_open_esp(booted, esp_folder, false, &esp, &problem) < 0) {
                log_warning("%s", problem.message);
                return true;
        }
        return trial_has_way_out(boot_backend_detect(), esp_fd(esp), booted->image_id);
}

int give_up(const GiveUp *options, const Booted *booted, const char *reason, Error *error)
{
        TrialFailure failure = { .time_seconds = (uint64_t)time(NULL) };

        memcpy(failure.version, booted->version, sizeof(failure.version));
        (void)snprintf(failure.reason, sizeof(failure.reason), "%s", reason);
        if (has_way_out(booted, options->esp_folder)) {
                log_error("release %s is given up: %s", booted->version, reason);
                if (!options->no_reboot)
                        trial_give_up(options->state_folder, &failure);
        } else
                log_error("nothing but release %s can be booted: it stays up, and on trial. %s",
                                booted->version, reason);
        return trial_failure_write(options->state_folder, &failure, error);
}
