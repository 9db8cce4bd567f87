/* SPDX-License-Identifier: Apache-2.0 */
#include "installer-disk.h"

#include "esp-file.h"
#include "file.h"
#include "medium.h"
#include "sparse.h"

#include <fcntl.h>
#include <string.h>

#define ESP_OVERHEAD (8 * MIB)  /* tables, folders, the boot loader twice, keys, and a file with answers */
#define ESP_SIZE_MIN (40 * MIB) /* room for FAT32 on sectors of 512 bytes */

/* A file of the scratch folder that goes to the medium. */
typedef struct Piece {
        const char *name;
        unsigned sector_size_bytes;
        uint64_t at;
        bool is_target; /* the ESP of an installed host; else one to start the installer from */
} Piece;

static int read_table(int fd, Gpt **ret, Error *error)
{
        _cleanup_(gpt_freep) Gpt *gpt = NULL;
        int r = gpt_read(fd, 512, &gpt, error);

        if (r >= 0)
                r = gpt_check(gpt, error);
        if (r < 0)
                return error_prefix(error, r, "the disk image");
        *ret = TAKE_PTR(gpt);
        return 0;
}

static int make_esp(const InstallerParts *parts, const Piece *piece, uint64_t size_bytes, const char *path,
                const char *scratch, int log_fd, Error *error)
{
        EspFile esp = { .size_bytes = size_bytes,
                .sector_size_bytes = piece->sector_size_bytes,
                .uki_path = parts->uki_path,
                .boot_loader_path = parts->disk->boot_loader_path,
                .enroll_folder = parts->disk->enroll_folder,
                .entry_name = INSTALLER_ENTRY,
                .epoch = parts->disk->epoch };

        if (piece->is_target)
                return raw_disk_make_esp(
                                parts->disk, piece->sector_size_bytes, path, scratch, log_fd, error);
        raw_disk_uuid("installer-serial", parts->disk->root_hash, esp.seed);
        return esp_file_make(&esp, path, scratch, log_fd, error);
}

static int add_piece(const InstallerParts *parts, const Piece *piece, uint64_t size_bytes, int medium_fd,
                const char *scratch, int log_fd, Error *error)
{
        _cleanup_free_ char *path = path_join(scratch, piece->name);
        _cleanup_fd_ int fd = -1;
        uint64_t size;
        int r;

        if (!path)
                return error_oom(error);
        r = make_esp(parts, piece, size_bytes, path, scratch, log_fd, error);
        if (r < 0)
                return r;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? -errno : fd_size(fd, &size);
        if (r >= 0)
                r = sparse_copy(fd, 0, medium_fd, piece->at, size);
        (void)unlink(path);
        return r < 0 ? error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r,
                                       "cannot write the installer: %s", strerror(-r))
                     : 0;
}

/* Not the table, of which the medium has its own. */
static int copy_disk(int from_fd, const Gpt *gpt, int fd, Error *error)
{
        uint64_t begin = gpt->first_usable_lba * gpt->sector_size_bytes,
                 end = (gpt->last_usable_lba + 1) * gpt->sector_size_bytes;
        int r = sparse_copy(from_fd, begin, fd, begin, end - begin);

        return r < 0 ? error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r,
                                       "cannot write the installer: %s", strerror(-r))
                     : 0;
}

static int fill(const InstallerParts *parts, Gpt *gpt, const MediumPlan *plan, int fd, const char *scratch,
                int log_fd, Error *error)
{
        const Piece pieces[] = {
                { "esp-4096", 4096, plan->target_esp_4096_at, true },
                { "installer-512", 512, plan->esp_at, false },
                { "installer-4096", 4096, plan->esp_at_4096, false },
        };
        uint8_t uuids[3][UUID_SIZE];
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(pieces); i++)
                r = add_piece(parts, &pieces[i], plan->esp_size_bytes, fd, scratch, log_fd, error);
        if (r < 0)
                return r;
        raw_disk_uuid("installer-512", parts->disk->root_hash, uuids[0]);
        raw_disk_uuid("installer-4096", parts->disk->root_hash, uuids[1]);
        raw_disk_uuid("installer-esp-4096", parts->disk->root_hash, uuids[2]);
        raw_disk_uuid("installer-disk", parts->disk->root_hash, gpt->disk_uuid);
        return medium_write_tables(fd, gpt, plan, uuids, error);
}

int installer_disk_write(
                const InstallerParts *parts, const char *path, const char *scratch, int log_fd, Error *error)
{
        uint64_t esp_size = MAX_OF(parts->uki_size_bytes + ESP_OVERHEAD, ESP_SIZE_MIN);
        _cleanup_fd_ int disk_fd = open(parts->disk_path, O_RDONLY | O_CLOEXEC), fd = -1;
        _cleanup_(gpt_freep) Gpt *gpt = NULL;
        MediumPlan plan;
        int r;

        if (disk_fd < 0)
                return error_set(error, ERROR_IO, errno, "cannot open %s: %s", parts->disk_path,
                                strerror(errno));
        r = read_table(disk_fd, &gpt, error);
        if (r >= 0)
                r = medium_plan(gpt, (esp_size + MIB - 1) / MIB * MIB, &plan, error);
        if (r >= 0)
                r = sparse_make_file(path, plan.size_bytes, &fd, error);
        if (r >= 0)
                r = copy_disk(disk_fd, gpt, fd, error);
        return r < 0 ? r : fill(parts, gpt, &plan, fd, scratch, log_fd, error);
}
