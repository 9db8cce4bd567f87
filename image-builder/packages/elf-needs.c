/* SPDX-License-Identifier: Apache-2.0 */
#include "elf-needs.h"

#include "bytes.h"
#include "strv.h"

#include <elf.h>
#include <string.h>

#define SEGMENTS_MAX 128
#define SEGMENT_SIZE 56
#define DYNAMIC_MAX ((size_t)64 * 1024)
#define DYNAMIC_ENTRY 16
#define NAME_MAX_BYTES 512

typedef struct Segment {
        uint32_t type;
        uint64_t offset, address, file_size;
} Segment;

typedef struct Elf {
        ElfRead read;
        void *data;
        Segment segments[SEGMENTS_MAX];
        size_t segment_count;
} Elf;

void elf_needs_done(ElfNeeds *needs)
{
        strv_free(needs->libraries);
        free(needs->interpreter);
        *needs = (ElfNeeds){ 0 };
}

/* False when it is none, or none that we know. */
static bool read_segments(Elf *elf)
{
        uint8_t header[64], table[SEGMENT_SIZE];
        uint64_t at;
        size_t count;

        if (elf->read(elf->data, 0, header, sizeof(header)) < 0 || memcmp(header, "\177ELF\2\1", 6) != 0)
                return false;
        at = read_le64(header + 32);
        count = read_le16(header + 56);
        if (read_le16(header + 54) != SEGMENT_SIZE || count > SEGMENTS_MAX || at > INT64_MAX / 2)
                return false;
        for (size_t i = 0; i < count; i++) {
                if (elf->read(elf->data, at + i * SEGMENT_SIZE, table, sizeof(table)) < 0)
                        return false;
                elf->segments[elf->segment_count++] = (Segment){ .type = read_le32(table),
                        .offset = read_le64(table + 8),
                        .address = read_le64(table + 16),
                        .file_size = read_le64(table + 32) };
        }
        return true;
}

static const Segment *find_segment(const Elf *elf, uint32_t type)
{
        for (size_t i = 0; i < elf->segment_count; i++)
                if (elf->segments[i].type == type)
                        return &elf->segments[i];
        return NULL;
}

/* Where in the file the byte of an address lies. */
static bool find_address(const Elf *elf, uint64_t address, uint64_t *ret)
{
        for (size_t i = 0; i < elf->segment_count; i++) {
                const Segment *segment = &elf->segments[i];

                if (segment->type != PT_LOAD || address < segment->address ||
                                address - segment->address >= segment->file_size)
                        continue;
                return !ADD_OVERFLOWS(segment->offset, address - segment->address, ret);
        }
        return false;
}

/* A text that ends within the cap, or "": the bytes behind it need not be there. */
static void read_name(const Elf *elf, uint64_t at, char ret[static NAME_MAX_BYTES])
{
        size_t size = NAME_MAX_BYTES;

        while (size > 0 && elf->read(elf->data, at, ret, size) < 0)
                size /= 2;
        if (size == 0 || !memchr(ret, 0, size))
                ret[0] = 0;
}

static int read_libraries(const Elf *elf, const uint8_t *dynamic, size_t size, char ***ret)
{
        uint64_t names = 0, at;
        size_t count = 0;
        int r = 0;

        for (size_t i = 0; i + DYNAMIC_ENTRY <= size; i += DYNAMIC_ENTRY)
                if (read_le64(dynamic + i) == DT_STRTAB)
                        names = read_le64(dynamic + i + 8);
        if (names == 0 || !find_address(elf, names, &names))
                return 0;
        for (size_t i = 0; r >= 0 && i + DYNAMIC_ENTRY <= size && count < ELF_NEEDS_MAX;
                        i += DYNAMIC_ENTRY) {
                char name[NAME_MAX_BYTES];
                uint64_t tag = read_le64(dynamic + i);

                if (tag == DT_NULL)
                        break;
                if (tag != DT_NEEDED || ADD_OVERFLOWS(names, read_le64(dynamic + i + 8), &at))
                        continue;
                read_name(elf, at, name);
                count++;
                r = name[0] ? strv_append(ret, name) : 0;
        }
        return r;
}

int elf_needs_read(ElfRead read, void *data, ElfNeeds *ret)
{
        _cleanup_(elf_needs_done) ElfNeeds needs = { 0 };
        _cleanup_free_ uint8_t *dynamic = NULL;
        Elf elf = { .read = read, .data = data };
        const Segment *interpreter, *segment;
        char path[NAME_MAX_BYTES];

        *ret = (ElfNeeds){ 0 };
        if (!read_segments(&elf))
                return 0;
        interpreter = find_segment(&elf, PT_INTERP);
        if (interpreter) {
                read_name(&elf, interpreter->offset, path);
                needs.interpreter = path[0] ? strdup(path) : NULL;
                if (path[0] && !needs.interpreter)
                        return -ENOMEM;
        }
        segment = find_segment(&elf, PT_DYNAMIC);
        if (segment && segment->file_size <= DYNAMIC_MAX) {
                dynamic = malloc(segment->file_size + 1);
                if (!dynamic)
                        return -ENOMEM;
                if (read(data, segment->offset, dynamic, segment->file_size) >= 0 &&
                                read_libraries(&elf, dynamic, segment->file_size, &needs.libraries) < 0)
                        return -ENOMEM;
        }
        *ret = needs;
        needs = (ElfNeeds){ 0 };
        return 0;
}
