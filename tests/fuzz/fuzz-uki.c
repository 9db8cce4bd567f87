/* SPDX-License-Identifier: Apache-2.0 */
/* Files on an ESP that look like a UKI, or not. */
#include "file.h"
#include "fuzz.h"
#include "uki.h"

#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static int fd = -1;
        uint8_t hash[SHA256_SIZE];

        if (fd < 0)
                fd = memfd_create("fuzz", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite_full(fd, data, size, 0) < 0)
                return 0;
        (void)uki_read_root_hash(fd, hash);
        return 0;
}
