/* SPDX-License-Identifier: Apache-2.0 */
#include "oci-image.h"
#include "oci-internal.h"

#include <string.h>

#define NESTED_MAX 4 /* indexes within indexes */
#define NAMES_SHOWN 512

typedef struct Wanted {
        const char *tag, *architecture;
} Wanted;

static bool is_for(const OciDescriptor *item, const char *architecture)
{
        if (item->os && strcmp(item->os, "linux") != 0)
                return false;
        return !item->architecture || strcmp(item->architecture, architecture) == 0;
}

static bool is_image(const OciDescriptor *item)
{
        return item->kind == OCI_INDEX || item->kind == OCI_MANIFEST;
}

/* Tags, or architectures, of all images of an index, for a message. */
static void name_all(const OciList *list, bool tags, char ret[static NAMES_SHOWN])
{
        size_t used = 0;

        (void)snprintf(ret, NAMES_SHOWN, "none");
        for (size_t i = 0; i < list->count && used < NAMES_SHOWN - 1; i++) {
                const char *name = tags ? list->items[i].tag : list->items[i].architecture;

                if (name && is_image(&list->items[i]))
                        used += (size_t)snprintf(
                                        ret + used, NAMES_SHOWN - used, "%s%s", used > 0 ? ", " : "", name);
        }
}

static int no_image(const OciList *list, const Wanted *wanted, bool tag_found, Error *error)
{
        char names[NAMES_SHOWN];

        name_all(list, !tag_found, names);
        if (!tag_found)
                return error_set(error, ERROR_CONFIG, ENOENT,
                                "it has no image with the tag \"%.100s\"; its tags: %s", wanted->tag, names);
        return error_set(error, ERROR_CONFIG, ENOENT, "it has no image for %s; it has them for: %s",
                        wanted->architecture, names);
}

/* Which of an index; variants of an architecture come after the plain one. */
static int choose(const OciList *list, const Wanted *wanted, unsigned depth, const OciDescriptor **ret,
                Error *error)
{
        const OciDescriptor *found = NULL;
        bool tag_found = !wanted->tag || depth > 0;
        char names[NAMES_SHOWN];

        for (size_t i = 0; i < list->count; i++) {
                const OciDescriptor *item = &list->items[i];

                if (!is_image(item) || (depth == 0 && wanted->tag &&
                                                       (!item->tag || strcmp(item->tag, wanted->tag) != 0)))
                        continue;
                tag_found = true;
                if (!is_for(item, wanted->architecture))
                        continue;
                if (found && depth == 0 && memcmp(found->sha256, item->sha256, SHA256_SIZE) != 0) {
                        name_all(list, true, names);
                        return error_set(error, ERROR_CONFIG, ENOTUNIQ,
                                        "it has several images; name the one that is meant, "
                                        "Base=oci:PATH:TAG; its tags: %s",
                                        names);
                }
                if (!found || (found->variant && !item->variant))
                        found = item;
        }
        if (!found)
                return no_image(list, wanted, tag_found, error);
        *ret = found;
        return 0;
}

/* Follows indexes to a manifest. */
static int find_manifest(Tree *layout, OciList *list, const Wanted *wanted, OciDescriptor *ret, Error *error)
{
        const OciDescriptor *item = NULL;
        int r = choose(list, wanted, 0, &item, error);

        for (unsigned depth = 1; r >= 0 && item->kind == OCI_INDEX; depth++) {
                _cleanup_free_ char *text = NULL;
                OciList nested = { 0 };
                size_t size;

                if (depth > NESTED_MAX)
                        return error_set(error, ERROR_UNTRUSTED, ELOOP,
                                        "its indexes are nested more than %d deep", NESTED_MAX);
                r = oci_read_document(layout, item, &text, &size, error);
                if (r >= 0)
                        r = oci_parse_index(text, size, "an index", &nested, error);
                if (r < 0)
                        return r;
                oci_list_done(list);
                *list = nested;
                r = choose(list, wanted, depth, &item, error);
        }
        if (r < 0)
                return r;
        *ret = (OciDescriptor){ .kind = item->kind, .size_bytes = item->size_bytes };
        memcpy(ret->sha256, item->sha256, SHA256_SIZE);
        return 0;
}

int oci_find_manifest(
                Tree *layout, const char *tag, const char *architecture, OciDescriptor *ret, Error *error)
{
        _cleanup_free_ char *marker = NULL, *index = NULL;
        _cleanup_oci_list_ OciList list = { 0 };
        size_t marker_size, index_size;
        int r = tree_read_file(layout, "oci-layout", OCI_DOCUMENT_MAX, &marker, &marker_size);

        if (r >= 0)
                r = tree_read_file(layout, "index.json", OCI_DOCUMENT_MAX, &index, &index_size);
        if (r < 0)
                return error_set(error, r == -ENOENT ? ERROR_CONFIG : ERROR_UNTRUSTED, -r,
                                "it is no OCI image layout: \"oci-layout\" or \"index.json\" cannot be "
                                "read: %s",
                                strerror(-r));
        r = oci_parse_layout(marker, marker_size, error);
        if (r >= 0)
                r = oci_parse_index(index, index_size, "index.json", &list, error);
        return r < 0 ? r
                     : find_manifest(layout, &list, &(Wanted){ .tag = tag, .architecture = architecture },
                                       ret, error);
}
