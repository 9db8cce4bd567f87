/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What goes with an image for those who must answer for it: a plain list of packages, a bill of materials
 * (SPDX 2.3 as JSON), and a statement of what it was built from (in-toto Statement v1 with SLSA provenance
 * v1); of a locked image also the CVEs that changelogs of its packages name (fixes.h). Same input, same
 * bytes: times are the image's, identifiers follow from its root hash, and nothing of the building machine's
 * paths, clock or user is in them. The SHA-256 and origin of each package are known of a locked image only.
 */

#include "buffer.h"
#include "lock.h"

#include <jansson.h>

#define PAPERS_MAX (64 * MIB)

#define PAPERS_LIST_FILE "packages.txt"
#define PAPERS_SBOM_FILE "sbom.spdx.json"
#define PAPERS_PROVENANCE_FILE "provenance.json"
#define PAPERS_FIXES_FILE "fixes.json"

typedef struct PaperPackage {
        const char *name, *version, *architecture;
        const char *source, *source_version;
} PaperPackage;

/* Something whose bytes are known. */
typedef struct PaperFile {
        const char *name;
        uint8_t sha256[SHA256_SIZE];
} PaperFile;

/* Nothing is owned. */
typedef struct PaperInput {
        const char *image_id, *version, *architecture;
        const char *distribution; /* ID= of os-release, such as "debian" */
        const char *codename;     /* VERSION_CODENAME= of it; NULL: none */
        const char *vendor;       /* NAME= of it */
        int64_t epoch;
        uint8_t root_hash[SHA256_SIZE];
        const PaperPackage *packages; /* by name */
        size_t package_count;
        const Lock *lock;          /* NULL: none */
        char *const *request;      /* lock_make_request() */
        char *const *profiles;     /* of the recipe, in the order in which they were read */
        char *const *settings;     /* beside it; NULL: none, as for the profiles */
        const PaperFile *products; /* images; the first is the root image */
        size_t product_count;
        const PaperFile *inputs; /* files and folders of the building machine */
        size_t input_count;
        const char *fixes; /* text of that paper; NULL: there is none */
        const char *program_version;
        const char *program_sha256; /* hexadecimal */
} PaperInput;

/* "NAME VERSION ARCHITECTURE SOURCE" lines, with the SHA-256 of the package behind it if it is known. Each
 * appends to the buffer, whose cap should be PAPERS_MAX. -ENOMEM, -E2BIG; -EINVAL for texts that are not
 * UTF-8. */
int papers_list(const PaperInput *input, Buffer *ret);
int papers_sbom(const PaperInput *input, Buffer *ret);
int papers_provenance(const PaperInput *input, Buffer *ret);
/* Nothing when it is not known. */
int papers_fixes(const PaperInput *input, Buffer *ret);

/* ---- shared by these ---- */

/* The package of the lock, or NULL. */
const LockPackage *papers_find_locked(const PaperInput *input, const PaperPackage *package);
/* "pkg:deb/debian/bash@5.2?arch=amd64&distro=debian-bookworm" (package-url), freed by the caller; NULL when
 * out of memory. */
char *papers_package_url(const PaperInput *input, const PaperPackage *package);
/* Where a source of the lock is, without the login that its URL may have: papers are published. Freed by the
 * caller; NULL when out of memory. */
char *papers_mirror(const LockSource *source);
/* Takes the document over. */
int papers_put_json(json_t *document, Buffer *ret);
json_t *papers_hash(const uint8_t sha256[static SHA256_SIZE]);
