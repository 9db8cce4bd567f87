/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An image.json in a folder, as a build leaves it. */

#include "file.h"
#include "image-info.h"

#include <fcntl.h>
#include <string.h>

static inline int image_folder_describe(const char *folder, const ImageInfo *info)
{
        _cleanup_free_ char *path = path_join(folder, IMAGE_INFO_NAME), *text = NULL;
        int r = path ? image_info_format(info, &text, NULL) : -ENOMEM;

        return r < 0 ? r : file_replace(AT_FDCWD, path, text, strlen(text), 0644);
}
