/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-walk.h"

#include <string.h>

/* The walk itself: regions of the segment are scanned piece by piece, and what they hold is foretold. */

int patch_fields_begin(PatchFields *fields, size_t segment, Error *error)
{
        size_t low = 0, high = fields->region_count;

        if (segment >= fields->segment_count)
                return error_set(error, ERROR_CORRUPT, EBADMSG, "a patch has no segment %zu", segment);
        fields->segment = &fields->segments[segment];
        fields->next = fields->count = 0;
        fields->taken_end = fields->segment->old_offset;
        fields->read_end = fields->taken_end + fields->segment->size_bytes + PATCH_LOOK_AHEAD;
        memset(fields->pages, 0, sizeof(fields->pages));
        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (fields->regions[middle].end <= fields->segment->old_offset)
                        low = middle + 1;
                else
                        high = middle;
        }
        fields->region = low;
        fields->scan_at = UINT64_MAX;
        return 0;
}

/* Scans on until there are references or the segment is through. */
static int scan_more(PatchFields *fields, Error *error)
{
        uint64_t segment_end = fields->segment->old_offset + fields->segment->size_bytes;

        fields->next = fields->count = 0;
        while (fields->count == 0 && fields->region < fields->region_count) {
                PatchRegion *region = &fields->regions[fields->region];
                PatchScan scan = { .region = region };
                size_t took;
                int r;

                if (region->start >= segment_end)
                        break;
                if (fields->scan_at == UINT64_MAX) {
                        fields->scan_at = patch_role_sync(fields, region,
                                        MAX_OF(region->start, fields->segment->old_offset), error);
                        if (fields->scan_at == UINT64_MAX)
                                return -EIO;
                }
                scan.at = fields->scan_at;
                if (scan.at >= region->end || scan.at >= segment_end) {
                        fields->region++;
                        fields->scan_at = UINT64_MAX;
                        continue;
                }
                scan.available = MIN_OF(region->end - scan.at, (uint64_t)PATCH_CHUNK + PATCH_LOOK_AHEAD);
                scan.limit = MIN_OF(MIN_OF(segment_end - scan.at, scan.available), (uint64_t)PATCH_CHUNK);
                r = patch_walk_bytes(fields, scan.at, scan.available, &scan.bytes, error);
                if (r < 0)
                        return r;
                took = patch_role_scan(fields, &scan);
                if (fields->failure < 0)
                        return fields->failure;
                fields->scan_at = took > 0 ? scan.at + took : region->end;
        }
        return 0;
}

static uint64_t cut(uint64_t value, uint8_t width)
{
        return width >= 8 ? value : value & ((UINT64_C(1) << 8 * width) - 1);
}

int patch_fields_next(PatchFields *fields, PatchField *ret, Error *error)
{
        uint64_t segment_end = fields->segment->old_offset + fields->segment->size_bytes;

        for (;;) {
                const PatchReference *reference;
                int r;

                if (fields->next == fields->count) {
                        r = scan_more(fields, error);
                        if (r < 0)
                                return r;
                        if (fields->count == 0)
                                return 0;
                }
                reference = &fields->references[fields->next++];
                if (reference->old_offset < fields->taken_end ||
                                reference->old_offset + (uint64_t)reference->width > segment_end)
                        continue;
                fields->taken_end = reference->old_offset + (uint64_t)reference->width;
                ret->new_offset = reference->old_offset - fields->segment->old_offset +
                                  fields->segment->new_offset;
                ret->width = reference->width;
                ret->kind = reference->kind;
                fields->foretold = cut(
                                patch_rule_foretell(fields, reference, ret->new_offset), reference->width);
                ret->predicted = fields->foretold;
                fields->current = *reference;
                return 1;
        }
}

void patch_fields_learn(PatchFields *fields, uint64_t actual)
{
        patch_rule_learn(fields, &fields->current, actual);
}
