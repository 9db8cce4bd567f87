/* SPDX-License-Identifier: Apache-2.0 */
#include "release-payloads.h"

#include "file.h"
#include "payload-make.h"
#include "pe-image.h"
#include "pieces-encode.h"
#include "strv.h"
#include "verity.h"

#include <fcntl.h>
#include <string.h>

#define WORK_FOLDER "release"

static const char *image_file(const ImageInfo *info, ImageKind kind)
{
        return kind == IMAGE_ROOT ? info->root_file : info->uki_file;
}

static uint64_t image_size(const ImageInfo *info, ImageKind kind)
{
        return kind == IMAGE_ROOT ? info->root_size_bytes : info->uki_size_bytes;
}

static const uint8_t *image_sha256(const ImageInfo *info, ImageKind kind)
{
        return kind == IMAGE_ROOT ? info->root_sha256 : info->uki_sha256;
}

int release_open_image(const char *folder, const ImageInfo *info, ImageKind kind, int *ret, Error *error)
{
        _cleanup_free_ char *path = path_join(folder, image_file(info, kind));
        _cleanup_fd_ int fd = -1;
        uint64_t size = 0;
        int r;

        if (!path)
                return error_oom(error);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? -errno : fd_size(fd, &size);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot open \"%s\": %s", path, strerror(-r));
        if (size != image_size(info, kind))
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "\"%s\" is %llu bytes, %s says %llu; build the image again", path,
                                (unsigned long long)size, IMAGE_INFO_NAME,
                                (unsigned long long)image_size(info, kind));
        *ret = TAKE_FD(fd);
        return 0;
}

static int verity_progress(void *data, uint64_t done_bytes)
{
        progress_update(data, done_bytes);
        return 0;
}

static int check_root_hash(const ReleaseRequest *request, const ImageInfo *info, int fd, Error *error)
{
        uint8_t root_hash[SHA256_SIZE];
        int r;

        if (info->root_size_bytes % VERITY_BLOCK_SIZE != 0)
                return error_set(
                                error, ERROR_CORRUPT, EBADMSG, "the root image is not made of whole blocks");
        r = verity_build(fd, 0, info->root_size_bytes, info->verity.salt, info->verity.salt_size, -1, 0,
                        root_hash, verity_progress, request->progress, error);
        if (r < 0)
                return r;
        return memcmp(root_hash, info->verity.root_hash, SHA256_SIZE) == 0
                               ? 0
                               : error_set(error, ERROR_CORRUPT, EBADMSG,
                                                 "the root image has another verity root hash than %s says; "
                                                 "build the image again",
                                                 IMAGE_INFO_NAME);
}

int release_check_images(const ReleaseRequest *request, const ImageInfo *info, Error *error)
{
        progress_begin(request->progress, "check images", info->root_size_bytes);
        for (ImageKind kind = 0; kind < IMAGE_KIND_MAX; kind++) {
                _cleanup_fd_ int fd = -1;
                uint8_t sha256[SHA256_SIZE];
                int r = release_open_image(request->folder, info, kind, &fd, error);

                if (r < 0)
                        return r;
                r = sha256_of_fd(fd, 0, image_size(info, kind), sha256);
                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "cannot read \"%s\": %s",
                                        image_file(info, kind), strerror(-r));
                if (memcmp(sha256, image_sha256(info, kind), SHA256_SIZE) != 0)
                        return error_set(error, ERROR_CORRUPT, EBADMSG,
                                        "\"%s\" is not the image that %s describes; build the image again",
                                        image_file(info, kind), IMAGE_INFO_NAME);
                r = kind == IMAGE_ROOT ? check_root_hash(request, info, fd, error) : 0;
                if (r < 0)
                        return r;
        }
        progress_end(request->progress, "as built");
        return 0;
}

int release_read_signatures(
                const ReleaseRequest *request, const ImageInfo *info, ImageSignatures *ret, Error *error)
{
        _cleanup_fd_ int fd = -1;
        Error reason = { 0 };
        int r = release_open_image(request->folder, info, IMAGE_UKI, &fd, error);

        if (r < 0)
                return r;
        r = pe_image_read_signatures(fd, ret, &reason);
        /* What cannot be judged boots where nobody judges. */
        return r < 0 && r != -EBADMSG ? error_set(error, reason.code, -r, "%s", reason.message) : 0;
}

static void show_progress(void *data, uint64_t done_bytes)
{
        progress_update(data, done_bytes);
}

static void describe(const PayloadReport *report, PayloadReference *ret)
{
        ret->size_bytes = report->size_bytes;
        ret->index_size_bytes = report->index_size_bytes;
        ret->memory_bytes = report->memory_bytes;
        memcpy(ret->sha256, report->sha256, SHA256_SIZE);
        memcpy(ret->index_sha256, report->index_sha256, SHA256_SIZE);
}

/* The full payload's file in the work folder. The name tells the level, so that another one is made again.
 */
static int full_payload(const ReleaseRequest *request, const ImageInfo *info, ImageKind kind,
                const char *folder, PayloadReference *ret, char ***files, Error *error)
{
        const PayloadInputs inputs_without_target = { .sources = { { -1, 0, 0 }, { -1, 0, 0 },
                                                                      { -1, 0, 0 } },
                .level = request->level > 0 ? request->level : PAYLOAD_LEVEL_DEFAULT };
        _cleanup_free_ char *path = string_format(
                        "%s/%s-full-%d.payload", folder, image_kind_name(kind), inputs_without_target.level);
        _cleanup_free_ char *step = string_format("payload of %s", image_kind_name(kind));
        const PayloadMakeOptions how = {
                .threads = request->threads, .progress = show_progress, .progress_data = request->progress
        };
        PayloadInputs inputs = inputs_without_target;
        _cleanup_fd_ int fd = -1;
        char size_text[SIZE_TEXT_MAX];
        PayloadReport report;
        bool reused;
        int r;

        if (!path || !step)
                return error_oom(error);
        r = release_open_image(request->folder, info, kind, &fd, error);
        if (r < 0)
                return r;
        inputs.target_fd = fd;
        progress_begin(request->progress, step, image_size(info, kind));
        reused = payload_prove(&inputs, path, show_progress, request->progress, &report, NULL) >= 0;
        if (!reused)
                r = payload_make(&inputs, &how, path, &report, error);
        if (r < 0)
                return r;
        progress_end(request->progress,
                        reused ? "from an earlier run" : size_format(report.size_bytes, size_text));
        describe(&report, ret);
        ret->is_full = true;
        ret->path = release_payload_path(info->version, info->architecture, kind);
        return !ret->path || strv_append(files, path) < 0 ? error_oom(error) : 0;
}

static int make_pieces(const ReleaseRequest *request, const ImageInfo *info, ImageKind kind,
                const char *path, PiecesReport *ret, Error *error)
{
        _cleanup_free_ char *step = string_format("pieces of %s", image_kind_name(kind));
        char size_text[SIZE_TEXT_MAX];
        _cleanup_fd_ int fd = -1;
        int r = release_open_image(request->folder, info, kind, &fd, error);

        if (r < 0)
                return r;
        progress_begin(request->progress, step ? step : "pieces", image_size(info, kind));
        if (pieces_prove(fd, path, ret, NULL) >= 0) {
                progress_end(request->progress, "from an earlier run");
                return 0;
        }
        r = pieces_encode(fd, request->threads, path, show_progress, request->progress, ret, error);
        progress_end(request->progress, r < 0 ? "failed" : size_format(ret->size_bytes, size_text));
        return r;
}

/* For hosts without a delta. */
static int add_pieces(const ReleaseRequest *request, const ImageInfo *info, ImageKind kind,
                const char *folder, ManifestImage *ret, char ***files, Error *error)
{
        _cleanup_free_ char *path = string_format("%s/%s.pieces", folder, image_kind_name(kind));
        PiecesReport report;
        int r = path ? make_pieces(request, info, kind, path, &report, error) : error_oom(error);

        if (r < 0)
                return r;
        ret->pieces = calloc(1, sizeof(*ret->pieces));
        if (!ret->pieces)
                return error_oom(error);
        *ret->pieces = (PayloadReference){ .is_full = true,
                .size_bytes = report.size_bytes,
                .index_size_bytes = report.index_size_bytes,
                .memory_bytes = report.memory_bytes,
                .path = release_pieces_path(info->version, info->architecture, kind) };
        memcpy(ret->pieces->sha256, report.sha256, SHA256_SIZE);
        memcpy(ret->pieces->index_sha256, report.index_sha256, SHA256_SIZE);
        return !ret->pieces->path || strv_append(files, path) < 0 ? error_oom(error) : 0;
}

int release_make_payloads(const ReleaseRequest *request, const ImageInfo *info, ImageKind kind,
                ManifestImage *ret, char ***ret_files, Error *error)
{
        _cleanup_free_ char *folder = path_join(request->folder, WORK_FOLDER);
        int r;

        if (!folder)
                return error_oom(error);
        r = directory_make(AT_FDCWD, folder, 0755);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot make \"%s\": %s", folder, strerror(-r));
        ret->size_bytes = image_size(info, kind);
        memcpy(ret->sha256, image_sha256(info, kind), SHA256_SIZE);
        if (kind == IMAGE_ROOT)
                ret->verity = info->verity;
        ret->payloads = calloc(1, sizeof(*ret->payloads));
        if (!ret->payloads)
                return error_oom(error);
        ret->payload_count = 1;
        r = full_payload(request, info, kind, folder, &ret->payloads[0], ret_files, error);
        return r < 0 || request->has_no_pieces
                               ? r
                               : add_pieces(request, info, kind, folder, ret, ret_files, error);
}
