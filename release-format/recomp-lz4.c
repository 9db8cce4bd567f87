/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"
#include "recomp-codec.h"

#include <lz4.h>
#include <lz4hc.h>

/* Compressing as `lz4 -l -LEVEL` does: the magic, then for each 8 MiB a length and a block. */

#define LEVEL_FAST 1 /* levels below LZ4HC_CLEVEL_MIN are the fast compressor */

static bool is_valid(const RecompCoding *coding)
{
        uint8_t level = coding->parameters[0];

        return (level == LEVEL_FAST || (level >= LZ4HC_CLEVEL_MIN && level <= LZ4HC_CLEVEL_MAX)) &&
               coding->parameters[1] == 0 && coding->parameters[2] == 0;
}

static int compress_block(int level, void *state, const uint8_t *clear, int size, uint8_t *ret, int room)
{
        return level == LEVEL_FAST ? LZ4_compress_fast_extState(
                                                     state, (const char *)clear, (char *)ret, size, room, 1)
                                   : LZ4_compress_HC_extStateHC(state, (const char *)clear, (char *)ret,
                                                     size, room, level);
}

static size_t state_size(int level)
{
        return (size_t)(level == LEVEL_FAST ? LZ4_sizeofState() : LZ4_sizeofStateHC());
}

static int encode_blocks(const RecompCoding *coding, const RecompReader *clear, uint8_t *block, void *state,
                uint8_t *ret, size_t size, Error *error)
{
        size_t done = 4;

        for (uint64_t left = clear->size_bytes; left > 0;) {
                size_t now = (size_t)MIN_OF(left, RECOMP_LZ4_BLOCK);
                size_t room = MIN_OF(size - done, (size_t)INT32_MAX);
                int packed, r = clear->read(clear->data, block, now, error);

                if (r < 0)
                        return r;
                packed = room > 4 ? compress_block(coding->parameters[0], state, block, (int)now,
                                                    ret + done + 4, (int)(room - 4))
                                  : 0;
                if (packed <= 0)
                        return recomp_other_size("lz4", error);
                write_le32(ret + done, (uint32_t)packed);
                done += 4 + (size_t)packed;
                left -= now;
        }
        return done == size ? 0 : recomp_other_size("lz4", error);
}

static int encode(const RecompCoding *coding, const RecompReader *clear, uint8_t *ret, size_t size,
                Error *error)
{
        _cleanup_free_ uint8_t *block = malloc(MIN_OF(clear->size_bytes, RECOMP_LZ4_BLOCK) + 1);
        _cleanup_free_ void *state = malloc(state_size(coding->parameters[0]));

        if (!block || !state)
                return error_oom(error);
        if (size < 4)
                return recomp_other_size("lz4", error);
        write_le32(ret, LZ4_LEGACY_MAGIC);
        return encode_blocks(coding, clear, block, state, ret, size, error);
}

static uint64_t encoder_memory(const RecompCoding *coding, uint64_t clear_size)
{
        return MIN_OF(clear_size, RECOMP_LZ4_BLOCK) + 1 + state_size(coding->parameters[0]);
}

const RecompCodec recomp_lz4 = {
        .name = "lz4", .is_valid = is_valid, .encode = encode, .encoder_memory = encoder_memory
};
