/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From a recipe to images, in steps (build-steps.c), each of which is found in the cache when nothing that
 * it reads has changed:
 *
 *     base      what the recipe begins with, if it does, as a tar archive    base.h
 *     packages  the configured tree of Debian packages, as a tar archive   package-install.h
 *     tree      that and the recipe's content, in memory                   compose.h
 *     root      the read-only root filesystem                              erofs-writer.h
 *     verity    its hash tree and root hash                                verity.h
 *     initrd    bascule-init and kernel modules                            initrd.h
 *     uki       kernel, initrd and command line for the ESP                uki.h
 *     disk      the whole disk, raw and sparse                             raw-disk.h
 *     qcow2     the same in another format                                 qemu-img
 *     installer a medium that installs it                                  installer-disk.h
 *     ...       the same in yet another, or the root as an archive         disk-format.h
 *
 * The first seven live in the cache and are copied to the output folder; disks are made there, and papers
 * are written there. All that comes under partial names, which are dropped when the build fails, or by the
 * next one when it was killed. When all of it is complete the files get their names: the image.json of an
 * older build goes first, this one's comes last, so that one that is there stands beside its own files. */

#include "base.h"
#include "cache.h"
#include "compose.h"
#include "disk-format.h"
#include "image-info.h"
#include "image-signer.h"
#include "lock.h"
#include "progress.h"
#include "recipe.h"
#include "scratch-folder.h"
#include "sources.h"
#include "uki.h"

#define BUILD_ROOT_FILE "root.erofs"
#define BUILD_VERITY_FILE "root.verity"
#define BUILD_UKI_FILE "uki.efi"
#define BUILD_DISK_FILE "disk.raw"
#define BUILD_QCOW2_FILE "disk.qcow2"
#define BUILD_INSTALLER_FILE "installer.raw"
#define BUILD_INSTALLER_UKI_FILE "installer.efi"  /* beside the UKI in the cache, when it is asked for */
#define BUILD_BOOT_LOADER_FILE "systemd-boot.efi" /* signed; beside the UKI in the cache */

/* In the cache: what the changelogs of locked packages say (fixes.h). */
#define BUILD_FIXES_FILE "fixes"

#define BUILD_INSTALLER_FORMAT "installer" /* in Formats= */

#define STUB_PATH "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
#define BOOT_LOADER_PATH "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"

typedef struct BuildOptions {
        const char *output;      /* folder; made when it is not there */
        const char *cache;       /* NULL: the user's */
        const char *mirror;      /* NULL: the recipe's or apt's */
        const char *engine_root; /* "/" */
        bool without_lock;       /* choose packages anew, lock or not */
        bool must_be_locked;     /* refuse to choose packages */
        const char *previous;    /* image, image folder or repository, after whose root image the new one is
                                    laid out */

        /* For Secure Boot; NULL: what the recipe says. */
        const char *secure_boot_key, *secure_boot_certificate, *secure_boot_enroll, *pcr_key;
        PassphraseSource passphrase; /* of keys that sign images */
} BuildOptions;

typedef enum BuildStep {
        BUILD_BASE,
        BUILD_PACKAGES,
        BUILD_ROOT,
        BUILD_VERITY,
        BUILD_INITRD,
        BUILD_UKI,
        BUILD_DISK,
        BUILD_QCOW2,
        BUILD_INSTALLER,
        BUILD_FORMAT, /* the first of disk_formats, and so on */
        BUILD_STEP_MAX = BUILD_FORMAT + DISK_FORMAT_COUNT
} BuildStep;

typedef struct BuildFigures {
        bool is_done, is_cached;
        double wall_seconds, cpu_seconds; /* children's included */
        uint64_t size_bytes;
} BuildFigures;

typedef struct BuildResult {
        ImageInfo *info;
        BuildFigures figures[BUILD_STEP_MAX];
} BuildResult;

int build(const Recipe *recipe, const BuildOptions *options, BuildResult *ret, Error *error);
void build_result_done(BuildResult *result);
const char *build_step_name(BuildStep step);

/* ---- what the files of this module share ---- */

typedef struct Build {
        const Recipe *recipe;
        const BuildOptions *options;
        char *output;  /* absolute */
        int output_fd; /* locked; -1: not open yet */
        Cache *cache;
        AptSources *sources; /* NULL: the packages are those of the lock */
        Lock *lock;          /* NULL: there is none */
        Base *base;          /* NULL: the recipe begins with nothing */
        Progress *progress;
        int64_t epoch;
        char tool_hash[SHA256_HEX_SIZE]; /* of this program: another one may make other bytes */

        int previous_fd; /* root image; -1: none */
        uint8_t previous_sha256[SHA256_SIZE];

        CacheKey keys[BUILD_STEP_MAX];
        CacheEntry entries[BUILD_STEP_MAX];
        char *placed[BUILD_STEP_MAX]; /* temporary files in the output folder, to be renamed */
        Composition composition;
        bool is_composed;

        ImageSigner *signer;       /* NULL: images are not signed */
        const char *enroll_folder; /* keys for firmware to enrol; NULL: none */
        const char *pcr_key;       /* signs what register 11 may hold; NULL: nothing does */
        EVP_PKEY *pcr_public;

        /* Known once the steps before have run. */
        uint8_t salt[SHA256_SIZE], root_hash[SHA256_SIZE], root_sha256[SHA256_SIZE], uki_sha256[SHA256_SIZE];
        uint64_t root_size_bytes, verity_size_bytes, uki_size_bytes;
        BuildFigures figures[BUILD_STEP_MAX];
} Build;

/* Wall clock and processor time so far, in seconds; what a step took since then, told on the terminal. */
void build_clocks(double *ret_wall, double *ret_cpu);
void build_note_figures(Build *build, BuildStep step, bool is_cached, double wall, double cpu);

/* build-output.c: opens and locks the output folder; makes images and disks there, and then one of the texts
 * about them, under partial names; gives all their names and removes what an older build has left; drops
 * what has a partial name still. */
int build_open_output(Build *build, const char *path, Error *error);
int build_outputs(Build *build, Error *error);
int build_put(const Build *build, const char *name, const void *data, size_t size, Error *error);
int build_publish(Build *build, const ImageInfo *info, Error *error);
void build_drop_partials(const Build *build);

/* Fills in the key of a step, whose forerunners' keys are there. */
int build_key(Build *build, BuildStep step, Error *error);
/* Files are read after they were hashed. What one of them has changed in between would be found under the
 * key of what it was: then this fails. */
int build_check_key(Build *build, BuildStep step, Error *error);
/* Makes the files of a step in its entry's folder, or at `path` for disks. */
int build_make(Build *build, BuildStep step, const char *path, Error *error);
/* Reads what later steps must know from a finished entry. */
int build_load(Build *build, BuildStep step, Error *error);
/* Whether what was built fits the layouts in [Budget]. */
int build_check_budget(Build *build, Error *error);
/* Composes the tree unless that is done. */
int build_compose(Build *build, Error *error);

/* Whether the recipe has anything for a step to do. */
bool build_has_step(const Build *build, BuildStep step);
/* Whether it is known what the changelogs of its packages say. */
bool build_has_fixes(const Build *build);

ComposeOptions build_compose_options(const Build *build);
int build_packages(Build *build, const CacheEntry *entry, Error *error);
/* build-lock.c: opens the lock, if the recipe has one that counts; chooses packages where it has none, in
 * `folder`, which is left as it was; sees to it that the cache has what a lock names; copies that to a folder
 * that mmdebstrap's user can read (removed by the caller); compares what was installed with the lock. */
int build_open_lock(Build *build, Error *error);
int build_make_request(const Build *build, char ***ret);
int build_choose_packages(Build *build, const char *folder, int log_fd, Lock **ret, Error *error);
int build_fetch_packages(Build *build, const Lock *lock, int log_fd, Error *error);
int build_stage_lock(const Build *build, const Lock *lock, ScratchFolder *ret, Error *error);
int build_check_lock(const Build *build, Error *error);
/* Opens what BuildOptions.previous names (build-previous.c). */
int build_open_previous(Build *build, Error *error);
/* Its kernel image; *ret is the caller's to close, and -1 when that is not known. */
int build_open_previous_uki(Build *build, int *ret, Error *error);
int build_initrd(Build *build, const CacheEntry *entry, Error *error);
int build_uki(Build *build, const CacheEntry *entry, Error *error);

/* A file of a finished or growing entry. */
int build_entry_write(
                const CacheEntry *entry, const char *name, const void *data, size_t size, Error *error);
int build_entry_read(const CacheEntry *entry, const char *name, size_t cap_bytes, char **ret,
                size_t *ret_size, Error *error);

/* build-signing.c: opens the keys, adds to cache keys what signatures and enrolment depend on, signs the
 * files of a growing UKI entry and adds the boot loader, and tells which boot loader goes to the disk. */
int build_open_signing(Build *build, Error *error);
int build_key_of_signing(Build *build, CacheKey *key, Error *error);
int build_key_of_enrolment(Build *build, CacheKey *key, Error *error);
int build_sign(Build *build, const CacheEntry *entry, Error *error);
/* Adds the sections for measured boot, if there is a key for them; the texts are freed by the caller. */
int build_add_pcr_policy(Build *build, UkiParts *parts, char **ret_key, char **ret_signature, Error *error);
char *build_boot_loader_path(const Build *build);

/* Puts what papers.h has into the output folder, under partial names, and its hashes into the info. */
int build_papers(Build *build, ImageInfo *info, Error *error);
int build_fill_info(Build *build, ImageInfo **ret, Error *error);
