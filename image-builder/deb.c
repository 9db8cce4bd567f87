/* SPDX-License-Identifier: Apache-2.0 */
#include "deb.h"
#include "file.h"
#include "tar.h"

#include <lzma.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

/* ar(5): a magic, then members, each with a header of text and padded to an even length. */
#define AR_MAGIC "!<arch>\n"
#define AR_MAGIC_SIZE 8
#define AR_HEADER_SIZE 60
#define AR_NAME_SIZE 16
#define AR_SIZE_AT 48
#define AR_SIZE_SIZE 10
#define AR_END_AT 58

#define MEMBERS_MAX 16
#define XZ_MEMORY_MAX (128 * MIB)
#define STEP_SIZE (64 * KIB)

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

/* ---- unpacking ---- */

static void end_xz(lzma_stream *stream)
{
        lzma_end(stream);
}

static int unpack_xz(const uint8_t *data, size_t size, Buffer *ret)
{
        _cleanup_(end_xz) lzma_stream stream = LZMA_STREAM_INIT;
        lzma_ret code = lzma_stream_decoder(&stream, XZ_MEMORY_MAX, LZMA_CONCATENATED);

        stream.next_in = data;
        stream.avail_in = size;
        while (code == LZMA_OK) {
                int r = buffer_reserve(ret, STEP_SIZE);

                if (r < 0)
                        return r;
                stream.next_out = ret->data + ret->size;
                stream.avail_out = STEP_SIZE;
                code = lzma_code(&stream, LZMA_FINISH);
                ret->size += STEP_SIZE - stream.avail_out;
        }
        return code == LZMA_STREAM_END ? 0 : -EBADMSG;
}

static void end_gzip(z_stream *stream)
{
        (void)inflateEnd(stream);
}

static int unpack_gzip(const uint8_t *data, size_t size, Buffer *ret)
{
        _cleanup_(end_gzip) z_stream stream = { 0 };
        int code = inflateInit2(&stream, 15 + 16);

        stream.next_in = (Bytef *)(uintptr_t)data;
        stream.avail_in = (uInt)size;
        while (code == Z_OK) {
                int r = buffer_reserve(ret, STEP_SIZE);

                if (r < 0)
                        return r;
                stream.next_out = ret->data + ret->size;
                stream.avail_out = STEP_SIZE;
                code = inflate(&stream, Z_NO_FLUSH);
                ret->size += STEP_SIZE - stream.avail_out;
        }
        return code == Z_STREAM_END ? 0 : -EBADMSG;
}

static void end_zstd(ZSTD_DCtx **context)
{
        (void)ZSTD_freeDCtx(*context);
}

static int unpack_zstd(const uint8_t *data, size_t size, Buffer *ret)
{
        _cleanup_(end_zstd) ZSTD_DCtx *context = ZSTD_createDCtx();
        ZSTD_inBuffer in = { data, size, 0 };
        size_t left = 1;

        if (!context)
                return -ENOMEM;
        while (in.pos < in.size || left > 0) {
                ZSTD_outBuffer out = { NULL, STEP_SIZE, 0 };
                size_t before = in.pos;
                int r = buffer_reserve(ret, STEP_SIZE);

                if (r < 0)
                        return r;
                out.dst = ret->data + ret->size;
                left = ZSTD_decompressStream(context, &out, &in);
                if (ZSTD_isError(left) || (left > 0 && out.pos == 0 && in.pos == before))
                        return -EBADMSG;
                ret->size += out.pos;
        }
        return 0;
}

static int unpack_nothing(const uint8_t *data, size_t size, Buffer *ret)
{
        return buffer_append(ret, data, size);
}

static const struct {
        const char *ending;
        int (*unpack)(const uint8_t *data, size_t size, Buffer *ret);
} compressions[] = {
        { "", unpack_nothing },
        { ".gz", unpack_gzip },
        { ".xz", unpack_xz },
        { ".zst", unpack_zstd },
};

static int unpack(int fd, const Member *member, Buffer *ret, Error *error)
{
        _cleanup_free_ uint8_t *data = NULL;
        const char *ending = member->name + strlen("control.tar");
        int r = -ENOTSUP;

        if (member->size == 0 || member->size > DEB_CONTROL_MAX)
                return damaged("its control archive has an impossible size", error);
        data = malloc(member->size);
        if (!data)
                return error_oom(error);
        r = pread_full(fd, data, member->size, member->offset);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the package: %s", strerror(-r));
        r = -ENOTSUP;
        for (size_t i = 0; i < ELEMENTS(compressions); i++)
                if (strcmp(ending, compressions[i].ending) == 0)
                        r = compressions[i].unpack(data, member->size, ret);
        if (r == -ENOMEM)
                return error_oom(error);
        if (r == -ENOTSUP)
                return damaged("its control archive is compressed in an unknown way", error);
        return r < 0 ? damaged("its control archive cannot be unpacked", error) : 0;
}

/* ---- control ---- */

/* The archive is read by the reader that reads hostile ones. */
static int read_archive(const Buffer *archive, char **ret, size_t *ret_size, Error *error)
{
        _cleanup_fd_ int fd = memfd_create("control", MFD_CLOEXEC);
        _cleanup_tree_ Tree *tree = tree_new();
        int r = fd < 0 ? -errno : pwrite_full(fd, archive->data, archive->size, 0);

        if (!tree)
                return error_oom(error);
        if (r < 0)
                return error_set(error, ERROR_FAILED, -r, "cannot keep the control archive: %s",
                                strerror(-r));
        r = tar_read(tree, fd, NULL, error);
        if (r < 0)
                return r;
        r = tree_read_file(tree, "control", DEB_STANZA_MAX, ret, ret_size);
        if (r == -ENOMEM)
                return error_oom(error);
        return r < 0 ? damaged("it has no file \"control\"", error) : 0;
}

int deb_read_control(int fd, char **ret, Error *error)
{
        _cleanup_buffer_ Buffer archive = BUFFER_WITH_CAP(DEB_CONTROL_MAX);
        _cleanup_free_ char *text = NULL;
        Member member;
        size_t size;
        int r = find_control(fd, &member, error);

        if (r >= 0)
                r = unpack(fd, &member, &archive, error);
        if (r >= 0)
                r = read_archive(&archive, &text, &size, error);
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
