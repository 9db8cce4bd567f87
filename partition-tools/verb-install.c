/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs.h"

#include "file.h"
#include "install.h"
#include "json.h"
#include "strv.h"

#include <string.h>

typedef struct InstallOptions {
        bool json, yes;
        const char *serial;
        uint64_t size_bytes; /* 0 when not given */
} InstallOptions;

static const char *base_name(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash && slash[1] ? slash + 1 : path;
}

/* To standard error: with --json standard output carries the result alone. */
static void print_target(const InstallTarget *target)
{
        char size[SIZE_TEXT_MAX];

        (void)fprintf(stderr, "%s: %s (%ju bytes)%s%s%s%s\n", target->path,
                        size_format(target->size_bytes, size), (uintmax_t)target->size_bytes,
                        *target->model ? ", " : "", target->model, *target->serial ? ", serial " : "",
                        target->serial);
        if (strv_length(target->contents) == 0)
                (void)fprintf(stderr, "  holds nothing that is known\n");
        for (char **sentence = target->contents; sentence && *sentence; sentence++)
                (void)fprintf(stderr, "  %s\n", *sentence);
}

/* --yes alone would make a typing mistake in the disk's name fatal; something that only the right disk has
 * must be given with it. What is given is checked in any case. */
static int check_expectations(const InstallTarget *target, const InstallOptions *options, Error *error)
{
        if (options->serial && strcmp(options->serial, target->serial) != 0)
                return error_set(error, ERROR_REFUSED, EPERM,
                                "%s has serial \"%s\", not \"%s\"; nothing was written", target->path,
                                target->serial, options->serial);
        if (options->size_bytes != 0 && options->size_bytes != target->size_bytes)
                return error_set(error, ERROR_REFUSED, EPERM,
                                "%s has %ju bytes, not %ju; nothing was written", target->path,
                                (uintmax_t)target->size_bytes, (uintmax_t)options->size_bytes);
        if (options->yes && !options->serial && options->size_bytes == 0)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "--yes needs --disk-serial or --disk-size, so that the right disk is "
                                "overwritten");
        return 0;
}

static int confirm(const InstallTarget *target, Error *error)
{
        const char *name = base_name(target->path);
        char answer[256];

        if (isatty(STDIN_FILENO) != 1)
                return error_set(error, ERROR_USAGE, EINVAL,
                                "there is no terminal to ask for confirmation; use --yes with --disk-serial "
                                "or "
                                "--disk-size");
        (void)fprintf(stderr, "\nEverything on it will be lost. Type \"%s\" to overwrite it: ", name);
        (void)fflush(stderr);
        if (!fgets(answer, sizeof(answer), stdin))
                answer[0] = 0;
        answer[strcspn(answer, "\n")] = 0;
        if (strcmp(answer, name) != 0)
                return error_set(error, ERROR_CANCELLED, ECANCELED,
                                "that was not \"%s\"; nothing was written", name);
        return 0;
}

static void print_result(const InstallTarget *target, const InstallResult *result, bool json)
{
        _cleanup_json_ json_t *object = NULL;
        char uuid[UUID_TEXT_SIZE], written[SIZE_TEXT_MAX], var[SIZE_TEXT_MAX];

        (void)uuid_format(result->disk_uuid, uuid);
        if (!json) {
                printf("%s: installed, %s of data; disk %s; var has %s\n", target->path,
                                size_format(result->written_bytes, written), uuid,
                                size_format(result->var_bytes, var));
                return;
        }
        object = json_pack("{s:s,s:s,s:I,s:I}", "path", target->path, "uuid", uuid, "written_bytes",
                        (json_int_t)result->written_bytes, "var_bytes", (json_int_t)result->var_bytes);
        if (object)
                (void)json_dumpf(object, stdout, JSON_INDENT(2));
        (void)putchar('\n');
}

static int install(const char *image, const char *disk, const InstallOptions *options, Error *error)
{
        _cleanup_(install_target_freep) InstallTarget *target = NULL;
        _cleanup_(progress_freep) Progress *progress = progress_new();
        InstallResult result;
        int r = install_target_look(disk, &target, error);

        if (r >= 0)
                r = install_check(image, target, error);
        if (r < 0)
                return r;
        print_target(target);
        r = check_expectations(target, options, error);
        if (r >= 0 && !options->yes)
                r = confirm(target, error);
        if (r >= 0)
                r = install_image(image, target, progress, &result, error);
        if (r < 0)
                return r;
        print_result(target, &result, options->json);
        return 0;
}

int verb_install(int argc, char **argv)
{
        InstallOptions chosen = { 0 };
        const Option options[] = {
                { "yes", 'y', OPTION_FLAG, &chosen.yes, NULL, "Do not ask; needs one of the next two" },
                { "disk-serial", 0, OPTION_STRING, &chosen.serial, "TEXT",
                                "Refuse a disk with another serial" },
                { "disk-size", 0, OPTION_SIZE, &chosen.size_bytes, "SIZE", "Refuse a disk of another size" },
                { "json", 'j', OPTION_FLAG, &chosen.json, NULL, "Print the result as JSON" },
                { 0 },
        };
        char **arguments;
        const Usage usage = { PROGRAM_NAME, "install [OPTION...] IMAGE DISK",
                "Overwrites a disk with a raw disk image, reads it back, and gives var the rest of the "
                "disk.\nRefuses disks in use and the one that the running system lies on.",
                2, 2 };
        Error error = { 0 };
        int r = options_take(argc, argv, options, &usage, &arguments, &error);
        if (r == 0)
                r = install(arguments[0], arguments[1], &chosen, &error);
        return program_exit(PROGRAM_NAME, r, &error, chosen.json);
}
