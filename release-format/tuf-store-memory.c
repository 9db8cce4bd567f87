/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf-store-memory.h"

#include <string.h>

typedef struct Role Role;

struct Role {
        Role *next;
        char *name;
        Buffer bytes;
};

struct TufStoreMemory {
        Role *roles;
};

static Role *role_free(Role *role)
{
        if (role) {
                free(role->name);
                buffer_done(&role->bytes);
                free(role);
        }
        return NULL;
}

DEFINE_CLEANUP(Role *, role_free)

/* The link that points to the role, or to the end of the list. */
static Role **find(TufStoreMemory *memory, const char *name)
{
        Role **link = &memory->roles;

        while (*link && strcmp((*link)->name, name) != 0)
                link = &(*link)->next;
        return link;
}

static int load(void *data, const char *name, Buffer *ret, Error *error)
{
        const Role *role = *find(data, name);
        int r;

        if (!role)
                return -ENOENT;
        r = buffer_append(ret, role->bytes.data, role->bytes.size);
        return r < 0 ? error_set(error, ERROR_UNTRUSTED, -r, "%s metadata is too long", name) : 0;
}

static int remove_role(void *data, const char *name, _unused_ Error *error)
{
        Role **link = find(data, name), *role = *link;

        if (role) {
                *link = role->next;
                role_free(role);
        }
        return 0;
}

static int save(void *data, const char *name, const void *bytes, size_t size, Error *error)
{
        _cleanup_(role_freep) Role *role = calloc(1, sizeof(*role));
        TufStoreMemory *memory = data;

        if (!role)
                return error_oom(error);
        role->bytes = BUFFER_WITH_CAP(size);
        role->name = strdup(name);
        if (!role->name || buffer_append(&role->bytes, bytes, size) < 0)
                return error_oom(error);
        (void)remove_role(memory, name, NULL);
        role->next = memory->roles;
        memory->roles = TAKE_PTR(role);
        return 0;
}

int tuf_store_memory_new(const void *root, size_t size, TufStoreMemory **ret, Error *error)
{
        _cleanup_(tuf_store_memory_freep) TufStoreMemory *memory = calloc(1, sizeof(*memory));
        int r = memory ? save(memory, "root", root, size, error) : error_oom(error);

        if (r >= 0)
                *ret = TAKE_PTR(memory);
        return r;
}

TufStoreMemory *tuf_store_memory_free(TufStoreMemory *memory)
{
        while (memory && memory->roles) {
                Role *role = memory->roles;

                memory->roles = role->next;
                role_free(role);
        }
        free(memory);
        return NULL;
}

TufStore tuf_store_memory(TufStoreMemory *memory)
{
        return (TufStore){ load, save, remove_role, memory };
}
