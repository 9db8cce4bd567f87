/* SPDX-License-Identifier: Apache-2.0 */
#include "efi-signatures.h"

#include "bytes.h"

#include <string.h>

#define LIST_HEADER_SIZE 28

/* GUIDs as they lie in memory. */
static const struct {
        uint8_t guid[EFI_GUID_SIZE];
        EfiSignatureKind kind;
        size_t hash_size; /* of what begins the item; 0: the whole item */
} types[] = {
        { { 0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40, 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28 },
                        EFI_SIGNATURE_SHA256, 32 },
        { { 0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72 },
                        EFI_SIGNATURE_X509, 0 },
        { { 0x92, 0xa4, 0xd2, 0x3b, 0xc0, 0x96, 0x79, 0x40, 0xb4, 0x20, 0xfc, 0xf9, 0x8e, 0xf1, 0x03, 0xed },
                        EFI_SIGNATURE_CERTIFICATE_HASH, 32 },
        { { 0x6e, 0x87, 0x76, 0x70, 0xc2, 0x80, 0xe6, 0x4e, 0xaa, 0xd2, 0x28, 0xb3, 0x49, 0xa6, 0x86, 0x5b },
                        EFI_SIGNATURE_CERTIFICATE_HASH, 48 },
        { { 0x63, 0xbf, 0x6d, 0x44, 0x02, 0x25, 0xda, 0x4c, 0xbc, 0xfa, 0x24, 0x65, 0xd2, 0xb0, 0xfe, 0x9d },
                        EFI_SIGNATURE_CERTIFICATE_HASH, 64 },
};

static int begin_list(EfiSignatureReader *reader)
{
        const uint8_t *list = reader->next;
        size_t size, header;

        if (reader->left < LIST_HEADER_SIZE)
                return -EBADMSG;
        size = read_le32(list + EFI_GUID_SIZE);
        header = read_le32(list + EFI_GUID_SIZE + 4);
        reader->item_size = read_le32(list + EFI_GUID_SIZE + 8);
        if (size < LIST_HEADER_SIZE || size > reader->left || header > size - LIST_HEADER_SIZE ||
                        reader->item_size <= EFI_GUID_SIZE)
                return -EBADMSG;
        reader->list_next = list + LIST_HEADER_SIZE + header;
        reader->list_left = size - LIST_HEADER_SIZE - header;
        if (reader->list_left % reader->item_size != 0)
                return -EBADMSG;
        reader->kind = EFI_SIGNATURE_OTHER;
        reader->hash_size = 0;
        for (size_t i = 0; i < ELEMENTS(types); i++)
                if (memcmp(list, types[i].guid, EFI_GUID_SIZE) == 0) {
                        reader->kind = types[i].kind;
                        reader->hash_size = types[i].hash_size;
                }
        if (reader->hash_size > reader->item_size - EFI_GUID_SIZE)
                return -EBADMSG;
        reader->next += size;
        reader->left -= size;
        return 0;
}

int efi_signatures_next(EfiSignatureReader *reader, EfiSignature *ret)
{
        size_t size;

        while (reader->list_left == 0) {
                int r;

                if (reader->left == 0)
                        return 0;
                r = begin_list(reader);
                if (r < 0)
                        return r;
        }
        size = reader->item_size - EFI_GUID_SIZE;
        *ret = (EfiSignature){ reader->kind, reader->list_next + EFI_GUID_SIZE,
                reader->hash_size > 0 ? reader->hash_size : size };
        reader->list_next += reader->item_size;
        reader->list_left -= reader->item_size;
        return 1;
}

int efi_signatures_append_certificate(
                Buffer *buffer, const uint8_t owner[static EFI_GUID_SIZE], const void *der, size_t size)
{
        uint64_t list_size = LIST_HEADER_SIZE + EFI_GUID_SIZE + (uint64_t)size;
        int r = list_size > UINT32_MAX ? -E2BIG : buffer_append(buffer, types[1].guid, EFI_GUID_SIZE);

        if (r >= 0)
                r = buffer_append_u32(buffer, (uint32_t)list_size);
        if (r >= 0)
                r = buffer_append_u32(buffer, 0);
        if (r >= 0)
                r = buffer_append_u32(buffer, (uint32_t)(EFI_GUID_SIZE + size));
        if (r >= 0)
                r = buffer_append(buffer, owner, EFI_GUID_SIZE);
        return r < 0 ? r : buffer_append(buffer, der, size);
}
