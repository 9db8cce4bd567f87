/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine does below a mounted ESP, on an image of one.
 *
 *     esp-tool move IMAGE FROM-FOLDER FROM TO-FOLDER TO RENAMES     as the builder does
 *     esp-tool repair IMAGE                                         tells in words what it found, "sound"
 * last
 */
#include "fat-move.h"
#include "fat-repair.h"
#include "file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

static int repair(int fd)
{
        FatRepair result;
        int r = fat_repair(fd, &result);

        if (r < 0)
                return r;
        if (result.names_dropped)
                printf("names %u\n", result.names_dropped);
        if (result.files_dropped)
                printf("files %u\n", result.files_dropped);
        if (result.clusters_freed)
                printf("clusters %" PRIu32 "\n", result.clusters_freed);
        if (result.tables_differed)
                printf("tables\n");
        if (result.was_dirty)
                printf("unclean\n");
        printf(result.is_sound ? "sound\n" : "odd\n");
        return 0;
}

int main(int argc, char **argv)
{
        _cleanup_fd_ int fd = argc > 2 ? open(argv[2], O_RDWR | O_CLOEXEC) : -1;
        int r = -EINVAL;

        if (fd >= 0 && argc == 8 && strcmp(argv[1], "move") == 0)
                r = fat_move(fd, argv[3], argv[4], argv[5], argv[6], (unsigned)strtoul(argv[7], NULL, 10));
        if (fd >= 0 && argc == 3 && strcmp(argv[1], "repair") == 0)
                r = repair(fd);
        if (r < 0)
                (void)fprintf(stderr, "esp-tool: %s\n", strerror(-r));
        return r < 0;
}
