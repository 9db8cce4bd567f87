/* SPDX-License-Identifier: Apache-2.0 */
#include "fdisk-context.h"

#include <string.h>

int fdisk_context_open(int fd, const char *path, unsigned sector_size_bytes, bool writable,
                struct fdisk_context **ret, Error *error)
{
        _cleanup_(fdisk_unref_contextp) struct fdisk_context *context = fdisk_new_context();
        int r;

        if (!context)
                return error_oom(error);
        (void)fdisk_disable_dialogs(context, 1);
        r = fdisk_save_user_sector_size(context, sector_size_bytes, sector_size_bytes);
        if (r >= 0)
                r = fdisk_assign_device_by_fd(context, fd, path, !writable);
        if (r != 0)
                return error_set(error, ERROR_IO, r < 0 ? -r : EIO, "cannot look at %s: %s", path,
                                strerror(r < 0 ? -r : EIO));
        *ret = TAKE_PTR(context);
        return 0;
}
