/* SPDX-License-Identifier: Apache-2.0 */
#include "lz4-decoder.h"

#include <lz4.h>
#include <string.h>

/* Random access to an LZ4 legacy stream. Once it is unpacked from front to back, and at the beginning of
 * each page a mark is left: where the decoder stands, and the history, packed. Any page can then be made
 * from its mark. Since that takes a while, and patches jump to and fro in a program, a leaf (64 KiB of a
 * page) for which a page is made again is kept packed, as far as memory goes, those used longest ago leaving
 * first; and a few leaves in the clear. */

#define LEAF ((size_t)(16 * KIB))
#define LEAVES_OF_PAGE (LZ4_PAGE / LEAF)
#define LEAVES_KEPT ((size_t)4) /* together */
#define SLOTS 64

typedef struct Mark {
        Lz4State state;
        uint8_t *history; /* packed; NULL where a block begins */
        uint32_t history_size;
        bool was_made; /* since the stream was scanned */
} Mark;

/* A leaf that may be kept packed. */
typedef struct Leaf {
        uint8_t *packed; /* NULL: it is not */
        uint32_t packed_size, size;
        uint64_t last_used;
} Leaf;

typedef struct Slot {
        uint8_t *bytes;
        size_t leaf, size;
        uint64_t last_used;
} Slot;

struct Lz4View {
        Lz4Decoder decoder;
        uint64_t size_bytes, memory_max, clock;
        uint64_t memory; /* all but packed leaves */
        uint64_t leaves_memory;
        Mark *marks;
        Leaf *leaves;
        size_t page_count, mark_capacity;
        Slot slots[SLOTS];
        uint8_t *page; /* LZ4_HISTORY, then the page made last */
        size_t page_number, page_size;
};

Lz4View *lz4_view_free(Lz4View *view)
{
        if (!view)
                return NULL;
        for (size_t i = 0; i < view->page_count; i++)
                free(view->marks[i].history);
        for (size_t i = 0; view->leaves && i < view->page_count * LEAVES_OF_PAGE; i++)
                free(view->leaves[i].packed);
        for (size_t i = 0; i < SLOTS; i++)
                free(view->slots[i].bytes);
        free(view->leaves);
        free(view->marks);
        free(view->page);
        free(view);
        return NULL;
}

/* Counts memory that stays for good. */
static int take_memory(Lz4View *view, uint64_t size, Error *error)
{
        view->memory += size;
        return view->memory <= view->memory_max
                               ? 0
                               : error_set(error, ERROR_CORRUPT, EBADMSG,
                                                 "a stream of lz4 needs more memory than was promised");
}

/* Packs into memory of just that size. */
static int pack(const uint8_t *bytes, size_t size, uint8_t **ret, uint32_t *ret_size, Error *error)
{
        char packed[LZ4_COMPRESSBOUND(LZ4_HISTORY)];
        int packed_size = LZ4_compress_default((const char *)bytes, packed, (int)size, sizeof(packed));
        uint8_t *copy = packed_size > 0 ? malloc((size_t)packed_size) : NULL;

        if (!copy)
                return error_oom(error);
        memcpy(copy, packed, (size_t)packed_size);
        *ret = copy;
        *ret_size = (uint32_t)packed_size;
        return 0;
}

/* Marks where the decoder stands as the beginning of the next page. `has_history`: inside a block. */
static int add_mark(Lz4View *view, bool has_history, Error *error)
{
        Mark mark = { .state = view->decoder.state };
        int r = 0;

        if (view->page_count == view->mark_capacity) {
                size_t capacity = view->mark_capacity == 0 ? 16 : 2 * view->mark_capacity;
                Mark *marks;

                r = take_memory(view, (capacity - view->mark_capacity) * sizeof(*marks), error);
                if (r < 0)
                        return r;
                marks = reallocarray(view->marks, capacity, sizeof(*marks));
                if (!marks)
                        return error_oom(error);
                view->marks = marks;
                view->mark_capacity = capacity;
        }
        if (has_history)
                r = pack(view->page + LZ4_PAGE, LZ4_HISTORY, &mark.history, &mark.history_size, error);
        if (r < 0)
                return r;
        view->marks[view->page_count++] = mark;
        return take_memory(view, mark.history_size, error);
}

/* All pages of one block, one after the other in the same place. */
static int scan_block(Lz4View *view, Error *error)
{
        uint64_t block_size = 0;
        int r = lz4_decoder_block(&view->decoder, error);

        while (r >= 0 && lz4_decoder_in_block(&view->decoder)) {
                size_t size = 0;

                r = block_size >= RECOMP_LZ4_BLOCK ? recomp_malformed("lz4", error)
                                                   : add_mark(view, block_size > 0, error);
                if (r < 0)
                        return r;
                if (block_size > 0)
                        memcpy(view->page, view->page + LZ4_PAGE, LZ4_HISTORY);
                r = lz4_decoder_page(&view->decoder, view->page + LZ4_HISTORY,
                                MIN_OF(block_size, LZ4_HISTORY), &size, error);
                if (r >= 0 && size == 0)
                        r = recomp_malformed("lz4", error);
                block_size += size;
        }
        view->size_bytes += block_size;
        return r;
}

static int scan(Lz4View *view, Error *error)
{
        int r = lz4_decoder_magic(&view->decoder, error);

        while (r >= 0 && view->decoder.state.at < view->decoder.packed->size_bytes)
                /* Only the last block is shorter than the others. */
                r = view->size_bytes % RECOMP_LZ4_BLOCK != 0 ? recomp_malformed("lz4", error)
                                                             : scan_block(view, error);
        return r;
}

static int make_slots(Lz4View *view, Error *error)
{
        size_t leaves = view->page_count * LEAVES_OF_PAGE;
        size_t count = MIN_OF(leaves, (size_t)SLOTS);
        int r = take_memory(view, leaves * sizeof(Leaf) + count * LEAF, error);

        if (r < 0)
                return r;
        view->leaves = calloc(leaves + 1, sizeof(Leaf));
        if (!view->leaves)
                return error_oom(error);
        for (size_t i = 0; i < count; i++) {
                view->slots[i].leaf = SIZE_MAX;
                view->slots[i].bytes = malloc(LEAF);
                if (!view->slots[i].bytes)
                        return error_oom(error);
        }
        return 0;
}

int lz4_view_new(const PatchView *packed, uint64_t memory_max_bytes, Lz4View **ret, Error *error)
{
        _cleanup_(lz4_view_freep) Lz4View *view = calloc(1, sizeof(*view));
        int r;

        if (!view)
                return error_oom(error);
        view->decoder.packed = packed;
        view->memory_max = memory_max_bytes;
        view->page_number = SIZE_MAX;
        view->page = malloc(LZ4_HISTORY + LZ4_PAGE);
        if (!view->page)
                return error_oom(error);
        r = take_memory(view, sizeof(*view) + LZ4_HISTORY + LZ4_PAGE, error);
        if (r >= 0)
                r = scan(view, error);
        if (r >= 0)
                r = make_slots(view, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(view);
        return 0;
}

/* Takes back the memory of the packed leaf that was used longest ago; false when there is none. */
static bool drop_leaf(Lz4View *view)
{
        Leaf *oldest = NULL;

        for (size_t i = 0; i < view->page_count * LEAVES_OF_PAGE; i++) {
                Leaf *leaf = &view->leaves[i];

                if (leaf->packed && (!oldest || leaf->last_used < oldest->last_used))
                        oldest = leaf;
        }
        if (!oldest)
                return false;
        view->leaves_memory -= oldest->packed_size;
        free(oldest->packed);
        oldest->packed = NULL;
        return true;
}

/* Keeps a leaf of the page that was made last. Not being able to is no error. */
static int keep_leaf(Lz4View *view, Leaf *leaf, const uint8_t *bytes, size_t size, Error *error)
{
        uint8_t *packed;
        uint32_t packed_size;
        int r = leaf->packed ? 0 : pack(bytes, size, &packed, &packed_size, error);

        if (r < 0 || leaf->packed)
                return r;
        while (view->memory + view->leaves_memory + packed_size > view->memory_max && drop_leaf(view))
                ;
        if (view->memory + view->leaves_memory + packed_size > view->memory_max) {
                free(packed);
                return 0;
        }
        leaf->packed = packed;
        leaf->packed_size = packed_size;
        leaf->size = (uint32_t)size;
        leaf->last_used = view->clock;
        view->leaves_memory += packed_size;
        return 0;
}

/* Keeps those leaves of the page that was made last that stand around one: what is needed next is near. */
static int keep_around(Lz4View *view, size_t number, Error *error)
{
        size_t first = number - number % LEAVES_KEPT;
        int r = 0;

        for (size_t i = first; r >= 0 && i < first + LEAVES_KEPT; i++) {
                size_t within = i % LEAVES_OF_PAGE * LEAF;

                if (within >= view->page_size)
                        break;
                r = keep_leaf(view, &view->leaves[i], view->page + LZ4_HISTORY + within,
                                MIN_OF(LEAF, view->page_size - within), error);
        }
        return r;
}

static int make_page(Lz4View *view, size_t page, Error *error)
{
        const Mark *mark = &view->marks[page];
        size_t history = mark->history ? LZ4_HISTORY : 0;
        int r;

        view->page_number = SIZE_MAX;
        if (mark->history && LZ4_decompress_safe((const char *)mark->history, (char *)view->page,
                                             (int)mark->history_size, (int)LZ4_HISTORY) != (int)LZ4_HISTORY)
                return recomp_malformed("lz4", error);
        lz4_decoder_seek(&view->decoder, &mark->state);
        r = lz4_decoder_page(&view->decoder, view->page + LZ4_HISTORY, history, &view->page_size, error);
        if (r < 0)
                return r;
        view->page_number = page;
        return 0;
}

/* Makes a page for a leaf of it, which is kept when it was not the first time. */
static int make_page_for(Lz4View *view, size_t page, size_t leaf, Error *error)
{
        bool was_made = view->marks[page].was_made;
        int r = make_page(view, page, error);

        view->marks[page].was_made = true;
        return r >= 0 && was_made ? keep_around(view, leaf, error) : r;
}

/* Unpacks a leaf that was kept, into the slot used longest ago. */
static int open_leaf(Lz4View *view, size_t number, Slot *slot, Error *error)
{
        const Leaf *leaf = &view->leaves[number];

        slot->leaf = SIZE_MAX;
        if (LZ4_decompress_safe((const char *)leaf->packed, (char *)slot->bytes, (int)leaf->packed_size,
                            (int)leaf->size) != (int)leaf->size)
                return recomp_malformed("lz4", error);
        *slot = (Slot){ slot->bytes, number, leaf->size, view->clock };
        return 0;
}

/* The slot that holds a leaf, or else the one used longest ago. */
static Slot *find_slot(Lz4View *view, size_t leaf)
{
        Slot *oldest = &view->slots[0];

        for (size_t i = 0; i < SLOTS && view->slots[i].bytes; i++) {
                if (view->slots[i].leaf == leaf)
                        return &view->slots[i];
                if (view->slots[i].last_used < oldest->last_used)
                        oldest = &view->slots[i];
        }
        return oldest;
}

/* Points at a leaf in the clear: in the page made last, in a slot, unpacked into one, or in the page made
 * now. */
static int find_leaf(Lz4View *view, size_t number, const uint8_t **ret, size_t *ret_size, Error *error)
{
        size_t page = number / LEAVES_OF_PAGE, within = number % LEAVES_OF_PAGE * LEAF;
        Leaf *leaf = &view->leaves[number];
        int r = 0;

        leaf->last_used = ++view->clock;
        if (page != view->page_number) {
                Slot *slot = find_slot(view, number);

                if (slot->leaf != number && leaf->packed)
                        r = open_leaf(view, number, slot, error);
                else if (slot->leaf != number)
                        r = make_page_for(view, page, number, error);
                if (r < 0)
                        return r;
                if (slot->leaf == number) {
                        slot->last_used = view->clock;
                        *ret = slot->bytes;
                        *ret_size = slot->size;
                        return 0;
                }
        }
        *ret = view->page + LZ4_HISTORY + within;
        *ret_size = view->page_size > within ? MIN_OF(LEAF, view->page_size - within) : 0;
        return 0;
}

int lz4_view_read(Lz4View *view, uint64_t offset, void *ret, size_t size, Error *error)
{
        uint8_t *to = ret;

        while (size > 0) {
                size_t within = (size_t)(offset % LEAF), leaf_size = 0, now;
                const uint8_t *leaf = NULL;
                int r = find_leaf(view, (size_t)(offset / LEAF), &leaf, &leaf_size, error);

                if (r < 0)
                        return r;
                /* The packed bytes may have changed since they were scanned. */
                if (within >= leaf_size)
                        return recomp_malformed("lz4", error);
                now = MIN_OF(size, leaf_size - within);
                memcpy(to, leaf + within, now);
                to += now;
                offset += now;
                size -= now;
        }
        return 0;
}

uint64_t lz4_view_size(const Lz4View *view)
{
        return view->size_bytes;
}

uint64_t lz4_view_memory(const Lz4View *view)
{
        return view->memory;
}
