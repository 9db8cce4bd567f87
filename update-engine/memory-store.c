/* SPDX-License-Identifier: Apache-2.0 */
#include "memory-store.h"

#include <string.h>

const MemoryPiece *memory_store_find(const MemoryStore *store, const char *name)
{
        for (size_t i = 0; i < store->count; i++)
                if (strcmp(store->pieces[i].name, name) == 0)
                        return &store->pieces[i];
        return NULL;
}

void memory_store_remove(MemoryStore *store, const char *name)
{
        const MemoryPiece *found = memory_store_find(store, name);
        if (!found)
                return;
        size_t at = (size_t)(found - store->pieces);
        store->total_bytes -= found->size;
        free(found->name);
        free(found->data);
        store->pieces[at] = store->pieces[--store->count];
}

int memory_store_put(MemoryStore *store, const char *name, const void *data, size_t size)
{
        _cleanup_free_ char *name_copy = NULL;
        _cleanup_free_ void *data_copy = NULL;

        memory_store_remove(store, name);
        if (store->count >= MEMORY_STORE_PIECES_MAX || size > MEMORY_STORE_BYTES_MAX - store->total_bytes)
                return -E2BIG;
        MemoryPiece *grown = reallocarray(store->pieces, store->count + 1, sizeof(*grown));
        if (grown)
                store->pieces = grown;
        name_copy = strdup(name);
        if (data)
                data_copy = malloc(size + 1);
        if (!grown || !name_copy || (data && !data_copy))
                return -ENOMEM;
        if (data)
                memcpy(data_copy, data, size);
        store->pieces[store->count++] =
                        (MemoryPiece){ TAKE_PTR(name_copy), TAKE_PTR(data_copy), data ? size : 0 };
        store->total_bytes += data ? size : 0;
        return 0;
}

void memory_store_done(MemoryStore *store)
{
        for (size_t i = 0; i < store->count; i++) {
                free(store->pieces[i].name);
                free(store->pieces[i].data);
        }
        free(store->pieces);
        *store = (MemoryStore){ 0 };
}
