/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-walk.h"

#include "bytes.h"

/* Fields in records of BTF. */

#define BTF_HEAD 12

static void add(PatchFields *fields, const PatchScan *scan, size_t at, PatchKind kind, PatchRule rule)
{
        const PatchReference reference = {
                .value = read_le32(scan->bytes + at),
                .old_offset = (uint32_t)(scan->at + at),
                .section = scan->region->section,
                .width = 4,
                .kind = (uint8_t)kind,
                .rule = (uint8_t)rule,
        };

        if (reference.value != 0)
                patch_walk_add(fields, &reference);
}

static void add_name(PatchFields *fields, const PatchScan *scan, size_t at)
{
        add(fields, scan, at, PATCH_KIND_STRING, PATCH_RULE_NAME);
}

static void add_type(PatchFields *fields, const PatchScan *scan, size_t at)
{
        add(fields, scan, at, PATCH_KIND_TYPE, PATCH_RULE_TYPE);
}

/* One step of a body: its only part (an array's), or one of its members. */
static void take_member(PatchFields *fields, const PatchScan *scan, size_t at, uint8_t kind)
{
        switch (kind) {
        case BTF_STRUCT:
        case BTF_UNION:
        case BTF_FUNC_PROTO:
                add_name(fields, scan, at);
                add_type(fields, scan, at + 4);
                break;
        case BTF_ARRAY:
                add_type(fields, scan, at);
                add_type(fields, scan, at + 4);
                break;
        case BTF_DATASEC:
                add_type(fields, scan, at);
                break;
        case BTF_ENUM:
        case BTF_ENUM64:
                add_name(fields, scan, at);
                break;
        default:
                break;
        }
}

static uint32_t step_of(const PatchBtfRecord *record)
{
        return record->member_size > 0 ? record->member_size : record->body_size;
}

/* To begin within a record, its head is read again, and the step found that holds the offset. */
uint64_t patch_btf_sync(PatchFields *fields, const PatchRegion *region, uint64_t offset, Error *error)
{
        const PatchBtf *btf = &fields->old_btf;
        uint32_t number = patch_btf_find(btf, offset + 1);
        uint64_t start, body;
        const uint8_t *head;

        (void)region;
        fields->btf_body_end = 0;
        if (number == 0)
                return offset;
        start = btf->types_at + btf->starts[number - 1];
        if (patch_walk_bytes(fields, start, BTF_HEAD, &head, error) < 0)
                return UINT64_MAX;
        patch_btf_record(head, &fields->btf_record);
        body = start + BTF_HEAD;
        if (offset < body || step_of(&fields->btf_record) == 0)
                return start;
        fields->btf_body_end = body + fields->btf_record.body_size;
        return offset - (offset - body) % step_of(&fields->btf_record);
}

size_t patch_scan_btf(PatchFields *fields, const PatchScan *scan)
{
        size_t at = 0;

        while (at < scan->limit) {
                if (scan->at + at < fields->btf_body_end) {
                        uint32_t step = step_of(&fields->btf_record);

                        if (at + step > scan->available)
                                break;
                        take_member(fields, scan, at, fields->btf_record.kind);
                        at += step;
                        continue;
                }
                if (at + BTF_HEAD > scan->available)
                        break;
                patch_btf_record(scan->bytes + at, &fields->btf_record);
                add_name(fields, scan, at);
                if (fields->btf_record.refers)
                        add_type(fields, scan, at + 8);
                at += BTF_HEAD;
                fields->btf_body_end = scan->at + at + fields->btf_record.body_size;
        }
        return at;
}

static void add_given(PatchFields *fields, const PatchScan *scan, size_t at, uint64_t given)
{
        const PatchReference reference = {
                .value = read_le32(scan->bytes + at),
                .start = given,
                .old_offset = (uint32_t)(scan->at + at),
                .section = scan->region->section,
                .width = 4,
                .kind = PATCH_KIND_HEADER,
                .rule = PATCH_RULE_GIVEN,
        };

        patch_walk_add(fields, &reference);
}

/* The head of the section: lengths of the types and of the strings. */
size_t patch_scan_btf_header(PatchFields *fields, const PatchScan *scan)
{
        const PatchBtf *btf = &fields->new_btf;

        if (scan->available < PATCH_BTF_HEADER_SIZE)
                return 0;
        add_given(fields, scan, 12, btf->types_end - btf->types_at);
        add_given(fields, scan, 16, btf->types_end - btf->types_at);
        add_given(fields, scan, 20, btf->strings_end - btf->strings_at);
        return PATCH_BTF_HEADER_SIZE;
}
