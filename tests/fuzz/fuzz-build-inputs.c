/* SPDX-License-Identifier: Apache-2.0 */
/* What the builder reads of files that it did not make: the EFI stub, dpkg's status, apt's list of sources,
 * an InRelease file, and the indexes that depmod makes. The first byte chooses. */

#include "fuzz.h"

#include "compose.h"
#include "initrd.h"
#include "sources.h"
#include "strv.h"
#include "uki.h"

#include <string.h>

static void try_stub(const uint8_t *data, size_t size)
{
        _cleanup_buffer_ Buffer out = BUFFER_WITH_CAP(16 * MIB);
        UkiParts parts = { .stub = data,
                .stub_size = size,
                .osrel = "ID=x\n",
                .osrel_size = 5,
                .cmdline = "quiet",
                .cmdline_size = 5,
                .initrd = "i",
                .initrd_size = 1,
                .kernel = "k",
                .kernel_size = 1 };
        Error error = { 0 };
        int r = uki_write(&parts, &out, &error);

        MUST((r < 0) == error_is_set(&error));
        MUST(r < 0 || out.size % 4096 == 0);
}

static void try_status(const char *text)
{
        ComposePackage *packages = NULL;
        size_t count = 0;

        if (compose_parse_packages(text, &packages, &count, NULL) >= 0)
                for (size_t i = 0; i < count; i++)
                        MUST(packages[i].name && packages[i].version && packages[i].architecture);
        compose_free_packages(packages, count);
}

static void try_sources(const char *text)
{
        char *mirror = NULL;
        int64_t time;

        if (sources_choose_mirror(text, "bookworm", &mirror) >= 0)
                MUST(mirror && !strchr(mirror, '\n'));
        free(mirror);
        (void)sources_parse_date(text, &time);
}

/* The same text as every index: names then refer to each other in all ways. */
static void try_modules(const char *text)
{
        static const char *const names[] = { "m/modules.dep", "m/modules.softdep", "m/modules.alias",
                "m/modules.builtin" };
        _cleanup_tree_ Tree *tree = tree_new();
        _cleanup_strv_ char **wanted = NULL, **list = NULL;
        char release[] = "1", path[] = "m";
        TreeKernel kernel = { .release = release, .modules_path = path };

        for (size_t i = 0; i < ELEMENTS(names); i++)
                MUST(tree_make_text(tree, names[i], text, 0644, NULL) >= 0);
        MUST(strv_append_words(&wanted, "a b c") >= 0);
        (void)initrd_order_modules(tree, &kernel, wanted, &list, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = NULL;

        if (size == 0)
                return 0;
        text = strndup((const char *)data + 1, size - 1);
        MUST(text);
        switch (data[0]) {
        case 'u':
                try_stub(data + 1, size - 1);
                break;
        case 'p':
                try_status(text);
                break;
        case 's':
                try_sources(text);
                break;
        case 'm':
                try_modules(text);
                break;
        }
        return 0;
}
