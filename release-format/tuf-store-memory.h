/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A TufStore that forgets: for checking a repository from a given root without leaving a trace. */

#include "tuf-client.h"

typedef struct TufStoreMemory TufStoreMemory;

/* Holds a copy of the given root metadata, and nothing else yet. */
int tuf_store_memory_new(const void *root, size_t size, TufStoreMemory **ret, Error *error);
TufStoreMemory *tuf_store_memory_free(TufStoreMemory *memory);
DEFINE_CLEANUP(TufStoreMemory *, tuf_store_memory_free)

/* The store borrows the memory. */
TufStore tuf_store_memory(TufStoreMemory *memory);
