/* SPDX-License-Identifier: Apache-2.0 */
#include "boot.h"
#include "file.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define ENTRY_FOLDER "EFI/Linux"
#define STAGE_FOLDER "EFI/bascule"
#define STAGE_NAME "incoming.efi"
#define TRIES_MAX 999999

/* Room beside the UKI itself: clusters by which the two folders may grow when the file appears in them. */
#define SPARE_CLUSTERS 4

static bool is_exhausted(const BootEntry *entry)
{
        return entry->is_counted && entry->tries_left == 0;
}

/* An empty file is what a power cut can leave of a UKI; the loader skips it. */
static bool is_empty(const BootEntry *entry)
{
        return entry->size_bytes == 0;
}

/* The order in which systemd-boot offers entries that share a sort key, which is the image id here. */
static int compare_entries(const void *left, const void *right)
{
        const BootEntry *a = left, *b = right;
        int r;

        if (is_empty(a) != is_empty(b))
                return is_empty(a) ? 1 : -1;
        if (is_exhausted(a) != is_exhausted(b))
                return is_exhausted(a) ? 1 : -1;
        r = version_compare(b->version, a->version);
        if (r == 0)
                r = version_compare(b->file_name, a->file_name);
        if (r != 0)
                return r;
        if (a->tries_left != b->tries_left)
                return a->tries_left > b->tries_left ? -1 : 1;
        return a->tries_done < b->tries_done ? -1 : a->tries_done > b->tries_done;
}

/* Opens a folder two levels deep without following links. */
static int open_folder(int esp_fd, const char *path, bool create)
{
        _cleanup_fd_ int efi_fd = -1;
        const char *name = strchr(path, '/') + 1;
        int fd;

        if (create && mkdirat(esp_fd, "EFI", 0755) < 0 && errno != EEXIST)
                return -errno;
        efi_fd = openat(esp_fd, "EFI", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (efi_fd < 0)
                return -errno;
        if (create && mkdirat(efi_fd, name, 0755) < 0 && errno != EEXIST)
                return -errno;
        fd = openat(efi_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int io_error(Error *error, int r, const char *what)
{
        ErrorCode code = r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO;

        return error_set(error, code, -r, "cannot %s on the boot partition: %s", what, strerror(-r));
}

static int add_entry(
                int folder_fd, const char *name, const char *image_id, BootEntry *entries, size_t *count)
{
        struct stat status;
        BootEntry entry;

        if (boot_entry_parse_name(name, &entry) < 0 || strcmp(entry.image_id, image_id) != 0)
                return 0;
        if (fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISREG(status.st_mode))
                return 0;
        if (*count >= BOOT_ENTRIES_MAX)
                return -E2BIG;
        entry.size_bytes = (uint64_t)status.st_size;
        entries[(*count)++] = entry;
        return 0;
}

static void directory_closep(DIR **directory)
{
        if (*directory)
                (void)closedir(*directory);
}

static int read_entries(int folder_fd, const char *image_id, BootEntry *entries, size_t *ret_count)
{
        _cleanup_(directory_closep) DIR *directory = NULL;
        struct dirent *item;
        int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        directory = fdopendir(fd);
        if (!directory) {
                (void)fd_close(fd);
                return -errno;
        }
        for (errno = 0; (item = readdir(directory)); errno = 0) {
                int r = add_entry(folder_fd, item->d_name, image_id, entries, ret_count);

                if (r < 0)
                        return r;
        }
        return errno > 0 ? -errno : 0;
}

static int list(int esp_fd, const char *image_id, BootEntry **ret, size_t *ret_count, Error *error)
{
        _cleanup_free_ BootEntry *entries = calloc(BOOT_ENTRIES_MAX, sizeof(BootEntry));
        _cleanup_fd_ int folder_fd = -1;
        size_t count = 0;
        int r = 0;

        if (!entries)
                return error_oom(error);
        folder_fd = open_folder(esp_fd, ENTRY_FOLDER, false);
        if (folder_fd >= 0)
                r = read_entries(folder_fd, image_id, entries, &count);
        else if (folder_fd != -ENOENT)
                r = folder_fd;
        if (r == -E2BIG)
                return error_set(error, ERROR_CORRUPT, E2BIG,
                                "more than %d boot entries of %s: remove those that nobody needs from %s",
                                BOOT_ENTRIES_MAX, image_id, ENTRY_FOLDER);
        if (r < 0)
                return io_error(error, r, "list " ENTRY_FOLDER);
        qsort(entries, count, sizeof(BootEntry), compare_entries);
        *ret = TAKE_PTR(entries);
        *ret_count = count;
        return 0;
}

/* Entries of one version, in the loader's order. */
static int list_version(int esp_fd, const char *image_id, const char *version, BootEntry **ret,
                size_t *ret_count, Error *error)
{
        size_t count = 0, kept = 0;
        BootEntry *entries;
        int r = list(esp_fd, image_id, &entries, &count, error);

        if (r < 0)
                return r;
        for (size_t i = 0; i < count; i++)
                if (strcmp(entries[i].version, version) == 0)
                        entries[kept++] = entries[i];
        *ret = entries;
        *ret_count = kept;
        return 0;
}

static int check_room(int stage_fd, uint64_t size_bytes, Error *error)
{
        char missing[SIZE_TEXT_MAX], needed[SIZE_TEXT_MAX];
        uint64_t available, cluster, want;
        struct statvfs space;
        struct stat status;

        if (fstatvfs(stage_fd, &space) < 0)
                return io_error(error, -errno, "measure the free space");
        if (fstat(stage_fd, &status) < 0)
                return io_error(error, -errno, "look at " STAGE_NAME);
        cluster = space.f_frsize ? space.f_frsize : 4096;
        if (MUL_OVERFLOWS((uint64_t)space.f_bavail, cluster, &available) ||
                        ADD_OVERFLOWS(available, (uint64_t)status.st_blocks * 512, &available))
                available = UINT64_MAX;
        if (ADD_OVERFLOWS(size_bytes, (SPARE_CLUSTERS + 1) * cluster, &want) || available < want)
                return error_set(error, ERROR_NO_SPACE, ENOSPC,
                                "the boot partition lacks %s for a kernel image of %s: remove files that "
                                "are not "
                                "needed from it",
                                size_format(want - available, missing), size_format(size_bytes, needed));
        return 0;
}

static int stage(int esp_fd, uint64_t size_bytes, bool resume, int *ret_fd, Error *error)
{
        _cleanup_fd_ int folder_fd = open_folder(esp_fd, STAGE_FOLDER, true);
        _cleanup_fd_ int fd = -1;
        struct stat status;
        int r;

        if (folder_fd < 0)
                return io_error(error, folder_fd, "make " STAGE_FOLDER);
        fd = openat(folder_fd, STAGE_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return io_error(error, -errno, "make " STAGE_NAME);
        r = check_room(fd, size_bytes, error);
        if (r < 0)
                return r;
        if (fstat(fd, &status) < 0)
                return io_error(error, -errno, "look at " STAGE_NAME);
        if (!resume || (uint64_t)status.st_size > size_bytes)
                if (ftruncate(fd, resume ? (off_t)size_bytes : 0) < 0)
                        return io_error(error, -errno, "shorten " STAGE_NAME);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int unlink_entry(int folder_fd, const char *name)
{
        return unlinkat(folder_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* The filesystem takes "1.0a" and "1.0A" for one name: such a pair of releases cannot live side by side. */
static int check_spelling(int esp_fd, const char *image_id, const char *version, Error *error)
{
        _cleanup_free_ BootEntry *entries = NULL;
        size_t count = 0;
        int r = list(esp_fd, image_id, &entries, &count, error);

        for (size_t i = 0; r >= 0 && i < count; i++)
                if (strcasecmp(entries[i].version, version) == 0 && strcmp(entries[i].version, version) != 0)
                        r = error_set(error, ERROR_REFUSED, EEXIST,
                                        "release %s differs from the installed %s only by upper and lower "
                                        "case, which "
                                        "the boot partition cannot tell apart",
                                        version, entries[i].version);
        return r;
}

static int remove_version(int esp_fd, const char *image_id, const char *version, Error *error)
{
        _cleanup_free_ BootEntry *entries = NULL;
        _cleanup_fd_ int folder_fd = -1;
        size_t count = 0;
        int r = list_version(esp_fd, image_id, version, &entries, &count, error);

        if (r < 0 || count == 0)
                return r;
        folder_fd = open_folder(esp_fd, ENTRY_FOLDER, false);
        if (folder_fd < 0)
                return io_error(error, folder_fd, "open " ENTRY_FOLDER);
        for (size_t i = 0; r >= 0 && i < count; i++)
                r = unlink_entry(folder_fd, entries[i].file_name);
        if (r >= 0)
                r = esp_sync_folder(folder_fd);
        return r < 0 ? io_error(error, r, "remove a boot entry") : 0;
}

static int remove_staged(int esp_fd, Error *error)
{
        _cleanup_fd_ int folder_fd = open_folder(esp_fd, STAGE_FOLDER, false);
        int r;

        if (folder_fd == -ENOENT)
                return 0;
        r = folder_fd < 0 ? folder_fd : unlink_entry(folder_fd, STAGE_NAME);
        if (r >= 0)
                r = esp_sync_folder(folder_fd);
        return r < 0 ? io_error(error, r, "remove " STAGE_NAME) : 0;
}

static int remove_(int esp_fd, const char *image_id, const char *version, Error *error)
{
        return version ? remove_version(esp_fd, image_id, version, error) : remove_staged(esp_fd, error);
}

static int name_of(const char *image_id, const char *version, bool is_counted, unsigned left, unsigned done,
                char ret[static 256], Error *error)
{
        BootEntry entry = { .is_counted = is_counted, .tries_left = left, .tries_done = done };

        if (!image_id_is_valid(image_id) || !version_is_valid(version) || left > TRIES_MAX)
                return error_set(error, ERROR_FAILED, EINVAL,
                                "\"%s\" of \"%s\" cannot be the name of a boot entry", version, image_id);
        memcpy(entry.image_id, image_id, strlen(image_id) + 1);
        memcpy(entry.version, version, strlen(version) + 1);
        return boot_entry_format_name(&entry, ret);
}

static int sync_staged(int stage_folder_fd)
{
        _cleanup_fd_ int fd = openat(stage_folder_fd, STAGE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        struct stat status;

        if (fd < 0 || fstat(fd, &status) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode) || status.st_size == 0)
                return -ENODATA;
        return fsync(fd) < 0 ? -errno : esp_sync_folder(stage_folder_fd);
}

/* Old entries of the version go, and are gone for good, before the new one appears; so whatever a cut
 * leaves, the only entry of this version is the one whose bytes were checked. */
static int prepare_publish(int esp_fd, const char *image_id, const char *version, Error *error)
{
        _cleanup_fd_ int stage_fd = open_folder(esp_fd, STAGE_FOLDER, false), entries_fd = -1;
        int r = stage_fd < 0 ? stage_fd : sync_staged(stage_fd);

        if (r < 0)
                return io_error(error, r, "flush " STAGE_NAME);
        r = check_spelling(esp_fd, image_id, version, error);
        if (r >= 0)
                r = remove_version(esp_fd, image_id, version, error);
        if (r < 0)
                return r;
        entries_fd = open_folder(esp_fd, ENTRY_FOLDER, true);
        return entries_fd < 0 ? io_error(error, entries_fd, "make " ENTRY_FOLDER) : 0;
}

static int publish(Esp *esp, const char *image_id, const char *version, unsigned tries, Error *error)
{
        char name[256];
        int r = name_of(image_id, version, true, tries, 0, name, error);

        if (r >= 0)
                r = prepare_publish(esp_fd(esp), image_id, version, error);
        if (r < 0)
                return r;
        r = esp_move(esp, STAGE_FOLDER, STAGE_NAME, ENTRY_FOLDER, name, tries);
        return r < 0 ? io_error(error, r, "publish a boot entry") : 0;
}

static int rename_entry(Esp *esp, const BootEntry *entry, const char *name, unsigned tries, Error *error)
{
        int r;

        if (strcmp(entry->file_name, name) == 0)
                return 0;
        r = esp_move(esp, ENTRY_FOLDER, entry->file_name, ENTRY_FOLDER, name, tries);
        return r < 0 ? io_error(error, r, "rename a boot entry") : 0;
}

/* The entry of a version that the loader likes best and that has content; -ENOENT. */
static int pick(int esp_fd, const char *image_id, const char *version, BootEntry *ret, Error *error)
{
        _cleanup_free_ BootEntry *entries = NULL;
        size_t count = 0;
        int r = list_version(esp_fd, image_id, version, &entries, &count, error);

        if (r < 0)
                return r;
        if (count == 0 || is_empty(&entries[0]))
                return error_set(error, ERROR_FAILED, ENOENT, "there is no boot entry for release %s",
                                version);
        *ret = entries[0];
        return 0;
}

static int bless(Esp *esp, const char *image_id, const char *version, Error *error)
{
        _cleanup_free_ BootEntry *entries = NULL;
        BootEntry picked = { 0 };
        size_t count = 0;
        char name[256];
        int r = pick(esp_fd(esp), image_id, version, &picked, error);

        if (r >= 0)
                r = list_version(esp_fd(esp), image_id, version, &entries, &count, error);
        if (r < 0)
                return r;
        for (size_t i = 0; i < count; i++)
                if (!entries[i].is_counted && !is_empty(&entries[i]))
                        return 0;
        r = name_of(image_id, version, false, 0, 0, name, error);
        return r < 0 ? r : rename_entry(esp, &picked, name, 0, error);
}

/* Every entry of the version that the loader would still try; more than one is what a cut can leave. */
static int reject(Esp *esp, const char *image_id, const char *version, Error *error)
{
        for (unsigned i = 0; i < BOOT_ENTRIES_MAX; i++) {
                BootEntry entry = { 0 };
                char name[256];
                int r = pick(esp_fd(esp), image_id, version, &entry, error);

                if (r < 0 || is_exhausted(&entry))
                        return r;
                r = name_of(image_id, version, true, 0, MAX_OF(entry.tries_done, 1U), name, error);
                if (r >= 0)
                        r = rename_entry(esp, &entry, name, 0, error);
                if (r < 0)
                        return r;
        }
        return error_set(error, ERROR_CORRUPT, ELOOP, "the boot entries of release %s keep coming back",
                        version);
}

static int retry(Esp *esp, const char *image_id, const char *version, unsigned tries, Error *error)
{
        BootEntry entry = { 0 };
        char name[256];
        int r = pick(esp_fd(esp), image_id, version, &entry, error);

        if (r >= 0)
                r = name_of(image_id, version, true, tries, 0, name, error);
        return r < 0 ? r : rename_entry(esp, &entry, name, tries, error);
}

const BootBackend boot_backend_systemd_boot = {
        .name = "systemd-boot",
        .list = list,
        .stage = stage,
        .publish = publish,
        .remove = remove_,
        .bless = bless,
        .reject = reject,
        .retry = retry,
};

const BootBackend *boot_backend_detect(void)
{
        return &boot_backend_systemd_boot;
}
