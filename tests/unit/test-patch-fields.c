/* SPDX-License-Identifier: Apache-2.0 */
#include "patch-scene.h"
#include "test.h"

typedef struct Tally {
        unsigned fields, right, changed; /* found; foretold as they are; not as in the old file */
} Tally;

typedef struct Tallies {
        Tally of[PATCH_KIND_MAX];
        bool in_order;
} Tallies;

static int read_buffer(void *data, uint64_t offset, void *ret, size_t size, Error *error)
{
        const Buffer *buffer = data;

        if (offset > buffer->size || size > buffer->size - offset)
                return error_set(error, ERROR_FAILED, EINVAL, "a read outside of the file");
        memcpy(ret, buffer->data + offset, size);
        return 0;
}

static PatchView view_of(Buffer *buffer)
{
        return (PatchView){ read_buffer, buffer, buffer->size };
}

static uint64_t number_at(const uint8_t *p, unsigned width)
{
        uint64_t number = 0;

        for (unsigned i = 0; i < width; i++)
                number |= (uint64_t)p[i] << 8 * i;
        return number;
}

static int walk_segment(Scene *scene, PatchFields *fields, size_t number, Tallies *ret)
{
        const PatchSegment *s = &scene->segments[number];
        uint64_t end = s->new_offset;
        PatchField field;
        int r = patch_fields_begin(fields, number, NULL);

        while (r >= 0 && (r = patch_fields_next(fields, &field, NULL)) > 0) {
                uint64_t old_offset = field.new_offset - s->new_offset + s->old_offset;
                uint64_t actual = number_at(scene->new_file.data + field.new_offset, field.width);
                Tally *tally = &ret->of[field.kind];

                if (field.new_offset < end || field.new_offset + field.width > s->new_offset + s->size_bytes)
                        ret->in_order = false;
                end = field.new_offset + field.width;
                tally->fields++;
                tally->right += actual == field.predicted;
                tally->changed += actual != number_at(scene->old_file.data + old_offset, field.width);
                patch_fields_learn(fields, actual);
        }
        return r;
}

static int walk(Scene *scene, PatchShared *shared, Tallies *ret)
{
        PatchView old_file = view_of(&scene->old_file), new_file = view_of(&scene->new_file);
        _cleanup_(patch_fields_freep) PatchFields *fields = NULL;
        _cleanup_buffer_ Buffer shape = BUFFER_WITH_CAP(PATCH_SHAPE_MAX);
        int r = patch_fields_describe(&old_file, &new_file, scene->segments, scene->count, &shape, NULL);

        *ret = (Tallies){ .in_order = true };
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        r = patch_fields_new(&old_file, scene->new_file.size, scene->segments, scene->count, shape.data,
                        shape.size, shared, &fields, NULL);
        for (size_t i = 0; i < scene->count && r >= 0; i++)
                r = walk_segment(scene, fields, i, ret);
        return r;
}

static bool tally_is(const Tallies *tallies, PatchKind kind, unsigned fields, unsigned changed)
{
        const Tally *tally = &tallies->of[kind];

        if (tally->fields == fields && tally->right == fields && tally->changed == changed)
                return true;
        printf("# kind %d: %u fields, %u right, %u changed\n", (int)kind, tally->fields, tally->right,
                        tally->changed);
        return false;
}

TEST(a_program_that_moved_is_foretold)
{
        _cleanup_(scene_done) Scene scene = program_scene();
        Tallies tallies;

        CHECK_OK(walk(&scene, NULL, &tallies));
        CHECK(tallies.in_order);
        CHECK(tally_is(&tallies, PATCH_KIND_BRANCH, 2, 1));
        CHECK(tally_is(&tallies, PATCH_KIND_OPERAND, 2, 0));
        CHECK(tally_is(&tallies, PATCH_KIND_POINTER, 6, 6));
        CHECK(tally_is(&tallies, PATCH_KIND_LOCATION, 3, 3));
        CHECK(tally_is(&tallies, PATCH_KIND_RELATIVE, 9, 0));
        CHECK(tally_is(&tallies, PATCH_KIND_SYMBOL, 1, 0));
        CHECK(tally_is(&tallies, PATCH_KIND_STRING, 1, 0));
        CHECK(tally_is(&tallies, PATCH_KIND_SIZE, 2, 0));
        CHECK(tallies.of[PATCH_KIND_HEADER].right == tallies.of[PATCH_KIND_HEADER].fields);
        CHECK(tallies.of[PATCH_KIND_HEADER].changed > 10);
}

TEST(an_aarch64_program_that_moved_is_foretold)
{
        _cleanup_(scene_done) Scene scene = arm64_scene();
        Tallies tallies;

        CHECK_OK(walk(&scene, NULL, &tallies));
        CHECK(tallies.in_order);
        CHECK(tally_is(&tallies, PATCH_KIND_BRANCH, 2, 1));
        CHECK(tally_is(&tallies, PATCH_KIND_OPERAND, 4, 4));
}

TEST(the_functions_of_a_go_program_are_foretold)
{
        _cleanup_(scene_done) Scene scene = go_scene();
        Tallies tallies;

        CHECK_OK(walk(&scene, NULL, &tallies));
        CHECK(tallies.in_order);
        CHECK(tally_is(&tallies, PATCH_KIND_POINTER, 6, 0));
        CHECK(tally_is(&tallies, PATCH_KIND_STRING, 2, 0));
        CHECK(tally_is(&tallies, PATCH_KIND_RELATIVE, 3 + 1 + 8, 2));
}

TEST(a_kernel_that_moved_is_foretold)
{
        _cleanup_(scene_done) Scene scene = kernel_scene();
        Tallies tallies;

        CHECK_OK(walk(&scene, NULL, &tallies));
        CHECK(tallies.in_order);
        CHECK(tally_is(&tallies, PATCH_KIND_BRANCH, 2, 1));
        CHECK(tally_is(&tallies, PATCH_KIND_OPERAND, 3, 1));
        CHECK(tally_is(&tallies, PATCH_KIND_POINTER, 2, 1));
        CHECK(tally_is(&tallies, PATCH_KIND_RELATIVE, 4, 2));
        CHECK(tally_is(&tallies, PATCH_KIND_LOCATION, SCENE_SYMBOLS + 1, SCENE_SYMBOLS / 2 + 1));
        CHECK(tally_is(&tallies, PATCH_KIND_SYMBOL, SCENE_SYMBOLS, 0));
        CHECK(tally_is(&tallies, PATCH_KIND_TYPE, 2, 2));
        /* Two bytes of names changed, four times each; the first time was a surprise. */
        CHECK_EQ(tallies.of[PATCH_KIND_STRING].fields, 3 + SCENE_SYMBOLS);
        CHECK_EQ(tallies.of[PATCH_KIND_STRING].changed, 8);
        CHECK_EQ(tallies.of[PATCH_KIND_STRING].right, 3 + SCENE_SYMBOLS - 2);
        CHECK_EQ(tallies.of[PATCH_KIND_REPEATED].fields, 1);
        CHECK_EQ(tallies.of[PATCH_KIND_REPEATED].right, 0);
        CHECK(tallies.of[PATCH_KIND_HEADER].right == tallies.of[PATCH_KIND_HEADER].fields);
}

TEST(a_module_is_foretold_by_its_kernel_and_by_other_modules)
{
        _cleanup_(scene_done) Scene kernel = kernel_scene(), module = module_scene();
        _cleanup_(patch_shared_freep) PatchShared *shared = patch_shared_new();
        Tallies tallies;

        CHECK(shared);
        CHECK_OK(walk(&kernel, shared, &tallies));
        CHECK_OK(walk(&module, shared, &tallies));
        CHECK(tallies.in_order);
        CHECK(tally_is(&tallies, PATCH_KIND_LOCATION, 4, 1));
        CHECK(tally_is(&tallies, PATCH_KIND_ADDEND, 3, 2));
        CHECK(tally_is(&tallies, PATCH_KIND_SYMBOL, 4, 0));
        CHECK(tally_is(&tallies, PATCH_KIND_TYPE, 4, 4));
        CHECK(tally_is(&tallies, PATCH_KIND_STRING, 3, 0));
        CHECK(tally_is(&tallies, PATCH_KIND_POINTER, 2, 1));
        CHECK(tally_is(&tallies, PATCH_KIND_SIZE, 1, 0));
        /* The checksum is known from the kernel; the version is not, until the second module. */
        CHECK(tallies.of[PATCH_KIND_REPEATED].right < tallies.of[PATCH_KIND_REPEATED].fields);
        CHECK_OK(walk(&module, shared, &tallies));
        CHECK(tally_is(&tallies, PATCH_KIND_REPEATED, tallies.of[PATCH_KIND_REPEATED].fields, 2));
}

TEST(what_is_learned_is_not_mistaken_twice)
{
        _cleanup_(scene_done) Scene scene = program_scene();
        Tallies tallies;

        /* Without the second segment's code nothing says where the function went but what refers to it. */
        scene.segments[1] = scene_behind(&scene, 64 + 48, SCENE_GAP, scene.old_file.size);
        CHECK_OK(walk(&scene, NULL, &tallies));
        CHECK_EQ(tallies.of[PATCH_KIND_POINTER].fields, 6);
        CHECK(tallies.of[PATCH_KIND_POINTER].right >= 5);
}

TEST(a_file_that_is_no_program_has_no_shape)
{
        Buffer text = BUFFER_WITH_CAP(KIB);
        PatchSegment segment = { 0, 0, 6 };
        PatchView view;

        CHECK_OK(buffer_append_string(&text, "words\n"));
        view = view_of(&text);
        CHECK_EQ(patch_fields_describe(&view, &view, &segment, 1, &text, NULL), 0);
        CHECK_EQ(text.size, 6);
        buffer_done(&text);
}

static int refused(Scene *scene, const uint8_t *shape, size_t size)
{
        PatchView old_file = view_of(&scene->old_file);
        PatchFields *fields = NULL;
        Error error = { 0 };
        int r = patch_fields_new(&old_file, scene->new_file.size, scene->segments, scene->count, shape, size,
                        NULL, &fields, &error);

        (void)patch_fields_free(fields);
        return r == -EBADMSG && error.code == ERROR_CORRUPT;
}

TEST(shapes_and_segments_that_cannot_be_are_refused)
{
        _cleanup_(scene_done) Scene scene = kernel_scene();
        PatchView old_file = view_of(&scene.old_file), new_file = view_of(&scene.new_file);
        _cleanup_buffer_ Buffer shape = BUFFER_WITH_CAP(PATCH_SHAPE_MAX);

        CHECK_EQ(patch_fields_describe(&old_file, &new_file, scene.segments, scene.count, &shape, NULL), 1);
        for (size_t i = 0; i < shape.size; i++)
                CHECK(refused(&scene, shape.data, i));
        CHECK_OK(buffer_append_byte(&shape, 0));
        CHECK(refused(&scene, shape.data, shape.size));
        shape.size--;
        scene.new_file.size = 4096; /* sections behind the end */
        CHECK(refused(&scene, shape.data, shape.size));
        scene.new_file.size = new_file.size_bytes;
        scene.segments[1].size_bytes = UINT64_MAX - 8;
        CHECK(refused(&scene, shape.data, shape.size));
        scene.segments[1] = (PatchSegment){ 0, 0, 64 }; /* overlaps the first */
        CHECK(refused(&scene, shape.data, shape.size));
}

TEST_MAIN
