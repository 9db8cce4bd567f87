/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of an OCI image layout: its marker ('l'), an index ('i'), a manifest ('m'), a config ('c');
 * streams that are unpacked ('u'); and the whiteouts and members of a layer, over a tree that has some of
 * the names
 * ('t'). */

#include "fuzz.h"

#include "file.h"
#include "oci-document.h"
#include "tar.h"
#include "unpack.h"

#include <string.h>
#include <sys/mman.h>

#define LIMIT (256 * KIB)

static void check_list(const OciList *list)
{
        MUST(list->count <= OCI_ENTRIES_MAX);
        for (size_t i = 0; i < list->count; i++)
                MUST(list->items[i].size_bytes <= OCI_BLOB_MAX);
}

static void try_document(char kind, const char *text, size_t size)
{
        _cleanup_oci_list_ OciList list = { 0 };
        _cleanup_oci_config_ OciConfig config = { 0 };
        Error error = { 0 };
        int r = kind == 'l'   ? oci_parse_layout(text, size, &error)
                : kind == 'i' ? oci_parse_index(text, size, "index.json", &list, &error)
                : kind == 'm' ? oci_parse_manifest(text, size, &list, &error)
                              : oci_parse_config(text, size, &config, &error);

        MUST((r < 0) == error_is_set(&error));
        check_list(&list);
        if (r >= 0 && kind == 'm')
                MUST(list.count >= 1 && list.items[0].kind == OCI_CONFIG);
        MUST(config.layer_count <= OCI_LAYERS_MAX);
}

static void try_stream(const uint8_t *data, size_t size)
{
        _cleanup_fd_ int from = memfd_create("from", MFD_CLOEXEC), to = memfd_create("to", MFD_CLOEXEC);
        UnpackSource source = { .read = unpack_read_fd, .data = &from, .size_bytes = size };
        Error error = { 0 };
        Unpacked unpacked;
        uint64_t written;
        int r;

        MUST(from >= 0 && to >= 0 && pwrite_full(from, data, size, 0) >= 0);
        r = unpack(&source, to, LIMIT, &unpacked, &error);
        MUST((r < 0) == error_is_set(&error));
        MUST(fd_size(to, &written) >= 0 && written <= LIMIT);
        MUST(r < 0 || unpacked.size_bytes == written);
}

static void try_layer(const uint8_t *data, size_t size)
{
        _cleanup_tree_ Tree *tree = tree_new();
        _cleanup_fd_ int fd = memfd_create("layer", MFD_CLOEXEC);
        Error error = { 0 };
        int r;

        MUST(tree && fd >= 0 && pwrite_full(fd, data, size, 0) >= 0);
        MUST(tree_make_text(tree, "usr/bin/a", "a", 0755, NULL) >= 0);
        MUST(tree_make_text(tree, "etc/b", "b", 0644, NULL) >= 0);
        MUST(tree_make_symlink(tree, "bin", "usr/bin", NULL, NULL) >= 0);
        r = tar_read(tree, fd, &(TarOptions){ .pass = TAR_WHITEOUTS }, &error);
        if (r >= 0)
                r = tar_read(tree, fd, &(TarOptions){ .pass = TAR_LAYER, .skip_devices = true }, &error);
        MUST((r < 0) == error_is_set(&error));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        if (data[0] == 'u')
                try_stream(data + 1, size - 1);
        else if (data[0] == 't')
                try_layer(data + 1, size - 1);
        else if (strchr("limc", data[0]) && data[0])
                try_document((char)data[0], (const char *)data + 1, size - 1);
        return 0;
}
