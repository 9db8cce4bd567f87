/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-shape.h"

#include "byte-reader.h"

#include <elf.h>
#include <string.h>

#define SHAPE_ELF 1 /* the first byte */

/* The numbers of a table go one after the other through number(), which foretells each: when writing, what
 * is different is noted as the distance from the last one noted and the difference; when reading, the note
 * is added to what was foretold. */
typedef struct Notes {
        Buffer *written;   /* NULL when reading */
        ByteReader reader; /* when reading */
        uint64_t count;    /* notes written; or left to read, the next one included */
        uint64_t gap;      /* numbers since the last note; or until the next one */
        int64_t difference;
        int result; /* the first failure */
} Notes;

static void next_note(Notes *notes)
{
        if (notes->count == 0)
                return;
        if (reader_varint(&notes->reader, &notes->gap) < 0 ||
                        reader_signed_varint(&notes->reader, &notes->difference) < 0) {
                notes->result = -EBADMSG;
                notes->count = 0;
        }
}

static void write_number(Notes *notes, uint64_t difference)
{
        int r;

        if (difference == 0) {
                notes->gap++;
                return;
        }
        r = buffer_append_varint(notes->written, notes->gap);
        if (r >= 0)
                r = buffer_append_signed_varint(notes->written, (int64_t)difference);
        if (r < 0 && notes->result >= 0)
                notes->result = r;
        notes->gap = 0;
        notes->count++;
}

static uint64_t number(Notes *notes, uint64_t foretold, uint64_t actual)
{
        if (notes->written) {
                write_number(notes, actual - foretold);
                return actual;
        }
        if (notes->count == 0)
                return foretold;
        if (notes->gap > 0) {
                notes->gap--;
                return foretold;
        }
        foretold += (uint64_t)notes->difference;
        notes->count--;
        next_note(notes);
        return foretold;
}

/* Sections with a counterpart in the order in which those lie in the old file, then the others. */
static void layout_order(const PatchElf *old_elf, const PatchElf *new_elf, uint16_t *order)
{
        size_t count = 0;

        for (uint16_t i = 0; i < new_elf->section_count; i++) {
                const PatchSection *section = &new_elf->sections[i];
                size_t at = count++;
                uint64_t offset;

                order[at] = i;
                if (section->counterpart == PATCH_NO_SECTION)
                        continue;
                offset = old_elf->sections[section->counterpart].offset;
                for (; at > 0; at--) {
                        const PatchSection *before = &new_elf->sections[order[at - 1]];

                        if (before->counterpart != PATCH_NO_SECTION &&
                                        old_elf->sections[before->counterpart].offset <= offset)
                                break;
                        order[at] = order[at - 1];
                }
                order[at] = i;
        }
}

static uint64_t align_up(uint64_t value, uint64_t align)
{
        return align > 1 && align <= UINT64_MAX - value ? (value + align - 1) / align * align : value;
}

/* Where something lies that followed the place old_end, which is new_end now. */
static uint64_t follow(uint64_t old_offset, uint64_t align, uint64_t old_end, uint64_t new_end)
{
        if (old_offset == align_up(old_end, align))
                return align_up(new_end, align);
        return old_offset + (new_end - old_end);
}

static uint16_t to_new(const PatchElf *old_elf, uint32_t old_index)
{
        return old_index < old_elf->section_count ? old_elf->sections[old_index].counterpart
                                                  : PATCH_NO_SECTION;
}

static uint32_t foretell_index(const PatchElf *old_elf, uint32_t old_index)
{
        uint16_t index = to_new(old_elf, old_index);

        return index == PATCH_NO_SECTION ? old_index : index;
}

static void section_numbers(Notes *notes, const PatchElf *old_elf, const PatchSection *old_section,
                PatchSection *section, uint64_t *old_end, uint64_t *new_end)
{
        bool refers = old_section->type == SHT_RELA || old_section->type == SHT_REL ||
                      old_section->flags & SHF_INFO_LINK;

        section->size_bytes = number(notes, old_section->size_bytes, section->size_bytes);
        section->align = number(notes, old_section->align, section->align);
        section->offset = number(notes, follow(old_section->offset, section->align, *old_end, *new_end),
                        section->offset);
        section->flags = number(notes, old_section->flags, section->flags);
        section->sh_address = number(notes,
                        old_section->sh_address +
                                        (section->flags & SHF_ALLOC && old_section->sh_address > 0
                                                                        ? section->offset -
                                                                                          old_section->offset
                                                                        : 0),
                        section->sh_address);
        section->name_at = (uint32_t)number(notes, old_section->name_at, section->name_at);
        section->type = (uint32_t)number(notes, old_section->type, section->type);
        section->link = (uint32_t)number(notes, foretell_index(old_elf, old_section->link), section->link);
        section->info = (uint32_t)number(notes,
                        refers ? foretell_index(old_elf, old_section->info) : old_section->info,
                        section->info);
        section->entry_size = number(notes, old_section->entry_size, section->entry_size);
        if (section->type != SHT_NULL) {
                bool file = section->type != SHT_NOBITS;

                *old_end = old_section->offset + (file ? old_section->size_bytes : 0);
                *new_end = section->offset + (file ? section->size_bytes : 0);
        }
}

static int all_numbers(Notes *notes, const PatchElf *old_elf, PatchElf *new_elf)
{
        static const PatchSection none = { 0 };
        _cleanup_free_ uint16_t *order = calloc(new_elf->section_count, sizeof(uint16_t));
        uint64_t old_end = PATCH_ELF_HEADER_SIZE, new_end = PATCH_ELF_HEADER_SIZE;

        if (!order)
                return -ENOMEM;
        layout_order(old_elf, new_elf, order);
        for (size_t i = 0; i < new_elf->section_count; i++) {
                PatchSection *section = &new_elf->sections[order[i]];

                section_numbers(notes, old_elf,
                                section->counterpart == PATCH_NO_SECTION
                                                ? &none
                                                : &old_elf->sections[section->counterpart],
                                section, &old_end, &new_end);
        }
        new_elf->sections_at = number(
                        notes, follow(old_elf->sections_at, 8, old_end, new_end), new_elf->sections_at);
        new_elf->programs_at = number(notes, old_elf->programs_at, new_elf->programs_at);
        new_elf->program_count = (uint16_t)number(notes, old_elf->program_count, new_elf->program_count);
        new_elf->names_index = (uint16_t)number(
                        notes, foretell_index(old_elf, old_elf->names_index), new_elf->names_index);
        new_elf->entry = number(notes, old_elf->entry, new_elf->entry);
        return notes->result;
}

/* Runs of new sections whose counterparts follow each other, or that have none: varint length, varint first
 * old section + 1, or 0. A last run that reaches the end is left out when it is the identity. */
static int write_counterparts(const PatchElf *new_elf, Buffer *ret)
{
        const PatchSection *s = new_elf->sections;
        int r = 0;

        for (size_t i = 0; i < new_elf->section_count && r >= 0;) {
                uint16_t first = s[i].counterpart;
                size_t length = 1;

                while (i + length < new_elf->section_count &&
                                s[i + length].counterpart ==
                                                (first == PATCH_NO_SECTION ? first : first + length))
                        length++;
                r = buffer_append_varint(ret, length);
                if (r >= 0)
                        r = buffer_append_varint(ret, first == PATCH_NO_SECTION ? 0 : (uint64_t)first + 1);
                i += length;
        }
        return r;
}

static int take_run(ByteReader *reader, PatchElf *old_elf, PatchElf *new_elf, size_t *at)
{
        uint64_t length, first;

        if (reader_varint(reader, &length) < 0 || reader_varint(reader, &first) < 0 || length == 0 ||
                        length > new_elf->section_count - *at || first > old_elf->section_count ||
                        (first > 0 && length > old_elf->section_count - (first - 1)))
                return -EBADMSG;
        for (uint64_t i = 0; i < length; i++, (*at)++) {
                uint16_t old_index = (uint16_t)(first - 1 + i);

                if (first == 0)
                        continue;
                if (old_elf->sections[old_index].counterpart != PATCH_NO_SECTION)
                        return -EBADMSG;
                new_elf->sections[*at].counterpart = old_index;
                old_elf->sections[old_index].counterpart = (uint16_t)*at;
        }
        return 0;
}

/* Finds counterparts by name, each old section at most once: first at the same index, then in order. */
static void find_counterparts(PatchElf *old_elf, PatchElf *new_elf)
{
        for (uint16_t i = 0; i < new_elf->section_count; i++) {
                PatchSection *section = &new_elf->sections[i];

                for (uint16_t k = 0; k < old_elf->section_count; k++) {
                        uint16_t index = (uint16_t)((i + k) % old_elf->section_count);
                        PatchSection *other = &old_elf->sections[index];

                        if (other->counterpart == PATCH_NO_SECTION && other->type == section->type &&
                                        strcmp(other->name, section->name) == 0) {
                                other->counterpart = i;
                                section->counterpart = index;
                                break;
                        }
                }
        }
}

int patch_shape_write(PatchElf *old_elf, PatchElf *new_elf, Buffer *ret, Error *error)
{
        _cleanup_buffer_ Buffer written = BUFFER_WITH_CAP(PATCH_SHAPE_MAX);
        Notes notes = { .written = &written };
        int r;

        find_counterparts(old_elf, new_elf);
        r = buffer_append_byte(ret, SHAPE_ELF);
        if (r >= 0)
                r = buffer_append_varint(ret, new_elf->section_count);
        if (r >= 0)
                r = write_counterparts(new_elf, ret);
        if (r >= 0)
                r = all_numbers(&notes, old_elf, new_elf);
        if (r >= 0)
                r = buffer_append_varint(ret, notes.count);
        if (r >= 0)
                r = buffer_append(ret, written.data, written.size);
        return r == -ENOMEM ? error_oom(error) : r;
}

static bool all_within(const PatchElf *elf)
{
        const uint64_t end = elf->file_size_bytes;

        for (size_t i = 0; i < elf->section_count; i++) {
                const PatchSection *s = &elf->sections[i];

                if (s->type != SHT_NOBITS && s->type != SHT_NULL &&
                                (s->offset > end || s->size_bytes > end - s->offset))
                        return false;
        }
        return elf->program_count <= PATCH_PROGRAMS_MAX && elf->names_index < elf->section_count &&
               elf->sections_at <= end &&
               (uint64_t)elf->section_count * PATCH_ELF_SECTION_SIZE <= end - elf->sections_at &&
               elf->programs_at <= end &&
               (uint64_t)elf->program_count * PATCH_ELF_PROGRAM_SIZE <= end - elf->programs_at;
}

static int read_numbers(ByteReader *reader, const PatchElf *old_elf, PatchElf *elf)
{
        Notes notes = { 0 };
        int r;

        if (reader_varint(reader, &notes.count) < 0)
                return -EBADMSG;
        notes.reader = *reader;
        next_note(&notes);
        r = all_numbers(&notes, old_elf, elf);
        if (r < 0)
                return r;
        *reader = notes.reader;
        return notes.count > 0 || !all_within(elf) ? -EBADMSG : 0;
}

static int read_shape(ByteReader *reader, PatchElf *old_elf, PatchElf *elf)
{
        uint64_t count;
        uint8_t tag;
        size_t at = 0;
        int r = 0;

        if (reader_byte(reader, &tag) < 0 || tag != SHAPE_ELF || reader_varint(reader, &count) < 0 ||
                        count < 2 || count > PATCH_SECTIONS_MAX)
                return -EBADMSG;
        elf->section_count = (uint16_t)count;
        elf->sections = calloc(count, sizeof(PatchSection));
        if (!elf->sections)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++)
                elf->sections[i].counterpart = PATCH_NO_SECTION;
        while (at < count && r >= 0)
                r = take_run(reader, old_elf, elf, &at);
        if (r >= 0)
                r = read_numbers(reader, old_elf, elf);
        return r < 0 ? r : patch_elf_arrange(elf);
}

int patch_shape_read(
                PatchElf *old_elf, uint64_t new_size, ByteReader *reader, PatchElf *ret_new, Error *error)
{
        PatchElf elf = { .type = old_elf->type, .machine = old_elf->machine, .file_size_bytes = new_size };
        int r = read_shape(reader, old_elf, &elf);

        if (r < 0) {
                patch_elf_done(&elf);
                return r == -ENOMEM ? error_oom(error)
                                    : error_set(error, ERROR_CORRUPT, EBADMSG,
                                                      "the shape of a patched file is malformed");
        }
        *ret_new = elf;
        return 0;
}
