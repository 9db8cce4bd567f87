# SPDX-License-Identifier: Apache-2.0
"""Logs of QEMU's driver blklogwrites, in the format of Linux's dm-log-writes
(https://docs.kernel.org/admin-guide/device-mapper/log-writes.html): one sector of superblock, then for each request a
sector of header and, for a write, its data. Requests stand in the order in which the disk was given them."""
import mmap
import struct

SECTOR = 512
MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD = 1, 2, 4
MARK_SECTOR = 2000  # between the partition table and the first partition: what is written there is a word to us
MARK_MAGIC = b"bascule-mark "


class Write:
    """One request: `count` sectors from `first` on. A discard has no data: it reads as zeros."""
    __slots__ = ("number", "first", "count", "flags", "log", "offset")

    def __init__(self, number, first, count, flags, log, offset):
        self.number, self.first, self.count, self.flags = number, first, count, flags
        self.log, self.offset = log, offset

    @property
    def end(self):
        return self.first + self.count

    def data(self, sector, count):
        if self.offset is None:
            return bytes(count * SECTOR)
        begin = self.offset + (sector - self.first) * SECTOR
        return self.log[begin:begin + count * SECTOR]


def _map(path):
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _requests(log):
    magic, version, entries, sector_size = struct.unpack_from("<QQQI", log, 0)
    if magic == version == 0:
        return  # the machine wrote nothing
    if magic != MAGIC or version != 1 or sector_size != SECTOR:
        raise ValueError("this is no log of writes with sectors of 512 bytes")
    at = SECTOR
    for _ in range(entries):
        first, count, flags, size = struct.unpack_from("<QQQQ", log, at)
        at += SECTOR
        has_data = count > 0 and not flags & DISCARD
        yield first, count, flags, at if has_data else None
        at += count * SECTOR if has_data else size


def read_logs(runs):
    """Requests of several runs of one machine, one after the other: `runs` has (path, mark that it begins with, or
    None). Yields ("mark", text), ("flush", None) and ("write", Write); a request may be both a flush (first) and a
    write. That a machine is switched off between two runs does not flush what its disk holds back."""
    number = 0
    for path, mark in runs:
        if mark:
            yield "mark", mark
        log, is_marked = _map(path), False
        for first, count, flags, offset in _requests(log):
            if flags & FLUSH and not is_marked:
                yield "flush", None
            is_marked = is_marked and not flags & FLUSH
            if count == 0:
                continue
            number += 1
            write = Write(number, first, count, flags, log, offset)
            if first == MARK_SECTOR and offset and log[offset:offset + len(MARK_MAGIC)] == MARK_MAGIC:
                is_marked = True  # the flush that brought it here is none of the host's
                yield "mark", log[offset + len(MARK_MAGIC):offset + SECTOR].split(b"\n")[0].decode("ascii")
            else:
                yield "write", write
