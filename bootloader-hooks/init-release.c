/* SPDX-License-Identifier: Apache-2.0 */
#include "init-release.h"

#include <string.h>

/* The value of a line "NAME=value" or NAME="value"; false for another line, or a value that is too long. */
static bool take_value(const char *line, size_t length, const char *name, char ret[static VERSION_MAX + 1])
{
        size_t name_length = strlen(name);

        if (length <= name_length || strncmp(line, name, name_length) != 0 || line[name_length] != '=')
                return false;
        line += name_length + 1;
        length -= name_length + 1;
        if (length >= 2 && (line[0] == '"' || line[0] == '\'') && line[length - 1] == line[0]) {
                line++;
                length -= 2;
        }
        if (length > VERSION_MAX)
                return false;
        memcpy(ret, line, length);
        ret[length] = 0;
        return true;
}

int init_release_parse(const char *text, InitRelease *ret)
{
        InitRelease release = { 0 };

        while (*text) {
                size_t length = strcspn(text, "\n");

                if (!take_value(text, length, "IMAGE_ID", release.image_id))
                        (void)take_value(text, length, "IMAGE_VERSION", release.version);
                text += length + (text[length] == '\n');
        }
        if (!image_id_is_valid(release.image_id) || !version_is_valid(release.version))
                return -EBADMSG;
        *ret = release;
        return 0;
}
