# SPDX-License-Identifier: Apache-2.0
"""FAT32 as firmware reads it (Microsoft's FAT specification 1.03): names, chains, and what is odd about them."""
import array
import collections
import struct

from .writelog import SECTOR

END = 0x0FFFFFF8
File = collections.namedtuple("File", "path name first size is_short")


class Unreadable(Exception):
    pass


_counted = array.array("I")


def _numbers(count):
    """0, 1, 2 and so on, at least so many."""
    if len(_counted) < count:
        _counted.extend(range(len(_counted), 2 * count))
    return _counted


def _checksum(short):
    value = 0
    for byte in short:
        value = ((value >> 1) + ((value & 1) << 7) + byte) & 0xFF
    return value


class _LongName:
    """Slots of a long name, which stand before the one that counts, last part first."""

    def __init__(self):
        self.parts, self.expected, self.sum = [], 0, None

    def add(self, slot):
        order = slot[0]
        if order & 0x40:
            self.parts, self.expected, self.sum = [], order & 0x3F, slot[13]
        if (order & 0x3F) != self.expected or slot[13] != self.sum or self.expected == 0:
            self.__init__()
            return False
        self.parts.insert(0, slot[1:11] + slot[14:26] + slot[28:32])
        self.expected -= 1
        return True

    def take(self, short):
        """The name, if it is whole and belongs to this short one."""
        whole = self.parts and self.expected == 0 and self.sum == _checksum(short)
        name = b"".join(self.parts).decode("utf-16-le", "replace").split("\0")[0] if whole else None
        torn = bool(self.parts) and not whole
        self.__init__()
        return name, torn


def _short_name(slot):
    base, extension = slot[:8].decode("latin-1").rstrip(), slot[8:11].decode("latin-1").rstrip()
    if slot[12] & 0x08:
        base = base.lower()
    if slot[12] & 0x10:
        extension = extension.lower()
    return base + "." + extension if extension else base


class Fat:
    def __init__(self, view, start):
        self.view, self.start = view, start
        boot = view.read(start, 1)
        sector, self.per_cluster, reserved, copies = struct.unpack_from("<HBHB", boot, 11)
        table_sectors, = struct.unpack_from("<I", boot, 36)
        total, = struct.unpack_from("<I", boot, 32)
        if boot[510:] != b"\x55\xaa" or sector != SECTOR or copies < 1 or not self.per_cluster or not table_sectors:
            raise Unreadable("no FAT32 boot sector")
        self.root, = struct.unpack_from("<I", boot, 44)
        self.is_dirty = bool(boot[65] & 1)
        self.table_at, self.table_sectors, self.copies = start + reserved, table_sectors, copies
        self.data_at = self.table_at + copies * table_sectors
        self.clusters = (total - reserved - copies * table_sectors) // self.per_cluster
        self.table_bytes = view.read(self.table_at, table_sectors)
        self.table = array.array("I", self.table_bytes)[:self.clusters + 2]
        self.damage = collections.Counter()

    def extents(self, first):
        """A chain as [(cluster, count)] and whether it ends as it should. Runs are found by comparing slices."""
        found, cluster, total = [], first, 0
        while True:
            if not 2 <= cluster < self.clusters + 2 or total > self.clusters:
                return found, cluster >= END and bool(found)
            run, step = 1, 1
            while step:
                at = cluster + run
                if step <= len(self.table) - at and self.table[at - 1:at - 1 + step] == _numbers(at + step)[at:at + step]:
                    run, step = run + step, step * 2
                else:
                    step //= 2
            found.append((cluster, run))
            total += run
            cluster = self.table[cluster + run - 1] & 0x0FFFFFFF

    def sectors_of(self, extents):
        return [(self.data_at + (cluster - 2) * self.per_cluster, count * self.per_cluster)
                for cluster, count in extents]

    def read(self, extents):
        return b"".join(self.view.read(at, count) for at, count in self.sectors_of(extents))

    def folder(self, path, first):
        """Files and folders in it: (is_folder, File)."""
        extents, whole = self.extents(first)
        if not whole:
            self.damage["folder cut short"] += 1
        data, long_name = self.read(extents), _LongName()
        for at in range(0, len(data), 32):
            slot = data[at:at + 32]
            if slot[0] == 0:
                break
            if slot[0] == 0xE5:
                if long_name.parts:
                    self.damage["orphaned name slots"] += 1
                    long_name = _LongName()
                continue
            if slot[11] & 0x3F == 0x0F:
                if not long_name.add(slot):
                    self.damage["orphaned name slots"] += 1
                continue
            name, torn = long_name.take(slot[:11])
            self.damage["orphaned name slots"] += torn
            if slot[11] & 0x08 or slot[0] == 0x2E:
                continue
            low, size = struct.unpack_from("<HI", slot, 26)
            high, = struct.unpack_from("<H", slot, 20)
            shown = name or _short_name(slot)
            yield bool(slot[11] & 0x10), File(path + "/" + shown, shown, high << 16 | low, size, name is None)

    def walk(self):
        """All files; counts what is odd about them on the way."""
        files, waiting, owned = [], [("", self.root, 0)], []
        while waiting:
            path, first, depth = waiting.pop()
            owned += self.extents(first)[0]
            for is_folder, file in self.folder(path, first):
                if is_folder and depth < 8:
                    waiting.append((file.path, file.first, depth + 1))
                elif not is_folder:
                    files.append(file)
                    owned += self.extents(file.first)[0] if file.first else []
        self._count(files, owned)
        return files

    def _count(self, files, owned):
        owned.sort()
        for (one, count), (two, _) in zip(owned, owned[1:]):
            if two < one + count:
                self.damage["clusters shared"] += 1
        used = self.clusters - self.table[2:].count(0)
        distinct, last = 0, 0
        for cluster, count in owned:
            distinct += max(0, cluster + count - max(cluster, last))
            last = max(last, cluster + count)
        if used > distinct:
            self.damage["clusters lost"] += 1
        for file in files:
            extents, whole = self.extents(file.first) if file.first else ([], True)
            room = sum(count for _, count in extents) * self.per_cluster * SECTOR
            if not whole or room < file.size:
                self.damage["file cut short"] += 1
        for copy in range(1, self.copies):
            if self.view.read(self.table_at + copy * self.table_sectors, self.table_sectors) != self.table_bytes:
                self.damage["table copies differ"] += 1
        if self.is_dirty:
            self.damage["unclean mark"] += 1
