/* SPDX-License-Identifier: Apache-2.0 */
#include "erofs-format.h"

#include <string.h>

static const struct {
        uint8_t number;
        const char *text;
} prefixes[] = {
        { EROFS_XATTR_PREFIX_USER, "user." },
        { EROFS_XATTR_PREFIX_ACL_ACCESS, "system.posix_acl_access" },
        { EROFS_XATTR_PREFIX_ACL_DEFAULT, "system.posix_acl_default" },
        { EROFS_XATTR_PREFIX_TRUSTED, "trusted." },
        { EROFS_XATTR_PREFIX_SECURITY, "security." },
};

uint8_t erofs_xattr_prefix(const char *name, const char **ret_rest)
{
        for (size_t i = 0; i < ELEMENTS(prefixes); i++) {
                size_t length = strlen(prefixes[i].text);
                bool whole = prefixes[i].text[length - 1] != '.'; /* nothing may follow */

                if (strncmp(name, prefixes[i].text, length) == 0 && (name[length] == 0) == whole) {
                        *ret_rest = name + length;
                        return prefixes[i].number;
                }
        }
        return 0;
}

const char *erofs_xattr_prefix_text(uint8_t prefix)
{
        for (size_t i = 0; i < ELEMENTS(prefixes); i++)
                if (prefixes[i].number == prefix)
                        return prefixes[i].text;
        return NULL;
}

uint32_t erofs_checksum(const uint8_t block[static EROFS_BLOCK_SIZE])
{
        static const uint32_t polynomial = UINT32_C(0x82f63b78); /* CRC-32C, reflected */
        uint32_t crc = UINT32_MAX;

        for (size_t i = EROFS_SUPER_OFFSET; i < EROFS_BLOCK_SIZE; i++) {
                bool own = i >= EROFS_SUPER_OFFSET + EROFS_SUPER_CHECKSUM_AT &&
                           i < EROFS_SUPER_OFFSET + EROFS_SUPER_CHECKSUM_AT + 4;

                crc ^= own ? 0 : block[i];
                for (int bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (polynomial & -(crc & 1));
        }
        return crc;
}
