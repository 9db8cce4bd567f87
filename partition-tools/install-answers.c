/* SPDX-License-Identifier: Apache-2.0 */
#include "install-answers.h"

#include "ini.h"

#include <stddef.h>
#include <string.h>

#define ONLY "only"

static const char *const end_names[INSTALL_END_MAX] = {
        [INSTALL_END_POWEROFF] = "poweroff",
        [INSTALL_END_REBOOT] = "reboot",
        [INSTALL_END_STAY] = "stay",
};

/* A yes or no. */
typedef struct Choice {
        bool is_yes; /* first: ini_set_bool() sets it */
        bool is_given;
} Choice;

/* As it is read. */
typedef struct Draft {
        InstallAnswers *answers;
        char *disk, *serial, *end;
        Choice erase, reinstall;
} Draft;

const char *install_end_name(InstallEnd end)
{
        return (unsigned)end < INSTALL_END_MAX ? end_names[end] : "stay";
}

InstallAnswers *install_answers_free(InstallAnswers *answers)
{
        if (answers) {
                free(answers->disk);
                free(answers->serial);
        }
        free(answers);
        return NULL;
}

static void draft_done(Draft *draft)
{
        (void)install_answers_free(draft->answers);
        free(draft->disk);
        free(draft->serial);
        free(draft->end);
}

static int take_end(const char *word, InstallEnd *ret, Error *error)
{
        *ret = INSTALL_END_POWEROFF;
        if (!word)
                return 0;
        for (unsigned end = 0; end < INSTALL_END_MAX; end++)
                if (strcmp(word, end_names[end]) == 0) {
                        *ret = (InstallEnd)end;
                        return 0;
                }
        return error_set(error, ERROR_CONFIG, EINVAL, "Then=: \"%.40s\" is not poweroff, reboot or stay",
                        word);
}

/* Written in full: no step that leads nowhere, or back. */
static bool is_plain_path(const char *path)
{
        while (*path == '/') {
                size_t size = strcspn(++path, "/");

                if (size == 0 || (size <= 2 && strncmp(path, "..", size) == 0))
                        return false;
                path += size;
        }
        return true;
}

/* What the kernel calls a disk goes by the order in which disks were found. */
static bool is_passing_name(const char *path)
{
        static const char *const others[] = { "/dev/block/", "/dev/disk/by-diskseq/" };

        if (strcmp(path, ONLY) == 0)
                return false;
        for (size_t i = 0; i < ELEMENTS(others); i++)
                if (strncmp(path, others[i], strlen(others[i])) == 0)
                        return true;
        return !strchr(path + strlen("/dev/"), '/');
}

static int check(const Draft *draft, Error *error)
{
        bool has_disk = draft->disk && *draft->disk, has_serial = draft->serial && *draft->serial;

        if (!has_disk && !has_serial)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "neither Disk= nor Serial= says onto which disk to install");
        if (has_disk && strcmp(draft->disk, ONLY) != 0 && strncmp(draft->disk, "/dev/", 5) != 0)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "Disk=: \"%.100s\" is neither a path that begins with /dev/ nor \"" ONLY
                                "\"",
                                draft->disk);
        if (has_disk && strcmp(draft->disk, ONLY) != 0 && !is_plain_path(draft->disk))
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "Disk=: write \"%.100s\" without \"//\", \".\", \"..\" and a \"/\" at its "
                                "end",
                                draft->disk);
        if (!draft->erase.is_yes)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "everything on the disk is lost: that must be allowed by Erase=yes");
        if (has_disk && !has_serial && is_passing_name(draft->disk))
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "Disk=: \"%.100s\" can be another disk at the next start; give a name below "
                                "/dev/disk/by-id/ or by-path/, or Serial= too",
                                draft->disk);
        return 0;
}

static int finish(Draft *draft, InstallAnswers **ret, Error *error)
{
        InstallAnswers *answers;
        int r = check(draft, error);

        if (r < 0)
                return r;
        answers = draft->answers = calloc(1, sizeof(*answers));
        if (!answers)
                return error_oom(error);
        r = take_end(draft->end, &answers->end, error);
        if (r < 0)
                return r;
        answers->is_only = draft->disk && strcmp(draft->disk, ONLY) == 0;
        answers->may_reinstall = draft->reinstall.is_yes;
        answers->disk = draft->disk && !answers->is_only ? TAKE_PTR(draft->disk) : strdup("");
        answers->serial = draft->serial ? TAKE_PTR(draft->serial) : strdup("");
        if (!answers->disk || !answers->serial)
                return error_oom(error);
        *ret = TAKE_PTR(draft->answers);
        return 0;
}

static int refuse_second(const IniKey *key, Error *error)
{
        return error_set(error, ERROR_CONFIG, EINVAL, "%s= is there twice; leave one of them", key->name);
}

/* The last of two, or a line that somebody forgot to fill in, is not what anyone asked for clearly. */
static int set_once(void *data, const IniKey *key, const char *value, IniPlace place, Error *error)
{
        char **member = (char **)((uint8_t *)data + key->offset);

        if (*member)
                return refuse_second(key, error);
        if (!*value)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "%s= is empty; fill it in, or leave the line out", key->name);
        return ini_set_string(data, key, value, place, error);
}

static int set_choice_once(void *data, const IniKey *key, const char *value, IniPlace place, Error *error)
{
        Choice *choice = (Choice *)((uint8_t *)data + key->offset);

        if (choice->is_given)
                return refuse_second(key, error);
        choice->is_given = true;
        return ini_set_bool(data, key, value, place, error);
}

int install_answers_parse(
                const char *name, const char *text, size_t size, InstallAnswers **ret, Error *error)
{
        static const IniKey keys[] = {
                { "Install", "Disk", set_once, offsetof(Draft, disk) },
                { "Install", "Serial", set_once, offsetof(Draft, serial) },
                { "Install", "Erase", set_choice_once, offsetof(Draft, erase) },
                { "Install", "Reinstall", set_choice_once, offsetof(Draft, reinstall) },
                { "Install", "Then", set_once, offsetof(Draft, end) },
                { 0 },
        };
        _cleanup_(draft_done) Draft draft = { 0 };
        int r = ini_parse(name, text, size, keys, &draft, error);

        if (r < 0)
                return r;
        r = finish(&draft, ret, error);
        return r < 0 ? error_prefix(error, r, "%s", name) : 0;
}

int install_answers_choose(const InstallAnswers *answers, const char *const *serials, size_t count,
                size_t *ret_index, Error *error)
{
        size_t found = 0, matches = 0;

        if (answers->is_only && count > 1)
                return error_set(error, ERROR_REFUSED, EPERM,
                                "Disk=" ONLY " says that there is one disk, and there are %zu; say which by "
                                "Disk= or Serial=",
                                count);
        for (size_t i = 0; i < count; i++)
                if (!*answers->serial || strcmp(answers->serial, serials[i]) == 0) {
                        found = i;
                        matches++;
                }
        if (matches > 1)
                return error_set(error, ERROR_REFUSED, EPERM,
                                "%zu disks have the serial number \"%s\"; say which by Disk=", matches,
                                answers->serial);
        if (matches == 0)
                return error_set(error, ERROR_REFUSED, ENODEV, "there is no disk%s%s%s",
                                *answers->serial ? " with the serial number \"" : " beside the medium",
                                answers->serial, *answers->serial ? "\"" : "");
        *ret_index = found;
        return 0;
}
