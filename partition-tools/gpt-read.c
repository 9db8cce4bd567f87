/* SPDX-License-Identifier: Apache-2.0 */
#include "gpt.h"

#include "bytes.h"
#include "file.h"
#include "gpt-codec.h"
#include "gpt-format.h"

#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* The disk while its copies are looked for. */
typedef struct Reader {
        int fd;
        unsigned sector_size_bytes;
        uint64_t sectors;
} Reader;

typedef struct Copy {
        int result; /* 0, -ENODATA or -EBADMSG, or an I/O error */
        const char *reason;
        GptHeader header;
        uint8_t *entries; /* owned */
} Copy;

static void copy_done(Copy *copy)
{
        free(copy->entries);
}

const char *gpt_copy_state_name(GptCopyState state)
{
        static const char *const names[] = {
                [GPT_COPY_GOOD] = "good",
                [GPT_COPY_ABSENT] = "absent",
                [GPT_COPY_DAMAGED] = "damaged",
                [GPT_COPY_ASTRAY] = "astray",
        };

        return (unsigned)state < ELEMENTS(names) ? names[state] : "damaged";
}

bool gpt_report_is_good(const GptReport *report)
{
        return report->primary == GPT_COPY_GOOD && report->backup == GPT_COPY_GOOD &&
               report->has_protective_mbr && report->has_right_mbr_size;
}

static bool has_magic_at(int fd, uint64_t offset)
{
        uint8_t magic[GPT_MAGIC_SIZE];

        return pread_full(fd, magic, sizeof(magic), offset) >= 0 &&
               memcmp(magic, GPT_MAGIC, sizeof(magic)) == 0;
}

int gpt_sector_size(int fd, unsigned *ret_bytes)
{
        static const unsigned sizes[] = { 512, 4096 };
        struct stat status;
        uint64_t size_bytes;
        int r, sector_size;

        if (fstat(fd, &status) < 0)
                return -errno;
        if (S_ISBLK(status.st_mode)) {
                if (ioctl(fd, BLKSSZGET, &sector_size) < 0)
                        return -errno;
                *ret_bytes = (unsigned)sector_size;
                return 0;
        }
        r = fd_size(fd, &size_bytes);
        if (r < 0)
                return r;
        *ret_bytes = 512;
        for (size_t i = 0; i < ELEMENTS(sizes); i++)
                if (has_magic_at(fd, sizes[i])) {
                        *ret_bytes = sizes[i];
                        return 0;
                }
        for (size_t i = 0; i < ELEMENTS(sizes); i++)
                if (size_bytes > 4096 && has_magic_at(fd, size_bytes - sizes[i])) {
                        *ret_bytes = sizes[i];
                        return 0;
                }
        return 0;
}

static int read_entries(const Reader *reader, Copy *copy)
{
        size_t size = (size_t)copy->header.entry_count * GPT_ENTRY_SIZE;

        copy->entries = malloc(size);
        if (!copy->entries)
                return -ENOMEM;
        return pread_full(reader->fd, copy->entries, size,
                        copy->header.entries_lba * reader->sector_size_bytes);
}

static void copy_read(const Reader *reader, uint64_t lba, Copy *ret)
{
        uint8_t sector[512];

        ret->reason = "it cannot be read";
        ret->result = -EBADMSG;
        if (lba == 0 || lba >= reader->sectors) {
                ret->reason = "it does not lie on the disk";
                return;
        }
        ret->result = pread_full(reader->fd, sector, sizeof(sector), lba * reader->sector_size_bytes);
        if (ret->result < 0)
                return;
        ret->result = gpt_header_decode(
                        sector, lba, reader->sectors, reader->sector_size_bytes, &ret->header, &ret->reason);
        if (ret->result < 0)
                return;
        ret->reason = "its entries cannot be read";
        ret->result = read_entries(reader, ret);
        if (ret->result < 0)
                return;
        ret->reason = "the checksum of its entries is wrong";
        if (gpt_crc32(ret->entries, (size_t)ret->header.entry_count * GPT_ENTRY_SIZE) !=
                        ret->header.entries_crc)
                ret->result = -EBADMSG;
}

static GptCopyState copy_state(const Copy *copy)
{
        if (copy->result >= 0)
                return GPT_COPY_GOOD;
        return copy->result == -ENODATA ? GPT_COPY_ABSENT : GPT_COPY_DAMAGED;
}

static bool copies_agree(const Copy *a, const Copy *b)
{
        return a->header.alternate_lba == b->header.my_lba && b->header.alternate_lba == a->header.my_lba &&
               a->header.first_usable_lba == b->header.first_usable_lba &&
               a->header.last_usable_lba == b->header.last_usable_lba &&
               a->header.entry_count == b->header.entry_count &&
               a->header.entries_crc == b->header.entries_crc &&
               memcmp(a->header.disk_uuid, b->header.disk_uuid, UUID_SIZE) == 0;
}

static void look_at_mbr(const Reader *reader, GptReport *report)
{
        uint8_t mbr[MBR_SIZE];

        if (pread_full(reader->fd, mbr, sizeof(mbr), 0) < 0 || mbr[MBR_SIGNATURE_AT] != 0x55 ||
                        mbr[MBR_SIGNATURE_AT + 1] != 0xaa)
                return;
        for (size_t i = 0; i < MBR_ENTRY_COUNT; i++) {
                const uint8_t *entry = mbr + MBR_ENTRY_AT + i * MBR_ENTRY_SIZE;

                if (entry[MBR_ENTRY_TYPE_AT] != MBR_TYPE_PROTECTIVE ||
                                read_le32(entry + MBR_ENTRY_FIRST_AT) != 1)
                        continue;
                report->has_protective_mbr = true;
                report->has_right_mbr_size = read_le32(entry + MBR_ENTRY_COUNT_AT) ==
                                             (uint32_t)MIN_OF(reader->sectors - 1, UINT32_MAX);
        }
}

/* The backup belongs to the last sector. A disk that has grown still has it where the primary says: worth
 * telling from one that is gone, since nothing is lost then, and from one that an older table left behind.
 */
static GptReport make_report(const Reader *reader, const Copy *primary, const Copy *backup)
{
        GptReport report = {
                .primary = copy_state(primary),
                .backup = copy_state(backup),
        };
        _cleanup_(copy_done) Copy former = { 0 };

        look_at_mbr(reader, &report);
        if (primary->result < 0)
                return report;
        if (backup->result >= 0 && copies_agree(primary, backup)) {
                report.backup_agrees = true;
                return report;
        }
        if (backup->result >= 0)
                report.backup = GPT_COPY_ASTRAY;
        if (primary->header.alternate_lba == reader->sectors - 1)
                return report;
        copy_read(reader, primary->header.alternate_lba, &former);
        if (former.result >= 0) {
                report.backup = GPT_COPY_ASTRAY;
                report.backup_agrees = copies_agree(primary, &former);
        }
        return report;
}

static Gpt *gpt_new(const Reader *reader, Copy *copy, GptReport report)
{
        Gpt *gpt = calloc(1, sizeof(*gpt));

        if (!gpt)
                return NULL;
        *gpt = (Gpt){
                .sector_size_bytes = reader->sector_size_bytes,
                .disk_sectors = reader->sectors,
                .first_usable_lba = copy->header.first_usable_lba,
                .last_usable_lba = copy->header.last_usable_lba,
                .primary_entries_lba = copy->header.my_lba == 1 ? copy->header.entries_lba : 2,
                .entry_count = copy->header.entry_count,
                .entries = TAKE_PTR(copy->entries),
                .report = report,
        };
        memcpy(gpt->disk_uuid, copy->header.disk_uuid, UUID_SIZE);
        return gpt;
}

Gpt *gpt_free(Gpt *gpt)
{
        if (gpt)
                free(gpt->entries);
        free(gpt);
        return NULL;
}

static int reader_init(Reader *reader, int fd, unsigned sector_size_bytes, Error *error)
{
        uint64_t size_bytes;
        int r = fd_size(fd, &size_bytes);

        if (r >= 0 && sector_size_bytes == 0)
                r = gpt_sector_size(fd, &sector_size_bytes);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot find out the size of the disk: %s",
                                strerror(-r));
        if (sector_size_bytes < 512 || sector_size_bytes > 65536)
                return error_set(error, ERROR_INCOMPATIBLE, ENOTSUP, "sectors of %u bytes are not supported",
                                sector_size_bytes);
        *reader = (Reader){ fd, sector_size_bytes, size_bytes / sector_size_bytes };
        return 0;
}

int gpt_read(int fd, unsigned sector_size_bytes, Gpt **ret, Error *error)
{
        _cleanup_(copy_done) Copy primary = { 0 }, backup = { 0 };
        Reader reader = { 0 };
        GptReport report;
        Copy *best;
        int r = reader_init(&reader, fd, sector_size_bytes, error);

        if (r < 0)
                return r;
        copy_read(&reader, 1, &primary);
        copy_read(&reader, reader.sectors > 0 ? reader.sectors - 1 : 0, &backup);
        if (primary.result == -ENOMEM || backup.result == -ENOMEM)
                return error_oom(error);
        best = primary.result >= 0 ? &primary : &backup;
        if (best->result < 0) {
                bool nothing = primary.result == -ENODATA && backup.result == -ENODATA;

                if (nothing)
                        return error_set(error, ERROR_CORRUPT, ENODATA, "there is no GUID partition table");
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "the partition table is lost: primary copy: %s; backup copy: %s",
                                primary.reason, backup.reason);
        }
        report = make_report(&reader, &primary, &backup);
        *ret = gpt_new(&reader, best, report);
        return *ret ? 0 : error_oom(error);
}
