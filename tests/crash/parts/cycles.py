# SPDX-License-Identifier: Apache-2.0
"""A host in virtual machines goes from release to release, upwards and then downwards, many times: each is started by the
firmware and the loader, blessed, and installs the next by a delta. Power is cut at a random moment of every third update. What
the host uses must stay flat."""
import collections
import random
import re

from . import fat
from .judge import Phase
from .qemu import Stuck
from .ring import Ring
from .small import IMAGE_ID
from .view import View

VERSIONS = ("6", "7", "8")  # newer than all that the machine had before
WARM = 6                    # cycles after which each release has been in each slot
CUT_WITHIN = 2.5            # seconds, which an update takes here
HISTORY_KIB = 128           # that the history of updates may grow by
INSTALL = """
mark update
engine --flag=older --flag=ledger install %s
grep -m 1 '^ "fetched"' /run/out
set -- $(df -k /var | tail -n 1); echo "VAR $3"
echo "STATE $(find /var/lib/bascule -type f | wc -l)"
"""


class Cycles:
    def __init__(self, machine, done, seed="1"):
        self.machine, self.done, self.chance = machine, done, random.Random(seed)
        self.images = [machine.world.image(version, image_id=IMAGE_ID, is_startable=True) for version in VERSIONS]
        Ring(machine.world, machine.repository, self.images)
        done.told["releases"] += [machine.release_of(image) for image in self.images]
        self.cuts = self.fetched = self.full = 0
        self.sizes = []

    # ---- What must hold ----

    def _judge(self, running):
        """(judge, view, release that is up next, damage)"""
        judge = self.done.judge_for(self.machine.disk)
        view = View(judge.disk)
        phase = Phase("cycle running=%s blessed=%s renamed=%s" % (running.version, ",".join(("1", *VERSIONS)), running.version))
        losses, damage, up = judge.judge(view, phase)
        if losses or not up:
            raise Stuck("on release %s: %s" % (running.version, losses))
        return judge, view, up, damage

    def _measure(self, judge, view, shown):
        volume = fat.Fat(view, judge.table(view).partitions["esp"][0])
        return collections.OrderedDict([
            ("files on the ESP", len(volume.walk())), ("clusters of the ESP", volume.clusters - volume.table[2:].count(0)),
            ("files of the state", int(re.search(r"STATE (\d+)", shown).group(1))),
            ("KiB of /var", int(re.search(r"VAR (\d+)", shown).group(1)))])

    # ---- One cycle ----

    def _cut(self, running, target):
        """Power goes in the middle; returns the release that the firmware starts after it."""
        self.machine.cut_stage(running, "bascule-bless\n" + INSTALL % target.version, "MARK update",
                               self.chance.random() * CUT_WITHIN)
        self.cuts += 1
        up = self._judge(running)[2]
        return self._start(next(image for image in (running, target) if image.version == up.version))

    def _start(self, image):
        started = self.machine.firmware(image.version)
        if set(started) != {image.version}:
            raise Stuck("the loader started %s instead of %s" % (started, image.version))
        return image

    def cycle(self, number, running, target):
        if number % 3 == 2:
            running = self._cut(running, target)
        if running is not target:
            shown = self.machine.stage(running, "bascule-bless\n" + INSTALL % target.version, is_recorded=False, is_trial=True)
            self.fetched += int(re.search(r'"fetched": (\d+)', shown).group(1))
            self.full += len(target.root) + len(target.uki)
            judge, view, up, damage = self._judge(running)
            if up.version != target.version or +damage:
                raise Stuck("after the update to %s: %s is up, %s" % (target.version, up.version, dict(damage)))
            self.sizes.append(self._measure(judge, view, shown))
            self._start(target)
        return target

    def run(self, count):
        one = self.machine.world.image("1", image_id=IMAGE_ID, is_startable=True)
        self.machine.use_base()
        self.machine.firmware("1")
        self.machine.stage(one, "bascule-bless\nbascule-disk grow /dev/vda\nengine install 6\n", is_recorded=False, is_trial=True)
        running = self._start(self.images[0])
        for number in range(count):
            at = self.images.index(running) + (1 if number < count // 2 else -1)
            running = self.cycle(number, running, self.images[at % 3])


def _growth(sizes):
    """What is larger in the last third than it ever was between the first cycles and that."""
    late = sizes[-(len(sizes) // 3):]
    early = sizes[min(WARM, len(sizes) // 3):len(sizes) - len(late)]
    found = []
    for name in sizes[0]:
        before, after = max(size[name] for size in early), max(size[name] for size in late)
        if after > before + (HISTORY_KIB if name == "KiB of /var" else 0):
            found.append("%s grew from %d to %d" % (name, before, after))
    return found


def go_round(tap, machine, done, count):
    """Two tests; the line for the summary."""
    cycles, problems = Cycles(machine, done), []
    try:
        cycles.run(count)
    except (Stuck, RuntimeError) as problem:
        problems = ["cycle %d" % len(cycles.sizes), *str(problem).splitlines()[-30:]]
    tap.ok(not problems, "%d updates of a machine, %d of them cut off" % (count, cycles.cuts), problems or [
        "%d bytes fetched where images are %d" % (cycles.fetched, cycles.full)])
    is_flat = not problems and cycles.fetched < cycles.full // 2
    told = ["%-22s %d at first, %d at the end" % (name, cycles.sizes[0][name], cycles.sizes[-1][name])
            for name in (cycles.sizes[0] if cycles.sizes else ())]
    growth = _growth(cycles.sizes) if is_flat else ["no figures"]
    tap.ok(not growth, "what the machine uses stays flat", told + growth)
    return "cycles of a machine: %d, cut off: %d" % (len(cycles.sizes), cycles.cuts)
