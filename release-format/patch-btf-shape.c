/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-btf.h"

#include <string.h>

/* The part of the shape on BTF: lengths of the new types and strings, less the old ones (signed varints);
 * the first type and the first string of both files (varints); and for each segment that holds the start of
 * an old record, and puts it among the new types, the number of the record that begins there or next, less
 * that behind the last record of the segment before (signed varints). */

typedef struct RecordSpan {
        uint32_t first, count; /* old records whose starts the segment holds */
        uint64_t new_offset;   /* of the first */
} RecordSpan;

static bool span_of(const PatchBtf *old_btf, const PatchBtf *new_btf, const PatchSegment *segment,
                RecordSpan *ret)
{
        uint64_t end = segment->old_offset + segment->size_bytes;

        if (segment->old_offset >= old_btf->types_end || end <= old_btf->types_at)
                return false;
        ret->first = patch_btf_find(old_btf, segment->old_offset);
        if (ret->first >= old_btf->count)
                return false;
        ret->count = patch_btf_find(old_btf, end) - ret->first;
        ret->new_offset = old_btf->types_at + old_btf->starts[ret->first] - segment->old_offset +
                          segment->new_offset;
        return ret->count > 0 && ret->new_offset >= new_btf->types_at &&
               ret->new_offset < new_btf->types_end;
}

int patch_btf_write_shape(const PatchBtf *old_btf, const PatchBtf *new_btf, const PatchSegment *segments,
                size_t count, Buffer *ret)
{
        const uint32_t bases[] = { old_btf->first_type, old_btf->first_string, new_btf->first_type,
                new_btf->first_string };
        uint32_t expected = 0;
        int r = buffer_append_signed_varint(
                        ret, (int64_t)(new_btf->types_end - new_btf->types_at) -
                                             (int64_t)(old_btf->types_end - old_btf->types_at));

        if (r >= 0)
                r = buffer_append_signed_varint(
                                ret, (int64_t)(new_btf->strings_end - new_btf->strings_at) -
                                                     (int64_t)(old_btf->strings_end - old_btf->strings_at));
        for (size_t i = 0; i < ELEMENTS(bases) && r >= 0; i++)
                r = buffer_append_varint(ret, bases[i]);
        for (size_t i = 0; i < count && r >= 0; i++) {
                RecordSpan span;
                uint32_t number;

                if (!span_of(old_btf, new_btf, &segments[i], &span))
                        continue;
                number = patch_btf_find(new_btf, span.new_offset);
                r = buffer_append_signed_varint(ret, (int64_t)number - (int64_t)expected);
                expected = number + span.count;
        }
        return r;
}

static int read_sizes(ByteReader *reader, PatchBtf *old_btf, const PatchSection *section, PatchBtf *btf)
{
        int64_t types, strings;
        uint64_t bases[4];

        if (section->size_bytes < PATCH_BTF_HEADER_SIZE || reader_signed_varint(reader, &types) < 0 ||
                        reader_signed_varint(reader, &strings) < 0)
                return -EBADMSG;
        for (size_t i = 0; i < ELEMENTS(bases); i++)
                if (reader_varint(reader, &bases[i]) < 0 || bases[i] > UINT32_MAX / 2)
                        return -EBADMSG;
        old_btf->first_type = (uint32_t)bases[0];
        old_btf->first_string = (uint32_t)bases[1];
        btf->first_type = (uint32_t)bases[2];
        btf->first_string = (uint32_t)bases[3];
        btf->types_at = section->offset + PATCH_BTF_HEADER_SIZE;
        btf->types_end = btf->types_at + (old_btf->types_end - old_btf->types_at) + (uint64_t)types;
        btf->strings_at = btf->types_end;
        btf->strings_end =
                        btf->strings_at + (old_btf->strings_end - old_btf->strings_at) + (uint64_t)strings;
        if (btf->types_end < btf->types_at || btf->strings_end < btf->strings_at ||
                        btf->strings_end > section->offset + section->size_bytes)
                return -EBADMSG;
        return 0;
}

int patch_btf_read_shape(ByteReader *reader, PatchBtf *old_btf, const PatchElf *new_elf,
                uint16_t new_section, const PatchSegment *segments, size_t count, PatchBtf *ret_new,
                PatchRuns *ret_runs)
{
        PatchBtf btf = { .section = new_section };
        int64_t expected = 0;
        PatchRuns runs = { 0 };

        if (new_section >= new_elf->section_count ||
                        read_sizes(reader, old_btf, &new_elf->sections[new_section], &btf) < 0)
                return -EBADMSG;
        runs.runs = malloc((MIN_OF(count, (size_t)PATCH_BTF_RUNS_MAX) + 1) * sizeof(PatchRun));
        if (!runs.runs)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++) {
                RecordSpan span;
                int64_t difference;

                if (!span_of(old_btf, &btf, &segments[i], &span))
                        continue;
                if (reader_signed_varint(reader, &difference) < 0 ||
                                ADD_OVERFLOWS(expected, difference, &expected) || expected < 0 ||
                                expected > UINT32_MAX / 2) {
                        free(runs.runs);
                        return -EBADMSG;
                }
                if (runs.count < PATCH_BTF_RUNS_MAX)
                        runs.runs[runs.count++] = (PatchRun){ span.first, (uint32_t)expected, span.count };
                expected += span.count;
        }
        patch_runs_settle(&runs);
        *ret_new = btf;
        *ret_runs = runs;
        return 0;
}
