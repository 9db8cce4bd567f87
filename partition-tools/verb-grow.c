/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs.h"

#include "file.h"
#include "grow.h"
#include "json.h"
#include "printable.h"

static const char *const filesystem_names[] = {
        [GROW_FILESYSTEM_NONE] = "none",
        [GROW_FILESYSTEM_NOT_MOUNTED] = "not-mounted",
        [GROW_FILESYSTEM_FULL_SIZE] = "full-size",
        [GROW_FILESYSTEM_GROWN] = "grown",
};

static void print_json(const char *path, const GrowResult *result)
{
        _cleanup_free_ char *shown = printable_copy(path);
        _cleanup_json_ json_t *json =
                        !shown ? NULL
                               : json_pack("{s:s,s:b,s:I,s:I,s:s}", "path", shown, "table_written",
                                                 result->table_written, "var_before_bytes",
                                                 (json_int_t)result->var_before_bytes, "var_after_bytes",
                                                 (json_int_t)result->var_after_bytes, "filesystem",
                                                 filesystem_names[result->filesystem]);

        if (json)
                (void)json_dumpf(json, stdout, JSON_INDENT(2));
        (void)putchar('\n');
}

static void print_text(const char *path, const GrowResult *result)
{
        char before[SIZE_TEXT_MAX], after[SIZE_TEXT_MAX];

        if (result->var_after_bytes != result->var_before_bytes)
                printf("%s: var has grown from %s to %s\n", path,
                                size_format(result->var_before_bytes, before),
                                size_format(result->var_after_bytes, after));
        else if (result->table_written)
                printf("%s: partition table mended; var has %s already\n", path,
                                size_format(result->var_after_bytes, after));
        else
                printf("%s: var already reaches the end of the disk\n", path);
        if (result->filesystem == GROW_FILESYSTEM_GROWN)
                printf("%s: the filesystem has grown with it\n", path);
        else if (result->filesystem == GROW_FILESYSTEM_NOT_MOUNTED)
                printf("%s: the filesystem of var is not mounted and will grow at the next boot\n", path);
}

int verb_grow(int argc, char **argv)
{
        bool json = false;
        const Option options[] = {
                { "json", 'j', OPTION_FLAG, &json, NULL, "Print JSON" },
                { 0 },
        };
        _cleanup_free_ char *path = NULL;
        GrowResult result;
        Error error = { 0 };
        int r = verb_disk_argument(argc, argv, options, "grow [OPTION...] [DISK]",
                        "Grows var to the end of the disk: partition table, kernel, and the mounted "
                        "filesystem.\n"
                        "Does nothing when that is so already. Of a disk image only the table is changed.",
                        &path, &error);

        if (r > 0)
                return 0;
        if (r >= 0)
                r = grow_disk(path, &result, &error);
        if (r < 0)
                return program_exit(PROGRAM_NAME, r, &error, json);
        if (json)
                print_json(path, &result);
        else
                print_text(path, &result);
        return 0;
}
