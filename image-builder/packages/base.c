/* SPDX-License-Identifier: Apache-2.0 */
#include "base.h"
#include "base-folder.h"
#include "file.h"
#include "hex.h"
#include "output-file.h"
#include "tar.h"
#include "tree-archive.h"
#include "unpack.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define STATUS_PATH "var/lib/dpkg/status"
#define STATUS_MAX (64 * MIB)
#define UNFIT_MAX (64 * KIB)

typedef enum BaseKind { BASE_ARCHIVE, BASE_FOLDER, BASE_OCI } BaseKind;

struct Base {
        BaseKind kind;
        const Recipe *recipe; /* borrowed */
        uint8_t sha256[SHA256_SIZE];
        char identity[SHA256_HEX_SIZE];
        int fd;     /* of an archive */
        Tree *tree; /* of a folder, or the OCI layout */
        OciImage image;
};

Base *base_free(Base *base)
{
        if (!base)
                return NULL;
        oci_image_done(&base->image);
        tree_free(base->tree);
        fd_close(base->fd);
        free(base);
        return NULL;
}

const char *base_identity(const Base *base)
{
        return base->identity;
}

const OciList *base_parts(const Base *base)
{
        return &base->image.parts;
}

/* ---- opening ---- */

static int hash_archive(Base *base, Error *error)
{
        uint64_t size;
        int r = fd_size(base->fd, &size);

        if (r >= 0)
                r = sha256_of_fd(base->fd, 0, size, base->sha256);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot read it: %s", strerror(-r)) : 0;
}

static int unpack_archive(const Base *base, const char *beside, uint64_t limit_bytes, int *ret_fd,
                Unpacked *ret, Error *error)
{
        _cleanup_fd_ int fd = -1;
        int from = base->fd;
        UnpackSource source = { .read = unpack_read_fd, .data = &from };
        int r = fd_size(base->fd, &source.size_bytes);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read it: %s", strerror(-r));
        r = scratch_file_open(beside, &fd, error);
        if (r >= 0)
                r = unpack(&source, fd, limit_bytes, ret, error);
        if (r >= 0)
                *ret_fd = TAKE_FD(fd);
        return r;
}

/* The layout as a tree, which keeps what it needs of the archive. */
static int index_layout(Base *base, bool is_folder, Error *error)
{
        _cleanup_free_ char *beside = NULL;
        _cleanup_fd_ int fd = -1;
        Unpacked unpacked;
        int r;

        if (is_folder)
                return tree_import_host(base->tree, "/", base->recipe->base, error);
        beside = scratch_path("layout");
        if (!beside)
                return error_oom(error);
        r = unpack_archive(base, beside, base->recipe->base_limit_bytes, &fd, &unpacked, error);
        return r < 0 ? r : tar_read(base->tree, fd, NULL, error);
}

static int open_layout(Base *base, bool is_folder, Error *error)
{
        int r = index_layout(base, is_folder, error);

        if (r >= 0)
                r = oci_image_open(base->tree, base->recipe->base_tag,
                                recipe_debian_architecture(base->recipe), &base->image, error);
        if (r >= 0)
                memcpy(base->sha256, base->image.sha256, SHA256_SIZE);
        return r;
}

static int open_folder(Base *base, Error *error)
{
        int r = base_import_folder(base->tree, base->recipe->base, base->recipe->base_limit_bytes, error);

        return r < 0 ? r : base_hash_tree(base->tree, base->sha256, error);
}

static int open_any(Base *base, Error *error)
{
        const Recipe *recipe = base->recipe;
        struct stat status;

        base->fd = open(recipe->base, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (base->fd < 0 || fstat(base->fd, &status) < 0)
                return error_set(error, ERROR_CONFIG, errno, "cannot open it: %s", strerror(errno));
        if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode))
                return error_set(error, ERROR_CONFIG, EINVAL, "it is neither a file nor a folder");
        base->kind = recipe->base_is_oci ? BASE_OCI : S_ISDIR(status.st_mode) ? BASE_FOLDER : BASE_ARCHIVE;
        switch (base->kind) {
        case BASE_OCI:
                return open_layout(base, S_ISDIR(status.st_mode), error);
        case BASE_FOLDER:
                return open_folder(base, error);
        default:
                return hash_archive(base, error);
        }
}

int base_open(const Recipe *recipe, Base **ret, Error *error)
{
        _cleanup_base_ Base *base = calloc(1, sizeof(*base));
        int r;

        if (!base)
                return error_oom(error);
        base->recipe = recipe;
        base->fd = -1;
        base->tree = tree_new();
        r = base->tree ? open_any(base, error) : error_oom(error);
        if (r < 0)
                return error_prefix(error, r, "Base=%s", recipe->base);
        hex_encode(base->sha256, SHA256_SIZE, base->identity);
        *ret = TAKE_PTR(base);
        return 0;
}

/* ---- making ---- */

void base_key(const Base *base, CacheKey *key)
{
        cache_key_begin(key, "base");
        cache_key_add_number(key, "format", 2); /* raised when clean() or find_fault() change */
        cache_key_add_number(key, "kind", base->kind);
        cache_key_add_number(key, "limit", base->recipe->base_limit_bytes);
        cache_key_add(key, "sha256", base->sha256, SHA256_SIZE);
}

static int changed(Error *error)
{
        return error_set(error, ERROR_FAILED, EAGAIN, "it changed while it was read; run this again");
}

static int read_archive(const Base *base, const char *scratch, Tree *tree, Error *error)
{
        _cleanup_free_ char *beside = path_join(scratch, "archive");
        _cleanup_fd_ int fd = -1;
        Unpacked unpacked;
        int r;

        if (!beside)
                return error_oom(error);
        r = unpack_archive(base, beside, base->recipe->base_limit_bytes, &fd, &unpacked, error);
        if (r < 0)
                return r;
        if (memcmp(unpacked.packed_sha256, base->sha256, SHA256_SIZE) != 0)
                return changed(error);
        return tar_read(tree, fd, &(TarOptions){ .skip_devices = true }, error);
}

/* Names in a folder that could lead out of the tree who writes to it from outside, or make it wait. */
static int drop_leads(Tree *tree, TreeNode *folder)
{
        TreeNode *const *children;
        size_t count;
        int r = tree_children(folder, &children, &count);

        /* Backwards, because dropping a child only makes the tree forget that its array is current. */
        for (size_t i = count; r >= 0 && i-- > 0;) {
                TreeNode *child = folder->inode->children[i];

                if (S_ISDIR(child->inode->mode))
                        r = drop_leads(tree, child);
                else if (!S_ISREG(child->inode->mode))
                        tree_drop_node(tree, child);
        }
        return r;
}

/* What apt and mmdebstrap write to from outside, below the folders that find_fault() knows: as root of this
 * machine, when root builds. */
static int drop_all_leads(Tree *tree)
{
        static const char *const folders[] = { "var/cache/apt", "var/lib/apt", "var/lib/dpkg",
                "var/log/apt" };
        static const char *const paths[] = { "etc/apt/apt.conf.d", "etc/apt/auth.conf.d",
                "etc/apt/preferences.d", "etc/apt/sources.list.d", "usr/sbin/policy-rc.d" };
        TreeNode *node;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(folders); i++) {
                node = tree_lookup(tree, folders[i]);
                if (node && S_ISDIR(node->inode->mode))
                        r = drop_leads(tree, node);
        }
        for (size_t i = 0; i < ELEMENTS(paths); i++) {
                node = tree_lookup(tree, paths[i]);
                if (node && !S_ISDIR(node->inode->mode) && !S_ISREG(node->inode->mode))
                        tree_drop_node(tree, node);
        }
        return r;
}

/* Another machine's settings of apt would choose what is installed, or run programs here; what lies below
 * the others belongs to a running system. */
static int clean(Tree *tree, Error *error)
{
        static const char *const dropped[] = { "etc/apt/apt.conf", "etc/apt/apt.conf.d/*",
                "etc/apt/auth.conf", "etc/apt/auth.conf.d/*", "etc/apt/preferences",
                "etc/apt/preferences.d/*", "etc/apt/sources.list", "etc/apt/sources.list.d/*",
                "var/lib/apt/lists/*", "var/cache/apt/archives/*", "dev/*", "proc/*", "sys/*" };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(dropped); i++)
                r = tree_drop_glob(tree, dropped[i]);
        if (r >= 0)
                r = drop_all_leads(tree);
        return r < 0 ? error_oom(error) : 0;
}

/* Why nothing can be installed, or NULL. The folders are those that programs outside of the tree write to: a
 * link in their place could lead them out of it. */
static const char *find_fault(Tree *tree)
{
        static const char *const folders[] = { "dev", "etc", "etc/apt", "etc/dpkg", "proc", "run", "sys",
                "tmp", "usr", "usr/sbin", "var", "var/cache", "var/cache/apt", "var/cache/ldconfig",
                "var/lib", "var/lib/apt", "var/lib/dbus", "var/lib/dpkg", "var/log", "var/log/apt" };
        static const char fault[] = "one of its system folders is a link or a file";
        const TreeNode *node;

        for (size_t i = 0; i < ELEMENTS(folders); i++) {
                node = tree_lookup(tree, folders[i]);
                if (node && !S_ISDIR(node->inode->mode))
                        return fault;
        }
        node = tree_lookup(tree, "sbin"); /* where start-stop-daemon is put aside meanwhile */
        if (node && !S_ISDIR(node->inode->mode) &&
                        (!S_ISLNK(node->inode->mode) ||
                                        strcmp(node->inode->symlink_target, "usr/sbin") != 0))
                return fault;
        node = tree_lookup(tree, STATUS_PATH);
        if (!node || !S_ISREG(node->inode->mode) || !tree_resolve(tree, "usr/bin/dpkg"))
                return "it has no dpkg";
        return NULL;
}

static int write_status(Tree *tree, const CacheEntry *entry, Error *error)
{
        const char *fault = find_fault(tree);
        _cleanup_free_ char *path = cache_entry_file(entry, fault ? "unfit" : "status"), *text = NULL;
        size_t size = fault ? strlen(fault) : 0;
        int r = fault ? 0 : tree_read_file(tree, STATUS_PATH, STATUS_MAX, &text, &size);

        if (r < 0)
                return error_set(error, ERROR_CORRUPT, -r, "cannot read its /" STATUS_PATH ": %s",
                                strerror(-r));
        if (!path)
                return error_oom(error);
        r = file_replace(AT_FDCWD, path, fault ? fault : text, size, 0644);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

static int write_tree(Tree *tree, const CacheEntry *entry, Error *error)
{
        _cleanup_free_ char *path = cache_entry_file(entry, BASE_TREE_FILE);
        _cleanup_fd_ int fd = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644) : -1;

        if (!path)
                return error_oom(error);
        if (fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot make %s: %s", path, strerror(errno));
        return tree_write_archive(tree, fd, error);
}

static int fill(Base *base, Tree *tree, const CacheEntry *entry, Error *error)
{
        uint8_t again[SHA256_SIZE];
        int r = base->kind == BASE_OCI       ? oci_image_apply(&base->image, tree, entry->partial,
                                                               base->recipe->base_limit_bytes, error)
                : base->kind == BASE_ARCHIVE ? read_archive(base, entry->partial, tree, error)
                                             : 0;

        if (r >= 0)
                r = clean(tree, error);
        if (r >= 0)
                r = write_status(tree, entry, error);
        if (r >= 0)
                r = write_tree(tree, entry, error);
        if (r < 0 || base->kind != BASE_FOLDER)
                return r;
        tree = tree_new();
        r = tree ? base_import_folder(tree, base->recipe->base, base->recipe->base_limit_bytes, error)
                 : error_oom(error);
        if (r >= 0)
                r = base_hash_tree(tree, again, error);
        tree_free(tree);
        return r >= 0 && memcmp(again, base->sha256, SHA256_SIZE) != 0 ? changed(error) : r;
}

int base_make(Base *base, const CacheEntry *entry, Error *error)
{
        _cleanup_tree_ Tree *fresh = tree_new();
        int r = fresh ? fill(base, base->kind == BASE_FOLDER ? base->tree : fresh, entry, error)
                      : error_oom(error);

        return r < 0 ? error_prefix(error, r, "Base=%s", base->recipe->base) : 0;
}

int base_acquire(Base *base, Cache *cache, CacheEntry *ret, Error *error)
{
        _cleanup_cache_key_ CacheKey key = { 0 };
        int r;

        base_key(base, &key);
        r = cache_key_finish(&key, error);
        if (r >= 0)
                r = cache_acquire(cache, "base", &key, ret, error);
        if (r < 0 || ret->is_present)
                return r;
        r = base_make(base, ret, error);
        return r < 0 ? r : cache_commit(ret, error);
}

int base_read_status(const CacheEntry *entry, char **ret, Error *error)
{
        _cleanup_free_ char *status = cache_entry_file(entry, "status"), *text = NULL;
        _cleanup_free_ char *unfit = cache_entry_file(entry, "unfit");
        size_t size;
        int r;

        if (!status || !unfit)
                return error_oom(error);
        if (file_read(AT_FDCWD, unfit, UNFIT_MAX, &text, &size) >= 0)
                return error_set(error, ERROR_CONFIG, ENOTSUP,
                                "packages cannot be installed on the base: %s; leave Install= and Package= "
                                "out, or take another base",
                                text);
        r = file_read(AT_FDCWD, status, STATUS_MAX, ret, &size);
        return r < 0 ? error_set(error, ERROR_IO, -r, "cannot read %s: %s", status, strerror(-r)) : 0;
}
