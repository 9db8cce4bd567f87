/* SPDX-License-Identifier: Apache-2.0 */
/* systemd generator (systemd.generator(7)): gives bascule-check.timer the intervals of engine.conf, so that
 * there is one place to set them. Runs early in each boot and at "systemctl daemon-reload". A configuration
 * with a mistake leaves the timer as it is shipped; basculed tells about the mistake. */
#include "config.h"
#include "file.h"
#include "log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define DROPIN "bascule-check.timer.d"

static int write_dropin(const char *folder, const Config *config)
{
        _cleanup_free_ char *place = path_join(folder, DROPIN), *text = NULL, *file = NULL;
        int r;

        /* An empty assignment forgets every trigger of the unit, so all of them are said again. */
        text = string_format("# Made from engine.conf by bascule-timer-generator.\n[Timer]\nOnBootSec=\n"
                             "OnBootSec=2min\nOnUnitInactiveSec=%" PRIu64 "s\nRandomizedDelaySec=%" PRIu64
                             "s\n",
                        config->check_interval_seconds, config->randomized_delay_seconds);
        file = place ? path_join(place, "50-engine.conf") : NULL;
        if (!text || !file)
                return -ENOMEM;
        r = directory_make(AT_FDCWD, place, 0755);
        return r < 0 ? r : file_replace(AT_FDCWD, file, text, strlen(text), 0644);
}

int main(int argc, char **argv)
{
        _cleanup_(config_freep) Config *config = NULL;
        Error error = { 0 };
        int r;

        log_open("bascule-timer-generator");
        if (argc < 2) {
                log_error("usage: bascule-timer-generator FOLDER");
                return ERROR_USAGE;
        }
        r = config_load(NULL, &config, &error);
        if (r < 0) {
                log_warning("%s; the timer keeps its own intervals", error.message);
                return 0;
        }
        r = write_dropin(argv[1], config);
        if (r < 0)
                log_error("cannot write to %s: %s", argv[1], strerror(-r));
        return r < 0 ? ERROR_FAILED : 0;
}
