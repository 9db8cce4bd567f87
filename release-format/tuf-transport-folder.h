/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A TufTransport that is a folder with the files of a repository's metadata, under the names that the client
 * asks for. */

#include "tuf-client.h"

/* The transport borrows `path`. */
TufTransport tuf_transport_folder(const char *path);
