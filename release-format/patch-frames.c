/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-frames.h"

#include "bytes.h"

#include <string.h>

/* .eh_frame, as the Linux Standard Base describes it: records of a length, and an identifier that is 0 for
 * common information (CIE) or else the distance back to such a record for the frame of one function (FDE).
 * Addresses are taken to be 4 bytes relative to the field, which is what compilers for 64-bit machines make;
 * where they are not, the first guesses are wrong and plain values are learned. */

#define RECORD_MAX (64 * KIB)

/* Lengths of records lead from one to the next; marks[i] is where the first one begins that does so at or
 * after i * PATCH_MARK_STEP, from the start of the region. */
static int mark_all(PatchFields *fields, PatchRegion *region, Error *error)
{
        uint64_t size = region->end - region->start, at = 0;
        size_t count = size / PATCH_MARK_STEP + 1, filled = 0;

        region->marks = malloc(count * sizeof(uint32_t));
        if (!region->marks)
                return error_oom(error);
        while (filled < count) {
                const uint8_t *p;
                int r;

                while (filled < count && at >= filled * PATCH_MARK_STEP)
                        region->marks[filled++] = (uint32_t)at;
                if (at + 8 > size)
                        break;
                r = patch_walk_bytes(fields, region->start + at, 4, &p, error);
                if (r < 0)
                        return r;
                if (read_le32(p) == 0 || read_le32(p) > RECORD_MAX)
                        break;
                at += 4 + (uint64_t)read_le32(p);
        }
        while (filled < count)
                region->marks[filled++] = (uint32_t)size;
        return 0;
}

int patch_frames_mark(PatchFields *fields, PatchRegion *region, Error *error)
{
        uint64_t read_end = fields->read_end;
        int r;

        fields->read_end = region->end;
        r = mark_all(fields, region, error);
        fields->read_end = read_end;
        return r;
}

uint64_t patch_frames_sync(const PatchRegion *region, uint64_t offset)
{
        uint64_t from = offset - region->start;
        uint64_t mark = region->start + region->marks[from / PATCH_MARK_STEP];

        /* A record that reaches over the offset is not taken up in its middle unless it began a step before.
         */
        if (mark > offset && from >= PATCH_MARK_STEP)
                mark = region->start + region->marks[from / PATCH_MARK_STEP - 1];
        return MIN_OF(mark, region->end);
}

/* Whether the CIE at an offset says "L": its frames point to language-specific data. */
static bool has_lsda(PatchFields *fields, const PatchRegion *region, uint64_t at)
{
        uint8_t head[32];

        if (fields->cie_at == at)
                return fields->cie_has_lsda;
        fields->cie_at = at;
        fields->cie_has_lsda = false;
        if (at < region->start || at > region->end || region->end - at < sizeof(head))
                return false;
        fields->failure = fields->old_file->read(fields->old_file->data, at, head, sizeof(head), NULL);
        if (fields->failure < 0)
                return false;
        head[sizeof(head) - 1] = 0;
        if (read_le32(head + 4) == 0 && head[9] == 'z')
                fields->cie_has_lsda = strchr((const char *)head + 9, 'L') != NULL;
        return fields->cie_has_lsda;
}

static void add(PatchFields *fields, const PatchScan *scan, size_t at, PatchKind kind, PatchRule rule)
{
        const PatchReference reference = {
                .value = read_le32(scan->bytes + at),
                .start = scan->at + at,
                .old_offset = (uint32_t)(scan->at + at),
                .section = scan->region->section,
                .width = 4,
                .kind = (uint8_t)kind,
                .rule = (uint8_t)rule,
        };

        patch_walk_add(fields, &reference);
}

/* An FDE: length, distance to the CIE, start and size of the function, then (augmented) a length byte of at
 * least 4 and the distance to the data. */
static void take_frame(PatchFields *fields, const PatchScan *scan, size_t at, uint32_t length)
{
        const uint8_t *p = scan->bytes + at;
        uint64_t cie = scan->at + at + 4 - read_le32(p + 4);
        bool lsda = has_lsda(fields, scan->region, cie);

        add(fields, scan, at + 4, PATCH_KIND_RELATIVE, PATCH_RULE_BACK);
        add(fields, scan, at + 8, PATCH_KIND_RELATIVE, PATCH_RULE_RELATIVE);
        add(fields, scan, at + 12, PATCH_KIND_SIZE, PATCH_RULE_SPAN_BEFORE);
        if (lsda && length >= 17 && p[16] >= 4 && p[16] < 0x80 && at + 21 <= scan->available &&
                        read_le32(p + 17) != 0)
                add(fields, scan, at + 17, PATCH_KIND_RELATIVE, PATCH_RULE_RELATIVE);
}

size_t patch_scan_eh_frame(PatchFields *fields, const PatchScan *scan)
{
        size_t at = 0;

        while (at < scan->limit && at + 16 <= scan->available) {
                uint32_t length = read_le32(scan->bytes + at);

                if (length == 0 || length > RECORD_MAX)
                        return 0;
                if (length >= 12 && read_le32(scan->bytes + at + 4) != 0)
                        take_frame(fields, scan, at, length);
                at += 4 + (size_t)length;
        }
        return at;
}

/* .eh_frame_hdr: version and encodings, distance to .eh_frame, count, and pairs of distances from its own
 * start to a function and to its frame. */
size_t patch_scan_eh_frame_index(PatchFields *fields, const PatchScan *scan)
{
        size_t at = 0;

        if (scan->at == scan->region->start) {
                if (scan->available < 12)
                        return 0;
                add(fields, scan, 4, PATCH_KIND_RELATIVE, PATCH_RULE_RELATIVE);
                at = 12;
        }
        for (; at < scan->limit && at + 4 <= scan->available; at += 4)
                add(fields, scan, at, PATCH_KIND_RELATIVE, PATCH_RULE_SECTION);
        return at;
}
