# SPDX-License-Identifier: Apache-2.0
"""The GUID partition table, read as firmware and kernel read it (UEFI specification 2.10, 5.3)."""
import struct
import uuid
import zlib

from .writelog import SECTOR

ROLES = {
    ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "esp"): "esp",
    ("4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "root-a"): "root-a",
    ("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5", "root-a-verity"): "root-a-verity",
    ("4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "root-b"): "root-b",
    ("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5", "root-b-verity"): "root-b-verity",
    ("4d21b016-b534-45c2-a9fb-5c16e091fd2d", "var"): "var",
}


def _header(view, lba):
    """(entries' bytes, other copy's place) of a copy that is whole, else None."""
    try:
        sector = view.read(lba, 1)
    except ValueError:
        return None
    if sector[:8] != b"EFI PART":
        return None
    size, crc = struct.unpack_from("<II", sector, 12)
    if not 92 <= size <= SECTOR or zlib.crc32(sector[:16] + bytes(4) + sector[20:size]) != crc:
        return None
    mine, other = struct.unpack_from("<QQ", sector, 24)
    at, count, entry_size, entries_crc = struct.unpack_from("<QIII", sector, 72)
    if mine != lba or entry_size != 128 or count > 1024:
        return None
    try:
        entries = view.read(at, (count * 128 + SECTOR - 1) // SECTOR)[:count * 128]
    except ValueError:
        return None
    return (entries, other) if zlib.crc32(entries) == entries_crc else None


def _partitions(entries):
    found = {}
    for at in range(0, len(entries), 128):
        if entries[at:at + 16] == bytes(16):
            continue
        kind = str(uuid.UUID(bytes_le=bytes(entries[at:at + 16])))
        name = entries[at + 56:at + 128].decode("utf-16-le", "replace").split("\0")[0]
        first, last = struct.unpack_from("<QQ", entries, at + 32)
        role = ROLES.get((kind, name))
        if role:
            found[role] = (first, last - first + 1)
    return found


class Table:
    def __init__(self, view):
        mbr = view.read(0, 1)
        self.has_mbr = mbr[510:] == b"\x55\xaa" and 0xEE in [mbr[446 + 16 * i + 4] for i in range(4)]
        primary, last = _header(view, 1), view.disk.sectors - 1
        backup = _header(view, last)
        if primary and not backup and primary[1] != last:
            backup = _header(view, primary[1])  # the disk became larger since
        self.primary, self.backup = primary is not None, backup is not None
        used = primary or backup
        self.partitions = _partitions(used[0]) if used else {}

    @property
    def is_good(self):
        return self.has_mbr and set(self.partitions) == set(ROLES.values())
