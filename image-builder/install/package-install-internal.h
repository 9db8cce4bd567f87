/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of package-install.h share. Nobody else includes this. */

#include "buffer.h"
#include "package-install.h"
#include "tree.h"

#define DPKG_FOLDER "var/lib/dpkg/"
#define CONFFILE_ENDING ".dpkg-new" /* of one whose package is not configured yet */

typedef struct InstallPackage {
        const LockPackage *locked;
        char *name; /* as dpkg's database has it: with the architecture if there may be several of it */
        bool is_essential, is_multi_arch_same, has_preinst;
        /* Only while it is unpacked: */
        char *stanza;     /* its control file */
        Tree *control;    /* its control archive */
        char **conffiles; /* paths without a leading '/' */
} InstallPackage;

typedef struct Installation {
        const InstallOptions *options;
        Tree *tree;
        int data_fd;              /* data archives of all packages, one after the other */
        unsigned backing;         /* of the tree: data_fd */
        InstallPackage *packages; /* as in the lock */
        uint32_t *owners; /* by number of an inode of the tree: which package has it, and 1; 0: none */
        uint64_t owner_count;
        Buffer status; /* dpkg's list */
        bool is_left_to_dpkg;
} Installation;

/* package-install.c, and for tests: an installation on nothing, with `beside` as scratch_file_open() takes
 * it
 * (-1 and NULL in what it does not fill in); one package more, in its place in `packages`, proved and with
 * its control archive and stanza; what is left of all. -ENOTSUP as install_packages(). */
int install_begin(
                Installation *installation, const InstallOptions *options, const char *beside, Error *error);
int install_add(Installation *installation, InstallPackage *package, int packed_fd, Error *error);
void install_done(Installation *installation);

/* unpack-package.c: puts the files of the next package, whose control archive is there, into the tree, and
 * lists them as dpkg does. */
int install_unpack(Installation *installation, InstallPackage *package, int packed_fd, Buffer *list,
                Error *error);

/* dpkg-database.c: what is fixed; what is known of a package once it is unpacked; the end. */
int install_database_begin(Installation *installation, Error *error);
int install_database_add(
                Installation *installation, InstallPackage *package, const Buffer *list, Error *error);
int install_database_end(Installation *installation, Error *error);
/* Reads the control archive. */
int install_read_control(InstallPackage *package, Error *error);

/* configure.c: runs the scripts, in `folder`, which is removed. The tree is gone then. */
int install_configure(Installation *installation, const char *folder, int archive_fd, Error *error);

/* -ENOTSUP, with no Error; the log is told why. */
_printf_(2, 3) int install_leave_to_dpkg(Installation *installation, const char *format, ...);
