/* SPDX-License-Identifier: Apache-2.0 */
#include "budget.h"
#include "disk-format.h"
#include "ini.h"
#include "recipe.h"
#include "strv.h"
#include "version-order.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#define SIZE_ALIGNMENT MIB
#define COMMAND_LINE_MAX 1536 /* the kernel takes 2048; the rest is ours */
#define GID_MAX 60000         /* as for uids */
#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool consists_of(const char *text, const char *allowed)
{
        return *text && !text[strspn(text, allowed)];
}

/* Every word of a list has only the characters given; `key` is for the message. */
static int check_words(
                char *const *list, const char *key, const char *allowed, const char *what, Error *error)
{
        if (strv_length(list) > RECIPE_LIST_MAX)
                return error_set(error, ERROR_CONFIG, E2BIG, "%s= has more than %d entries", key,
                                RECIPE_LIST_MAX);
        for (; list && *list; list++)
                if (!consists_of(*list, allowed) || strlen(*list) > 255 || **list == '-' || **list == '+')
                        return error_set(error, ERROR_CONFIG, EINVAL, "%s=: \"%.100s\" is not %s", key,
                                        *list, what);
        return 0;
}

static int check_lists(const Recipe *recipe, Error *error)
{
        static const char package_letters[] = LETTERS DIGITS "+.-";
        static const char unit_letters[] = LETTERS CAPITALS DIGITS ":_.@\\-";
        const struct {
                char *const *list;
                const char *key, *allowed, *what;
        } lists[] = {
                { recipe->suites, "Suites", LETTERS DIGITS ".-/", "a suite such as bookworm" },
                { recipe->areas, "Areas", LETTERS "-", "an area such as main" },
                { recipe->packages, "Install", package_letters, "a package name" },
                { recipe->excluded_packages, "Exclude", package_letters, "a package name" },
                { recipe->removed_packages, "RemovePackages", package_letters, "a package name" },
                { recipe->modules, "Modules", LETTERS CAPITALS DIGITS "_-", "a kernel module's name" },
                { recipe->root_modules, "RootModules", LETTERS CAPITALS DIGITS "_-*?[]/.",
                                "a kernel module, or a pattern of such" },
                { recipe->groups, "Group", LETTERS DIGITS "_-:", "a group, NAME or NAME:GID" },
                { recipe->enabled_units, "Enable", unit_letters, "a unit's name" },
                { recipe->disabled_units, "Disable", unit_letters, "a unit's name" },
                { recipe->masked_units, "Mask", unit_letters, "a unit's name" },
                { recipe->listening_units, "Listen", unit_letters, "a unit's name" },
        };

        for (size_t i = 0; i < ELEMENTS(lists); i++) {
                int r = check_words(lists[i].list, lists[i].key, lists[i].allowed, lists[i].what, error);

                if (r < 0)
                        return r;
        }
        if (strv_length(recipe->removed_globs) > RECIPE_LIST_MAX ||
                        strv_length(recipe->allowed_secrets) > RECIPE_LIST_MAX ||
                        strv_length(recipe->allowed_setuid) > RECIPE_LIST_MAX)
                return error_set(error, ERROR_CONFIG, E2BIG,
                                "Remove=, AllowSecret= or Setuid= has more than %d entries",
                                RECIPE_LIST_MAX);
        for (char **unit = recipe->enabled_units; unit && *unit; unit++)
                if (strv_contains(recipe->masked_units, *unit))
                        return error_set(error, ERROR_CONFIG, EINVAL,
                                        "%s is in both Enable= and Mask=", *unit);
        return 0;
}

/* NAME or NAME:GID. Names are checked where groups are made. */
static int check_groups(const Recipe *recipe, Error *error)
{
        for (char **group = recipe->groups; group && *group; group++) {
                const char *colon = strchr(*group, ':');
                char *end = NULL;
                unsigned long gid = colon ? strtoul(colon + 1, &end, 10) : 0;

                if (colon && (colon == *group || colon[1] < '1' || colon[1] > '9' || *end || gid > GID_MAX))
                        return error_set(error, ERROR_CONFIG, EINVAL,
                                        "Group=: \"%.100s\" is not a group, NAME or NAME:GID with a GID "
                                        "from 1 to %d",
                                        *group, GID_MAX);
        }
        return 0;
}

static int check_names(const Recipe *recipe, Error *error)
{
        static const char *const architectures[] = { "x86-64", "arm64" };
        const char *suggestion;

        if (!recipe->image_id)
                return error_set(error, ERROR_CONFIG, EINVAL, "[Image] Id= is missing");
        if (!image_id_is_valid(recipe->image_id))
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "Id=: \"%.100s\" is not 1 to 64 of a-z, 0-9 and '-' that begin with a "
                                "letter or digit",
                                recipe->image_id);
        if (!version_is_valid(recipe->version))
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "version \"%.100s\" is not 1 to %d of A-Z, a-z, 0-9, '.', '~', '^' and '-' "
                                "that begin "
                                "with a letter or digit",
                                recipe->version, VERSION_MAX);
        if (strcmp(recipe->architecture, "x86-64") == 0)
                return 0;
        suggestion = ini_suggest(recipe->architecture, architectures, 1);
        return error_set(error, ERROR_CONFIG, EINVAL, "Architecture=: \"%.100s\" cannot be built%s%s%s",
                        recipe->architecture, suggestion ? ", did you mean \"" : "; x86-64 can",
                        suggestion ? suggestion : "", suggestion ? "\"?" : "");
}

/* Seconds since 1970, or YYYY-MM-DD. */
static int parse_epoch(Recipe *recipe, Error *error)
{
        const char *text = recipe->epoch_text;
        struct tm date = { 0 };
        const char *end;

        if (!text || !*text)
                return 0;
        if (consists_of(text, DIGITS) && strlen(text) <= 11) {
                recipe->epoch = strtoull(text, NULL, 10);
                return 0;
        }
        end = strptime(text, "%Y-%m-%d", &date);
        if (!end || *end || date.tm_year < 70)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "Epoch=: \"%.40s\" is neither seconds since 1970 nor a date such as "
                                "2026-01-31",
                                text);
        recipe->epoch = (uint64_t)timegm(&date);
        return 0;
}

static int check_url(const char *url, Error *error)
{
        if (!url || (isalpha((unsigned char)url[0]) && strstr(url, ":/") &&
                                    !strpbrk(url, " \t\"'`$\\[]|;&<>()")))
                return 0;
        return error_set(error, ERROR_CONFIG, EINVAL, "mirror \"%.200s\" is not a URL", url);
}

static int check_sources(const Recipe *recipe, Error *error)
{
        int r = check_url(recipe->mirror, error);

        if (!recipe_installs_packages(recipe))
                return recipe->epoch_text && *recipe->epoch_text
                                       ? r
                                       : error_set(error, ERROR_CONFIG, EINVAL,
                                                         "no packages are installed on Base=, so nothing "
                                                         "tells the time of the image: set [Image] Epoch=");
        if (strv_length(recipe->suites) == 0)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "[Packages] Suites= is missing, such as bookworm");
        if (r >= 0)
                r = check_url(recipe->security_mirror, error);
        for (char **url = recipe->fallback_mirrors; r >= 0 && url && *url; url++)
                r = check_url(*url, error);
        return r;
}

static int check_format(const char *format, Error *error)
{
        const char *known[3 + DISK_FORMAT_COUNT] = { "raw", "qcow2", "installer" }, *suggestion;
        char names[256] = "raw, qcow2, installer";

        for (size_t i = 0; i < DISK_FORMAT_COUNT; i++) {
                size_t length = strlen(names);

                known[3 + i] = disk_formats[i].name;
                (void)snprintf(names + length, sizeof(names) - length, ", %s", disk_formats[i].name);
        }
        for (size_t i = 0; i < ELEMENTS(known); i++)
                if (strcmp(format, known[i]) == 0)
                        return 0;
        suggestion = ini_suggest(format, known, ELEMENTS(known));
        if (suggestion)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "Formats=: \"%.40s\" is unknown, did you mean \"%s\"?", format, suggestion);
        return error_set(error, ERROR_CONFIG, EINVAL, "Formats=: \"%.40s\" is unknown; there are %s", format,
                        names);
}

static int check_disk(const Recipe *recipe, Error *error)
{
        const struct {
                uint64_t bytes, least;
                const char *key;
        } sizes[] = {
                { recipe->esp_size_bytes, 64 * MIB, "EspSize" },
                { recipe->slot_size_bytes, 64 * MIB, "SlotSize" },
                { recipe->var_size_bytes, 64 * MIB, "VarSize" },
        };

        int r = 0;

        for (size_t i = 0; i < ELEMENTS(sizes); i++)
                if (sizes[i].bytes < sizes[i].least || sizes[i].bytes > 64 * GIB ||
                                sizes[i].bytes % SIZE_ALIGNMENT)
                        return error_set(error, ERROR_CONFIG, ERANGE,
                                        "%s= must be a multiple of 1M from 64M to 64G", sizes[i].key);
        for (char **format = recipe->formats; r >= 0 && format && *format; format++)
                r = check_format(*format, error);
        for (char **layout = recipe->budget_layouts; r >= 0 && layout && *layout; layout++)
                r = budget_parse_layout(*layout, &(BudgetLayout){ 0 }, error);
        return r;
}

/* The builder's own words must not be contradicted, and systemd's generators must not see roothash=. */
static int check_command_line(const Recipe *recipe, Error *error)
{
        static const char *const taken[] = {
                "bascule.roothash=", "roothash=", "root=", "init=", "systemd.gpt_auto="
        };
        size_t length = 0;

        for (char **word = recipe->command_line; word && *word; word++) {
                length += strlen(*word) + 1;
                for (const char *p = *word; *p; p++)
                        if (*p < 0x20 || *p > 0x7e)
                                return error_set(error, ERROR_CONFIG, EINVAL,
                                                "CommandLine=: \"%.100s\" holds bytes that are not "
                                                "printable ASCII",
                                                *word);
                for (size_t i = 0; i < ELEMENTS(taken); i++)
                        if (strncmp(*word, taken[i], strlen(taken[i])) == 0)
                                return error_set(error, ERROR_CONFIG, EINVAL,
                                                "CommandLine=: \"%.100s\" is decided by the builder; leave "
                                                "it out",
                                                *word);
        }
        return length > COMMAND_LINE_MAX
                               ? error_set(error, ERROR_CONFIG, E2BIG,
                                                 "CommandLine= is longer than %d bytes", COMMAND_LINE_MAX)
                               : 0;
}

static int check_update(const Recipe *recipe, Error *error)
{
        for (char **url = recipe->repositories; url && *url; url++)
                if (strncmp(*url, "https://", 8) != 0 && strncmp(*url, "http://", 7) != 0)
                        return error_set(error, ERROR_CONFIG, EINVAL,
                                        "[Update] Repository=: \"%.200s\" is not an http or https URL",
                                        *url);
        if (recipe->repositories && !recipe->trusted_root)
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "[Update] Repository= needs TrustedRoot=, the root.json that "
                                "\"bascule-image keys\" makes");
        if (!image_id_is_valid(recipe->channel))
                return error_set(error, ERROR_CONFIG, EINVAL,
                                "[Update] Channel=: \"%.100s\" is not a channel's name", recipe->channel);
        return 0;
}

static int fill_lists(Recipe *recipe, Error *error)
{
        int r = recipe->areas ? 0 : strv_append(&recipe->areas, "main");

        if (r >= 0 && !recipe->formats)
                r = strv_append(&recipe->formats, "raw");
        return r < 0 ? error_oom(error) : 0;
}

int recipe_check(Recipe *recipe, Error *error)
{
        int r = fill_lists(recipe, error);

        if (r >= 0)
                r = check_names(recipe, error);

        if (r >= 0)
                r = parse_epoch(recipe, error);
        if (r >= 0)
                r = check_sources(recipe, error);
        if (r >= 0)
                r = check_lists(recipe, error);
        if (r >= 0)
                r = check_groups(recipe, error);
        if (r >= 0)
                r = check_disk(recipe, error);
        if (r >= 0)
                r = check_command_line(recipe, error);
        return r < 0 ? r : check_update(recipe, error);
}
