/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-kallsyms.h"

#include "bytes.h"

#include <string.h>

/* The kernel's own table of symbols (scripts/kallsyms.c in its source), within the read-only data:
 *
 *     n numbers of 4 bytes, by address: base - 1 - address, or an offset of what each processor has
 *     8 bytes: base; 4 bytes: n; 4 of zero
 *     n names: a length (2 bytes if above 127) and that many bytes
 *     at a multiple of 8: a number of 4 bytes for each 256 names, where they begin
 *     at a multiple of 8: n numbers of 3 bytes, highest first: the symbols in the order of their names
 *     at a multiple of 8: 256 strings, each with a zero byte: what the bytes of names stand for
 *
 * Which strings there are hardly changes, but their order does, and with it nearly all names: so it is
 * learned what becomes of each byte.
 *
 * Nothing says where it is; it is found by base, the address of the text, and by what must follow. */

#define SYMBOLS_MIN 1024u
#define SYMBOLS_MAX (1024u * 1024)
#define NAMES_PER_MARKER 256u
#define NAME_MAX 512u  /* bytes of a name, in the mean of all */
#define TOKEN_MAX 256u /* bytes of a string, with its zero */

static uint64_t align8(uint64_t value)
{
        return (value + 7) & ~UINT64_C(7);
}

/* Passes one name; 0 at the end of the section. */
static uint64_t name_end(PatchFields *fields, uint64_t at, uint64_t end, Error *error)
{
        const uint8_t *p;
        uint64_t length;

        if (at + 2 > end)
                return 0;
        if (patch_walk_bytes(fields, at, 2, &p, error) < 0)
                return 0;
        length = p[0] < 128 ? 1 + (uint64_t)p[0] : 2 + (p[0] & 127u) + ((uint64_t)p[1] << 7);
        return length <= end - at ? at + length : 0;
}

/* Passes the names, noting where they begin: the first one at or after each step. 0 when they do not end. */
static uint64_t pass_names(
                PatchFields *fields, PatchKallsyms *table, uint64_t end, uint64_t *ret_second, Error *error)
{
        uint64_t at = table->names_at, size = MIN_OF(end - at, (uint64_t)table->count * NAME_MAX);
        size_t filled = 0;

        table->marks_count = size / PATCH_MARK_STEP + 1;
        table->marks = malloc(table->marks_count * sizeof(uint32_t));
        for (uint32_t i = 0; i < table->count && at > 0 && table->marks; i++) {
                if (i == NAMES_PER_MARKER)
                        *ret_second = at - table->names_at;
                while (filled < table->marks_count && at - table->names_at >= filled * PATCH_MARK_STEP)
                        table->marks[filled++] = (uint32_t)(at - table->names_at);
                at = name_end(fields, at, end, error);
        }
        if (at == 0 || !table->marks)
                return 0;
        while (filled < table->marks_count)
                table->marks[filled++] = (uint32_t)(at - table->names_at);
        table->names_end = at;
        return at;
}

/* The strings of the bytes; without them they are not told apart. */
static void find_tokens(PatchFields *fields, PatchKallsyms *table, uint64_t at, uint64_t end, Error *error)
{
        const uint8_t *p;
        unsigned found = 0;

        while (found < PATCH_TOKENS && at < end) {
                uint64_t size = MIN_OF(end - at, (uint64_t)TOKEN_MAX);
                const uint8_t *zero;

                if (patch_walk_bytes(fields, at, size, &p, error) < 0)
                        return;
                zero = memchr(p, 0, size);
                if (!zero)
                        return;
                table->tokens_at[found++] = (uint32_t)at;
                at += (uint64_t)(zero - p) + 1;
        }
        table->has_tokens = found == PATCH_TOKENS;
}

/* Whether the markers stand where the names end: the second one is where the 257th name begins. */
static bool find_names(PatchFields *fields, PatchKallsyms *table, uint64_t end, Error *error)
{
        uint64_t second = 0, at = pass_names(fields, table, end, &second, error);
        const uint8_t *p;

        if (at == 0)
                return false;
        at = align8(at);
        if (at + 8 > end || patch_walk_bytes(fields, at, 8, &p, error) < 0 || read_le32(p) != 0 ||
                        read_le32(p + 4) != second)
                return false;
        at = align8(at + 4 * ((uint64_t)(table->count - 1) / NAMES_PER_MARKER + 1));
        if (at + 3 * (uint64_t)table->count > end)
                return true;
        table->ranks_at = at;
        find_tokens(fields, table, align8(at + 3 * (uint64_t)table->count), end, error);
        return true;
}

/* Whether what stands at an offset is base and number, with a table before and names behind. */
static bool try_at(PatchFields *fields, const PatchSection *section, uint64_t at, PatchKallsyms *ret,
                Error *error)
{
        uint64_t end = section->offset + section->size_bytes;
        PatchKallsyms table = { 0 };
        const uint8_t *p;

        if (patch_walk_bytes(fields, at, 16, &p, error) < 0)
                return false;
        table.base = read_le64(p);
        table.count = read_le32(p + 8);
        if (read_le32(p + 12) != 0 || table.count < SYMBOLS_MIN || table.count > SYMBOLS_MAX ||
                        align8(4 * (uint64_t)table.count) > at - section->offset)
                return false;
        table.offsets_at = at - align8(4 * (uint64_t)table.count);
        table.names_at = at + 16;
        if (find_names(fields, &table, end, error)) {
                *ret = table;
                return true;
        }
        free(table.marks);
        return false;
}

int patch_kallsyms_find(PatchFields *fields, PatchKallsyms *ret, Error *error)
{
        const PatchElf *elf = &fields->old_elf;
        const PatchSection *section = NULL, *text = NULL;
        unsigned tries = 4;

        for (size_t i = 0; i < elf->section_count; i++) {
                if (strcmp(elf->sections[i].name, ".rodata") == 0 &&
                                patch_section_has_bytes(&elf->sections[i]))
                        section = &elf->sections[i];
                if (strcmp(elf->sections[i].name, ".text") == 0)
                        text = &elf->sections[i];
        }
        if (!section || !text)
                return 0;
        for (uint64_t at = 0; at + 16 <= section->size_bytes && tries > 0; at += 8) {
                const uint8_t *p;
                int r = patch_walk_bytes(fields, section->offset + at, 8, &p, error);

                if (r < 0)
                        return r;
                if (read_le64(p) != text->address)
                        continue;
                tries--;
                if (try_at(fields, section, section->offset + at, ret, error)) {
                        ret->section = (uint16_t)(section - elf->sections);
                        return 1;
                }
        }
        return 0;
}

static void add(PatchFields *fields, const PatchScan *scan, size_t at, uint8_t width, uint64_t value,
                PatchRule rule, PatchKind kind)
{
        const PatchReference reference = {
                .value = value,
                .start = fields->kallsyms.base,
                .old_offset = (uint32_t)(scan->at + at),
                .section = fields->kallsyms.section,
                .width = width,
                .kind = (uint8_t)kind,
                .rule = (uint8_t)rule,
        };

        patch_walk_add(fields, &reference);
}

size_t patch_scan_kallsyms_offsets(PatchFields *fields, const PatchScan *scan)
{
        size_t at = 0;

        for (; at < scan->limit && at + 4 <= scan->available; at += 4) {
                uint32_t value = read_le32(scan->bytes + at);

                if (value > INT32_MAX)
                        add(fields, scan, at, 4, value, PATCH_RULE_NEGATIVE, PATCH_KIND_LOCATION);
                else if (value > 0)
                        add(fields, scan, at, 4, value, PATCH_RULE_ABSOLUTE, PATCH_KIND_LOCATION);
        }
        return at;
}

size_t patch_scan_kallsyms_ranks(PatchFields *fields, const PatchScan *scan)
{
        size_t at = 0;

        for (; at < scan->limit && at + 3 <= scan->available; at += 3) {
                const uint8_t *p = scan->bytes + at;

                add(fields, scan, at, 3, (uint64_t)p[0] << 16 | (uint64_t)p[1] << 8 | p[2], PATCH_RULE_RANK,
                                PATCH_KIND_SYMBOL);
        }
        return at;
}

/* Bytes are looked at while it is not sure what becomes of them, or as long as that is another one. */
static bool is_open(const PatchToken *token, uint8_t byte)
{
        return token->becomes != byte || token->votes < PATCH_TOKEN_VOTES;
}

size_t patch_scan_kallsyms_names(PatchFields *fields, const PatchScan *scan)
{
        size_t at = 0;

        while (at < scan->limit && at + 2 <= scan->available && fields->count < PATCH_REFERENCES / 2) {
                const uint8_t *p = scan->bytes + at;
                size_t head = p[0] < 128 ? 1 : 2;
                size_t length = p[0] < 128 ? p[0] : (p[0] & 127u) + ((size_t)p[1] << 7);

                for (size_t i = head; i < head + length && at + i < scan->available; i++)
                        if (is_open(&fields->tokens[p[i]], p[i]))
                                add(fields, scan, at + i, 1, p[i], PATCH_RULE_TOKEN, PATCH_KIND_STRING);
                at += head + length;
        }
        return at;
}

/* A majority that has formed is not overturned by a few. */
void patch_token_learn(PatchToken *token, uint8_t actual)
{
        if (token->becomes == actual) {
                token->votes = (uint8_t)MIN_OF(token->votes + 1, 2 * PATCH_TOKEN_VOTES);
        } else if (token->votes > 0) {
                token->votes--;
        } else {
                token->becomes = actual;
                token->votes = 1;
        }
}
