/* SPDX-License-Identifier: Apache-2.0 */
#include "key-show.h"

#include "ceremony-internal.h"
#include "json.h"
#include "keys.h"

#include <stdio.h>
#include <string.h>

/* { keyid, kind, here } of each key of a role. */
static json_t *describe_keys(const json_t *keyids, const json_t *keys, const KeyRing *ring)
{
        json_t *list = json_array();

        for (size_t i = 0; i < json_array_size(keyids); i++) {
                const char *keyid = json_string_value(json_array_get(keyids, i)), *name = NULL;
                const char *kind = json_string_value(
                                json_object_get(json_object_get(keys, keyid ?: ""), "keytype"));

                for (size_t j = 0; keyid && j < key_ring_count(ring); j++)
                        if (strcmp(key_ring_keyid(ring, j), keyid) == 0)
                                name = key_ring_name(ring, j);
                (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s?}", "keyid", keyid ?: "", "type",
                                                                  kind ?: "", "private-key", name));
        }
        return list;
}

static json_t *describe_root(const json_t *part, const KeyRing *ring)
{
        const json_t *roles = json_object_get(part, "roles"), *keys = json_object_get(part, "keys");
        json_t *list = json_object();

        for (unsigned role = 0; role < TUF_ROLE_MAX; role++) {
                const char *name = tuf_role_name((TufRole)role);
                const json_t *object = json_object_get(roles, name);

                (void)json_object_set_new(list, name,
                                json_pack("{s:O?, s:o}", "threshold", json_object_get(object, "threshold"),
                                                "keys",
                                                describe_keys(json_object_get(object, "keyids"), keys,
                                                                ring)));
        }
        return json_pack("{s:O?, s:O?, s:o}", "version", json_object_get(part, "version"), "expires",
                        json_object_get(part, "expires"), "roles", list);
}

static void print_root(const char *title, const json_t *root)
{
        const json_t *roles = json_object_get(root, "roles");

        printf("%s, version %lld, until %s\n", title,
                        (long long)json_integer_value(json_object_get(root, "version")),
                        json_string_value(json_object_get(root, "expires")) ?: "?");
        for (unsigned role = 0; role < TUF_ROLE_MAX; role++) {
                const json_t *object = json_object_get(roles, tuf_role_name((TufRole)role));
                const json_t *keys = json_object_get(object, "keys");

                printf("  %s: %lld of %zu keys\n", tuf_role_name((TufRole)role),
                                (long long)json_integer_value(json_object_get(object, "threshold")),
                                json_array_size(keys));
                for (size_t i = 0; i < json_array_size(keys); i++) {
                        const json_t *key = json_array_get(keys, i);
                        const char *name = json_string_value(json_object_get(key, "private-key"));

                        printf("    %s %s%s%s\n", json_string_value(json_object_get(key, "keyid")),
                                        json_string_value(json_object_get(key, "type")),
                                        name ? ", here as " : "", name ?: "");
                }
        }
}

int key_folder_show(const char *folder, bool json, Error *error)
{
        _cleanup_json_ json_t *present = NULL, *draft = NULL, *all = NULL;
        _cleanup_(key_ring_freep) KeyRing *ring = NULL;
        json_t *next = NULL;
        int r = ceremony_read(folder, CEREMONY_ROOT, &present, error);

        if (r == -ENOENT)
                return error_set(error, ERROR_CONFIG, ENOENT,
                                "there is no root metadata in %s; make it with \"keys init\"", folder);
        if (r >= 0)
                r = key_ring_load(folder, NULL, &ring, error);
        if (r < 0)
                return r;
        if (ceremony_read(folder, CEREMONY_DRAFT, &draft, NULL) >= 0)
                next = describe_root(json_object_get(draft, "signed"), ring);
        all = json_pack("{s:o, s:o*}", "root", describe_root(json_object_get(present, "signed"), ring),
                        "next", next);
        if (!all)
                return error_oom(error);
        if (json) {
                (void)json_dumpf(all, stdout, JSON_INDENT(1) | JSON_SORT_KEYS);
                printf("\n");
                return 0;
        }
        print_root("root", json_object_get(all, "root"));
        if (draft)
                print_root("draft of the next root", json_object_get(all, "next"));
        return 0;
}
