/* SPDX-License-Identifier: Apache-2.0 */
#include "normalise.h"

#include <string.h>

/* What a run of apt, dpkg or a package's script leaves behind: different each time, or of use only to the
 * next run, which an immutable host never makes. */
static const char *const leftovers[] = {
        "etc/.pwd.lock",
        "etc/group-",
        "etc/gshadow-",
        "etc/passwd-",
        "etc/shadow-",
        "etc/subgid-",
        "etc/subuid-",
        "etc/apt/apt.conf.d/99mmdebstrap",
        "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
        "root/.bash_history",
        "root/.wget-hsts",
        "var/backups/*",
        "var/cache/adduser",
        "var/cache/apt",
        "var/cache/debconf",
        "var/cache/fontconfig/*",
        "var/cache/ldconfig/*",
        "var/cache/man/*",
        "var/lib/apt",
        "var/lib/dbus/machine-id",
        "var/lib/dhcp/*",
        "var/lib/dpkg/*-old",
        "var/lib/dpkg/available",
        "var/lib/dpkg/lock",
        "var/lib/dpkg/lock-frontend",
        "var/lib/dpkg/triggers/Lock",
        "var/lib/pam",
        "var/lib/sgml-base/*.old",
        "var/lib/shells.state",
        "var/lib/systemd/catalog/database",
        "var/lib/systemd/credential.secret",
        "var/lib/systemd/deb-systemd-*",
        "var/lib/systemd/random-seed",
        "var/lib/systemd/timers/*",
        "var/lib/ucf",
        "var/lib/urandom/*",
        "var/log/apt",
};

/* What the building machine lent the tree. A recipe may put its own in their place, so these go only before
 * it. */
static const char *const lent[] = {
        "etc/apt/auth.conf",
        "etc/apt/auth.conf.d/*",
        "etc/apt/preferences",
        "etc/apt/preferences.d/*",
        "etc/apt/sources.list",
        "etc/apt/sources.list.d/*",
        "etc/hostname",
        "etc/ssh/ssh_host_*",
};

static const char *const emptied[] = { "dev", "proc", "run", "sys", "tmp", "var/tmp" };

static int drop_globs(Tree *tree, const char *const *globs, size_t count, Error *error)
{
        for (size_t i = 0; i < count; i++) {
                int r = tree_drop_glob(tree, globs[i]);
                if (r < 0)
                        return error_oom(error);
        }
        return 0;
}

static int drop_log(Tree *tree, TreeNode *node, const char *path, void *data, Error *error)
{
        TreeNode *const *children;
        size_t count;

        if (!S_ISDIR(node->inode->mode))
                return 0;
        int r = tree_children(node, &children, &count);
        for (size_t i = count; r >= 0 && i-- > 0;)
                if (!S_ISDIR(node->inode->children[i]->inode->mode))
                        tree_drop_node(tree, node->inode->children[i]);
        return r;
}

/* The files of /var/log, not its folders: daemons that may not make theirs need them. */
static int drop_logs(Tree *tree, Error *error)
{
        TreeNode *logs = tree_lookup(tree, "var/log");

        if (!logs || !S_ISDIR(logs->inode->mode))
                return 0;
        int r = tree_walk(tree, logs, drop_log, NULL, error);
        return r < 0 ? error_oom(error) : 0;
}

static int drop_leftovers(Tree *tree, Error *error)
{
        int r = drop_globs(tree, leftovers, ELEMENTS(leftovers), error);

        for (size_t i = 0; r >= 0 && i < ELEMENTS(emptied); i++)
                r = tree_empty_directory(tree, emptied[i]);
        if (r >= 0)
                r = drop_logs(tree, error);
        /* Empty, not missing: systemd then makes an id at the first boot and keeps it in /etc, and does not
         * take the host for one whose presets are still to be applied. */
        return r < 0 ? r : tree_make_text(tree, "etc/machine-id", "", 0444, error);
}

/* The resolver is the running machine's business. With systemd-resolved it is always the same link. */
static int reset_resolver(Tree *tree, Error *error)
{
        int r = tree_drop(tree, "etc/resolv.conf");
        if (r < 0 || !tree_lookup(tree, "usr/lib/systemd/systemd-resolved"))
                return r;
        return tree_make_symlink(
                        tree, "etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf", NULL, error);
}

int normalise_drop_state(Tree *tree, Error *error)
{
        int r = drop_globs(tree, lent, ELEMENTS(lent), error);

        if (r >= 0)
                r = reset_resolver(tree, error);
        return r < 0 ? r : drop_leftovers(tree, error);
}

int normalise_mount_points(Tree *tree, Error *error)
{
        static const struct {
                const char *path;
                mode_t mode;
        } folders[] = {
                { "boot", 0755 },
                { "dev", 0755 },
                { "efi", 0755 },
                { "etc", 0755 },
                { "media", 0755 },
                { "mnt", 0755 },
                { "opt", 0755 },
                { "proc", 0555 },
                { "run", 0755 },
                { "sys", 0555 },
                { "tmp", 01777 },
                { "usr", 0755 },
                { "var", 0755 },
        };

        for (size_t i = 0; i < ELEMENTS(folders); i++) {
                TreeNode *node;

                int r = tree_make_directory(tree, folders[i].path, folders[i].mode, &node, error);
                if (r < 0)
                        return r;
                node->inode->mode = S_IFDIR | folders[i].mode;
                node->inode->uid = node->inode->gid = 0;
        }
        return 0;
}

/* Kernels and what boots them lie on the ESP; links to them in the root would dangle. */
static int empty_boot(Tree *tree, Error *error)
{
        static const char *const links[] = { "vmlinuz", "vmlinuz.old", "initrd.img", "initrd.img.old" };

        int r = tree_empty_directory(tree, "boot");
        return r < 0 ? r : drop_globs(tree, links, ELEMENTS(links), error);
}

int normalise_tree(Tree *tree, const NormaliseOptions *options, Error *error)
{
        int r = drop_leftovers(tree, error);

        if (r >= 0)
                r = empty_boot(tree, error);
        if (r >= 0)
                r = normalise_mount_points(tree, error);
        if (r >= 0)
                r = normalise_var(tree, error);
        if (r >= 0)
                r = normalise_refuse_secrets(tree, options->allowed_secrets, error);
        if (r >= 0 && tree_set_times(tree, options->epoch) < 0)
                r = error_oom(error);
        return r;
}

/* ---- the kernel ---- */

#define KERNEL_MAX (512 * MIB)

void tree_kernel_done(TreeKernel *kernel)
{
        free(kernel->release);
        free(kernel->image_path);
        free(kernel->modules_path);
        *kernel = (TreeKernel){ 0 };
}

typedef struct KernelSearch {
        char release[TREE_NAME_MAX + 1], other[TREE_NAME_MAX + 1];
        char image_path[TREE_PATH_MAX];
        unsigned count;
} KernelSearch;

static void note_kernel(KernelSearch *search, const char *release, const char *path)
{
        char *to = search->count == 0 ? search->release : search->other;

        if (search->count > 0 && strcmp(search->release, release) == 0)
                return; /* the same one in both places */
        (void)snprintf(to, TREE_NAME_MAX + 1, "%s", release);
        if (search->count++ == 0)
                (void)snprintf(search->image_path, sizeof(search->image_path), "%s", path);
}

static bool is_file(const Tree *tree, const char *path)
{
        const TreeNode *node = tree_resolve(tree, path);
        return node && S_ISREG(node->inode->mode);
}

/* Looks at each child of a folder: `prefix` + RELEASE + `suffix` is the path of a kernel's image. */
static int search_kernels(
                Tree *tree, const char *folder, const char *prefix, const char *suffix, KernelSearch *search)
{
        TreeNode *directory = tree_resolve(tree, folder);
        TreeNode *const *children;
        char path[TREE_PATH_MAX];
        size_t count;

        if (!directory || !S_ISDIR(directory->inode->mode))
                return 0;
        int r = tree_children(directory, &children, &count);
        for (size_t i = 0; r >= 0 && i < count; i++) {
                const char *name = children[i]->name;

                if (strncmp(name, prefix, strlen(prefix)) != 0 || name[strlen(prefix)] == 0)
                        continue;
                (void)snprintf(path, sizeof(path), "%s/%s%s", folder, name, suffix);
                if (is_file(tree, path))
                        note_kernel(search, name + strlen(prefix), path);
        }
        return r;
}

int normalise_find_kernel(Tree *tree, TreeKernel *ret, Error *error)
{
        _cleanup_tree_kernel_ TreeKernel kernel = { 0 };
        KernelSearch search = { .count = 0 };
        char modules[TREE_PATH_MAX];

        if (search_kernels(tree, "boot", "vmlinuz-", "", &search) < 0 ||
                        search_kernels(tree, "usr/lib/modules", "", "/vmlinuz", &search) < 0)
                return error_oom(error);
        if (search.count == 0)
                return error_set(error, ERROR_CONFIG, ENOENT,
                                "The image has no kernel: name a kernel package in the recipe, such as "
                                "linux-image-cloud-amd64");
        if (search.count > 1)
                return error_set(error, ERROR_CONFIG, ENOTUNIQ,
                                "The image has %u kernels, %s and %s among them: it can boot only one, so "
                                "leave "
                                "the others out of the recipe",
                                search.count, search.release, search.other);
        (void)snprintf(modules, sizeof(modules), "usr/lib/modules/%s", search.release);
        const TreeNode *folder = tree_resolve(tree, modules);
        kernel.release = strdup(search.release);
        kernel.image_path = strdup(search.image_path);
        kernel.modules_path = folder ? strdup(modules) : NULL;
        if (!kernel.release || !kernel.image_path || (folder && !kernel.modules_path))
                return error_oom(error);
        *ret = kernel;
        kernel = (TreeKernel){ 0 };
        return 0;
}

static int keep_config(Tree *tree, const TreeKernel *kernel, Error *error)
{
        char from[TREE_PATH_MAX], to[TREE_PATH_MAX];

        (void)snprintf(from, sizeof(from), "boot/config-%s", kernel->release);
        (void)snprintf(to, sizeof(to), "usr/lib/modules/%s/config", kernel->release);
        if (!kernel->modules_path || !is_file(tree, from) || tree_lookup(tree, to))
                return 0;
        return tree_move(tree, from, to, error);
}

int normalise_take_kernel(Tree *tree, const TreeKernel *kernel, char **ret, size_t *ret_size, Error *error)
{
        _cleanup_free_ char *image = NULL;
        size_t size = 0;

        int r = tree_read_file(tree, kernel->image_path, KERNEL_MAX, &image, &size);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "Cannot read /%s of the image: %s", kernel->image_path,
                                strerror(-r));
        r = keep_config(tree, kernel, error);
        if (r >= 0)
                r = tree_drop(tree, kernel->image_path);
        if (r >= 0)
                r = empty_boot(tree, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(image);
        *ret_size = size;
        return 0;
}
