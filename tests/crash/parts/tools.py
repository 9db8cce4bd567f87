# SPDX-License-Identifier: Apache-2.0
"""What other people's tools say of a partition after a cut: fsck.fat of the boot partition, e2fsck and debugfs of /var."""
import collections
import json
import os
import random
import subprocess
import tempfile

from . import writelog

ONE_GROUP = 8 << 20  # bytes: in blocks of 1 KiB, as the small machine's /var before it grows. It has no copy of its superblock.
UNCOPIED = "/var: a torn superblock without a copy"
STATE = "/lib/bascule/state.json"
KINDS = {"prefix": 1, "reordered": 0.3, "torn": 0.3}  # and the chance that such a content is asked about: they are much alike


def _mend_esp(path, _):
    done = subprocess.run(["/usr/sbin/fsck.fat", "-a", "-w", path], capture_output=True, check=False)
    again = subprocess.run(["/usr/sbin/fsck.fat", "-n", path], capture_output=True, check=False, text=True)
    if done.returncode not in (0, 1) or again.returncode != 0:
        return ["fsck.fat does not mend the boot partition: " + again.stdout.replace("\n", " ")[:200]]
    return []


def tears_lone_superblock(view, place):
    """Whether half of the superblock was written, of a /var that has no copy of it."""
    first, count = place
    sectors = {first + 2, first + 3}
    return count * writelog.SECTOR <= ONE_GROUP and any(
        kept is not None and len(sectors & kept) == 1 for _, kept in view.regions.get("var", ()))


def _has_torn_superblock(path):
    """It is one, but its checksum is of another."""
    done = subprocess.run(["/usr/sbin/dumpe2fs", "-h", path], capture_output=True, check=False, text=True, env={"LC_ALL": "C"})
    return done.returncode != 0 and "checksum" in done.stderr


def _mend_var(path, damage):
    """A host asks e2fsck -p, and where that gives up e2fsck -y, as often. Then it mounts."""
    done = subprocess.run(["/usr/sbin/e2fsck", "-fp", path], capture_output=True, check=False)
    if done.returncode & ~3:
        damage["/var: e2fsck -p gives up"] += 1
        for _ in range(3):  # with a superblock from elsewhere it does not do everything at once
            done = subprocess.run(["/usr/sbin/e2fsck", "-fy", path], capture_output=True, check=False)
    if done.returncode & ~3 and os.path.getsize(path) <= ONE_GROUP and _has_torn_superblock(path):
        damage.clear()
        damage[UNCOPIED] += 1
        return []
    if done.returncode & ~3:
        return ["e2fsck does not mend /var"]
    state = subprocess.run(["/usr/sbin/debugfs", "-R", "cat " + STATE, path], capture_output=True, check=False).stdout
    try:
        if state:
            json.loads(state)
    except ValueError:
        return ["the state in /var is damaged"]
    return []


MENDERS = {"esp": _mend_esp, "var": _mend_var}


def mend(name, view, place, damage):
    """Losses, after they have mended a copy of this partition."""
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, name)
        view.put_into(path, *place)
        return MENDERS[name](path, damage)


class Tools:
    """Asked about each content of a partition once, and about at most so many: `limits` is {partition: most}. Which ones
    are is spread evenly over the writes to it, and over the kinds of states. `runs` is the log, as read_logs() takes it."""

    def __init__(self, judge, limits, runs, seed):
        self.judge, self.limits, self.chance = judge, limits, random.Random(seed)
        self.contents = {name: set() for name in limits}  # hashes of their keys
        self.asked = collections.Counter()  # of (partition, kind)
        self.uncopied = 0
        self.writes = collections.Counter()
        for what, write in writelog.read_logs(runs) if limits else ():
            if what == "write":
                self.writes.update(judge.disk.names[place] for place in judge.disk.regions_of(write.first, write.count))

    def _is_next(self, name, kind, view):
        key = hash(view.key(name))
        if key in self.contents[name]:
            return False
        self.contents[name].add(key)
        begun = self.judge.disk.generation[name] + len(view.regions.get(name, ()))
        due = self.limits[name] / len(KINDS) * begun / max(self.writes[name], 1)
        return self.asked[name, kind] < due and self.chance.random() < KINDS[kind]

    def ask(self, view, kind):
        """(how many partitions were asked about, losses, damage)"""
        wanted = [name for name in self.limits if self._is_next(name, kind, view)]
        losses, damage = [], collections.Counter()
        if not wanted or not self.judge.table(view).is_good:
            return 0, losses, damage
        for name in wanted:
            self.asked[name, kind] += 1
            losses += mend(name, view, self.judge.table(view).partitions[name], damage)
        self.uncopied += damage.pop(UNCOPIED, 0)  # nothing that a host could update with
        return len(wanted), losses, damage

    @property
    def all_were_asked(self):
        return all(any(self.asked[name, kind] for kind in KINDS) for name in self.limits)

    def lines(self):
        return ["other tools were asked about %d of %d contents of %s (%s)" % (
            sum(self.asked[name, kind] for kind in KINDS), len(self.contents[name]), name,
            ", ".join("%d %s" % (self.asked[name, kind], kind) for kind in KINDS)) for name in self.limits] + [
                "%d times %s" % (self.uncopied, UNCOPIED)] * bool(self.uncopied)
