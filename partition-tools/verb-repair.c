/* SPDX-License-Identifier: Apache-2.0 */
#include "verbs.h"

#include "json.h"
#include "medium.h"
#include "printable.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

/* One sentence for each thing that is wrong, and where its cure comes from. */
static int explain(const GptReport *report, json_t *sentences)
{
        const char *list[4] = { 0 };
        size_t count = 0;

        if (report->primary != GPT_COPY_GOOD)
                list[count++] = report->primary == GPT_COPY_ABSENT ? "The primary table (start of the disk) "
                                                                     "is gone; the backup replaces it."
                                                                   : "The primary table (start of the disk) "
                                                                     "is damaged; the backup "
                                                                     "replaces it.";
        if (report->backup == GPT_COPY_ASTRAY)
                list[count++] = "The backup table is not at the end of the disk, or is older than the "
                                "primary; it is "
                                "written anew from the primary.";
        else if (report->backup != GPT_COPY_GOOD)
                list[count++] = "The backup table (end of the disk) is damaged or gone; it is written anew "
                                "from the "
                                "primary.";
        if (!report->has_protective_mbr)
                list[count++] = "The protective MBR (first sector) is damaged; it is written anew, boot "
                                "code is kept.";
        else if (!report->has_right_mbr_size)
                list[count++] = "The protective MBR (first sector) tells another disk size; it is put "
                                "right.";
        for (size_t i = 0; i < count; i++)
                if (json_array_append_new(sentences, json_string(list[i])) < 0)
                        return -ENOMEM;
        return 0;
}

static int repair(const char *path, bool dry_run, json_t *sentences, Error *error)
{
        _cleanup_fd_ int fd = open(path, (dry_run ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY);
        _cleanup_(gpt_freep) Gpt *gpt = NULL;
        uint64_t last_usable;
        int r;

        if (fd < 0)
                return error_set(error, errno == EACCES || errno == EPERM ? ERROR_PERMISSION : ERROR_IO,
                                errno, "cannot open %s: %s", path, strerror(errno));
        r = gpt_read(fd, 0, &gpt, error);
        if (r >= 0)
                r = gpt_check(gpt, error);
        if (r < 0)
                return error_prefix(error, r, "%s", path);
        /* Sectors of either size have a table there, and mending the one would overwrite the other. */
        if (medium_is(gpt))
                return error_set(error, ERROR_REFUSED, EPERM,
                                "%s is an installer, which is not repaired; write it to its medium again",
                                path);
        if (explain(&gpt->report, sentences) < 0)
                return error_oom(error);
        if (dry_run || gpt_report_is_good(&gpt->report))
                return 0;
        /* A disk that has grown gets a table that knows it; partitions stay as they are. */
        last_usable = gpt_last_usable_lba(gpt, gpt->disk_sectors);
        gpt->last_usable_lba = MAX_OF(gpt->last_usable_lba, last_usable);
        if (flock(fd, LOCK_EX) < 0)
                return error_set(error, ERROR_IO, errno, "cannot lock %s: %s", path, strerror(errno));
        return error_prefix(error, gpt_write(fd, gpt, error), "%s", path);
}

static void print_outcome(const char *path, const json_t *sentences, bool dry_run, bool json)
{
        _cleanup_json_ json_t *object = NULL;
        _cleanup_free_ char *shown = NULL;
        bool needed = json_array_size(sentences) > 0;
        const json_t *sentence;
        size_t i;

        if (json) {
                shown = printable_copy(path);
                if (shown)
                        object = json_pack("{s:s,s:b,s:O}", "path", shown, "repaired", needed && !dry_run,
                                        "findings", sentences);
                if (object)
                        (void)json_dumpf(object, stdout, JSON_INDENT(2));
                (void)putchar('\n');
                return;
        }
        json_array_foreach(sentences, i, sentence) printf("%s\n", json_string_value(sentence));
        printf("%s: %s\n", path,
                        !needed   ? "both copies of the partition table are good"
                        : dry_run ? "nothing was changed"
                                  : "both copies of the partition table are good now");
}

int verb_repair(int argc, char **argv)
{
        bool json = false, dry_run = false;
        const Option options[] = {
                { "dry-run", 'n', OPTION_FLAG, &dry_run, NULL, "Only say what is wrong" },
                { "json", 'j', OPTION_FLAG, &json, NULL, "Print JSON" },
                { 0 },
        };
        _cleanup_json_ json_t *sentences = json_array();
        _cleanup_free_ char *path = NULL;
        Error error = { 0 };
        int r = verb_disk_argument(argc, argv, options, "repair [OPTION...] [DISK]",
                        "Mends a damaged copy of the partition table from the one that is whole. When both "
                        "are whole\n"
                        "but differ, the primary is believed. Does nothing when all is well.",
                        &path, &error);

        if (r > 0)
                return 0;
        if (r >= 0)
                r = repair(path, dry_run, sentences, &error);
        if (r < 0)
                return program_exit(PROGRAM_NAME, r, &error, json);
        print_outcome(path, sentences, dry_run, json);
        return 0;
}
