/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Trusted metadata on the host: the folder metadata/ in the state folder, except that the root is the newer
 * of the one there and the one in the image. So a lost or damaged /var means starting again from the image's
 * root, and an image without a root that its own keys vouch for means that nothing is believed, whatever
 * lies on /var. */

#include "host.h"
#include "http-headers.h"
#include "tuf-client.h"

typedef struct TrustStore {
        char *folder;
        char *image_root; /* bytes */
        size_t image_root_size;
        uint64_t image_root_version;
        TufStore files;
} TrustStore;

/* Makes the folder when there is none. ERROR_UNTRUSTED when the image has no root, or a damaged one. */
int trust_store_open(TrustStore *store, const Host *host, Error *error);
void trust_store_close(TrustStore *store);

/* The tag that a server gave the trusted timestamp, so that it need not send it again; "" when none is
 * known. It is kept with the hash of the file that it belongs to. */
void trust_store_etag(TrustStore *store, char ret[static HTTP_ETAG_MAX]);
/* Remembers the tag, if it is another one. A tag that cannot be kept costs some bytes and nothing else. */
void trust_store_note_etag(TrustStore *store, const char *etag);

/* The store must outlive it. */
TufStore trust_store_interface(TrustStore *store);
