/* SPDX-License-Identifier: Apache-2.0 */
/* etc diff: finds the layers of /etc and shows what cli-etc-scan.c makes of them. The release's own /etc is
 * hidden under the overlay, and that of the other release lies in the other slot: both are reached through
 * mounts that no path leads to and that end with this process. */
#include "cli.h"
#include "file.h"
#include "json.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/syscall.h>

#define OS_RELEASE "/usr/lib/os-release"
#define OVERLAYS "/var/lib/bascule/etc"

typedef struct Layers {
        char *upper, *lower, *old_lower;
        int root_fd, other_fd; /* detached mounts that lower and old_lower lie in */
} Layers;

static void layers_done(Layers *layers)
{
        free(layers->upper);
        free(layers->lower);
        free(layers->old_lower);
        layers->root_fd = fd_close(layers->root_fd);
        layers->other_fd = fd_close(layers->other_fd);
}

/* The running release by its os-release file. */
static int running_version(char **ret, Error *error)
{
        _cleanup_free_ char *text = NULL;
        char *line, *rest;
        int r = file_read(AT_FDCWD, OS_RELEASE, 64 * KIB, &text, NULL);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read " OS_RELEASE ": %s", strerror(-r));
        rest = text;
        while ((line = strsep(&rest, "\n"))) {
                char *value = line + strlen("IMAGE_VERSION=");

                if (strncmp(line, "IMAGE_VERSION=", strlen("IMAGE_VERSION=")) != 0)
                        continue;
                value += *value == '"';
                value[strcspn(value, "\"")] = 0;
                *ret = strdup(value);
                return *ret ? 0 : error_oom(error);
        }
        return error_set(error, ERROR_INCOMPATIBLE, ENOENT,
                        OS_RELEASE " names no IMAGE_VERSION: this host does not run a release of ours");
}

/* The root filesystem without what is mounted on it. */
static int find_lower(Layers *layers, Error *error)
{
        layers->root_fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (layers->root_fd < 0)
                return error_set(error, errno == EPERM ? ERROR_PERMISSION : ERROR_IO, errno,
                                "cannot look under /etc: %s%s", strerror(errno),
                                errno == EPERM ? "; try it with sudo" : "");
        layers->lower = string_format("/proc/self/fd/%d/etc", layers->root_fd);
        return layers->lower ? 0 : error_oom(error);
}

static int mount_erofs(const char *device)
{
        _cleanup_fd_ int context = (int)syscall(SYS_fsopen, "erofs", FSOPEN_CLOEXEC);

        if (context < 0 || syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "source", device, 0) < 0 ||
                        syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
                        syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return -errno;
        return (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
                        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

/* The other slot's /etc. It is no error when there is none: then we know less. */
static void find_old_lower(Layers *layers)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_json_ json_t *properties = NULL;
        _cleanup_free_ char *device = NULL;
        Error ignored = { 0 };

        if (cli_connect(&bus, &ignored) < 0 || cli_properties(bus, &properties, &ignored) < 0 ||
                        !cli_text(properties, "OtherVersion")[0])
                return;
        device = string_format("/dev/disk/by-partlabel/root-%s", cli_text(properties, "OtherSlot"));
        layers->other_fd = device ? mount_erofs(device) : -1;
        if (layers->other_fd >= 0)
                layers->old_lower = string_format("/proc/self/fd/%d/etc", layers->other_fd);
}

static int find_layers(Layers *layers, Error *error)
{
        _cleanup_free_ char *version = NULL;
        int r = running_version(&version, error);

        if (r >= 0)
                r = find_lower(layers, error);
        if (r < 0)
                return r;
        layers->upper = string_format(OVERLAYS "/%s/upper", version);
        if (!layers->upper)
                return error_oom(error);
        find_old_lower(layers);
        return 0;
}

static void print_report(const EtcReport *report)
{
        static const char *const marks[ETC_CHANGE_MAX] = { "+", "~", "-" };
        size_t both = 0;

        for (size_t i = 0; i < report->count; i++) {
                const EtcEntry *entry = &report->entries[i];

                printf("%s %-8s /etc/%s%s%s%s\n", marks[entry->change], etc_change_name(entry->change),
                                entry->path, entry->release_changed_too ? cli_colour(CLI_WARN) : "",
                                entry->release_changed_too ? "  (the release changed it too)" : "",
                                entry->release_changed_too ? cli_colour_end() : "");
                both += entry->release_changed_too ? 1 : 0;
        }
        if (report->count == 0)
                printf("/etc is as the release has it.\n");
        if (both)
                cli_hint("your version stays; compare the %zu marked with the release's and merge by hand",
                                both);
        else if (report->count && !report->knows_release)
                cli_hint("the other slot cannot be read, so what the release changed is not known");
}

static void print_report_json(const EtcReport *report)
{
        _cleanup_json_ json_t *changes = json_array(), *whole = NULL;

        for (size_t i = 0; i < report->count; i++)
                (void)json_array_append_new(changes,
                                json_pack("{s:s,s:s,s:b}", "path", report->entries[i].path, "change",
                                                etc_change_name(report->entries[i].change),
                                                "release_changed_too",
                                                (int)report->entries[i].release_changed_too));
        whole = json_pack("{s:O,s:b}", "changes", changes, "knows_release", (int)report->knows_release);
        cli_print_json(whole);
}

static int diff(const char *upper, const char *lower, const char *old_lower, bool json, Error *error)
{
        _cleanup_(layers_done) Layers layers = { .root_fd = -1, .other_fd = -1 };
        EtcReport report = { 0 };
        int r = 0;

        if (!upper != !lower)
                return error_set(error, ERROR_USAGE, EINVAL, "--upper and --lower go together");
        if (!upper) {
                r = find_layers(&layers, error);
                upper = layers.upper;
                lower = layers.lower;
                old_lower = old_lower ? old_lower : layers.old_lower;
        }
        if (r >= 0)
                r = etc_scan(upper, lower, old_lower, &report, error);
        if (r < 0)
                return r;
        if (json)
                print_report_json(&report);
        else
                print_report(&report);
        etc_report_done(&report);
        return 0;
}

int cli_etc(int argc, char **argv)
{
        const char *upper = NULL, *lower = NULL, *old_lower = NULL;
        bool json = false;
        const Option options[] = {
                { "upper", 0, OPTION_STRING, &upper, "FOLDER", "Changes, instead of the running overlay's" },
                { "lower", 0, OPTION_STRING, &lower, "FOLDER",
                                "The release's /etc, instead of the running one's" },
                { "other", 0, OPTION_STRING, &old_lower, "FOLDER",
                                "The /etc of the release in the other slot" },
                { "json", 0, OPTION_FLAG, &json, NULL, "Print JSON" },
                { 0 },
        };
        CliLine line = { "etc diff [OPTION...]",
                "Lists the files in /etc that differ from the release's, and those that the release changed "
                "too.",
                options, 1, 1 };
        Error error = { 0 };
        int r;

        if (!cli_parse(&line, argc, argv, &r))
                return r;
        if (strcmp(line.arguments[0], "diff") != 0)
                r = error_set(&error, ERROR_USAGE, EINVAL, "say `bascule %s`", line.usage);
        else
                r = diff(upper, lower, old_lower, json, &error);
        return program_exit(CLI_PROGRAM, r, &error, json);
}
