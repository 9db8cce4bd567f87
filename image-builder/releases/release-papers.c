/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "papers.h"
#include "release-payloads.h"

#include <fcntl.h>
#include <string.h>

int release_read_paper(
                const char *folder, const ImageInfoPaper *paper, char **ret, size_t *ret_size, Error *error)
{
        _cleanup_free_ char *path = path_join(folder, paper->file), *text = NULL;
        uint8_t sha256[SHA256_SIZE];
        size_t size;
        int r;

        if (!path)
                return error_oom(error);
        r = file_read(AT_FDCWD, path, PAPERS_MAX, &text, &size);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read \"%s\": %s", path, strerror(-r));
        sha256_of(text, size, sha256);
        if (memcmp(sha256, paper->sha256, SHA256_SIZE) != 0)
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "\"%s\" is not the file that %s describes; build the image again", path,
                                IMAGE_INFO_NAME);
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

char *release_paper_path(const char *version, const char *architecture, const char *file)
{
        return string_format("releases/%s/%s/%s", version, architecture, file);
}

int release_check_papers(const ReleaseRequest *request, const ImageInfo *info, Error *error)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < info->paper_count; i++) {
                _cleanup_free_ char *text = NULL;
                size_t size;

                r = release_read_paper(request->folder, &info->papers[i], &text, &size, error);
        }
        return r;
}

int release_add_papers(
                const ReleaseRequest *request, const ImageInfo *info, Repository *repository, Error *error)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < info->paper_count; i++) {
                _cleanup_free_ char *text = NULL, *path = release_paper_path(info->version,
                                                                  info->architecture, info->papers[i].file);
                size_t size;

                if (!path)
                        return error_oom(error);
                r = release_read_paper(request->folder, &info->papers[i], &text, &size, error);
                if (r >= 0)
                        r = repository_add_data(repository, path, text, size, error);
        }
        return r;
}
