# SPDX-License-Identifier: Apache-2.0
"""A recording, state by state, before the judge."""
import collections
import json
import os
import random

from . import gpt, states, view, writelog
from .judge import Judge, Phase, Release
from .tools import Tools, tears_lone_superblock

COLUMNS = ("writes", "flushes", "prefix", "reordered", "torn", "damaged", "tools", "lost")


def regions_of(image):
    """What is judged apart, by the table that the recording begins with."""
    plain = view.Disk(image, [("head", 0)])
    places = gpt.Table(view.View(plain)).partitions
    found = [("head", 0)] + sorted(((role, at) for role, (at, _) in places.items()), key=lambda item: item[1])
    return found + [("tail", plain.sectors - 33)]


class Replay:
    """`tools` says of how many contents of which partition other people's tools are asked as well ({name: most}).
    `unflushed` names a phase in which the disk ignores every flush: a replay must find losses there."""

    def __init__(self, folder, limits, seed="1", tools=None, unflushed=None):
        self.folder, self.limits, self.seed, self.unflushed = folder, limits, seed, unflushed
        self.tool_limits, self.tools = tools or {}, None
        with open(os.path.join(folder, "recording.json"), encoding="utf-8") as file:
            self.told = json.load(file)
        self.runs = [(os.path.join(folder, run["file"]), run["phase"]) for run in self.told["logs"]]
        self.counts = collections.defaultdict(collections.Counter)  # of a phase: what COLUMNS name
        self.damage = collections.defaultdict(collections.Counter)
        self.up = collections.defaultdict(collections.Counter)
        self.losses = []     # (number of the state, phase, kind, what)
        self.candidates = {} # of each phase, kind and damage a state, for booting

    def judge_for(self, image, regions=None):
        disk = view.Disk(image, regions or regions_of(image))
        releases = [Release(r["version"], r["uki-sha256"], bytes.fromhex(r["root-hash"]), r["healthy"])
                    for r in self.told["releases"]]
        return Judge(disk, releases, self.told["loader-sha256"])

    def _flushed(self, disk, pending, phase, is_quiet):
        """The states of what is pending, which is on the disk after that."""
        if phase and not is_quiet and self.unflushed in (None, phase.name):
            for kind, state in states.states(disk, pending, self.limits, self.seed):
                yield phase, kind, state
        for write in pending:
            disk.commit(write)
        pending.clear()
        yield phase, "flushes", None

    def _states(self, judge, is_quiet=False):
        """Every state, as (phase, kind, view); what a flush made sure of is put on the disk on the way. Kinds "writes"
        and "flushes" only count."""
        disk, pending, phase = judge.disk, [], None
        for what, item in writelog.read_logs(self.runs):
            ignores = phase and phase.name == self.unflushed
            if what == "write":
                pending.append(item)
                yield phase, "writes", None
            elif what == "mark":
                if ignores:
                    yield from self._flushed(disk, pending, phase, is_quiet)
                phase = Phase(item)
                here = view.View(disk, [(write, None) for write in pending])
                phase.entry = judge.entry_of(here, phase.running)
                yield phase, "prefix", here
            elif not ignores:
                yield from self._flushed(disk, pending, phase, is_quiet)
        yield from self._flushed(disk, pending, phase, is_quiet)

    # ---- Judging ----

    def run(self):
        judge, chance = self.judge_for(os.path.join(self.folder, "base.raw")), random.Random(self.seed)
        self.tools = Tools(judge, self.tool_limits, self.runs, self.seed)
        for number, (phase, kind, state) in enumerate(self._states(judge)):
            if phase is None:
                continue
            self.counts[phase.name][kind] += 1
            if state is None:
                continue
            losses, damage, up = judge.judge(state, phase)
            asked, found, worse = self.tools.ask(state, kind)
            self.counts[phase.name]["tools"] += asked
            losses, damage = losses + found, damage + worse
            self._note(number, phase, kind, losses, +damage, up)
            place = judge.table(state).partitions.get("var")
            if place and tears_lone_superblock(state, place):
                continue  # nothing to update with: docs/reliability.md, "What is left"
            self._offer(number, (phase.name, kind, tuple(sorted(+damage))), up, chance)
        self.judged = judge.judged
        return self

    def _note(self, number, phase, kind, losses, damage, up):
        counts = self.counts[phase.name]
        counts["damaged"] += bool(damage)
        counts["lost"] += bool(losses)
        self.damage[phase.name].update(damage.keys())
        self.up[phase.name][up.version if up else "nothing"] += 1
        self.losses += [(number, phase.name, kind, what) for what in losses]

    def _offer(self, number, key, up, chance):
        seen = self.candidates.get(key, (0, None, None))[0] + 1
        if chance.random() < 1 / seen:
            self.candidates[key] = seen, number, up.version if up else None
        else:
            self.candidates[key] = seen, *self.candidates[key][1:]

    def final(self):
        """The judge, with all that was recorded on its disk."""
        judge = self.judge_for(os.path.join(self.folder, "base.raw"))
        for _ in self._states(judge, is_quiet=True):
            pass
        return judge

    # ---- For booting ----

    def sample(self, count):
        """Numbers of states: phases in turn, of each the kinds of damage in turn. {number: (key, release up)}"""
        chance, phases = random.Random(self.seed), collections.defaultdict(list)
        for key, (_, number, up) in sorted(self.candidates.items()):
            phases[key[0]].append((number, (key, up)))
        found, turn = {}, [chance.sample(states_of, len(states_of)) for states_of in phases.values()]
        chance.shuffle(turn)
        while len(found) < count and any(turn):
            for states_of in turn:
                if states_of and len(found) < count:
                    number, what = states_of.pop()
                    found[number] = what
        return found

    def visit(self, wanted):
        """(number, phase, judge, view) of each of these states, in their order."""
        judge, left = self.judge_for(os.path.join(self.folder, "base.raw")), set(wanted)
        for number, (phase, _, state) in enumerate(self._states(judge)):
            if number in left:
                yield number, phase, judge, state
                left.discard(number)
            if not left:
                return

    def extract(self, wanted, path_of):
        """Writes the disks of these states into files, path_of(number)."""
        for number, _, _, state in self.visit(wanted):
            state.put_into(path_of(number))

    # ---- What came of it ----

    def total(self, column):
        return sum(counts[column] for counts in self.counts.values())

    def table(self):
        lines = ["%-20s" % "phase" + "".join("%10s" % name for name in COLUMNS) + "  boots"]
        total = collections.Counter()
        for name, counts in self.counts.items():
            total.update(counts)
            lines.append("%-20s" % name + "".join("%10d" % counts[column] for column in COLUMNS) + "  " + " ".join(
                "%s:%d" % item for item in sorted(self.up[name].items())))
        lines.append("%-20s" % "all" + "".join("%10d" % total[column] for column in COLUMNS))
        damage = sum(self.damage.values(), collections.Counter())
        lines += ["damage seen: " + ", ".join("%s %d" % item for item in damage.most_common())] if damage else []
        return lines + self.tools.lines()

    def loss_lines(self, most=40):
        kinds = collections.Counter((phase, kind, what) for _, phase, kind, what in self.losses)
        first = {}
        for number, *key in self.losses:
            first.setdefault(tuple(key), number)
        return ["%s, %s: %s (%d states, the first is %d)" % (*key, count, first[key]) for key, count in kinds.most_common(most)]
