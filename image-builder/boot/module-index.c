/* SPDX-License-Identifier: Apache-2.0 */
#include "module-index.h"

#include <string.h>

#define MAGIC 0xb007f457
#define VERSION 0x00020001
#define NODE_PREFIX 0x80000000u
#define NODE_VALUES 0x40000000u
#define NODE_CHILDREN 0x20000000u
#define OFFSET_MAX 0x0fffffffu
#define KEY_MAX 1024 /* recursion is no deeper */

typedef struct Entry {
        char *key, *value;
        uint32_t priority;
        size_t number; /* order of insertion */
} Entry;

struct ModuleIndex {
        Entry *entries;
        size_t count, capacity;
};

ModuleIndex *module_index_new(void)
{
        return calloc(1, sizeof(ModuleIndex));
}

ModuleIndex *module_index_free(ModuleIndex *index)
{
        if (!index)
                return NULL;
        for (size_t i = 0; i < index->count; i++) {
                free(index->entries[i].key);
                free(index->entries[i].value);
        }
        free(index->entries);
        free(index);
        return NULL;
}

static bool is_ascii(const char *text)
{
        for (; *text; text++)
                if ((unsigned char)*text >= 128)
                        return false;
        return true;
}

int module_index_add(ModuleIndex *index, const char *key, const char *value, uint32_t priority)
{
        Entry *entry;

        if (!is_ascii(key) || !is_ascii(value) || strlen(key) > KEY_MAX)
                return -EINVAL;
        if (index->count == index->capacity) {
                size_t capacity = MAX_OF(index->capacity * 2, (size_t)1024);
                Entry *grown = reallocarray(index->entries, capacity, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                index->entries = grown;
                index->capacity = capacity;
        }
        entry = &index->entries[index->count];
        *entry = (Entry){
                .key = strdup(key), .value = strdup(value), .priority = priority, .number = index->count
        };
        index->count++;
        return entry->key && entry->value ? 0 : -ENOMEM;
}

/* Of values of equal priority the one that came last is the first. */
static int by_key(const void *a, const void *b)
{
        const Entry *left = a, *right = b;
        int order = strcmp(left->key, right->key);

        if (order != 0)
                return order;
        if (left->priority != right->priority)
                return left->priority < right->priority ? -1 : 1;
        return left->number > right->number ? -1 : 1;
}

static int put_number(Buffer *out, uint32_t number)
{
        const uint8_t bytes[] = { (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                (uint8_t)number };

        return buffer_append(out, bytes, sizeof(bytes));
}

/* Entries [first, end) agree in `depth` bytes: how many more do they all share? The first and the last of
 * sorted ones tell. */
static size_t shared_length(const ModuleIndex *index, size_t first, size_t end, size_t depth)
{
        const char *a = index->entries[first].key + depth, *b = index->entries[end - 1].key + depth;
        size_t length = 0;

        while (a[length] && a[length] == b[length])
                length++;
        return length;
}

static int put_values(const ModuleIndex *index, size_t first, size_t end, Buffer *out)
{
        int r = put_number(out, (uint32_t)(end - first));

        for (size_t i = first; r >= 0 && i < end; i++) {
                r = put_number(out, index->entries[i].priority);
                if (r >= 0)
                        r = buffer_append(out, index->entries[i].value, strlen(index->entries[i].value) + 1);
        }
        return r;
}

static int put_node(const ModuleIndex *index, size_t first, size_t end, size_t depth, bool is_root,
                Buffer *out, uint32_t *ret);

/* Writes what is below; references by character. */
static int put_children(const ModuleIndex *index, size_t first, size_t end, size_t depth, Buffer *out,
                uint32_t references[static 128])
{
        int r = 0;

        for (size_t i = first, next; r >= 0 && i < end; i = next) {
                uint8_t character = (uint8_t)index->entries[i].key[depth];

                for (next = i + 1; next < end && (uint8_t)index->entries[next].key[depth] == character;)
                        next++;
                r = put_node(index, i, next, depth + 1, false, out, &references[character]);
        }
        return r;
}

static int put_references(const ModuleIndex *index, size_t first, size_t end, size_t depth,
                const uint32_t references[static 128], Buffer *out)
{
        const uint8_t ends[] = { (uint8_t)index->entries[first].key[depth],
                (uint8_t)index->entries[end - 1].key[depth] };
        int r = buffer_append(out, ends, sizeof(ends));

        for (unsigned i = ends[0]; r >= 0 && i <= ends[1]; i++)
                r = put_number(out, references[i]);
        return r;
}

static int put_node(const ModuleIndex *index, size_t first, size_t end, size_t depth, bool is_root,
                Buffer *out, uint32_t *ret)
{
        size_t length = is_root ? 0 : shared_length(index, first, end, depth), child = first;
        uint32_t references[128] = { 0 }, flags = 0;
        int r;

        while (child < end && !index->entries[child].key[depth + length])
                child++;
        r = put_children(index, child, end, depth + length, out, references);
        if (r >= 0 && out->size > OFFSET_MAX)
                r = -E2BIG;
        if (r < 0)
                return r;
        *ret = (uint32_t)out->size;
        if (length > 0) {
                flags |= NODE_PREFIX;
                r = buffer_append(out, index->entries[first].key + depth, length);
                if (r >= 0)
                        r = buffer_append(out, "", 1);
        }
        if (r >= 0 && child < end) {
                flags |= NODE_CHILDREN;
                r = put_references(index, child, end, depth + length, references, out);
        }
        if (r >= 0 && child > first) {
                flags |= NODE_VALUES;
                r = put_values(index, first, child, out);
        }
        *ret |= flags;
        return r;
}

int module_index_write(ModuleIndex *index, Buffer *ret)
{
        uint32_t root = 0;
        int r = put_number(ret, MAGIC);

        if (r >= 0)
                r = put_number(ret, VERSION);
        if (r >= 0)
                r = put_number(ret, 0);
        if (r >= 0 && index->count > 0)
                qsort(index->entries, index->count, sizeof(*index->entries), by_key);
        if (r >= 0)
                r = put_node(index, 0, index->count, 0, true, ret, &root);
        for (size_t i = 0; r >= 0 && i < 4; i++)
                ret->data[8 + i] = (uint8_t)(root >> (24 - 8 * i));
        return r;
}
