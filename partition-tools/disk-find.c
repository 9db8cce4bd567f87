/* SPDX-License-Identifier: Apache-2.0 */
#include "disk.h"

#include "block-tree.h"

#include <sys/stat.h>

int disk_find_by_partuuid(const char *partuuid, char **ret_path)
{
        uint8_t uuid[UUID_SIZE];
        int r = uuid_parse(partuuid, uuid);

        return r < 0 ? r : block_disk_with_partuuid(&block_tree_default, uuid, ret_path);
}

/* /var first: / is an overlay or a tmpfs on some hosts, /var may be volatile when its partition failed. */
int disk_find_running(char **ret_path)
{
        static const char *const folders[] = { "/var", "/usr", "/" };

        for (size_t i = 0; i < ELEMENTS(folders); i++) {
                struct stat status;

                if (stat(folders[i], &status) >= 0 &&
                                block_disk_of(&block_tree_default, status.st_dev, ret_path) >= 0)
                        return 0;
        }
        return -ENODEV;
}
