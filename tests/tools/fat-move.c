/* SPDX-License-Identifier: Apache-2.0 */
/* Moves a file on a FAT image as the builder does, for disks that tests make. Usage: fat-move IMAGE
 * FROM-FOLDER FROM TO-FOLDER TO RENAMES */
#include "fat-move.h"
#include "file.h"

#include <fcntl.h>
#include <string.h>

int main(int argc, char **argv)
{
        _cleanup_fd_ int fd = argc == 7 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
        int r = fd < 0 ? -EINVAL
                       : fat_move(fd, argv[2], argv[3], argv[4], argv[5],
                                         (unsigned)strtoul(argv[6], NULL, 10));

        if (r < 0)
                (void)fprintf(stderr, "fat-move: %s\n", strerror(-r));
        return r < 0;
}
