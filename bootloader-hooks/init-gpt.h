/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A GUID partition table (UEFI specification, chapter 5), read only, for bascule-init: small, bounded, no
 * libfdisk and no Linux calls. The table is hostile: both checksums, every extent against the disk
 * and against the others. The backup at the end of the disk serves when the primary does not hold. */

#include "macro.h"
#include "uuid.h"

#define GPT_PARTITIONS_MAX 128
#define GPT_LABEL_MAX 36 /* UTF-16 units; anything but printable ASCII becomes '?' */

typedef enum GptKind {
        GPT_OTHER,
        GPT_ESP,
        GPT_ROOT, /* of this processor's architecture */
        GPT_ROOT_VERITY,
        GPT_VAR,
} GptKind;

typedef struct GptPartition {
        unsigned number; /* from 1 */
        GptKind kind;
        uint8_t uuid[UUID_SIZE]; /* in printed order */
        char label[GPT_LABEL_MAX + 1];
        uint64_t offset_bytes, size_bytes;
} GptPartition;

typedef struct GptTable {
        bool is_backup;
        unsigned count;
        GptPartition partitions[GPT_PARTITIONS_MAX]; /* used ones, in the order of the table */
} GptTable;

/* Where the bytes come from. `read` fills all of `size` bytes or fails with a negative errno. */
typedef struct GptSource {
        int (*read)(void *data, uint64_t offset_bytes, void *ret, size_t size);
        void *data;
        uint64_t size_bytes;
        unsigned sector_size_bytes; /* 512 to 4096, a power of two */
} GptSource;

/* -ENODATA without any table, -EBADMSG when none of the two holds, or what `read` returned. */
int gpt_read(const GptSource *source, GptTable *ret);

/* The first partition of a kind, or with a UUID; NULL. */
const GptPartition *gpt_find_kind(const GptTable *table, GptKind kind);
const GptPartition *gpt_find_uuid(const GptTable *table, const uint8_t uuid[static UUID_SIZE]);
