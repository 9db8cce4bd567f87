/* SPDX-License-Identifier: Apache-2.0 */
#include "authenticode.h"
#include "file.h"
#include "inspect.h"
#include "pe-image.h"

#include <fcntl.h>
#include <string.h>

#define SIGNER_MAX 256

/* A signature that cannot be read, or is over something else, has no signer. */
static void read_signer(const ImageSignatures *signatures, size_t number, char ret[static SIGNER_MAX])
{
        const ImageSignature *item = &signatures->items[number];
        _cleanup_(authenticode_freep) Authenticode *signature = NULL;

        if (authenticode_parse(item->data, item->size, &signature) < 0 ||
                        memcmp(authenticode_digest(signature), signatures->digest, SHA256_SIZE) != 0)
                (void)snprintf(ret, SIGNER_MAX, "damaged");
        else
                authenticode_signer(signature, ret, SIGNER_MAX);
}

json_t *inspect_signers(const ImageSignatures *signatures)
{
        json_t *array = signatures->is_known ? json_array() : json_string("unknown");

        for (size_t i = 0; array && i < signatures->count; i++) {
                char signer[SIGNER_MAX];

                read_signer(signatures, i, signer);
                if (json_array_append_new(array, json_string(signer)) < 0) {
                        json_decref(array);
                        return NULL;
                }
        }
        return array;
}

int inspect_program(const char *path, json_t **ret, Error *error)
{
        _cleanup_(image_signatures_done) ImageSignatures signatures = { 0 };
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        uint64_t size = 0;
        int r;

        if (fd < 0 || fd_size(fd, &size) < 0)
                return error_set(error, ERROR_IO, errno, "cannot open \"%s\": %s", path, strerror(errno));
        r = pe_image_read_signatures(fd, &signatures, error);
        if (r < 0)
                return error_prefix(error, r, "\"%s\"", path);
        *ret = json_pack("{s:s, s:I, s:o, s:o}", "kind", "EFI program", "size", (json_int_t)size,
                        "authenticode-sha256", inspect_hex(signatures.digest, SHA256_SIZE), "signed-by",
                        inspect_signers(&signatures));
        return *ret ? 0 : error_oom(error);
}
