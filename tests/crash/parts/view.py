# SPDX-License-Identifier: Apache-2.0
"""A disk as it would be found: an image, what is surely on it by now, and some of what is not."""
import array
import bisect
import mmap
import os

from .writelog import SECTOR


def _data_of(file):
    """[(first sector, one behind the last)] that a file of holes has data in, ascending."""
    found, at, size = [], 0, os.fstat(file.fileno()).st_size
    while at < size:
        try:
            begin = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError:  # holes up to its end
            break
        at = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
        found.append((begin // SECTOR, -(-at // SECTOR)))
    return found


class Disk:
    """The first image and every write that a later flush has made sure of. Sector by sector it is known which write
    was the last, so nothing is copied. `regions` is [(name, first sector)], ascending from sector 0: what is judged
    apart, and need not be judged again while its generation stays."""

    def __init__(self, image, regions):
        with open(image, "rb") as file:
            self.image = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self.data = _data_of(file)
        self.sectors = len(self.image) // SECTOR
        self.last = array.array("I", bytes(4 * self.sectors))
        self.writes = {}
        self.names, self.starts = [name for name, _ in regions], [start for _, start in regions]
        self.generation = dict.fromkeys(self.names, 0)

    def regions_of(self, first, count):
        """Places in `names` that these sectors lie in."""
        return range(bisect.bisect_right(self.starts, first) - 1, bisect.bisect_left(self.starts, first + count))

    def commit(self, write):
        self.writes[write.number] = write
        self.last[write.first:write.end] = array.array("I", [write.number]) * write.count
        for place in self.regions_of(write.first, write.count):
            self.generation[self.names[place]] += 1

    def is_hole(self, sector, count):
        """Nobody ever wrote there."""
        place = bisect.bisect_left(self.data, (sector + count, 0))
        return not (place and self.data[place - 1][1] > sector) and self.last[sector:sector + count].count(0) == count

    def read(self, sector, count):
        end = sector + count
        if count <= 0 or sector < 0 or end > self.sectors:
            raise ValueError("outside of the disk")
        data, last = bytearray(self.image[sector * SECTOR:end * SECTOR]), self.last[sector:end]
        at = 0
        while at < count:
            number, run, step = last[at], 1, 1
            while step:  # mostly long runs: compare slices
                ahead = last[at + run:at + run + step]
                if ahead and ahead.count(number) == len(ahead):
                    run, step = run + len(ahead), step * 2
                else:
                    step //= 2
            if number:
                data[at * SECTOR:(at + run) * SECTOR] = self.writes[number].data(sector + at, run)
            at += run
        return bytes(data)


class View:
    """A disk with some sectors of some pending writes. A piece is (Write, frozenset of sectors kept, or None for
    all); pieces are applied in their order, which is that of the log."""

    def __init__(self, disk, pieces=()):
        self.disk, self.regions = disk, {}
        for piece in pieces:
            self._put(piece)

    def _put(self, piece):
        write = piece[0]
        for place in self.disk.regions_of(write.first, write.count):
            name = self.disk.names[place]
            self.regions[name] = self.regions.get(name, ()) + (piece,)

    def plus(self, piece):
        """This one with one piece more."""
        other = View(self.disk)
        other.regions = dict(self.regions)
        other._put(piece)
        return other

    def key(self, name):
        """Equal keys, equal content of that region."""
        pieces = self.regions.get(name, ())
        return self.disk.generation[name], tuple((write.number, kept) for write, kept in pieces)

    def pieces_in(self, sector, count):
        names = [self.disk.names[place] for place in self.disk.regions_of(sector, count)]
        found, end = [], sector + count
        for name in names:
            for piece in self.regions.get(name, ()):
                if piece[0].first < end and piece[0].end > sector and piece not in found:
                    found.append(piece)
        return found

    def read(self, sector, count):
        data, end = None, sector + count
        for write, kept in self.pieces_in(sector, count):
            runs = [(write.first, write.count)] if kept is None else [(one, 1) for one in sorted(kept)]
            for first, size in runs:
                begin, stop = max(first, sector), min(first + size, end)
                if begin < stop:
                    data = data or bytearray(self.disk.read(sector, count))
                    data[(begin - sector) * SECTOR:(stop - sector) * SECTOR] = write.data(begin, stop - begin)
        return self.disk.read(sector, count) if data is None else bytes(data)

    def content_key(self, runs):
        """Equal keys, equal content of these runs of sectors."""
        disk = self.disk
        return tuple((sector, count, hash(disk.last[sector:sector + count].tobytes()),
                      tuple((write.number, kept) for write, kept in self.pieces_in(sector, count)))
                     for sector, count in runs)

    def put_into(self, path, first=0, count=None):
        """Writes these sectors of the disk into a file, from its beginning; where the image is zeros it stays a hole."""
        end = self.disk.sectors if count is None else first + count
        with open(path, "wb") as file:
            file.truncate((end - first) * SECTOR)
            for at in range(first, end, 2048):
                size = min(2048, end - at)
                if self.disk.is_hole(at, size) and not self.pieces_in(at, size):
                    continue
                data = self.read(at, size)
                if data.count(0) != len(data):
                    file.seek((at - first) * SECTOR)
                    file.write(data)
