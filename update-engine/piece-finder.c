/* SPDX-License-Identifier: Apache-2.0 */
#include "piece-finder.h"

#include "file.h"

#include <fcntl.h>
#include <string.h>

#define CHUNK_BLOCKS 256 /* read at once */
#define PROBES_MAX 64    /* so that an index of equal hashes costs no more than another */
#define TICK_BYTES (16 * MIB)

typedef struct Finder {
        const PiecesIndex *index;
        PiecePlace *places;
        uint32_t *slots; /* piece number and 1 added; 0: free */
        size_t mask;
        uint64_t recent[PIECE_BLOCKS_MAX]; /* hashes of the last blocks, oldest first */
        size_t recent_count;
        uint8_t *chunk;
} Finder;

static void insert(Finder *finder, size_t number)
{
        size_t at = finder->index->list[number].hash & finder->mask;

        for (unsigned i = 0; i < PROBES_MAX; i++, at = (at + 1) & finder->mask) {
                if (finder->slots[at] != 0)
                        continue;
                finder->slots[at] = (uint32_t)number + 1;
                return;
        }
}

static void note(Finder *finder, size_t number, uint8_t source, uint64_t offset)
{
        const Piece *piece = &finder->index->list[number];
        PiecePlace *place = &finder->places[number];

        if (source == PAYLOAD_SOURCE_TARGET && offset == piece->offset)
                place->state = PIECE_DONE;
        if (place->state != PIECE_WANTED || (source == PAYLOAD_SOURCE_TARGET && offset < piece->offset))
                return;
        *place = (PiecePlace){ offset, PIECE_FOUND, source };
}

static void look_up(Finder *finder, uint64_t hash, size_t size, uint8_t source, uint64_t offset)
{
        size_t at = hash & finder->mask;

        for (unsigned i = 0; i < PROBES_MAX && finder->slots[at] != 0; i++, at = (at + 1) & finder->mask) {
                size_t number = finder->slots[at] - 1;
                const Piece *piece = &finder->index->list[number];

                if (piece->hash == hash && piece->size_bytes == size)
                        note(finder, number, source, offset);
        }
}

/* Every run of blocks that ends with this one. */
static void take_block(Finder *finder, const uint8_t *data, uint8_t source, uint64_t offset)
{
        size_t most = finder->index->blocks_max;

        if (finder->recent_count == most)
                memmove(finder->recent, finder->recent + 1,
                                --finder->recent_count * sizeof(finder->recent[0]));
        finder->recent[finder->recent_count++] = piece_block_hash(data, PIECE_BLOCK_SIZE);
        for (size_t n = 1; n <= finder->recent_count; n++)
                look_up(finder, piece_join_hashes(finder->recent + finder->recent_count - n, n),
                                n * PIECE_BLOCK_SIZE, source, offset - (n - 1) * PIECE_BLOCK_SIZE);
}

static int scan(Finder *finder, const PayloadSource *source, uint8_t number, PieceTick tick, void *tick_data)
{
        uint64_t blocks = source->size_bytes / PIECE_BLOCK_SIZE;

        finder->recent_count = 0;
        for (uint64_t block = 0; block < blocks;) {
                uint64_t count = MIN_OF(blocks - block, (uint64_t)CHUNK_BLOCKS),
                         offset = block * PIECE_BLOCK_SIZE;
                int r = pread_full(source->fd, finder->chunk, count * PIECE_BLOCK_SIZE,
                                source->offset + offset);

                for (uint64_t i = 0; r >= 0 && i < count; i++)
                        take_block(finder, finder->chunk + i * PIECE_BLOCK_SIZE, number,
                                        offset + i * PIECE_BLOCK_SIZE);
                if (r < 0)
                        finder->recent_count = 0;
                (void)posix_fadvise(source->fd, (off_t)(source->offset + offset),
                                (off_t)(count * PIECE_BLOCK_SIZE), POSIX_FADV_DONTNEED);
                block += count;
                if (block * PIECE_BLOCK_SIZE % TICK_BYTES == 0 && (r = tick(tick_data)) < 0)
                        return r;
        }
        return 0;
}

static int run(Finder *finder, const PayloadSource *sources, PieceTick tick, void *tick_data, Error *error)
{
        for (size_t i = 0; i < finder->index->count; i++)
                if (finder->places[i].state == PIECE_WANTED && finder->index->list[i].blob_size_bytes > 0)
                        insert(finder, i);
        /* The target last: what lies elsewhere stays there. */
        for (uint8_t i = 0; i < PAYLOAD_SOURCES_MAX; i++) {
                int r = sources[i].fd < 0 ? 0 : scan(finder, &sources[i], i, tick, tick_data);

                if (r < 0)
                        return error_set(error, ERROR_FAILED, -r,
                                        "the search for what is there was stopped: %s", strerror(-r));
        }
        return 0;
}

int piece_finder_run(const PiecesIndex *index, const PayloadSource *sources, PiecePlace *places,
                PieceTick tick, void *tick_data, Error *error)
{
        size_t size = 64;
        Finder finder = { .index = index, .places = places };
        int r;

        while (size < 2 * index->count)
                size *= 2;
        finder.mask = size - 1;
        finder.slots = calloc(size, sizeof(*finder.slots));
        finder.chunk = malloc(CHUNK_BLOCKS * PIECE_BLOCK_SIZE);
        r = finder.slots && finder.chunk ? run(&finder, sources, tick, tick_data, error) : error_oom(error);
        free(finder.slots);
        free(finder.chunk);
        return r;
}
