/* SPDX-License-Identifier: Apache-2.0 */
#include "uki.h"

#include "bytes.h"
#include "file.h"
#include "hex.h"

#include <string.h>

/* Portable Executable: the header's place stands at 0x3c, sections follow the optional header. */
#define PE_POINTER 0x3c
#define PE_HEADER_SIZE 24
#define PE_SECTION_SIZE 40
#define PE_SECTIONS_MAX 96
#define COMMAND_LINE_MAX 4096

int command_line_root_hash(const char *text, uint8_t ret[static SHA256_SIZE])
{
        static const char key[] = "bascule.roothash=";
        char hex[SHA256_HEX_SIZE];
        const char *found = NULL;

        for (const char *at = text; (at = strstr(at, key)); at += strlen(key))
                if (at == text || strchr(" \t\n", at[-1]))
                        found = at + strlen(key);
        if (!found)
                return -ENODATA;
        size_t length = strcspn(found, " \t\n");
        if (length != sizeof(hex) - 1)
                return -EINVAL;
        memcpy(hex, found, length);
        hex[length] = '\0';
        return hex_decode(hex, ret, SHA256_SIZE);
}

static int read_command_line(int fd, const uint8_t *section, uint8_t ret[static SHA256_SIZE])
{
        char text[COMMAND_LINE_MAX + 1];
        uint32_t size = MIN_OF(read_le32(section + 8), read_le32(section + 16));
        if (size > COMMAND_LINE_MAX)
                return -EBADMSG;
        if (pread_full(fd, text, size, read_le32(section + 20)) < 0)
                return -EBADMSG;
        text[size] = '\0';
        return command_line_root_hash(text, ret);
}

int uki_read_root_hash(int fd, uint8_t ret[static SHA256_SIZE])
{
        static const char name[8] = ".cmdline";
        uint8_t dos[64], header[PE_HEADER_SIZE], section[PE_SECTION_SIZE];

        if (pread_full(fd, dos, sizeof(dos), 0) < 0 || memcmp(dos, "MZ", 2) != 0)
                return -EBADMSG;
        uint64_t at = read_le32(dos + PE_POINTER);
        if (pread_full(fd, header, sizeof(header), at) < 0 || memcmp(header, "PE\0\0", 4) != 0)
                return -EBADMSG;
        unsigned sections = read_le16(header + 6);
        if (sections > PE_SECTIONS_MAX)
                return -EBADMSG;
        at += PE_HEADER_SIZE + read_le16(header + 20);
        for (unsigned i = 0; i < sections; i++) {
                if (pread_full(fd, section, sizeof(section), at + i * PE_SECTION_SIZE) < 0)
                        return -EBADMSG;
                if (memcmp(section, name, sizeof(name)) == 0)
                        return read_command_line(fd, section, ret);
        }
        return -EBADMSG;
}
