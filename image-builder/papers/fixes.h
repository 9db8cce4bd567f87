/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which version of a source package names which CVE in its Debian changelog (deb-changelog(5)): a paper of
 * a locked image (papers.h), from which `bascule-image diff` tells what an update mends. Images have no
 * changelogs, so they are read from the packages that the image is made of.
 *
 * As JSON (docs/formats-release.md):
 *
 *     { "format": 2, "sources": { "openssl": { "entries": [
 *             "3.0.2-2", { "version": "3.0.2-1", "cves": [ "CVE-2022-0778" ] }, "3.0.1-1" ] } } }
 *
 * Entries are in the changelog's order, the newest first; one that names no CVE is its version alone. It is
 * their place that counts: the order of versions does not tell that a rebuild, 3.0.2-1~deb12u1, has what
 * 3.0.2-1 below it mended. What is older than the last was cut off by Debian, or by the limits below. CVEs
 * are sorted. A source whose changelog was not found or cannot be read is not there. Same packages, same
 * bytes.
 *
 * Changelogs and papers may be hostile: what does not look like a version or a CVE number is passed over in
 * the first, and refused in the second. */

#include "buffer.h"
#include "lock.h"

#include <jansson.h>

#define FIXES_FORMAT 2
/* Raised with whatever changes what is read of a package, so that nothing older is taken out of a cache. */
#define FIXES_READER 2
#define FIXES_ENTRIES_MAX 2048 /* of a source */
#define FIXES_CVES_MAX 8192    /* of a source */
#define FIXES_MAX (16 * MIB)
#define CVE_MAX 32 /* with the NUL */

/* ---- writing ---- */

/* What a changelog of `source` says, as the member of "sources"; NULL in *ret when it has no entry of that
 * source. Entries of another name, as before a package was renamed, end it, but for those of "linux" in a
 * kernel that is signed, whose versions become its own. -ENOMEM. */
int fixes_read_changelog(const char *text, const char *source, json_t **ret);

/* fixes-collect.c: the paper of all packages of the lock, which must be in the cache, whole. Of the packages
 * of the newest version of a source the smallest that has a changelog is read, and those of older versions
 * if none has; `scratch` is a folder for what is unpacked. What a package says is kept in the cache's folder
 * "changelogs", so that it is unpacked for this only once. */
int fixes_collect(
                const Lock *lock, const char *cache_folder, const char *scratch, Buffer *ret, Error *error);

/* ---- reading ---- */

/* -EBADMSG with ERROR_UNTRUSTED. `what` names the text in messages. Of a paper of another format nothing but
 * that format is taken, and no member "sources" is there. */
int fixes_parse(const char *text, size_t size, const char *what, json_t **ret, Error *error);

typedef enum FixesHistory {
        FIXES_WHOLE,
        FIXES_CUT,     /* the changelog does not go back to the older version: there may be more */
        FIXES_BEHIND,  /* it does not reach the newer version: the same */
        FIXES_UNKNOWN, /* there is no changelog of that source */
        FIXES_FOREIGN, /* the paper has another format */
} FixesHistory;

/* Appends {"source", "version", "cve"} to the array for each CVE that entries above that of `old` name, from
 * that of `new` on (or from the first, if it has none), with the lowest of these; by CVE. Where no entry is
 * of `old`, the first that is older ends them. -ENOMEM. */
int fixes_list(const json_t *fixes, const char *source, const char *old, const char *new, json_t *array,
                FixesHistory *ret_history);
