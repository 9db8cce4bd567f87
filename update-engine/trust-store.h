/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Trusted metadata on the host: the folder metadata/ in the state folder, except that the root is the newer
 * of the one there and the one in the image. So a lost or damaged /var means starting again from the image's
 * root, and an image without a readable root means that nothing is believed. */

#include "host.h"
#include "tuf-client.h"

typedef struct TrustStore {
        char *folder;
        char *image_root; /* bytes */
        size_t image_root_size;
        uint64_t image_root_version;
        TufStore files;
} TrustStore;

/* Makes the folder when there is none. ERROR_UNTRUSTED when the image has no root. */
int trust_store_open(TrustStore *store, const Host *host, Error *error);
void trust_store_close(TrustStore *store);

/* The store must outlive it. */
TufStore trust_store_interface(TrustStore *store);
