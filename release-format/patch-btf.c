/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-btf.h"

#include "bytes.h"
#include "sort.h"

#include <elf.h>
#include <string.h>

#define BTF_MAGIC 0xeb9f
#define BTF_HEAD 12 /* bytes of a record before its body */

static const struct {
        uint8_t fixed, member; /* bytes of the body; of one member */
        bool refers;
} kinds[32] = {
        [BTF_INT] = { 4, 0, false },
        [BTF_PTR] = { 0, 0, true },
        [BTF_ARRAY] = { 12, 0, false },
        [BTF_STRUCT] = { 0, 12, false },
        [BTF_UNION] = { 0, 12, false },
        [BTF_ENUM] = { 0, 8, false },
        [BTF_FWD] = { 0, 0, false },
        [BTF_TYPEDEF] = { 0, 0, true },
        [BTF_VOLATILE] = { 0, 0, true },
        [BTF_CONST] = { 0, 0, true },
        [BTF_RESTRICT] = { 0, 0, true },
        [BTF_FUNC] = { 0, 0, true },
        [BTF_FUNC_PROTO] = { 0, 8, true },
        [BTF_VAR] = { 4, 0, true },
        [BTF_DATASEC] = { 0, 12, false },
        [BTF_FLOAT] = { 0, 0, false },
        [BTF_DECL_TAG] = { 4, 0, true },
        [BTF_TYPE_TAG] = { 0, 0, true },
        [BTF_ENUM64] = { 0, 12, false },
};

void patch_btf_record(const uint8_t *head, PatchBtfRecord *ret)
{
        uint32_t info = read_le32(head + 4), members = info & 0xffff;
        uint8_t kind = info >> 24 & 31;

        *ret = (PatchBtfRecord){
                .kind = kind,
                .refers = kinds[kind].refers,
                .member_size = kinds[kind].member,
                .body_size = kinds[kind].fixed + kinds[kind].member * members,
        };
}

void patch_btf_done(PatchBtf *btf)
{
        free(btf->starts);
        *btf = (PatchBtf){ 0 };
}

/* Reads forward in pieces. */
typedef struct Reading {
        const PatchView *view;
        uint64_t at;
        size_t size;
        uint8_t bytes[4096];
} Reading;

static int reading_head(Reading *reading, uint64_t offset, const uint8_t **ret, Error *error)
{
        if (offset < reading->at || offset + BTF_HEAD > reading->at + reading->size) {
                int r;

                reading->at = offset;
                reading->size = MIN_OF(sizeof(reading->bytes), reading->view->size_bytes - offset);
                r = reading->view->read(reading->view->data, offset, reading->bytes, reading->size, error);
                if (r < 0)
                        return r;
        }
        *ret = reading->bytes + (offset - reading->at);
        return 0;
}

static int read_records(const PatchView *view, PatchBtf *btf, Error *error)
{
        uint64_t most = MIN_OF((btf->types_end - btf->types_at) / BTF_HEAD, (uint64_t)PATCH_BTF_TYPES_MAX);
        uint64_t at = btf->types_at;
        Reading reading = { .view = view };

        btf->starts = malloc((most + 1) * sizeof(uint32_t));
        if (!btf->starts)
                return error_oom(error);
        while (at + BTF_HEAD <= btf->types_end && btf->count < most) {
                PatchBtfRecord record;
                const uint8_t *head;
                int r = reading_head(&reading, at, &head, error);

                if (r < 0)
                        return r;
                patch_btf_record(head, &record);
                btf->starts[btf->count++] = (uint32_t)(at - btf->types_at);
                at += BTF_HEAD + record.body_size;
        }
        btf->starts[btf->count] = (uint32_t)(at - btf->types_at);
        return at == btf->types_end;
}

static int read_btf(const PatchView *view, const PatchSection *section, PatchBtf *btf, Error *error)
{
        uint8_t header[PATCH_BTF_HEADER_SIZE];
        int r = view->read(view->data, section->offset, header, sizeof(header), error);
        uint64_t room = section->size_bytes - sizeof(header), types, strings;

        if (r < 0)
                return r;
        types = read_le32(header + 12);
        strings = read_le32(header + 20);
        if (read_le16(header) != BTF_MAGIC || read_le32(header + 4) != sizeof(header) ||
                        read_le32(header + 8) != 0 || read_le32(header + 16) != types || types > room ||
                        strings > room - types)
                return 0;
        btf->types_at = section->offset + sizeof(header);
        btf->types_end = btf->strings_at = btf->types_at + types;
        btf->strings_end = btf->strings_at + strings;
        btf->first_type = 1;
        return read_records(view, btf, error);
}

int patch_btf_read(const PatchView *view, const PatchElf *elf, PatchBtf *ret, Error *error)
{
        for (uint16_t i = 0; i < elf->section_count; i++) {
                const PatchSection *section = &elf->sections[i];
                PatchBtf btf = { .section = i };
                int r;

                if (section->type != SHT_PROGBITS || section->size_bytes < PATCH_BTF_HEADER_SIZE ||
                                strcmp(section->name, ".BTF") != 0)
                        continue;
                r = read_btf(view, section, &btf, error);
                if (r <= 0)
                        patch_btf_done(&btf);
                else
                        *ret = btf;
                return r;
        }
        return 0;
}

uint32_t patch_btf_find(const PatchBtf *btf, uint64_t offset)
{
        uint32_t low = 0, high = btf->count;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;

                if (btf->types_at + btf->starts[middle] < offset)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* Votes: a function mostly follows its prototype, so its number is one more than what it refers to. The
 * candidate that wins is found by counting up and down. The strings of a module end with one that it uses.
 */
int patch_btf_infer_bases(const PatchView *view, PatchBtf *btf, Error *error)
{
        uint32_t candidate = 1, votes = 0, last_name = 0;
        Reading reading = { .view = view };
        uint8_t tail[1024];
        uint64_t size = MIN_OF(btf->strings_end - btf->strings_at, (uint64_t)sizeof(tail)), last = size;
        int r = 0;

        for (uint32_t i = 0; i < btf->count && r >= 0; i++) {
                const uint8_t *head;
                uint32_t vote;

                r = reading_head(&reading, btf->types_at + btf->starts[i], &head, error);
                if (r < 0)
                        return r;
                last_name = MAX_OF(last_name, read_le32(head));
                if ((head[7] & 31) != BTF_FUNC || read_le32(head + 8) < i)
                        continue;
                vote = read_le32(head + 8) - i + 1;
                if (votes == 0)
                        candidate = vote;
                if (vote == candidate)
                        votes++;
                else
                        votes--;
        }
        btf->first_type = MAX_OF(candidate, 1u);
        if (btf->first_type == 1 || size < 2)
                return 0;
        r = view->read(view->data, btf->strings_end - size, tail, size, error);
        if (r < 0)
                return r;
        for (last = size - 1; last > 0 && tail[last - 1];)
                last--;
        last += btf->strings_end - size - btf->strings_at;
        btf->first_string = last_name > last ? (uint32_t)(last_name - last) : 0;
        return 0;
}

static int compare_runs(const void *a, const void *b)
{
        const PatchRun *x = a, *y = b;

        if (x->old_first != y->old_first)
                return x->old_first < y->old_first ? -1 : 1;
        if (x->count != y->count)
                return x->count > y->count ? -1 : 1;
        return x->new_first < y->new_first ? -1 : x->new_first > y->new_first;
}

void patch_runs_settle(PatchRuns *runs)
{
        size_t kept = 0;

        if (runs->count > 0)
                sort_in_place(runs->runs, runs->count, sizeof(PatchRun), compare_runs);
        for (size_t i = 0; i < runs->count; i++) {
                PatchRun run = runs->runs[i], *last = kept > 0 ? &runs->runs[kept - 1] : NULL;
                uint32_t end = last ? last->old_first + last->count : 0, common;

                if (last && end > run.old_first) {
                        common = end - run.old_first;
                        if (run.count > last->count) {
                                last->count = run.old_first - last->old_first;
                        } else {
                                common = MIN_OF(common, run.count);
                                run.old_first += common;
                                run.new_first += common;
                                run.count -= common;
                        }
                }
                if (run.count > 0)
                        runs->runs[kept++] = run;
        }
        runs->count = kept;
}

bool patch_runs_get(const PatchRuns *runs, uint32_t old_number, uint32_t *ret)
{
        size_t low = 0, high = runs->count;
        const PatchRun *run;

        *ret = old_number;
        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (runs->runs[middle].old_first <= old_number)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (runs->count == 0)
                return false;
        run = &runs->runs[low > 0 ? low - 1 : 0];
        *ret = old_number - run->old_first + run->new_first;
        return low > 0 && old_number - run->old_first < run->count;
}
