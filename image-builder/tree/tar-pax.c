/* SPDX-License-Identifier: Apache-2.0 */
#include "tar-reader.h"

#include <string.h>

/* Extended headers (POSIX.1-2017, pax): records "LENGTH KEY=VALUE\n" that say what a header block has no
 * room for. */

int tar_refuse(TarReader *reader, const char *why)
{
        return error_set(reader->error, ERROR_CORRUPT, EBADMSG, "Archive member \"%s\" at byte %llu: %s",
                        reader->member.name ? reader->member.name : "?",
                        (unsigned long long)reader->member.header_offset, why);
}

int tar_copy_text(const void *text, size_t size, char **ret)
{
        char *copy = malloc(size + 1);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, text, size);
        copy[size] = 0;
        free(*ret);
        *ret = copy;
        return 0;
}

static int parse_decimal(const char *text, size_t size, uint64_t *ret)
{
        uint64_t value = 0;

        if (size == 0)
                return -EINVAL;
        for (size_t i = 0; i < size; i++) {
                if (text[i] < '0' || text[i] > '9')
                        return -EINVAL;
                if (MUL_OVERFLOWS(value, (uint64_t)10, &value) ||
                                ADD_OVERFLOWS(value, (uint64_t)(text[i] - '0'), &value))
                        return -ERANGE;
        }
        *ret = value;
        return 0;
}

/* Seconds with a fraction, which is dropped (towards the past). */
static int parse_time(const char *text, size_t size, int64_t *ret)
{
        bool negative = size > 0 && text[0] == '-';
        const char *point = memchr(text, '.', size);
        size_t whole = point ? (size_t)(point - text) : size;
        uint64_t value;

        int r = parse_decimal(text + negative, whole - negative, &value);
        if (r < 0 || value > INT64_MAX)
                return -EINVAL;
        *ret = negative ? -(int64_t)value : (int64_t)value;
        return 0;
}

static int add_xattr(
                TarReader *reader, const char *name, size_t name_size, const char *value, size_t value_size)
{
        TarMember *member = &reader->member;

        if (name_size == 0 || name_size > TREE_NAME_MAX || memchr(name, 0, name_size))
                return tar_refuse(reader, "an extended attribute has a bad name");
        if (value_size > TREE_XATTR_VALUE_MAX)
                return tar_refuse(reader, "an extended attribute is too large");
        if (member->xattr_count == TAR_XATTRS_MAX)
                return tar_refuse(reader, "it has too many extended attributes");

        TreeXattr *grown = reallocarray(member->xattrs, member->xattr_count + 1, sizeof(*grown));
        if (!grown)
                return error_oom(reader->error);
        member->xattrs = grown;
        TreeXattr *xattr = &grown[member->xattr_count];
        *xattr = (TreeXattr){ .size_bytes = value_size };
        if (tar_copy_text(name, name_size, &xattr->name) < 0)
                return error_oom(reader->error);
        if (tar_copy_text(value, value_size, (char **)&xattr->value) < 0) {
                free(xattr->name);
                return error_oom(reader->error);
        }
        member->xattr_count++;
        return 0;
}

static bool key_is(const char *key, size_t size, const char *name)
{
        return strlen(name) == size && memcmp(key, name, size) == 0;
}

static bool key_begins(const char *key, size_t size, const char *prefix)
{
        return size >= strlen(prefix) && memcmp(key, prefix, strlen(prefix)) == 0;
}

static int take_pax_record(
                TarReader *reader, const char *key, size_t key_size, const char *value, size_t size)
{
        static const char xattr_prefix[] = "SCHILY.xattr.";
        const size_t prefix_size = sizeof(xattr_prefix) - 1;
        TarMember *member = &reader->member;
        int r = 0;

        if (key_begins(key, key_size, "GNU.sparse."))
                return tar_refuse(
                                reader, "sparse files are not supported: make the archive without --sparse");
        if (key_begins(key, key_size, xattr_prefix))
                return add_xattr(reader, key + prefix_size, key_size - prefix_size, value, size);
        if (key_is(key, key_size, "path") || key_is(key, key_size, "linkpath")) {
                if (size == 0 || memchr(value, 0, size))
                        return tar_refuse(reader, "its pax header gives an empty or broken name");
                r = tar_copy_text(value, size, key[0] == 'p' ? &member->name : &member->link);
                return r < 0 ? error_oom(reader->error) : 0;
        }
        if (key_is(key, key_size, "size")) {
                r = parse_decimal(value, size, &member->size_bytes);
                member->has_size = true;
        } else if (key_is(key, key_size, "uid")) {
                r = parse_decimal(value, size, &member->uid);
                member->has_uid = true;
        } else if (key_is(key, key_size, "gid")) {
                r = parse_decimal(value, size, &member->gid);
                member->has_gid = true;
        } else if (key_is(key, key_size, "mtime")) {
                r = parse_time(value, size, &member->mtime);
                member->has_mtime = true;
        }
        return r < 0 ? tar_refuse(reader, "its pax header holds a bad number") : 0;
}

/* Records "LENGTH KEY=VALUE\n", where LENGTH counts the whole record. */
int tar_parse_pax(TarReader *reader, const char *text, size_t size, bool global)
{
        while (size > 0) {
                const char *space = memchr(text, ' ', MIN_OF(size, (size_t)20));
                uint64_t length;

                if (!space || parse_decimal(text, (size_t)(space - text), &length) < 0 || length > size ||
                                length < (uint64_t)(space - text) + 3 || text[length - 1] != '\n')
                        return tar_refuse(reader, "its pax header is damaged");
                const char *key = space + 1, *record_end = text + length - 1;
                const char *equals = memchr(key, '=', (size_t)(record_end - key));
                if (!equals || equals == key)
                        return tar_refuse(reader, "its pax header is damaged");
                if (global && !key_is(key, (size_t)(equals - key), "comment"))
                        return tar_refuse(reader, "global pax headers are not supported");

                int r = take_pax_record(reader, key, (size_t)(equals - key), equals + 1,
                                (size_t)(record_end - equals - 1));
                if (r < 0)
                        return r;
                text += length;
                size -= length;
        }
        return 0;
}
