/* SPDX-License-Identifier: Apache-2.0 */
#include "deb.h"
#include "file.h"
#include "tar.h"
#include "unpack.h"

#include <string.h>
#include <sys/mman.h>

/* ar(5): a magic, then members, each with a header of text and padded to an even length. */
#define AR_MAGIC "!<arch>\n"
#define AR_MAGIC_SIZE 8
#define AR_HEADER_SIZE 60
#define AR_NAME_SIZE 16
#define AR_SIZE_AT 48
#define AR_SIZE_SIZE 10
#define AR_END_AT 58

#define MEMBERS_MAX 16

typedef struct Member {
        char name[AR_NAME_SIZE + 1];
        uint64_t offset, size;
} Member;

static int damaged(const char *why, Error *error)
{
        return error_set(error, ERROR_CORRUPT, EBADMSG, "this is not a Debian package, or a damaged one: %s",
                        why);
}

/* ---- ar ---- */

static int read_header(int fd, uint64_t end, uint64_t at, Member *ret, Error *error)
{
        char header[AR_HEADER_SIZE], digits[AR_SIZE_SIZE + 1];
        size_t length;
        int r;

        if (at + AR_HEADER_SIZE > end)
                return damaged("it ends early", error);
        r = pread_full(fd, header, sizeof(header), at);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the package: %s", strerror(-r));
        if (memcmp(header + AR_END_AT, "`\n", 2) != 0)
                return damaged("a member has no header", error);
        memcpy(digits, header + AR_SIZE_AT, AR_SIZE_SIZE);
        digits[AR_SIZE_SIZE] = 0;
        length = strspn(digits, "0123456789");
        if (length == 0 || digits[length + strspn(digits + length, " ")] != 0)
                return damaged("a member has no size", error);
        memcpy(ret->name, header, AR_NAME_SIZE);
        ret->name[AR_NAME_SIZE] = 0;
        ret->name[strcspn(ret->name, " /")] = 0;
        ret->offset = at + AR_HEADER_SIZE;
        ret->size = strtoull(digits, NULL, 10);
        return ret->size > end - ret->offset ? damaged("a member goes past its end", error) : 0;
}

static int find_control(int fd, Member *ret, Error *error)
{
        char magic[AR_MAGIC_SIZE];
        uint64_t end, at = AR_MAGIC_SIZE;
        int r = fd_size(fd, &end);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the package: %s", strerror(-r));
        if (end < AR_MAGIC_SIZE || pread_full(fd, magic, sizeof(magic), 0) < 0 ||
                        memcmp(magic, AR_MAGIC, AR_MAGIC_SIZE) != 0)
                return damaged("it does not begin like one", error);
        for (unsigned i = 0; i < MEMBERS_MAX; i++) {
                r = read_header(fd, end, at, ret, error);
                if (r < 0)
                        return r;
                if (i == 0 && strcmp(ret->name, "debian-binary") != 0)
                        return damaged("its first member is another", error);
                if (strncmp(ret->name, "control.tar", 11) == 0)
                        return 0;
                at = ret->offset + ret->size + ret->size % 2;
        }
        return damaged("it has no control archive", error);
}

/* ---- control ---- */

typedef struct Packed {
        int fd;
        const Member *member;
} Packed;

static int read_packed(void *data, uint64_t offset, void *ret, size_t size)
{
        const Packed *packed = data;

        return pread_full(packed->fd, ret, size, packed->member->offset + offset);
}

/* Into a file of memory. */
static int unpack_control(int fd, const Member *member, int *ret_fd, Error *error)
{
        static const char *const endings[] = { "", ".gz", ".xz", ".zst" };
        const char *ending = member->name + strlen("control.tar");
        Packed packed = { fd, member };
        UnpackSource source = { read_packed, &packed, member->size };
        _cleanup_fd_ int archive = -1;
        Unpacked unpacked;
        bool is_known = false;
        int r;

        for (size_t i = 0; i < ELEMENTS(endings); i++)
                is_known |= strcmp(ending, endings[i]) == 0;
        if (!is_known)
                return damaged("its control archive is compressed in an unknown way", error);
        if (member->size == 0 || member->size > DEB_CONTROL_MAX)
                return damaged("its control archive has an impossible size", error);
        archive = memfd_create("control", MFD_CLOEXEC);
        if (archive < 0)
                return error_set(error, ERROR_FAILED, errno, "cannot keep the control archive: %s",
                                strerror(errno));
        r = unpack(&source, archive, DEB_CONTROL_MAX, &unpacked, error);
        if (r < 0)
                return error_prefix(error, r, "the package's control archive");
        *ret_fd = TAKE_FD(archive);
        return 0;
}

/* The archive is read by the reader that reads hostile ones. */
static int read_archive(int archive, char **ret, size_t *ret_size, Error *error)
{
        _cleanup_tree_ Tree *tree = tree_new();
        int r = tree ? tar_read(tree, archive, NULL, error) : error_oom(error);

        if (r < 0)
                return error_prefix(error, r, "the package's control archive");
        r = tree_read_file(tree, "control", DEB_STANZA_MAX, ret, ret_size);
        if (r == -ENOMEM)
                return error_oom(error);
        return r < 0 ? damaged("it has no file \"control\"", error) : 0;
}

int deb_read_control(int fd, char **ret, Error *error)
{
        _cleanup_fd_ int archive = -1;
        _cleanup_free_ char *text = NULL;
        Member member;
        size_t size;
        int r = find_control(fd, &member, error);

        if (r >= 0)
                r = unpack_control(fd, &member, &archive, error);
        if (r >= 0)
                r = read_archive(archive, &text, &size, error);
        if (r < 0)
                return r;
        while (size > 0 && text[size - 1] == '\n')
                text[--size] = 0;
        /* One stanza: an empty line would begin another. */
        if (size == 0 || strlen(text) != size || text[0] == '\n' || strstr(text, "\n\n"))
                return damaged("its control file is not one stanza", error);
        *ret = string_format("%s\n", text);
        return *ret ? 0 : error_oom(error);
}
