/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target once for each file named, or found in a folder named, without a fuzzer. TAP; a file
 * that makes the target abort ends the program, and its name is the last that was printed. */

#include "file.h"
#include "fuzz.h"
#include "strv.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX (16 * MIB)

static int collect(const char *path, char ***files)
{
        struct dirent **entries;
        struct stat status;
        int count, r = 0;

        if (stat(path, &status) < 0)
                return -errno;
        if (!S_ISDIR(status.st_mode))
                return strv_append(files, path);
        count = scandir(path, &entries, NULL, alphasort);
        if (count < 0)
                return -errno;
        for (int i = 0; i < count; i++) {
                _cleanup_free_ char *child = path_join(path, entries[i]->d_name);

                if (r >= 0 && entries[i]->d_name[0] != '.')
                        r = child ? strv_append(files, child) : -ENOMEM;
                free(entries[i]);
        }
        free(entries);
        return r;
}

int main(int argc, char **argv)
{
        _cleanup_strv_ char **files = NULL;
        size_t count;

        for (int i = 1; i < argc; i++)
                if (collect(argv[i], &files) < 0) {
                        printf("Bail out! cannot read %s\n", argv[i]);
                        return EXIT_FAILURE;
                }
        count = strv_length(files);
        printf("1..%zu\n", count);
        for (size_t i = 0; i < count; i++) {
                _cleanup_free_ char *data = NULL;
                size_t size;

                printf("# %s\n", files[i]);
                (void)fflush(stdout);
                if (file_read(AT_FDCWD, files[i], INPUT_MAX, &data, &size) < 0) {
                        printf("not ok %zu - %s cannot be read\n", i + 1, strrchr(files[i], '/') + 1);
                        return EXIT_FAILURE;
                }
                (void)LLVMFuzzerTestOneInput((const uint8_t *)data, size);
                printf("ok %zu - %s\n", i + 1,
                                strrchr(files[i], '/') ? strrchr(files[i], '/') + 1 : files[i]);
        }
        return EXIT_SUCCESS;
}
