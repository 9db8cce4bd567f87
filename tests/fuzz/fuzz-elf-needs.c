/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of packages, searched for the libraries that they name. */
#include "elf-needs.h"
#include "fuzz.h"

#include <string.h>

typedef struct Bytes {
        const uint8_t *data;
        size_t size;
} Bytes;

static int read_bytes(void *data, uint64_t offset, void *ret, size_t size)
{
        const Bytes *bytes = data;

        if (offset > bytes->size || size > bytes->size - offset)
                return -EINVAL;
        if (size > 0)
                memcpy(ret, bytes->data + offset, size);
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Bytes bytes = { data, size };
        ElfNeeds needs;

        MUST(elf_needs_read(read_bytes, &bytes, &needs) == 0);
        for (char **library = needs.libraries; library && *library; library++)
                MUST(**library);
        elf_needs_done(&needs);
        return 0;
}
