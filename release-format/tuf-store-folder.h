/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A TufStore that is a folder: ROLE.json for each role, bytes verbatim, replaced whole (file_replace()).
 * Names of delegated roles are percent-encoded; one that would be too long for a file becomes "%%" and its
 * SHA-256. */

#include "tuf-client.h"

/* The store borrows `path`. The folder must be there. */
TufStore tuf_store_folder(const char *path);
