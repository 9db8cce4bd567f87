/* SPDX-License-Identifier: Apache-2.0 */
#include "efivar.h"

#include "boot.h"
#include "bytes.h"
#include "file.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>

#define LOADER_GUID "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
#define ATTRIBUTES_SIZE 4

int efivar_decode(const uint8_t *data, size_t size, char **ret)
{
        _cleanup_free_ char *text = NULL;
        size_t length;

        if (size < ATTRIBUTES_SIZE || (size - ATTRIBUTES_SIZE) % 2 != 0)
                return -EBADMSG;
        length = (size - ATTRIBUTES_SIZE) / 2;
        if (length > EFIVAR_TEXT_MAX)
                return -E2BIG;
        text = calloc(1, length + 1);
        if (!text)
                return -ENOMEM;
        for (size_t i = 0; i < length; i++) {
                uint16_t unit = read_le16(data + ATTRIBUTES_SIZE + 2 * i);

                if (unit == 0 && i + 1 == length)
                        break;
                if (unit < 0x20 || unit > 0x7e)
                        return -EBADMSG;
                text[i] = (char)unit;
        }
        *ret = TAKE_PTR(text);
        return 0;
}

int efivar_read(const char *folder, const char *name, char **ret)
{
        _cleanup_free_ char *path = string_format("%s/%s-" LOADER_GUID, folder, name);
        _cleanup_free_ char *data = NULL;
        size_t size;
        int r;

        if (!path)
                return -ENOMEM;
        r = file_read(AT_FDCWD, path, ATTRIBUTES_SIZE + 2 * (EFIVAR_TEXT_MAX + 1), &data, &size);
        if (r == -ENOTDIR)
                return -ENOENT;
        return r < 0 ? r : efivar_decode((const uint8_t *)data, size, ret);
}

int efivar_booted_on_trial(const char *folder)
{
        _cleanup_free_ char *path = NULL;
        int r = efivar_read(folder, "LoaderBootCountPath", &path);

        if (r == -ENOENT)
                return 0;
        return r < 0 ? r : 1;
}

int boot_loader_partuuid(char ret[static 37])
{
        _cleanup_free_ char *text = NULL;
        int r = efivar_read(EFIVAR_FOLDER, "LoaderDevicePartUUID", &text);

        if (r < 0)
                return r;
        if (strlen(text) != 36 || strspn(text, "0123456789abcdefABCDEF-") != 36)
                return -EBADMSG;
        for (size_t i = 0; i < 37; i++)
                ret[i] = (char)tolower((unsigned char)text[i]);
        return 0;
}
