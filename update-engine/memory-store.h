/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Named pieces of bytes in memory: trusted metadata by role in `fetch`, and what `fetch` brought, by file
 * name, in basculed. Bounded in number and size. */

#include "buffer.h"

#define MEMORY_STORE_PIECES_MAX 512
#define MEMORY_STORE_BYTES_MAX (24 * MIB)
#define MEMORY_STORE_NAME_MAX 256

typedef struct MemoryPiece {
        char *name;
        void *data; /* NULL: known not to exist */
        size_t size;
} MemoryPiece;

typedef struct MemoryStore {
        MemoryPiece *pieces;
        size_t count;
        uint64_t total_bytes;
} MemoryStore;

/* Puts a copy in, replacing one of that name; data NULL notes that there is none. -E2BIG past the bounds. */
int memory_store_put(MemoryStore *store, const char *name, const void *data, size_t size);
/* NULL when the name is not known. Borrowed until the next change. */
const MemoryPiece *memory_store_find(const MemoryStore *store, const char *name);
void memory_store_remove(MemoryStore *store, const char *name);
void memory_store_done(MemoryStore *store);
