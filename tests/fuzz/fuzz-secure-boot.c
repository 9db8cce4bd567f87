/* SPDX-License-Identifier: Apache-2.0 */
/* A program and the firmware's lists that judge it: u16 size of db, u16 size of dbx, both, then the program.
 * The program's bytes are also taken for a signature by themselves. */
#include "authenticode.h"
#include "bytes.h"
#include "file.h"
#include "fuzz.h"
#include "pe-image.h"
#include "secure-boot.h"

#include <string.h>
#include <sys/mman.h>

static void judge_signature(const SecureBoot *secure_boot, const uint8_t *data, size_t size)
{
        _cleanup_(image_signatures_done) ImageSignatures signatures = { .is_known = true };
        _cleanup_(authenticode_freep) Authenticode *signature = NULL;
        char signer[64];

        if (authenticode_parse(data, size, &signature) < 0)
                return;
        authenticode_signer(signature, signer, sizeof(signer));
        memcpy(signatures.digest, authenticode_digest(signature), SHA256_SIZE);
        if (image_signatures_add(&signatures, data, size) >= 0)
                (void)secure_boot_judge(secure_boot, &signatures, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static int fd = -1;
        _cleanup_(secure_boot_freep) SecureBoot *secure_boot = NULL;
        _cleanup_(image_signatures_done) ImageSignatures signatures = { 0 };
        size_t db_size = size >= 4 ? read_le16(data) : 0, dbx_size = size >= 4 ? read_le16(data + 2) : 0;
        const uint8_t *db = data + 4, *program;
        uint64_t section_bytes;
        PeImage image;

        if (size < 4 || db_size + dbx_size > size - 4)
                return 0;
        program = db + db_size + dbx_size;
        size -= 4 + db_size + dbx_size;
        if (fd < 0)
                fd = memfd_create("fuzz", MFD_CLOEXEC);
        if (secure_boot_new(db, db_size, db + db_size, dbx_size, &secure_boot, NULL) < 0 || fd < 0 ||
                        ftruncate(fd, 0) < 0 || pwrite_full(fd, program, size, 0) < 0)
                return 0;
        judge_signature(secure_boot, program, size);
        if (pe_image_read(fd, &image, NULL) >= 0)
                (void)pe_image_section_size(fd, &image, ".linux", &section_bytes);
        if (pe_image_read_signatures(fd, &signatures, NULL) >= 0)
                (void)secure_boot_judge(secure_boot, &signatures, NULL);
        return 0;
}
