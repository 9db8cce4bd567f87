# SPDX-License-Identifier: Apache-2.0
"""dm-verity, hash format 1 with SHA-256, from the kernel's documentation
(https://docs.kernel.org/admin-guide/device-mapper/verity.html). Every hash is compared with the one above it."""
import hashlib
import struct

from .writelog import SECTOR

BLOCK = 4096
PER_BLOCK = BLOCK // 32


def superblock(view, partition):
    """(UUID bytes, data blocks, salt), or None."""
    data = view.read(partition[0], 1)
    if data[:8] != b"verity\0\0" or struct.unpack_from("<II", data, 8) != (1, 1):
        return None
    if data[32:64].rstrip(b"\0") != b"sha256" or struct.unpack_from("<II", data, 64) != (BLOCK, BLOCK):
        return None
    blocks, salt_size = struct.unpack_from("<QH", data, 72)
    return (data[16:32], blocks, data[88:88 + salt_size]) if 0 < blocks < 1 << 28 and salt_size <= 256 else None


def _levels(blocks):
    """[(first block in the hash partition, blocks)] from the leaves upwards."""
    counts = []
    while blocks > 1:
        blocks = (blocks + PER_BLOCK - 1) // PER_BLOCK
        counts.append(blocks)
    places, at = [], 1
    for count in reversed(counts):
        places.insert(0, (at, count))
        at += count
    return places


def _hashes(view, first_block, count, salt, base):
    per = BLOCK // SECTOR
    for at in range(0, count, 256):
        size = min(256, count - at)
        data = view.read(base + (first_block + at) * per, size * per)
        for offset in range(0, len(data), BLOCK):
            yield hashlib.sha256(salt + data[offset:offset + BLOCK]).digest()


def verifies(view, data_partition, hash_partition, root_hash):
    told = superblock(view, hash_partition)
    if not told or told[0] != root_hash[:16]:
        return False
    _, blocks, salt = told
    levels, per = _levels(blocks), BLOCK // SECTOR
    if blocks * per > data_partition[1] or (1 + sum(count for _, count in levels)) * per > hash_partition[1]:
        return False
    below = (data_partition[0], 0, blocks)
    for place, count in levels:
        wanted = view.read(hash_partition[0] + place * per, count * per)
        for number, digest in enumerate(_hashes(view, below[1], below[2], salt, below[0])):
            if wanted[number * 32:number * 32 + 32] != digest:
                return False
        below = (hash_partition[0], place, count)
    return next(_hashes(view, below[1], below[2], salt, below[0])) == root_hash
