/* SPDX-License-Identifier: Apache-2.0 */
#include "deb.h"
#include "file.h"
#include "package-install-internal.h"
#include "strv.h"
#include "tar.h"

#include <string.h>

/* Of all packages together. */
#define DATA_MAX (64 * GIB)
#define INODES_MAX 8000000

typedef struct Unpacking {
        Installation *installation;
        InstallPackage *package;
        Buffer *list;
        TreeNode **placed; /* by number of the package's own inodes: what they became in the tree */
} Unpacking;

/* What an image does without unless its recipe has Documentation=yes. The folders themselves stay. */
static bool is_left_out(const Installation *installation, const char *path)
{
        static const char *const folders[] = { "usr/share/doc/", "usr/share/info/", "usr/share/lintian/",
                "usr/share/locale/", "usr/share/man/" };

        for (size_t i = 0; !installation->options->recipe->with_documentation && i < ELEMENTS(folders); i++)
                if (strncmp(path, folders[i], strlen(folders[i])) == 0)
                        return true;
        return false;
}

/* ---- whose a file is ---- */

static InstallPackage *owner_of(const Installation *installation, const TreeInode *inode)
{
        uint32_t owner = inode->number < installation->owner_count ? installation->owners[inode->number] : 0;

        return owner > 0 ? &installation->packages[owner - 1] : NULL;
}

static int set_owner(Installation *installation, const TreeInode *inode, const InstallPackage *package)
{
        if (inode->number >= installation->owner_count) {
                uint64_t count = tree_inode_number_end(installation->tree) * 2;
                uint32_t *grown = realloc(installation->owners, count * sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                memset(grown + installation->owner_count, 0,
                                (count - installation->owner_count) * sizeof(*grown));
                installation->owners = grown;
                installation->owner_count = count;
        }
        installation->owners[inode->number] = (uint32_t)(package - installation->packages) + 1;
        return 0;
}

static int leave_to_dpkg(const Unpacking *unpacking, const char *path)
{
        return install_leave_to_dpkg(unpacking->installation,
                        "%s is not the only package with /%s: dpkg itself must unpack all of them",
                        unpacking->package->locked->name, path);
}

/* The file of this package in another architecture, which must be the same. */
static bool is_of_twin(const Unpacking *unpacking, const TreeInode *inode, const TreeInode *existing)
{
        const InstallPackage *package = unpacking->package,
                             *other = owner_of(unpacking->installation, existing);

        return other && other != package && other->is_multi_arch_same && package->is_multi_arch_same &&
               strcmp(other->locked->name, package->locked->name) == 0 && inode->mode == existing->mode &&
               (!S_ISREG(inode->mode) || inode->content.size_bytes == existing->content.size_bytes);
}

/* Whether what is there will do: a folder where the package has a link (Debian policy, 6.6: what is there is
 * left alone), the same link, or the same file. */
static bool is_same(const Unpacking *unpacking, const TreeInode *inode, const TreeInode *existing)
{
        if (S_ISLNK(inode->mode) && S_ISDIR(existing->mode))
                return true;
        if (S_ISLNK(inode->mode) && S_ISLNK(existing->mode))
                return strcmp(inode->symlink_target, existing->symlink_target) == 0;
        return is_of_twin(unpacking, inode, existing);
}

/* ---- into the tree ---- */

/* dpkg knows no extended attributes. */
static int take_attributes(Unpacking *unpacking, const TreeInode *from, TreeInode *to)
{
        int r = set_owner(unpacking->installation, to, unpacking->package);

        to->mode = from->mode;
        to->uid = from->uid;
        to->gid = from->gid;
        to->mtime = from->mtime;
        return r;
}

/* One that is there stays as it is, a link to one too. Where packages do not agree what it is like an
 * essential package is right, or else the first one. */
static int place_folder(Unpacking *unpacking, const TreeNode *node, const char *path, Error *error)
{
        Installation *installation = unpacking->installation;
        TreeNode *existing = tree_resolve(installation->tree, path), *made = NULL;
        const InstallPackage *other = existing ? owner_of(installation, existing->inode) : NULL;
        int r;

        if (existing ? !S_ISDIR(existing->inode->mode) : tree_lookup(installation->tree, path) != NULL)
                return leave_to_dpkg(unpacking, path);
        if (existing && other && (other->is_essential || !unpacking->package->is_essential))
                return 0;
        if (existing && tree_lookup(installation->tree, path) != existing)
                return 0;
        r = existing ? 0
                     : tree_make_directory(
                                       installation->tree, path, node->inode->mode & 07777, &made, error);
        if (r < 0)
                return r;
        return take_attributes(unpacking, node->inode, existing ? existing->inode : made->inode) < 0
                               ? error_oom(error)
                               : 0;
}

/* Wherever the links of packages lead: what dpkg knows of the others is not for a package to say. */
static int check_place(const TreeNode *made, Error *error)
{
        _cleanup_free_ char *path = tree_node_path(made);

        if (!path)
                return error_oom(error);
        return strncmp(path, DPKG_FOLDER, strlen(DPKG_FOLDER)) == 0
                               ? error_set(error, ERROR_CORRUPT, EBADMSG, "it has /%s, which is dpkg's own",
                                                 path)
                               : 0;
}

static int make(Unpacking *unpacking, const TreeInode *inode, const char *path, TreeNode **ret, Error *error)
{
        Installation *installation = unpacking->installation;
        TreeNode *placed = unpacking->placed[inode->number];

        if (placed)
                return tree_make_hardlink(installation->tree, path, placed, ret, error);
        if (S_ISLNK(inode->mode))
                return tree_make_symlink(installation->tree, path, inode->symlink_target, ret, error);
        if (S_ISREG(inode->mode))
                return tree_make_backed_file(installation->tree, path, installation->backing,
                                inode->content.offset_bytes, inode->content.size_bytes, inode->mode & 07777,
                                ret, error);
        return tree_make_special(installation->tree, path, inode->mode & S_IFMT, inode->mode & 07777,
                        inode->major, inode->minor, ret, error);
}

/* `waiting`: where it is until its package is configured; NULL: it is no configuration file. */
static int place_file(Unpacking *unpacking, const TreeNode *node, const char *path, const char *waiting,
                Error *error)
{
        Installation *installation = unpacking->installation;
        TreeNode *existing = tree_lookup(installation->tree, waiting ? waiting : path), *made;
        int r;

        if (existing)
                return is_same(unpacking, node->inode, existing->inode) ? 0 : leave_to_dpkg(unpacking, path);
        r = make(unpacking, node->inode, waiting ? waiting : path, &made, error);
        if (r >= 0)
                r = check_place(made, error);
        if (r < 0)
                return r;
        unpacking->placed[node->inode->number] = made;
        return take_attributes(unpacking, node->inode, made->inode) < 0 ? error_oom(error) : 0;
}

/* A path may be a configuration file of one package, or a file of another, and never both. */
static int place_configuration(Unpacking *unpacking, const TreeNode *node, const char *path, Error *error)
{
        _cleanup_free_ char *waiting = string_format("%s" CONFFILE_ENDING, path);
        bool is_conffile = S_ISREG(node->inode->mode) && strv_contains(unpacking->package->conffiles, path);

        if (!waiting)
                return error_oom(error);
        if (tree_lookup(unpacking->installation->tree, is_conffile ? path : waiting))
                return leave_to_dpkg(unpacking, path);
        return place_file(unpacking, node, path, is_conffile ? waiting : NULL, error);
}

static int visit(Tree *tree _unused_, TreeNode *node, const char *path, void *data, Error *error)
{
        Unpacking *unpacking = data;
        int r = buffer_printf(unpacking->list, "/%s\n", path[0] ? path : ".");

        if (r < 0)
                return error_oom(error);
        if (strchr(path, '\n'))
                return error_set(error, ERROR_CORRUPT, EBADMSG, "a file's name has a newline in it");
        if (is_left_out(unpacking->installation, path))
                return 0;
        if (S_ISDIR(node->inode->mode))
                return place_folder(unpacking, node, path, error);
        return place_configuration(unpacking, node, path, error);
}

static int merge(Unpacking *unpacking, Tree *own, Error *error)
{
        int r;

        unpacking->placed = calloc(tree_inode_number_end(own) + 1, sizeof(TreeNode *));
        r = unpacking->placed ? tree_walk(own, tree_root(own), visit, unpacking, error) : error_oom(error);
        free(unpacking->placed);
        return r;
}

static int check_bounds(const Installation *installation, Error *error)
{
        uint64_t size = 0;

        if (fd_size(installation->data_fd, &size) < 0 || size > DATA_MAX ||
                        tree_inode_number_end(installation->tree) > INODES_MAX)
                return error_set(
                                error, ERROR_REFUSED, EFBIG, "with it the packages are too large to unpack");
        return 0;
}

int install_unpack(Installation *installation, InstallPackage *package, int packed_fd, Buffer *list,
                Error *error)
{
        Unpacking unpacking = { .installation = installation, .package = package, .list = list };
        _cleanup_tree_ Tree *own = tree_new();
        TarOptions options = { 0 };
        int r = own ? fd_size(installation->data_fd, &options.offset_bytes) : -ENOMEM;

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot unpack packages: %s", strerror(-r));
        r = deb_unpack_data(packed_fd, installation->data_fd, error);
        if (r >= 0)
                r = tar_read(own, installation->data_fd, &options, error);
        if (r >= 0)
                r = merge(&unpacking, own, error);
        return r < 0 ? r : check_bounds(installation, error);
}
