/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether two builds of one recipe are the same, and if not, which file was the first to differ and why. */

#include "error.h"

#include <time.h>

typedef enum ReproCause {
        REPRO_TIME,       /* the clock shows */
        REPRO_ORDER,      /* the same things in another order */
        REPRO_PATH,       /* a folder of the building machine shows */
        REPRO_RANDOM,     /* none of the others */
        REPRO_MISSING,    /* only one of them has it */
        REPRO_ATTRIBUTES, /* owner, mode or kind */
} ReproCause;

/* What could show in a build. The folders are those that the builds worked in. */
typedef struct ReproHints {
        const char *first_folder, *second_folder;
        const char *first_cache, *second_cache; /* with their packages; NULL: it is not there any more */
        time_t begin, end;                      /* of both builds together */
} ReproHints;

#define REPRO_SCRIPTS_MAX 3

/* A script that a package brings for its installation, or the triggers that it asks for. */
typedef struct ReproScript {
        char *package;
        const char *kind; /* "postinst" and so on */
} ReproScript;

/* Those that name a path, or else the nearest folder above it that any of them names. */
typedef struct ReproScripts {
        ReproScript list[REPRO_SCRIPTS_MAX];
        size_t count;
        char *named; /* with its leading slash, as the scripts saw it; NULL: there is none */
} ReproScripts;

/* One output file. */
typedef struct ReproArtifact {
        char *file;
        bool is_same;
} ReproArtifact;

typedef struct ReproReport {
        ReproArtifact *artifacts; /* by name */
        size_t artifact_count;
        bool is_same;
        /* Of the first difference: */
        char *artifact;
        char *path;           /* in the root image; NULL: not there, or it is another artifact */
        char *package;        /* that owns the path; NULL: none does, so a script made it */
        ReproScripts scripts; /* of a path that no package owns */
        ReproCause cause;
} ReproReport;

/* Compares the files of two folders that `build` made. */
int repro_compare(const char *first, const char *second, const ReproHints *hints, ReproReport *ret,
                Error *error);
void repro_report_done(ReproReport *report);

/* "time", and so on. */
const char *repro_cause_name(ReproCause cause);
/* What to do about it: a sentence without its period. */
const char *repro_cause_remedy(ReproCause cause);
/* "of openssl", or "of no package; the postinst of ca-certificates names it". Freed by the caller; NULL when
 * out of memory. For a report with a path. */
char *repro_origin_text(const ReproReport *report);

/* ---- for repro.c and tests ---- */

/* Searches what the packages in the caches' archives brought, of which the contents may be anything, for a
 * path of the root image. Caches may be NULL. */
int repro_find_scripts(const char *const caches[2], const char *path, ReproScripts *ret, Error *error);
void repro_scripts_done(ReproScripts *scripts);

/* Why two contents differ, which they must. */
ReproCause repro_classify(
                const void *a, size_t a_size, const void *b, size_t b_size, const ReproHints *hints);
