/* SPDX-License-Identifier: Apache-2.0 */
#include "oci-image.h"
#include "file.h"
#include "hex.h"
#include "oci-internal.h"
#include "output-file.h"
#include "tar-format.h"
#include "tar.h"
#include "unpack.h"

#include <string.h>

#define CHUNK (1 * MIB)
#define BLOB_PATH "blobs/sha256/"

/* ---- blobs ---- */

static int find_blob(Tree *layout, const OciDescriptor *blob, const TreeInode **ret, Error *error)
{
        char path[sizeof(BLOB_PATH) + SHA256_HEX_SIZE] = BLOB_PATH;
        const TreeNode *node;

        hex_encode(blob->sha256, SHA256_SIZE, path + strlen(BLOB_PATH));
        node = tree_lookup(layout, path);
        if (!node || !S_ISREG(node->inode->mode))
                return error_set(error, ERROR_UNTRUSTED, ENOENT, "the blob %s is missing", path);
        if (node->inode->content.size_bytes != blob->size_bytes)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "the blob %s has %llu bytes, and its descriptor says %llu", path,
                                (unsigned long long)node->inode->content.size_bytes,
                                (unsigned long long)blob->size_bytes);
        *ret = node->inode;
        return 0;
}

static int wrong_hash(const OciDescriptor *blob, Error *error)
{
        char hex[SHA256_HEX_SIZE];

        hex_encode(blob->sha256, SHA256_SIZE, hex);
        return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                        "the blob " BLOB_PATH "%s is damaged or forged: its SHA-256 is another", hex);
}

int oci_read_document(Tree *layout, const OciDescriptor *blob, char **ret, size_t *ret_size, Error *error)
{
        _cleanup_free_ char *text = NULL;
        const TreeInode *inode = NULL;
        uint8_t sha256[SHA256_SIZE];
        int r;

        if (blob->size_bytes > OCI_DOCUMENT_MAX)
                return error_set(error, ERROR_UNTRUSTED, E2BIG, "a document of the image is too large");
        r = find_blob(layout, blob, &inode, error);
        if (r < 0)
                return r;
        text = calloc(1, blob->size_bytes + 1);
        if (!text)
                return error_oom(error);
        r = tree_read(layout, inode, 0, text, blob->size_bytes);
        if (r < 0)
                return error_set(
                                error, ERROR_IO, -r, "a blob of the image cannot be read: %s", strerror(-r));
        sha256_of(text, blob->size_bytes, sha256);
        if (memcmp(sha256, blob->sha256, SHA256_SIZE) != 0)
                return wrong_hash(blob, error);
        *ret = TAKE_PTR(text);
        *ret_size = blob->size_bytes;
        return 0;
}

/* Before anything looks into it. */
static int prove_blob(Tree *layout, const OciDescriptor *blob, const TreeInode *inode, Error *error)
{
        _cleanup_sha256_ Sha256 *hash = sha256_new();
        _cleanup_free_ uint8_t *chunk = malloc(CHUNK);
        uint8_t sha256[SHA256_SIZE];

        if (!hash || !chunk)
                return error_oom(error);
        for (uint64_t at = 0; at < blob->size_bytes;) {
                size_t size = (size_t)MIN_OF((uint64_t)CHUNK, blob->size_bytes - at);
                int r = tree_read(layout, inode, at, chunk, size);

                if (r < 0)
                        return error_set(error, ERROR_IO, -r, "a layer cannot be read: %s", strerror(-r));
                sha256_update(hash, chunk, size);
                at += size;
        }
        sha256_finish(hash, sha256);
        return memcmp(sha256, blob->sha256, SHA256_SIZE) != 0 ? wrong_hash(blob, error) : 0;
}

/* ---- opening ---- */

void oci_image_done(OciImage *image)
{
        oci_list_done(&image->parts);
        oci_config_done(&image->config);
        *image = (OciImage){ 0 };
}

static int check_config(const OciImage *image, const char *architecture, Error *error)
{
        const OciConfig *config = &image->config;

        if ((config->architecture && strcmp(config->architecture, architecture) != 0) ||
                        (config->os && strcmp(config->os, "linux") != 0))
                return error_set(error, ERROR_INCOMPATIBLE, ENOEXEC,
                                "the image is for %.40s on %.40s, and the recipe for linux on %s",
                                config->os ? config->os : "?",
                                config->architecture ? config->architecture : "?", architecture);
        if (config->layer_count + 1 != image->parts.count)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "its manifest has %zu layers, and its config %zu", image->parts.count - 1,
                                config->layer_count);
        return 0;
}

static int read_parts(OciImage *image, const OciDescriptor *manifest, const char *architecture, Error *error)
{
        _cleanup_free_ char *text = NULL, *config = NULL;
        size_t size, config_size;
        int r = oci_read_document(image->layout, manifest, &text, &size, error);

        if (r >= 0)
                r = oci_parse_manifest(text, size, &image->parts, error);
        if (r >= 0)
                r = oci_read_document(image->layout, &image->parts.items[0], &config, &config_size, error);
        if (r >= 0)
                r = oci_parse_config(config, config_size, &image->config, error);
        return r < 0 ? r : check_config(image, architecture, error);
}

int oci_image_open(Tree *layout, const char *tag, const char *architecture, OciImage *ret, Error *error)
{
        OciImage image = { .layout = layout };
        OciDescriptor manifest = { 0 };
        int r = oci_find_manifest(layout, tag, architecture, &manifest, error);

        if (r >= 0)
                r = read_parts(&image, &manifest, architecture, error);
        if (r < 0) {
                oci_image_done(&image);
                return r;
        }
        memcpy(image.sha256, manifest.sha256, SHA256_SIZE);
        *ret = image;
        return 0;
}

/* ---- layers ---- */

/* Some tools leave out the end mark and the last padding. It is known by its hash that nothing else is
 * missing.
 */
static int end_archive(int fd, uint64_t size, Error *error)
{
        uint64_t blocks = (size + TAR_BLOCK_SIZE - 1) / TAR_BLOCK_SIZE + 2;

        return ftruncate(fd, (off_t)(blocks * TAR_BLOCK_SIZE)) < 0
                               ? error_set(error, ERROR_IO, errno, "cannot extend an archive: %s",
                                                 strerror(errno))
                               : 0;
}

static int unpack_layer(const OciImage *image, size_t number, int fd, uint64_t *left_bytes, Error *error)
{
        const OciDescriptor *blob = &image->parts.items[number + 1];
        TreeFile layer = { .tree = image->layout };
        UnpackSource source = { .read = tree_file_read, .data = &layer, .size_bytes = blob->size_bytes };
        Unpacked unpacked;
        int r = find_blob(image->layout, blob, &layer.inode, error);

        if (r >= 0)
                r = prove_blob(image->layout, blob, layer.inode, error);
        if (r >= 0)
                r = unpack(&source, fd, *left_bytes, &unpacked, error);
        if (r < 0)
                return r;
        if (memcmp(unpacked.packed_sha256, blob->sha256, SHA256_SIZE) != 0)
                return wrong_hash(blob, error);
        if (memcmp(unpacked.sha256, image->config.layers[number], SHA256_SIZE) != 0)
                return error_set(error, ERROR_UNTRUSTED, EBADMSG,
                                "it unpacks to other bytes than the image's config names");
        *left_bytes -= unpacked.size_bytes;
        return end_archive(fd, unpacked.size_bytes, error);
}

/* What a layer hides is hidden first: a whiteout is about the layers below only. */
static int apply_layer(Tree *tree, int fd, Error *error)
{
        int r = tar_read(tree, fd, &(TarOptions){ .pass = TAR_WHITEOUTS }, error);

        if (r >= 0)
                r = tar_read(tree, fd, &(TarOptions){ .pass = TAR_LAYER, .skip_devices = true }, error);
        if (r >= 0 && tree_inode_count(tree) > TAR_MEMBERS_MAX)
                r = error_set(error, ERROR_REFUSED, E2BIG, "the image has too many files");
        return r;
}

int oci_image_apply(
                const OciImage *image, Tree *tree, const char *scratch, uint64_t limit_bytes, Error *error)
{
        _cleanup_free_ char *beside = path_join(scratch, "layer");

        if (!beside)
                return error_oom(error);
        for (size_t i = 0; i < image->config.layer_count; i++) {
                _cleanup_fd_ int fd = -1;
                char hex[SHA256_HEX_SIZE];
                int r = scratch_file_open(beside, &fd, error);

                if (r >= 0)
                        r = unpack_layer(image, i, fd, &limit_bytes, error);
                if (r >= 0)
                        r = apply_layer(tree, fd, error);
                hex_encode(image->parts.items[i + 1].sha256, SHA256_SIZE, hex);
                if (r < 0)
                        return error_prefix(error, r, "layer %zu of %zu (sha256:%.12s)", i + 1,
                                        image->config.layer_count, hex);
        }
        return 0;
}
