/* SPDX-License-Identifier: Apache-2.0 */
#include "papers.h"
#include "file.h"
#include "hex.h"
#include "recipe.h"

#include <ctype.h>
#include <string.h>

const LockPackage *papers_find_locked(const PaperInput *input, const PaperPackage *package)
{
        size_t first = 0, end = input->lock ? input->lock->package_count : 0;

        while (first < end) {
                size_t middle = first + (end - first) / 2;
                const LockPackage *locked = &input->lock->packages[middle];
                int order = strcmp(package->name, locked->name);

                if (order == 0)
                        order = strcmp(package->architecture, locked->architecture);
                if (order == 0)
                        return locked;
                if (order < 0)
                        end = middle;
                else
                        first = middle + 1;
        }
        return NULL;
}

char *papers_mirror(const LockSource *source)
{
        _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(64 * KIB);
        size_t size;

        return recipe_append_without_logins(&out, source->mirror) < 0 ? NULL : buffer_take(&out, &size);
}

/* Percent-encodes what a package-url does not take as it is. */
static int append_quoted(Buffer *out, const char *text)
{
        int r = 0;

        for (; r >= 0 && *text; text++)
                r = isascii((unsigned char)*text) &&
                                                    (isalnum((unsigned char)*text) || strchr(".-_~:", *text))
                                    ? buffer_append_byte(out, (uint8_t)*text)
                                    : buffer_printf(out, "%%%02X", (unsigned char)*text);
        return r;
}

char *papers_package_url(const PaperInput *input, const PaperPackage *package)
{
        _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(64 * KIB);
        size_t size;
        int r = buffer_printf(&out, "pkg:deb/%s/", input->distribution);

        if (r >= 0)
                r = append_quoted(&out, package->name);
        if (r >= 0)
                r = buffer_append_byte(&out, '@');
        if (r >= 0)
                r = append_quoted(&out, package->version);
        if (r >= 0)
                r = buffer_printf(&out, "?arch=%s", package->architecture);
        if (r >= 0 && input->codename)
                r = buffer_printf(&out, "&distro=%s-%s", input->distribution, input->codename);
        return r < 0 ? NULL : buffer_take(&out, &size);
}

int papers_put_json(json_t *document, Buffer *ret)
{
        _cleanup_free_ char *text = document ? json_dumps(document, JSON_INDENT(2)) : NULL;

        json_decref(document);
        return text ? buffer_printf(ret, "%s\n", text) : -EINVAL;
}

json_t *papers_hash(const uint8_t sha256[static SHA256_SIZE])
{
        char hex[SHA256_HEX_SIZE];

        hex_encode(sha256, SHA256_SIZE, hex);
        return json_string(hex);
}

int papers_fixes(const PaperInput *input, Buffer *ret)
{
        return input->fixes ? buffer_append_string(ret, input->fixes) : 0;
}

int papers_list(const PaperInput *input, Buffer *ret)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < input->package_count; i++) {
                const PaperPackage *package = &input->packages[i];
                const LockPackage *locked = papers_find_locked(input, package);
                char hex[SHA256_HEX_SIZE] = "";

                if (locked)
                        hex_encode(locked->sha256, SHA256_SIZE, hex);
                r = buffer_printf(ret, "%s %s %s %s%s%s\n", package->name, package->version,
                                package->architecture, package->source, locked ? " " : "", hex);
        }
        return r;
}
