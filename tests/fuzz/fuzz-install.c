/* SPDX-License-Identifier: Apache-2.0 */
/* Two Debian packages that are installed after each other: the size of the first in two bytes,
 * little-endian, and what follows it is the second. What is taken makes a tree that can be written and read
 * again, in which every package has a state of its own. */

#include "fuzz.h"

#include "deb.h"
#include "file.h"
#include "package-install-internal.h"
#include "tar.h"
#include "tree-archive.h"

#include <string.h>
#include <sys/mman.h>

static char names[][8] = { "tool", "tool.x" }, version[] = "1", architecture[] = "all", path[] = "p",
            id[] = "x86-64";

static int add(Installation *installation, size_t number, const uint8_t *data, size_t size)
{
        InstallPackage *package = &installation->packages[number];
        _cleanup_fd_ int fd = memfd_create("deb", MFD_CLOEXEC);
        Error error = { 0 };
        int r;

        MUST(fd >= 0 && pwrite_full(fd, data, size, 0) >= 0);
        r = deb_read_control_files(fd, &package->control, &error);
        if (r >= 0)
                r = deb_control_text(package->control, &package->stanza, &error);
        if (r >= 0)
                r = install_add(installation, package, fd, &error);
        MUST((r < 0 && !installation->is_left_to_dpkg) == error_is_set(&error));
        return r;
}

/* One stanza with a state for each package. */
static void check_status(const Buffer *status)
{
        _cleanup_free_ char *text = strndup((const char *)status->data, status->size);
        size_t stanzas = 0, states = 0;

        MUST(text && strlen(text) == status->size);
        for (const char *p = text; (p = strstr(p, "\n\n")); p += 2)
                stanzas++;
        for (const char *p = text; (p = strstr(p, "Status: install ok unpacked\n")); p++)
                states++;
        MUST(stanzas == 2 && states == 2);
}

static void check_tree(const Installation *installation)
{
        Tree *tree = installation->tree;
        _cleanup_tree_ Tree *again = tree_new();
        _cleanup_fd_ int fd = memfd_create("archive", MFD_CLOEXEC);

        MUST(again && fd >= 0 && tree_write_archive(tree, fd, NULL) >= 0);
        MUST(tar_read(again, fd, NULL, NULL) >= 0);
        MUST(tree_inode_count(again) == tree_inode_count(tree));
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                _cleanup_free_ char *list =
                                string_format(DPKG_FOLDER "info/%s.list", installation->packages[i].name);

                MUST(list && tree_lookup(tree, list));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        LockPackage packages[2] = { 0 };
        const Lock lock = { .packages = packages, .package_count = 2 };
        const Recipe recipe = { .architecture = id };
        const InstallOptions options = { .recipe = &recipe, .lock = &lock, .log_fd = -1 };
        _cleanup_(install_done) Installation installation = { .data_fd = -1 };
        size_t first;

        if (size < 2)
                return 0;
        for (size_t i = 0; i < 2; i++)
                packages[i] = (LockPackage){ names[i], version, architecture, path, .size_bytes = 1 };
        first = (size_t)data[0] | (size_t)data[1] << 8;
        MUST(install_begin(&installation, &options, "/dev/shm/fuzz", NULL) >= 0);
        if (first > size - 2 || add(&installation, 0, data + 2, first) < 0 ||
                        add(&installation, 1, data + 2 + first, size - 2 - first) < 0)
                return 0;
        check_status(&installation.status);
        check_tree(&installation);
        return 0;
}
