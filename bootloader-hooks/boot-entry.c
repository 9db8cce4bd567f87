/* SPDX-License-Identifier: Apache-2.0 */
#include "boot.h"

#include <string.h>
#include <strings.h>

#define SUFFIX ".efi"
#define COUNTER_DIGITS_MAX 6

/* Takes decimal digits from *text; at most COUNTER_DIGITS_MAX, so that no sum of two can overflow. */
static int take_number(const char **text, unsigned *ret)
{
        unsigned value = 0, digits = 0;

        for (; **text >= '0' && **text <= '9'; (*text)++, digits++) {
                if (digits >= COUNTER_DIGITS_MAX)
                        return -EINVAL;
                value = value * 10 + (unsigned)(**text - '0');
        }
        if (digits == 0)
                return -EINVAL;
        *ret = value;
        return 0;
}

static int parse_counter(const char *text, BootEntry *entry)
{
        int r = take_number(&text, &entry->tries_left);

        if (r < 0)
                return r;
        entry->is_counted = true;
        if (*text == '-') {
                text++;
                r = take_number(&text, &entry->tries_done);
                if (r < 0)
                        return r;
        }
        return *text ? -EINVAL : 0;
}

/* Copies [from, to) as a NUL-terminated text; -EINVAL when it is too long for a field of VERSION_MAX. */
static int copy_part(const char *from, const char *to, char ret[static VERSION_MAX + 1])
{
        size_t length = (size_t)(to - from);

        if (length > VERSION_MAX)
                return -EINVAL;
        memcpy(ret, from, length);
        ret[length] = 0;
        return 0;
}

int boot_entry_parse_name(const char *file_name, BootEntry *ret)
{
        size_t length = strnlen(file_name, sizeof(ret->file_name));
        const char *underscore, *plus, *end;
        char stem[sizeof(ret->file_name)];
        BootEntry entry = { 0 };
        int r;

        if (length >= sizeof(entry.file_name) || length <= strlen(SUFFIX))
                return -EINVAL;
        end = file_name + length - strlen(SUFFIX);
        if (strcasecmp(end, SUFFIX) != 0) /* the filesystem does not tell upper from lower case */
                return -EINVAL;
        memcpy(entry.file_name, file_name, length + 1);
        memcpy(stem, file_name, length + 1);
        stem[end - file_name] = 0;

        underscore = strchr(stem, '_');
        if (!underscore)
                return -EINVAL;
        plus = strchr(underscore, '+');
        r = copy_part(stem, underscore, entry.image_id);
        if (r >= 0)
                r = copy_part(underscore + 1, plus ? plus : strchr(underscore, 0), entry.version);
        if (r >= 0 && plus)
                r = parse_counter(plus + 1, &entry);
        if (r < 0)
                return r;
        if (!image_id_is_valid(entry.image_id) || !version_is_valid(entry.version))
                return -EINVAL;
        *ret = entry;
        return 0;
}

int boot_entry_format_name(const BootEntry *entry, char ret[static 256])
{
        char counter[32] = "";

        if (!image_id_is_valid(entry->image_id) || !version_is_valid(entry->version))
                return -EINVAL;
        if (entry->is_counted && entry->tries_done > 0)
                (void)snprintf(counter, sizeof(counter), "+%u-%u", entry->tries_left, entry->tries_done);
        else if (entry->is_counted)
                (void)snprintf(counter, sizeof(counter), "+%u", entry->tries_left);
        (void)snprintf(ret, 256, "%s_%s%s%s", entry->image_id, entry->version, counter, SUFFIX);
        return 0;
}
