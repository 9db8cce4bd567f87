/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for polkit on a test's own bus: authorizes the actions that its arguments name, for anyone, and
 * refuses all others; with the argument "silent" it never answers, as where nobody types the password. Says
 * "ready" when it has the name, and each question on standard output. */
#include "bus-connect.h"
#include "macro.h"

#include <string.h>
#include <systemd/sd-bus.h>

static char **allowed;

static int check_authorization(sd_bus_message *call, void *data, sd_bus_error *error)
{
        const char *kind, *key, *sender, *action, *cancel_id;
        unsigned flags;
        bool is_allowed = false, is_silent = false;
        int r = sd_bus_message_read(call, "(sa{sv})", &kind, 1, &key, "s", &sender);

        if (r >= 0)
                r = sd_bus_message_read(call, "s", &action);
        if (r >= 0)
                r = sd_bus_message_skip(call, "a{ss}");
        if (r >= 0)
                r = sd_bus_message_read(call, "us", &flags, &cancel_id);
        if (r < 0)
                return r;
        for (char **name = allowed; *name; name++) {
                is_allowed = is_allowed || strcmp(*name, action) == 0;
                is_silent = is_silent || strcmp(*name, "silent") == 0;
        }
        printf("%s %s %s %u %s\n", kind, key, action, flags, is_silent ? "-" : is_allowed ? "yes" : "no");
        (void)fflush(stdout);
        if (is_silent)
                return 1;
        return sd_bus_reply_method_return(call, "(bba{ss})", is_allowed, !is_allowed, 0);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})", check_authorization,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int main(int argc, char **argv)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int r = argc < 2 ? -EINVAL : bus_connect(argv[1], &bus);

        allowed = argv + MIN_OF(argc, 2);
        if (r >= 0)
                r = sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/PolicyKit1/Authority",
                                "org.freedesktop.PolicyKit1.Authority", vtable, NULL);
        if (r >= 0)
                r = sd_bus_request_name(bus, "org.freedesktop.PolicyKit1", 0);
        if (r >= 0) {
                printf("ready\n");
                (void)fflush(stdout);
        }
        while (r >= 0) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        (void)fprintf(stderr, "fake-polkit: %s\n", strerror(-r));
        return EXIT_FAILURE;
}
