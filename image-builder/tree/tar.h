/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reads a tar archive into a Tree: ustar (POSIX.1-1988), GNU (long names and links, base-256 numbers) and
 * pax (POSIX.1-2001 extended headers, with xattrs as SCHILY.xattr.NAME). Only the headers are read; each
 * file's bytes stay in the archive, which becomes a backing of the tree. The archive must be a regular file,
 * not compressed.
 *
 * The archive may be hostile. Refused, with the member's name and its offset in the message: names that are
 * absolute or hold "..", members below something that is not a directory (a symbolic link among them), hard
 * links to what is not there or is a directory, sparse members, unknown types, numbers that are
 * negative or too large, sizes past the end of the archive, bad checksums, device nodes (unless allowed) and
 * more than the limits below. A later member replaces an earlier one of the same name, as tar itself does.
 */

#include "tree.h"

#define TAR_MEMBERS_MAX 4000000
#define TAR_EXTENDED_HEADER_MAX (1 * MIB)
#define TAR_XATTRS_MAX 64 /* of a member */

/* A layer of a container image (OCI Image Format Specification, "Image Layer Filesystem Changeset") is read
 * in two passes, since what it hides is only ever in the layers below: ".wh.NAME" hides NAME, ".wh..wh..opq"
 * all that its folder has. Members of a layer also replace folders by other things and other things by
 * folders. Names of a layer are of the image's root, so some tools begin them with '/', which means nothing
 * then. */
typedef enum TarPass {
        TAR_ARCHIVE,   /* no layer: names that begin with ".wh." are names */
        TAR_WHITEOUTS, /* takes out of the tree what the layer hides, and nothing else */
        TAR_LAYER,     /* adds what the layer has, but for those names */
} TarPass;

typedef struct TarOptions {
        bool allow_devices;    /* character and block devices; else refused. FIFOs are always allowed. */
        bool skip_devices;     /* instead: left out below "dev", and refused elsewhere */
        uint64_t offset_bytes; /* where in the file the archive begins; it need not reach to the file's end
                                */
        TarPass pass;
} TarOptions;

/* Adds what the archive holds to the tree, which keeps a duplicate of the descriptor. On error the tree must
 * be thrown away. -EBADMSG with ERROR_CORRUPT for an archive that is damaged or refused. options may be
 * NULL. */
int tar_read(Tree *tree, int fd, const TarOptions *options, Error *error);
