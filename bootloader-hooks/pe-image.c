/* SPDX-License-Identifier: Apache-2.0 */
#include "pe-image.h"

#include "bytes.h"
#include "file.h"

#include <string.h>

/* Offsets (Microsoft, PE Format). */
#define DOS_SIZE 64
#define DOS_PE_OFFSET 0x3c
#define COFF_SIZE 24 /* with the signature "PE" */
#define COFF_SECTION_COUNT 6
#define COFF_OPTIONAL_SIZE 20
#define OPTIONAL_MAGIC_PLUS 0x20b
#define OPTIONAL_HEADERS_SIZE 60
#define OPTIONAL_CHECKSUM 64
#define OPTIONAL_DIRECTORY_COUNT 108
#define OPTIONAL_CERTIFICATES 144 /* data directory 4 */
#define OPTIONAL_SIZE_MIN 152
#define DIRECTORY_COUNT_MIN 5
#define DIRECTORY_SIZE 8
#define SECTION_SIZE 40
#define SECTION_NAME_SIZE 8
#define SECTION_VIRTUAL_SIZE 8
#define SECTION_RAW_SIZE 16
#define SECTION_RAW_OFFSET 20
#define SECTIONS_MAX 96

/* WIN_CERTIFICATE. */
#define CERTIFICATE_HEADER_SIZE 8
#define CERTIFICATE_REVISION 0x0200
#define CERTIFICATE_PKCS7 0x0002
#define CERTIFICATE_ALIGNMENT 8

static uint64_t align_up(uint64_t value)
{
        return (value + CERTIFICATE_ALIGNMENT - 1) / CERTIFICATE_ALIGNMENT * CERTIFICATE_ALIGNMENT;
}

static int bad(const char *what, Error *error)
{
        return error_set(error, ERROR_CORRUPT, EBADMSG, "the EFI program cannot be judged: %s", what);
}

/* The sections that have bytes follow the headers and each other; where the last one ends. */
static int check_sections(int fd, uint64_t table, unsigned count, uint64_t *end, Error *error)
{
        uint8_t section[SECTION_SIZE];

        for (unsigned i = 0; i < count; i++) {
                uint32_t raw_size;

                if (pread_full(fd, section, sizeof(section), table + (uint64_t)i * SECTION_SIZE) < 0)
                        return bad("its section table cannot be read", error);
                raw_size = read_le32(section + SECTION_RAW_SIZE);
                if (raw_size == 0)
                        continue;
                if (read_le32(section + SECTION_RAW_OFFSET) != *end)
                        return bad("there are gaps between its sections", error);
                *end += raw_size;
        }
        return 0;
}

/* Nothing, or the rest of the file. */
static int read_directory(const uint8_t *directory, uint64_t sections_end, PeImage *image, Error *error)
{
        uint64_t offset = read_le32(directory), size = read_le32(directory + 4);

        image->content_bytes = image->size_bytes;
        if (offset == 0 && size == 0)
                return 0;
        if (offset < sections_end || offset % CERTIFICATE_ALIGNMENT != 0 ||
                        size <= CERTIFICATE_HEADER_SIZE || offset + size != image->size_bytes)
                return bad("its signatures are not where they must be", error);
        if (size > PE_CERTIFICATES_MAX)
                return bad("its signatures are too large", error);
        image->content_bytes = offset;
        image->certificates_bytes = size;
        return 0;
}

int pe_image_read(int fd, PeImage *ret, Error *error)
{
        uint8_t dos[DOS_SIZE], header[COFF_SIZE + OPTIONAL_SIZE_MIN];
        const uint8_t *optional = header + COFF_SIZE;
        uint64_t at, table, end;
        PeImage image = { 0 };
        int r = fd_size(fd, &image.size_bytes);

        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the EFI program: %s", strerror(-r));
        if (pread_full(fd, dos, sizeof(dos), 0) < 0 || memcmp(dos, "MZ", 2) != 0)
                return bad("it is no PE file", error);
        at = read_le32(dos + DOS_PE_OFFSET);
        if (pread_full(fd, header, sizeof(header), at) < 0 || memcmp(header, "PE\0\0", 4) != 0)
                return bad("it is no PE file", error);
        if (read_le16(optional) != OPTIONAL_MAGIC_PLUS ||
                        read_le16(header + COFF_OPTIONAL_SIZE) < OPTIONAL_SIZE_MIN ||
                        read_le32(optional + OPTIONAL_DIRECTORY_COUNT) < DIRECTORY_COUNT_MIN)
                return bad("it is not a 64-bit program with a place for signatures", error);
        image.checksum_offset = at + COFF_SIZE + OPTIONAL_CHECKSUM;
        image.directory_offset = at + COFF_SIZE + OPTIONAL_CERTIFICATES;
        table = at + COFF_SIZE + read_le16(header + COFF_OPTIONAL_SIZE);
        image.table_offset = table;
        image.section_count = read_le16(header + COFF_SECTION_COUNT);
        end = read_le32(optional + OPTIONAL_HEADERS_SIZE);
        if (read_le16(header + COFF_SECTION_COUNT) > SECTIONS_MAX ||
                        table + (uint64_t)read_le16(header + COFF_SECTION_COUNT) * SECTION_SIZE > end)
                return bad("its section table is damaged", error);
        r = check_sections(fd, table, read_le16(header + COFF_SECTION_COUNT), &end, error);
        if (r < 0)
                return r;
        if (end > image.size_bytes)
                return bad("a section lies beyond its end", error);
        r = read_directory(optional + OPTIONAL_CERTIFICATES, end, &image, error);
        if (r >= 0)
                *ret = image;
        return r;
}

int pe_image_section_size(int fd, const PeImage *image, const char *name, uint64_t *ret)
{
        uint8_t section[SECTION_SIZE];

        for (unsigned i = 0; i < image->section_count; i++) {
                int r = pread_full(fd, section, sizeof(section),
                                image->table_offset + (uint64_t)i * SECTION_SIZE);

                if (r < 0)
                        return r;
                if (strncmp((const char *)section, name, SECTION_NAME_SIZE) != 0)
                        continue;
                *ret = MIN_OF(read_le32(section + SECTION_VIRTUAL_SIZE),
                                read_le32(section + SECTION_RAW_SIZE));
                return 0;
        }
        return -ENOENT;
}

static int hash_range(int fd, Sha256 *hash, uint64_t from, uint64_t to)
{
        _cleanup_free_ uint8_t *block = malloc(64 * KIB);

        if (!block)
                return -ENOMEM;
        while (from < to) {
                size_t size = MIN_OF(to - from, 64 * KIB);
                int r = pread_full(fd, block, size, from);

                if (r < 0)
                        return r;
                sha256_update(hash, block, size);
                from += size;
        }
        return 0;
}

int pe_image_digest(int fd, const PeImage *image, uint8_t ret[static SHA256_SIZE], Error *error)
{
        static const uint8_t zeros[CERTIFICATE_ALIGNMENT];
        _cleanup_sha256_ Sha256 *hash = sha256_new();
        uint64_t after_checksum = image->checksum_offset + 4;
        int r;

        if (!hash)
                return error_oom(error);
        r = hash_range(fd, hash, 0, image->checksum_offset);
        if (r >= 0)
                r = hash_range(fd, hash, after_checksum, image->directory_offset);
        if (r >= 0)
                r = hash_range(fd, hash, image->directory_offset + DIRECTORY_SIZE, image->content_bytes);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the EFI program: %s", strerror(-r));
        sha256_update(hash, zeros, align_up(image->content_bytes) - image->content_bytes);
        sha256_finish(hash, ret);
        return 0;
}

/* Each WIN_CERTIFICATE begins at a multiple of eight bytes. */
static int split_certificates(const uint8_t *table, size_t size, ImageSignatures *ret, Error *error)
{
        while (size > 0) {
                size_t length = size >= CERTIFICATE_HEADER_SIZE ? read_le32(table) : 0;

                if (length <= CERTIFICATE_HEADER_SIZE || length > size)
                        return bad("its signatures are damaged", error);
                if (read_le16(table + 4) == CERTIFICATE_REVISION &&
                                read_le16(table + 6) == CERTIFICATE_PKCS7) {
                        int r = image_signatures_add(ret, table + CERTIFICATE_HEADER_SIZE,
                                        length - CERTIFICATE_HEADER_SIZE);

                        if (r < 0)
                                return r == -ENOMEM ? error_oom(error)
                                                    : bad("it has too many signatures, or too large ones",
                                                                      error);
                }
                length = MIN_OF(align_up(length), size);
                table += length;
                size -= length;
        }
        return 0;
}

int pe_image_read_signatures(int fd, ImageSignatures *ret, Error *error)
{
        _cleanup_(image_signatures_done) ImageSignatures signatures = { .is_known = true };
        _cleanup_free_ uint8_t *table = NULL;
        PeImage image;
        int r = pe_image_read(fd, &image, error);

        if (r >= 0)
                r = pe_image_digest(fd, &image, signatures.digest, error);
        if (r < 0)
                return r;
        table = malloc(image.certificates_bytes + 1);
        if (!table)
                return error_oom(error);
        r = pread_full(fd, table, image.certificates_bytes, image.content_bytes);
        if (r < 0)
                return error_set(error, ERROR_IO, -r, "cannot read the EFI program: %s", strerror(-r));
        r = split_certificates(table, image.certificates_bytes, &signatures, error);
        if (r < 0)
                return r;
        *ret = signatures;
        signatures = (ImageSignatures){ 0 };
        return 0;
}

int pe_image_append_signature(int fd, const void *data, size_t size, Error *error)
{
        uint8_t header[CERTIFICATE_HEADER_SIZE], directory[DIRECTORY_SIZE],
                        zeros[CERTIFICATE_ALIGNMENT] = { 0 };
        uint64_t at, end;
        PeImage image;
        int r = pe_image_read(fd, &image, error);

        if (r < 0)
                return r;
        if (image.certificates_bytes > 0)
                return bad("it is signed already", error);
        at = align_up(image.size_bytes);
        end = at + align_up(CERTIFICATE_HEADER_SIZE + size);
        if (size > IMAGE_SIGNATURE_MAX || end > UINT32_MAX)
                return bad("it is too large to be signed", error);
        write_le32(header, (uint32_t)(CERTIFICATE_HEADER_SIZE + size));
        write_le16(header + 4, CERTIFICATE_REVISION);
        write_le16(header + 6, CERTIFICATE_PKCS7);
        write_le32(directory, (uint32_t)at);
        write_le32(directory + 4, (uint32_t)(end - at));
        r = pwrite_full(fd, zeros, at - image.size_bytes, image.size_bytes);
        if (r >= 0)
                r = pwrite_full(fd, header, sizeof(header), at);
        if (r >= 0)
                r = pwrite_full(fd, data, size, at + sizeof(header));
        if (r >= 0)
                r = pwrite_full(fd, zeros, end - at - sizeof(header) - size, at + sizeof(header) + size);
        /* The checksum no longer fits; none is better than a wrong one. */
        if (r >= 0)
                r = pwrite_full(fd, zeros, 4, image.checksum_offset);
        if (r >= 0)
                r = pwrite_full(fd, directory, sizeof(directory), image.directory_offset);
        return r < 0 ? error_set(error, r == -ENOSPC ? ERROR_NO_SPACE : ERROR_IO, -r,
                                       "cannot write the signature: %s", strerror(-r))
                     : 0;
}
