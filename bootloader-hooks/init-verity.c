/* SPDX-License-Identifier: Apache-2.0 */
#include "init-verity.h"

#include "hex.h"

#include <string.h>

#define LABEL_SUFFIX "-verity"

static unsigned place_of(const GptTable *table, const GptPartition *partition)
{
        unsigned place = 0;

        for (const GptPartition *p = table->partitions; p < partition; p++)
                place += p->kind == partition->kind;
        return place;
}

static const GptPartition *by_label(const GptTable *table, const char *label)
{
        size_t length = strlen(label), suffix = strlen(LABEL_SUFFIX);

        if (length <= suffix || strcmp(label + length - suffix, LABEL_SUFFIX) != 0)
                return NULL;
        for (unsigned i = 0; i < table->count; i++) {
                const GptPartition *p = &table->partitions[i];

                if (p->kind == GPT_ROOT && strlen(p->label) == length - suffix &&
                                strncmp(p->label, label, length - suffix) == 0)
                        return p;
        }
        return NULL;
}

static const GptPartition *by_place(const GptTable *table, unsigned place)
{
        for (unsigned i = 0; i < table->count; i++)
                if (table->partitions[i].kind == GPT_ROOT && place-- == 0)
                        return &table->partitions[i];
        return NULL;
}

int verity_pair(const GptTable *table, const GptPartition *hash, VerityPair *ret)
{
        unsigned place = place_of(table, hash);
        const GptPartition *data = by_label(table, hash->label);

        if (!data)
                data = by_place(table, place);
        if (!data)
                return -ENOENT;
        *ret = (VerityPair){ .data = data, .hash = hash, .slot = place < 26 ? (char)('a' + place) : '?' };
        return 0;
}

bool verity_pair_matches(const VerityPair *pair, const VeritySuperblock *superblock,
                const uint8_t root_hash[static SHA256_SIZE])
{
        return memcmp(superblock->uuid, root_hash, sizeof(superblock->uuid)) == 0 &&
               superblock->data_blocks <= pair->data->size_bytes / VERITY_BLOCK_SIZE;
}

int verity_table(const char *data_device, const char *hash_device, const VeritySuperblock *superblock,
                const uint8_t root_hash[static SHA256_SIZE], char ret[static VERITY_TABLE_MAX])
{
        char root_hex[SHA256_HEX_SIZE], salt_hex[2 * sizeof(superblock->salt) + 1] = "-";
        int length;

        hex_encode(root_hash, SHA256_SIZE, root_hex);
        if (superblock->salt_size > 0)
                hex_encode(superblock->salt, superblock->salt_size, salt_hex);
        length = snprintf(ret, VERITY_TABLE_MAX, "1 %s %s %d %d %llu 1 sha256 %s %s 1 panic_on_corruption",
                        data_device, hash_device, VERITY_BLOCK_SIZE, VERITY_BLOCK_SIZE,
                        (unsigned long long)superblock->data_blocks, root_hex, salt_hex);
        return length < 0 || length >= VERITY_TABLE_MAX ? -E2BIG : 0;
}
