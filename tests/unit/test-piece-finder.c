/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"
#include "piece-finder.h"
#include "test.h"

#include <string.h>
#include <sys/mman.h>

#define BLOCKS 12
#define BLOCK PIECE_BLOCK_SIZE

/* An image of 12 different blocks in pieces of two. */
typedef struct Fixture {
        uint8_t image[BLOCKS * BLOCK];
        Piece pieces[BLOCKS / 2];
        PiecePlace places[BLOCKS / 2];
        PiecesIndex index;
        PayloadSource sources[PAYLOAD_SOURCES_MAX];
        unsigned ticks;
} Fixture;

static void fixture_make(Fixture *f)
{
        *f = (Fixture){ .index = { .image_size_bytes = sizeof(f->image),
                                        .segment_bytes = MIB,
                                        .blocks_max = 2,
                                        .count = ELEMENTS(f->pieces) } };
        f->index.list = f->pieces;
        for (size_t i = 0; i < sizeof(f->image); i++)
                f->image[i] = (uint8_t)(i * 7 + i / BLOCK * 31 + i / 97);
        for (size_t i = 0; i < ELEMENTS(f->pieces); i++)
                f->pieces[i] = (Piece){ .offset = i * 2 * BLOCK,
                        .size_bytes = 2 * BLOCK,
                        .blob_size_bytes = 100,
                        .hash = piece_hash(f->image + i * 2 * BLOCK, 2 * BLOCK) };
        for (size_t i = 0; i < PAYLOAD_SOURCES_MAX; i++)
                f->sources[i].fd = -1;
}

static void fixture_done(Fixture *f)
{
        for (size_t i = 0; i < PAYLOAD_SOURCES_MAX; i++)
                f->sources[i].fd = fd_close(f->sources[i].fd);
}

/* A source that holds blocks of the image, by number; -1 is another. */
static void add_source(Fixture *f, PayloadSourceKind kind, uint64_t offset, const int *blocks, size_t count)
{
        int fd = memfd_create("source", MFD_CLOEXEC);
        uint8_t other[BLOCK];

        memset(other, 0xee, sizeof(other));
        for (size_t i = 0; i < count; i++)
                (void)pwrite_full(fd, blocks[i] < 0 ? other : f->image + (size_t)blocks[i] * BLOCK, BLOCK,
                                offset + i * BLOCK);
        f->sources[kind] = (PayloadSource){ fd, offset, count * BLOCK };
}

static int tick(void *data)
{
        ((Fixture *)data)->ticks++;
        return 0;
}

static int find(Fixture *f)
{
        return piece_finder_run(&f->index, f->sources, f->places, tick, f, NULL);
}

TEST(pieces_are_found_wherever_they_lie)
{
        _cleanup_(fixture_done) Fixture f;

        fixture_make(&f);
        add_source(&f, PAYLOAD_SOURCE_OLD_ROOT, 512, (const int[]){ -1, 2, 3, 0, -1, 1, 4 }, 7);
        add_source(&f, PAYLOAD_SOURCE_OLD_UKI, 0, (const int[]){ 8, 9 }, 2);
        CHECK_OK(find(&f));
        CHECK_EQ(f.places[0].state, PIECE_WANTED); /* its blocks are there, but not in a row */
        CHECK_EQ(f.places[1].state, PIECE_FOUND);
        CHECK_EQ(f.places[1].source, PAYLOAD_SOURCE_OLD_ROOT);
        CHECK_EQ(f.places[1].offset, BLOCK);
        CHECK_EQ(f.places[2].state, PIECE_WANTED);
        CHECK_EQ(f.places[4].source, PAYLOAD_SOURCE_OLD_UKI);
        CHECK_EQ(f.places[4].offset, 0);
}

TEST(what_stands_in_its_place_is_done_and_what_will_be_overwritten_is_no_source)
{
        _cleanup_(fixture_done) Fixture f;

        fixture_make(&f);
        /* Block: 0  1   2  3  4   5  6   7  8  9  10  11 */
        add_source(&f, PAYLOAD_SOURCE_TARGET, 0, (const int[]){ 0, 1, 10, 11, -1, 4, 5, -1, 6, 7, -1, -1 },
                        12);
        CHECK_OK(find(&f));
        CHECK_EQ(f.places[0].state, PIECE_DONE);
        CHECK_EQ(f.places[2].state, PIECE_FOUND); /* one block further on */
        CHECK_EQ(f.places[2].offset, 5 * BLOCK);
        CHECK_EQ(f.places[3].offset, 8 * BLOCK);
        CHECK_EQ(f.places[5].state, PIECE_WANTED); /* stands before its place */
}

TEST(a_place_of_its_own_is_better_than_a_source_and_what_is_done_stays)
{
        _cleanup_(fixture_done) Fixture f;

        fixture_make(&f);
        add_source(&f, PAYLOAD_SOURCE_OLD_ROOT, 0, (const int[]){ 0, 1, 2, 3 }, 4);
        add_source(&f, PAYLOAD_SOURCE_TARGET, 0, (const int[]){ 0, 1, -1, -1 }, 4);
        f.places[1].state = PIECE_DONE; /* nobody wants it */
        CHECK_OK(find(&f));
        CHECK_EQ(f.places[0].state, PIECE_DONE);
        CHECK_EQ(f.places[1].state, PIECE_DONE);
}

TEST(pieces_of_zeros_are_not_looked_for_and_equal_hashes_cost_no_more)
{
        _cleanup_(fixture_done) Fixture f;

        fixture_make(&f);
        for (size_t i = 0; i < ELEMENTS(f.pieces); i++)
                f.pieces[i].hash = f.pieces[0].hash;
        f.pieces[3].blob_size_bytes = 0;
        add_source(&f, PAYLOAD_SOURCE_OLD_ROOT, 0, (const int[]){ 0, 1 }, 2);
        CHECK_OK(find(&f));
        CHECK_EQ(f.places[0].state, PIECE_FOUND);
        CHECK_EQ(f.places[5].state, PIECE_FOUND);
        CHECK_EQ(f.places[3].state, PIECE_WANTED);
}

TEST_MAIN
