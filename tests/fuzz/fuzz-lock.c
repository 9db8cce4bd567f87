/* SPDX-License-Identifier: Apache-2.0 */
/* Lock files (first byte 'l'), what apt prints of packages ('u'), and Debian packages (anything else).
 *
 * A lock that is taken is written in a way that reads the same again. */

#include "fuzz.h"

#include "deb.h"
#include "file.h"
#include "lock.h"

#include <string.h>
#include <sys/mman.h>

static void try_lock(const char *text, size_t size)
{
        _cleanup_lock_ Lock *lock = NULL, *again = NULL;
        _cleanup_free_ char *first = NULL, *second = NULL;
        size_t first_size, second_size;
        Error error = { 0 };
        int r = lock_parse(text, size, "fuzz", &lock, &error);

        MUST((r < 0) == error_is_set(&error));
        if (r < 0)
                return;
        MUST(lock_format(lock, &first, &first_size) >= 0);
        MUST(lock_parse(first, first_size, "fuzz", &again, NULL) >= 0);
        MUST(lock_format(again, &second, &second_size) >= 0);
        MUST(first_size == second_size && memcmp(first, second, first_size) == 0);
}

static void try_uri(const char *text)
{
        char mirror[] = "http://m.example/debian";
        LockSource source = { .mirror = mirror };
        Lock lock = { .sources = &source, .source_count = 1 };
        LockPackage package = { 0 };

        if (lock_parse_uri(text, &lock, &package) != 0)
                return;
        MUST(package.name && package.version && package.architecture && package.path);
        free(package.name);
        free(package.version);
        free(package.architecture);
        free(package.path);
}

static void try_deb(const uint8_t *data, size_t size)
{
        _cleanup_fd_ int fd = memfd_create("deb", MFD_CLOEXEC), scratch = memfd_create("data", MFD_CLOEXEC);
        _cleanup_free_ char *control = NULL, *changelog = NULL;
        Error error = { 0 };
        size_t changelog_size;
        int r;

        MUST(fd >= 0 && scratch >= 0 && pwrite_full(fd, data, size, 0) >= 0);
        r = deb_read_control(fd, &control, &error);
        MUST((r < 0) == error_is_set(&error));
        MUST(r < 0 || (!strstr(control, "\n\n") && control[strlen(control) - 1] == '\n'));
        error_clear(&error);
        r = deb_read_changelog(fd, "tool", scratch, &changelog, &changelog_size, &error);
        MUST((r < 0 && r != -ENOENT) == error_is_set(&error));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = NULL;

        if (size == 0)
                return 0;
        text = strndup((const char *)data + 1, size - 1);
        MUST(text);
        if (data[0] == 'l')
                try_lock(text, strlen(text));
        else if (data[0] == 'u')
                try_uri(text);
        else
                try_deb(data + 1, size - 1);
        return 0;
}
