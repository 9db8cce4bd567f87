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

/* "control" or "data"; *ret_ending tells how it is compressed. */
static int find_archive(int fd, const char *what, Member *ret, const char **ret_ending, Error *error)
{
        char magic[AR_MAGIC_SIZE];
        size_t length = strlen(what);
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
                if (strncmp(ret->name, what, length) == 0 && strncmp(ret->name + length, ".tar", 4) == 0) {
                        *ret_ending = ret->name + length + 4;
                        return 0;
                }
                at = ret->offset + ret->size + ret->size % 2;
        }
        return damaged(what[0] == 'c' ? "it has no control archive" : "it has no data archive", error);
}

/* ---- its archives ---- */

typedef struct Packed {
        int fd;
        const Member *member;
} Packed;

static int read_packed(void *data, uint64_t offset, void *ret, size_t size)
{
        const Packed *packed = data;

        return pread_full(packed->fd, ret, size, packed->member->offset + offset);
}

static int unpack_archive(int fd, const char *what, uint64_t packed_max, uint64_t max, int to, Error *error)
{
        static const char *const endings[] = { "", ".gz", ".xz", ".zst" };
        Member member;
        Packed packed = { fd, &member };
        UnpackSource source = { read_packed, &packed, 0 };
        const char *ending = "";
        bool is_known = false;
        int r = find_archive(fd, what, &member, &ending, error);

        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTS(endings); i++)
                is_known |= strcmp(ending, endings[i]) == 0;
        if (!is_known)
                return damaged("one of its archives is compressed in an unknown way", error);
        if (member.size == 0 || member.size > packed_max)
                return damaged("one of its archives has an impossible size", error);
        source.size_bytes = member.size;
        r = unpack(&source, to, max, NULL, error);
        return r < 0 ? error_prefix(error, r, "the package's %s archive", what) : 0;
}

static int open_memory(const char *name, int *ret, Error *error)
{
        *ret = memfd_create(name, MFD_CLOEXEC);
        return *ret < 0 ? error_set(error, ERROR_FAILED, errno, "cannot keep a part of a package: %s",
                                          strerror(errno))
                        : 0;
}

/* ---- control ---- */

int deb_read_control_files(int fd, Tree **ret, Error *error)
{
        _cleanup_tree_ Tree *tree = tree_new();
        _cleanup_fd_ int archive = -1;
        int r = tree ? open_memory("control", &archive, error) : error_oom(error);

        if (r >= 0)
                r = unpack_archive(fd, "control", DEB_CONTROL_MAX, DEB_CONTROL_MAX, archive, error);
        if (r < 0)
                return r;
        r = tar_read(tree, archive, NULL, error); /* which reads hostile ones */
        if (r < 0)
                return error_prefix(error, r, "the package's control archive");
        *ret = TAKE_PTR(tree);
        return 0;
}

int deb_control_text(Tree *files, char **ret, Error *error)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = tree_read_file(files, "control", DEB_STANZA_MAX, &text, &size);

        if (r == -ENOMEM)
                return error_oom(error);
        if (r < 0)
                return damaged("it has no file \"control\"", error);
        while (size > 0 && text[size - 1] == '\n')
                text[--size] = 0;
        /* One stanza: an empty line would begin another. */
        if (size == 0 || strlen(text) != size || text[0] == '\n' || strstr(text, "\n\n"))
                return damaged("its control file is not one stanza", error);
        *ret = string_format("%s\n", text);
        return *ret ? 0 : error_oom(error);
}

int deb_read_control(int fd, char **ret, Error *error)
{
        _cleanup_tree_ Tree *files = NULL;
        int r = deb_read_control_files(fd, &files, error);

        return r < 0 ? r : deb_control_text(files, ret, error);
}

/* ---- data ---- */

int deb_unpack_data(int fd, int to, Error *error)
{
        return unpack_archive(fd, "data", UINT64_MAX, DEB_DATA_MAX, to, error);
}

/* ---- changelog ---- */

static int read_memory(void *data, uint64_t offset, void *ret, size_t size)
{
        memcpy(ret, (const char *)data + offset, size);
        return 0;
}

/* Also of one that is not packed. */
static int unpack_changelog(char *packed, size_t packed_size, char **ret, size_t *ret_size, Error *error)
{
        UnpackSource source = { read_memory, packed, packed_size };
        _cleanup_fd_ int fd = -1;
        _cleanup_free_ char *text = NULL;
        Unpacked unpacked;
        int r = open_memory("changelog", &fd, error);

        if (r >= 0)
                r = unpack(&source, fd, DEB_CHANGELOG_MAX, &unpacked, error);
        if (r < 0)
                return error_prefix(error, r, "the package's changelog");
        text = calloc(1, unpacked.size_bytes + 1);
        if (!text)
                return error_oom(error);
        r = pread_full(fd, text, unpacked.size_bytes, 0);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read a changelog: %s", strerror(-r));
        *ret = TAKE_PTR(text);
        *ret_size = unpacked.size_bytes;
        return 0;
}

/* An upstream's "changelog" lies beside a "changelog.Debian", which therefore is looked for first. */
static int find_changelog(Tree *tree, const char *name, char **ret, size_t *ret_size)
{
        static const char *const names[] = { "changelog.Debian.gz", "changelog.Debian", "changelog.gz",
                "changelog" };
        int r = -ENOENT;

        for (size_t i = 0; r == -ENOENT && i < ELEMENTS(names); i++) {
                _cleanup_free_ char *path = string_format("usr/share/doc/%s/%s", name, names[i]);

                r = path ? tree_read_file(tree, path, DEB_CHANGELOG_MAX, ret, ret_size) : -ENOMEM;
        }
        return r;
}

int deb_read_changelog(int fd, const char *name, int scratch, char **ret, size_t *ret_size, Error *error)
{
        const TarOptions options = { .allow_devices = true };
        _cleanup_tree_ Tree *tree = tree_new();
        _cleanup_free_ char *packed = NULL;
        size_t size = 0;
        int r = tree ? deb_unpack_data(fd, scratch, error) : error_oom(error);

        if (r < 0)
                return r;
        r = tar_read(tree, scratch, &options, error);
        if (r < 0)
                return error_prefix(error, r, "the package's data archive");
        r = find_changelog(tree, name, &packed, &size);
        if (r == -ENOMEM)
                return error_oom(error);
        if (r == -E2BIG)
                return error_set(error, ERROR_REFUSED, EFBIG, "the package's changelog is too long");
        if (r == -EIO)
                return error_set(error, ERROR_IO, EIO, "cannot read what was unpacked of the package");
        /* A folder of that name, or a link that leads nowhere, is none. */
        return r < 0 ? -ENOENT : unpack_changelog(packed, size, ret, ret_size, error);
}
