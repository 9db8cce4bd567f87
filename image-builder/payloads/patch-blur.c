/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-blur.h"

#include "bytes.h"
#include "patch-walk.h"

#include <elf.h>
#include <string.h>

#define LABEL_BYTES 16 /* of what is referred to, that make the number */
#define TYPE_ROUNDS 4
#define NEAR 2048u       /* bytes that a jump within a function spans */
#define STRING_BYTES 256 /* as many of a string */

typedef struct BlurField {
        uint32_t offset;
        uint32_t target; /* offset of what it refers to; UINT32_MAX: none in the file */
        uint64_t label;
        uint8_t width, kind;
} BlurField;

typedef struct Blur {
        uint8_t *bytes;
        size_t size;
        BlurField *fields;
        size_t count, capacity;
        uint64_t last[2]; /* addresses that the last fields of a list referred to */
        size_t last_region;
        unsigned last_turn;
} Blur;

typedef struct BytesView {
        const uint8_t *bytes;
} BytesView;

static int read_bytes(void *data, uint64_t offset, void *ret, size_t size, Error *error)
{
        const BytesView *view = data;

        (void)error;
        memcpy(ret, view->bytes + offset, size);
        return 0;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
        hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
        return hash ^ hash >> 29;
}

static uint64_t hash_string(const Blur *blur, uint64_t offset)
{
        uint64_t hash = 1;

        for (size_t i = 0; i < STRING_BYTES && offset + i < blur->size && blur->bytes[offset + i]; i++)
                hash = mix(hash, blur->bytes[offset + i]);
        return hash;
}

static uint64_t hash_content(const Blur *blur, uint64_t offset)
{
        uint64_t hash = 2;

        if (offset >= blur->size)
                return 0;
        for (size_t i = 0; i < LABEL_BYTES && offset + i < blur->size; i++)
                hash = mix(hash, blur->bytes[offset + i]);
        return hash;
}

/* A type of BTF by its name and, as far as it has none, by what it is made of. */
static uint64_t hash_type(const Blur *blur, uint64_t offset)
{
        PatchBtfRecord record;
        size_t size = 12;
        uint64_t hash = 3;

        if (offset + size > blur->size)
                return 0;
        patch_btf_record(blur->bytes + offset, &record);
        if (read_le32(blur->bytes + offset) == 0)
                size += MIN_OF(record.body_size, 64u);
        for (size_t i = 0; i < size && offset + i < blur->size; i++)
                hash = mix(hash, blur->bytes[offset + i]);
        return hash;
}

/* In lists of places in order, the distance between two is what stays. */
static bool is_list(const PatchFields *fields, uint8_t kind)
{
        const PatchRegion *region = &fields->regions[fields->region];

        return kind == PATCH_KIND_LOCATION || region->role == PATCH_ROLE_EH_FRAME_INDEX ||
               (region->role == PATCH_ROLE_RELATIVES && region->stride == 4);
}

static uint64_t distance_label(Blur *blur, const PatchFields *fields)
{
        unsigned turn;
        uint64_t distance;

        if (blur->last_region != fields->region) {
                blur->last_region = fields->region;
                blur->last[0] = blur->last[1] = fields->target;
        }
        turn = fields->regions[fields->region].role == PATCH_ROLE_EH_FRAME_INDEX ? blur->last_turn ^ 1 : 0;
        blur->last_turn = turn;
        distance = fields->target - blur->last[turn];
        blur->last[turn] = fields->target;
        return distance;
}

static int note(Blur *blur, const BlurField *field)
{
        if (blur->count == blur->capacity) {
                size_t capacity = MAX_OF(2 * blur->capacity, (size_t)4096);
                BlurField *fields = realloc(blur->fields, capacity * sizeof(BlurField));

                if (!fields)
                        return -ENOMEM;
                blur->fields = fields;
                blur->capacity = capacity;
        }
        blur->fields[blur->count++] = *field;
        return 0;
}

static uint32_t offset_of(PatchFields *fields, uint64_t address)
{
        uint16_t index = patch_walk_section_at(fields, address);
        const PatchSection *section;

        if (index == PATCH_NO_SECTION || fields->old_elf.sections[index].type == SHT_NOBITS)
                return UINT32_MAX;
        section = &fields->old_elf.sections[index];
        return (uint32_t)(address - section->address + section->offset);
}

/* Jumps within a function stay as they are. */
static bool is_near(uint64_t displacement)
{
        return (uint32_t)displacement + NEAR < 2 * NEAR;
}

static int take_field(Blur *blur, PatchFields *fields, const PatchField *field)
{
        BlurField blurred = { .offset = (uint32_t)field->new_offset,
                .target = UINT32_MAX,
                .width = field->width,
                .kind = field->kind };

        switch (fields->current.rule) {
        case PATCH_RULE_GIVEN:
        case PATCH_RULE_ROW:
        case PATCH_RULE_SPAN:
        case PATCH_RULE_SPAN_BEFORE:
        case PATCH_RULE_BACK:
                return 0;
        default:
                break;
        }
        if (field->kind == PATCH_KIND_BRANCH && is_near(fields->current.value))
                return 0;
        if (is_list(fields, field->kind)) {
                blurred.label = distance_label(blur, fields);
        } else {
                blurred.target = offset_of(fields, fields->target);
                if (field->kind == PATCH_KIND_STRING && blurred.target != UINT32_MAX) {
                        blurred.label = hash_string(blur, blurred.target);
                        blurred.target = UINT32_MAX;
                }
        }
        return note(blur, &blurred);
}

static void write_label(Blur *blur, const BlurField *field, uint64_t label)
{
        for (unsigned i = 0; i < field->width; i++)
                blur->bytes[field->offset + i] = (uint8_t)(label >> 8 * i);
}

/* Gives labels to what refers to something in the file, all from the bytes as they stand, then writes them.
 */
static void write_round(Blur *blur, bool types)
{
        for (size_t i = 0; i < blur->count; i++) {
                BlurField *field = &blur->fields[i];

                if (field->target == UINT32_MAX || (field->kind == PATCH_KIND_TYPE) != types)
                        continue;
                field->label = types ? hash_type(blur, field->target) : hash_content(blur, field->target);
        }
        for (size_t i = 0; i < blur->count; i++)
                if (blur->fields[i].target != UINT32_MAX &&
                                (blur->fields[i].kind == PATCH_KIND_TYPE) == types)
                        write_label(blur, &blur->fields[i], blur->fields[i].label);
}

/* First what does not depend on other fields, so that all labels are made of bytes that are the same in both
 * files. Types without a name are told apart a step deeper with each round. */
static void write_all(Blur *blur)
{
        for (size_t i = 0; i < blur->count; i++)
                write_label(blur, &blur->fields[i], blur->fields[i].label);
        write_round(blur, false);
        for (int i = 0; i < TYPE_ROUNDS; i++)
                write_round(blur, true);
}

static int collect(Blur *blur, PatchFields *fields, Error *error)
{
        PatchField field;
        int r = patch_fields_begin(fields, 0, error);

        while (r >= 0) {
                r = patch_fields_next(fields, &field, error);
                if (r <= 0)
                        return r;
                r = take_field(blur, fields, &field);
        }
        return r == -ENOMEM ? error_oom(error) : r;
}

int patch_blur(uint8_t *bytes, size_t size, Error *error)
{
        BytesView data = { bytes };
        PatchView view = { read_bytes, &data, size };
        PatchSegment whole = { 0, 0, size };
        _cleanup_buffer_ Buffer shape = BUFFER_WITH_CAP(PATCH_SHAPE_MAX);
        _cleanup_(patch_fields_freep) PatchFields *fields = NULL;
        Blur blur = { .bytes = bytes, .size = size, .last_region = SIZE_MAX };
        int r = patch_fields_describe(&view, &view, &whole, 1, &shape, error);

        if (r <= 0)
                return r;
        r = patch_fields_new(&view, size, &whole, 1, shape.data, shape.size, NULL, &fields, error);
        if (r >= 0)
                r = collect(&blur, fields, error);
        if (r >= 0)
                write_all(&blur);
        free(blur.fields);
        return r < 0 ? r : 1;
}
