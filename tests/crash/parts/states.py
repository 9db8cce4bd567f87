# SPDX-License-Identifier: Apache-2.0
"""What a disk may hold after a cut. What was written before the last flush is there. Of what was written since, a disk
with a cache may hold any part: each write or not, and of each write any of its sectors of 512 bytes; what it holds of a
sector is the old or the new. Where that is too much, a sample is drawn; the same seed draws the same."""
import random

from .view import View
from .writelog import SECTOR


class Limits:
    def __init__(self, exhaustive=8, sample=160, tears=32, others=4):
        self.exhaustive = exhaustive  # so many things that matter are tried in every combination
        self.sample = sample          # of more of them, so many combinations
        self.tears = tears            # of one write that changes more sectors than `exhaustive`
        self.others = others          # combinations of writes that hardly matter: image data, /var


def _matters(disk, write):
    """Partition table, names and tables of the ESP, superblocks of slots. Not: what fills files and slots."""
    for place in disk.regions_of(write.first, write.count):
        name = disk.names[place]
        if name in ("head", "tail") or name == "esp" and write.count <= 128:
            return True
        if name.endswith("-verity") and write.first - disk.starts[place] < 8:
            return True
    return False


def _subsets(count, limits, chance):
    """Of `count` writes, but neither none nor a prefix: those are tried anyway."""
    prefixes = {(1 << length) - 1 for length in range(count + 1)}
    wanted = len(prefixes) + 2 * count + limits.sample
    if count <= limits.exhaustive or 1 << count <= 2 * wanted:
        yield from (mask for mask in range(1 << count) if mask not in prefixes)
        return
    everything, seen = (1 << count) - 1, set(prefixes)
    for number in range(count):
        seen.update((1 << number, everything ^ 1 << number))
    while len(seen) < wanted:
        share = chance.choice((0.2, 0.5, 0.8))
        seen.add(sum(1 << number for number in range(count) if chance.random() < share))
    yield from sorted(seen - prefixes)


def _reordered(disk, pending, limits, chance):
    vital = [write for write in pending if _matters(disk, write)]
    rest = [write for write in pending if not _matters(disk, write)]
    for mask in _subsets(len(vital), limits, chance):
        kept = {write.number for number, write in enumerate(vital) if mask >> number & 1}
        for part in ({write.number for write in rest}, set()) if rest else (set(),):
            yield frozenset(kept | part)
    for _ in range(limits.others if rest and len(pending) > 1 else 0):
        yield frozenset(write.number for write in pending if chance.random() < chance.choice((0.1, 0.5, 0.9)))


def _changed(view, write):
    """Sectors of a write that it makes another."""
    old, new = view.read(write.first, write.count), write.data(write.first, write.count)
    return [write.first + number for number in range(write.count)
            if old[number * SECTOR:(number + 1) * SECTOR] != new[number * SECTOR:(number + 1) * SECTOR]]


def _tears(sectors, limits, most, chance):
    """Parts of the changed sectors that are kept: any, or a sample of beginnings, ends and any."""
    count = len(sectors)
    if count <= limits.exhaustive and 1 << count <= 4 * most:
        masks = range(1, (1 << count) - 1)
    else:
        cuts = chance.sample(range(1, count), min(most, count - 1))
        masks = [(1 << cut) - 1 if chance.random() < 0.5 else (1 << count) - (1 << cut) for cut in sorted(cuts)]
        masks += [chance.getrandbits(count) for _ in range(min(most, 8))]
    return [frozenset(sector for number, sector in enumerate(sectors) if mask >> number & 1) for mask in masks]


def states(disk, pending, limits, seed):
    """All states between two flushes, as (kind, View)."""
    chance = random.Random("%s %d" % (seed, pending[0].number if pending else 0))
    view, seen = View(disk), set()
    for write in pending:
        for kept in _tears(_changed(view, write), limits, limits.tears if _matters(disk, write) else 2, chance):
            yield "torn", view.plus((write, kept))
            if view.regions:
                yield "torn", View(disk, [(write, kept)])  # and what was written before is lost
        view = view.plus((write, None))
        yield "prefix", view
    for kept in _reordered(disk, pending, limits, chance):
        if kept not in seen:
            seen.add(kept)
            yield "reordered", View(disk, [(write, None) for write in pending if write.number in kept])
