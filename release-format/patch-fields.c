/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-fields.h"

#include "bytes.h"
#include "patch-reloc.h"
#include "patch-shape.h"
#include "patch-walk.h"

#include <elf.h>
#include <string.h>

#define WINDOW_SIZE (64 * KIB)
#define SHARED_LOG2 17               /* slots of what is learned for all files */
#define TABLE_SECTION_MAX (16 * MIB) /* read-only data in which jump tables are looked for */
#define RELOCATED_MAX (64 * MIB)     /* span of data that is told apart by its relocations */

PatchShared *patch_shared_new(void)
{
        PatchShared *shared = calloc(1, sizeof(*shared));

        if (!shared)
                return NULL;
        shared->learned = patch_learned_new(SHARED_LOG2);
        return shared->learned ? shared : patch_shared_free(shared);
}

PatchShared *patch_shared_free(PatchShared *shared)
{
        if (shared) {
                (void)patch_learned_free(shared->learned);
                free(shared->types.runs);
                free(shared->strings.runs);
                free(shared);
        }
        return NULL;
}

static unsigned learned_log2(uint64_t old_size)
{
        unsigned log2 = 10;

        while (log2 < 17 && (uint64_t)256 << log2 < old_size)
                log2++;
        return log2;
}

uint64_t patch_shared_memory_bytes(void)
{
        return sizeof(PatchShared) + 64 + (UINT64_C(8) << SHARED_LOG2) + 65 * KIB +
               2 * (PATCH_BTF_RUNS_MAX + 1) * sizeof(PatchRun);
}

uint64_t patch_fields_memory_bytes(uint64_t old_size_bytes, uint64_t new_size_bytes, size_t segment_count)
{
        (void)new_size_bytes;
        return sizeof(PatchFields) + 64 + WINDOW_SIZE + PATCH_REFERENCES * sizeof(PatchReference) +
               2 * PATCH_SECTIONS_MAX * (sizeof(PatchSection) + 4) +
               (PATCH_SECTIONS_MAX + PATCH_REGIONS_BESIDES) * sizeof(PatchRegion) +
               patch_projection_memory_bytes(segment_count) + (UINT64_C(8) << learned_log2(old_size_bytes)) +
               65 * KIB + MIN_OF(old_size_bytes, (uint64_t)TABLE_SECTION_MAX) / 32 +
               MIN_OF(2 * old_size_bytes, (uint64_t)RELOCATED_MAX) / 64 + old_size_bytes / 64 +
               MIN_OF(old_size_bytes / 12, 512 * KIB) +
               4 * MIN_OF(old_size_bytes / 12, (uint64_t)PATCH_BTF_TYPES_MAX) +
               MIN_OF(segment_count, (size_t)PATCH_BTF_RUNS_MAX) * sizeof(PatchRun) + 2048;
}

static bool is_kernel(const PatchElf *elf)
{
        return elf->type == ET_EXEC && elf->machine == EM_X86_64 && elf->entry < UINT32_MAX &&
               elf->by_address_count > 0 &&
               elf->sections[elf->by_address[elf->by_address_count - 1]].address >> 31 == UINT64_MAX >> 31;
}

static bool is_understood(const PatchElf *elf)
{
        return (elf->type == ET_EXEC || elf->type == ET_DYN || elf->type == ET_REL) &&
               (elf->machine == EM_X86_64 || elf->machine == EM_AARCH64);
}

/* The part on BTF: 1 and what patch-btf-shape.c writes; or 0. */
static int describe_btf(const PatchView *old_file, const PatchView *new_file, const PatchElf *old_elf,
                const PatchElf *new_elf, const PatchSegment *segments, size_t count, Buffer *ret,
                Error *error)
{
        _cleanup_(patch_btf_done) PatchBtf old_btf = { 0 }, new_btf = { 0 };
        int r = patch_btf_read(old_file, old_elf, &old_btf, error);

        if (r > 0)
                r = patch_btf_read(new_file, new_elf, &new_btf, error);
        if (r > 0 && old_elf->sections[old_btf.section].counterpart != new_btf.section)
                r = 0;
        if (r <= 0)
                return r < 0 ? r : buffer_append_byte(ret, 0);
        r = patch_btf_infer_bases(old_file, &old_btf, error);
        if (r >= 0)
                r = patch_btf_infer_bases(new_file, &new_btf, error);
        if (r >= 0)
                r = buffer_append_byte(ret, 1);
        return r < 0 ? r : patch_btf_write_shape(&old_btf, &new_btf, segments, count, ret);
}

int patch_fields_describe(const PatchView *old_file, const PatchView *new_file, const PatchSegment *segments,
                size_t count, Buffer *ret, Error *error)
{
        _cleanup_(patch_elf_done) PatchElf old_elf = { 0 }, new_elf = { 0 };
        _cleanup_buffer_ Buffer shape = BUFFER_WITH_CAP(PATCH_SHAPE_MAX);
        int r = patch_elf_read(old_file, &old_elf, error);

        if (r <= 0 || !is_understood(&old_elf))
                return MIN_OF(r, 0);
        r = patch_elf_read(new_file, &new_elf, error);
        if (r <= 0 || new_elf.type != old_elf.type || new_elf.machine != old_elf.machine)
                return MIN_OF(r, 0);
        r = patch_shape_write(&old_elf, &new_elf, &shape, error);
        if (r >= 0)
                r = describe_btf(old_file, new_file, &old_elf, &new_elf, segments, count, &shape, error);
        if (r == -E2BIG)
                return 0;
        if (r >= 0)
                r = buffer_append(ret, shape.data, shape.size);
        return r < 0 ? r : 1;
}

/* Where code refers to in the read-only data is noted as it is met, for its jump tables. */
static int prepare_tables(PatchFields *fields, Error *error)
{
        for (size_t i = 0; i < fields->region_count; i++) {
                const PatchRegion *region = &fields->regions[i];
                uint64_t size = region->end - region->start;

                if (region->role != PATCH_ROLE_JUMP_TABLES || size > TABLE_SECTION_MAX)
                        continue;
                fields->table_section = region->section;
                fields->table_starts = calloc(1, size / 32 + 1);
                return fields->table_starts ? 0 : error_oom(error);
        }
        fields->table_section = PATCH_NO_SECTION;
        return 0;
}

static int mark_relocated(PatchFields *fields, const PatchRegion *region, Error *error)
{
        const uint8_t *p;

        for (uint64_t at = region->start; at + PATCH_ELF_RELA_SIZE <= region->end;
                        at += PATCH_ELF_RELA_SIZE) {
                uint64_t address;
                int r = patch_walk_bytes(fields, at, PATCH_ELF_RELA_SIZE, &p, error);

                if (r < 0)
                        return r;
                address = read_le64(p) - fields->relocated_first;
                if (address < fields->relocated_end - fields->relocated_first)
                        fields->relocated[address / 64] |= (uint8_t)(1 << address / 8 % 8);
        }
        return 0;
}

/* A shared object has a relocation for each address in its data, so these are told from other numbers. */
static int prepare_relocated(PatchFields *fields, Error *error)
{
        const PatchElf *elf = &fields->old_elf;
        uint64_t first = UINT64_MAX, end = 0;
        int r = 0;

        if (elf->type != ET_DYN)
                return 0;
        for (size_t i = 0; i < fields->region_count; i++) {
                const PatchRegion *region = &fields->regions[i];

                if (region->role != PATCH_ROLE_POINTERS)
                        continue;
                first = MIN_OF(first, elf->sections[region->section].address);
                end = MAX_OF(end, elf->sections[region->section].address + (region->end - region->start));
        }
        if (first >= end || end - first > MIN_OF(2 * elf->file_size_bytes, (uint64_t)RELOCATED_MAX))
                return 0;
        first &= ~UINT64_C(7);
        fields->relocated = calloc(1, (end - first) / 64 + 1);
        if (!fields->relocated)
                return error_oom(error);
        fields->relocated_first = first;
        fields->relocated_end = end;
        for (size_t i = 0; i < fields->region_count && r >= 0; i++)
                if (fields->regions[i].role == PATCH_ROLE_RELA)
                        r = mark_relocated(fields, &fields->regions[i], error);
        return r;
}

static int malformed(Error *error)
{
        return error_set(error, ERROR_CORRUPT, EBADMSG, "the shape of a patched file is malformed");
}

/* Keeps what became of the kernel's numbers, for its modules. */
static int share_btf(PatchFields *fields, Error *error)
{
        PatchShared *shared = fields->shared;
        uint64_t end = fields->old_btf.strings_end;

        free(shared->types.runs);
        free(shared->strings.runs);
        shared->types = shared->strings = (PatchRuns){ 0 };
        shared->types.runs = malloc((fields->types.count + 1) * sizeof(PatchRun));
        shared->strings.runs = malloc(
                        (MIN_OF(fields->segment_count, (size_t)PATCH_BTF_RUNS_MAX) + 1) * sizeof(PatchRun));
        if (!shared->types.runs || !shared->strings.runs)
                return error_oom(error);
        memcpy(shared->types.runs, fields->types.runs, fields->types.count * sizeof(PatchRun));
        shared->types.count = fields->types.count;
        for (size_t i = 0; i < fields->segment_count && shared->strings.count < PATCH_BTF_RUNS_MAX; i++) {
                const PatchSegment *s = &fields->segments[i];
                uint64_t from = MAX_OF(s->old_offset, fields->old_btf.strings_at);
                uint64_t to = MIN_OF(s->old_offset + s->size_bytes, end);
                uint64_t new_from = from - s->old_offset + s->new_offset;

                if (from < to && new_from >= fields->new_btf.strings_at &&
                                new_from < fields->new_btf.strings_end)
                        shared->strings.runs[shared->strings.count++] =
                                        (PatchRun){ (uint32_t)(from - fields->old_btf.strings_at),
                                                (uint32_t)(new_from - fields->new_btf.strings_at),
                                                (uint32_t)(to - from) };
        }
        patch_runs_settle(&shared->strings);
        return 0;
}

static int prepare_btf(PatchFields *fields, ByteReader *reader, Error *error)
{
        uint8_t present;
        int r;

        if (reader_byte(reader, &present) < 0 || present > 1)
                return malformed(error);
        if (present) {
                r = patch_btf_read(fields->old_file, &fields->old_elf, &fields->old_btf, error);
                if (r > 0)
                        r = patch_btf_read_shape(reader, &fields->old_btf, &fields->new_elf,
                                        fields->old_elf.sections[fields->old_btf.section].counterpart,
                                        fields->segments, fields->segment_count, &fields->new_btf,
                                        &fields->types);
                else if (r == 0)
                        r = -EBADMSG;
                if (r < 0)
                        return r == -ENOMEM ? error_oom(error) : r == -EBADMSG ? malformed(error) : r;
        }
        if (reader_left(reader) > 0)
                return malformed(error);
        return present && fields->kernel && fields->shared ? share_btf(fields, error) : 0;
}

static int prepare_shape(PatchFields *fields, uint64_t new_size, const uint8_t *shape, size_t shape_size,
                Error *error)
{
        ByteReader reader = BYTE_READER(shape, shape_size);
        int r = patch_elf_read(fields->old_file, &fields->old_elf, error);

        if (r == 0 || (r > 0 && !is_understood(&fields->old_elf)))
                return error_set(error, ERROR_CORRUPT, EBADMSG,
                                "a patch foretells addresses of a file that has none");
        if (r < 0)
                return r;
        fields->kernel = is_kernel(&fields->old_elf);
        r = patch_projection_new(fields->old_file->size_bytes, new_size, fields->segments,
                        fields->segment_count, &fields->projection);
        if (r < 0)
                return r == -ENOMEM ? error_oom(error)
                                    : error_set(error, ERROR_CORRUPT, EBADMSG,
                                                      "the segments of a patch do not fit its files");
        r = patch_shape_read(&fields->old_elf, new_size, &reader, &fields->new_elf, error);
        return r < 0 ? r : prepare_btf(fields, &reader, error);
}

static int prepare(PatchFields *fields, uint64_t new_size, const uint8_t *shape, size_t shape_size,
                Error *error)
{
        int r = prepare_shape(fields, new_size, shape, shape_size, error);

        if (r < 0)
                return r;
        fields->learned = patch_learned_new(learned_log2(fields->old_file->size_bytes));
        fields->references = calloc(PATCH_REFERENCES, sizeof(PatchReference));
        fields->window = malloc(WINDOW_SIZE);
        if (!fields->learned || !fields->references || !fields->window)
                return error_oom(error);
        fields->read_end = UINT64_MAX;
        for (size_t i = 0; i < PATCH_KIND_MAX; i++)
                fields->drifts[i].region = SIZE_MAX;
        r = patch_regions_make(fields, error);
        if (r >= 0)
                r = prepare_tables(fields, error);
        if (r >= 0)
                r = prepare_relocated(fields, error);
        return r < 0 ? r : patch_reloc_prepare(fields, error);
}

int patch_fields_new(const PatchView *old_file, uint64_t new_size_bytes, const PatchSegment *segments,
                size_t count, const uint8_t *shape, size_t shape_size, PatchShared *shared,
                PatchFields **ret, Error *error)
{
        PatchFields *fields = calloc(1, sizeof(*fields));
        int r;

        if (!fields)
                return error_oom(error);
        fields->old_file = old_file;
        fields->segments = segments;
        fields->segment_count = count;
        fields->shared = shared;
        r = prepare(fields, new_size_bytes, shape, shape_size, error);
        if (r < 0)
                (void)patch_fields_free(fields);
        else
                *ret = fields;
        return r;
}

PatchFields *patch_fields_free(PatchFields *fields)
{
        if (!fields)
                return NULL;
        for (size_t i = 0; i < fields->region_count; i++)
                free(fields->regions[i].marks);
        free(fields->regions);
        free(fields->kallsyms.marks);
        free(fields->go.marks);
        free(fields->table_starts);
        free(fields->relocated);
        free(fields->symbol_sections);
        free(fields->references);
        free(fields->window);
        (void)patch_learned_free(fields->learned);
        (void)patch_projection_free(fields->projection);
        patch_btf_done(&fields->old_btf);
        free(fields->types.runs);
        patch_elf_done(&fields->old_elf);
        patch_elf_done(&fields->new_elf);
        free(fields);
        return NULL;
}

int patch_walk_bytes(PatchFields *fields, uint64_t offset, size_t size, const uint8_t **ret, Error *error)
{
        uint64_t ahead = fields->read_end > offset ? fields->read_end - offset : 0;
        uint64_t want = MIN_OF(MAX_OF(ahead, (uint64_t)size), fields->old_file->size_bytes - offset);
        int r;

        if (offset < fields->window_at || offset + size > fields->window_at + fields->window_size) {
                want = MIN_OF(want, (uint64_t)WINDOW_SIZE);
                fields->window_size = 0;
                r = fields->old_file->read(fields->old_file->data, offset, fields->window, want, error);
                if (r < 0)
                        return r;
                fields->window_at = offset;
                fields->window_size = want;
        }
        *ret = fields->window + (offset - fields->window_at);
        return 0;
}

uint16_t patch_walk_section_at(PatchFields *fields, uint64_t address)
{
        return patch_elf_at_address(&fields->old_elf, address, &fields->hint_old_address);
}

void patch_walk_add(PatchFields *fields, const PatchReference *reference)
{
        if (fields->count < PATCH_REFERENCES)
                fields->references[fields->count++] = *reference;
}
