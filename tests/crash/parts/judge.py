# SPDX-License-Identifier: Apache-2.0
"""What becomes of a host whose power was cut, told from its disk alone. Knows the formats, the loader's rules and what
was published; nothing of the engine."""
import collections
import hashlib

from . import fat, gpt, loader, uki, verity

Entry = collections.namedtuple("Entry", "name uki release is_short")
Release = collections.namedtuple("Release", "version uki_sha256 root_hash is_healthy")
SLOTS = ("root-a", "root-b")
UNTRIED = "a release on trial would boot without tries, by its short name"


class Phase:
    """What happens while it lasts. `running`: the release that must stay as it is; `renamed`: whose entry may change
    its name; `blessed`: which may boot without tries; `entry`: the running release's name as the phase begins."""

    def __init__(self, text):
        self.name, *words = text.split()
        options = dict(word.split("=", 1) for word in words)
        self.running = options["running"]
        self.renamed = set(filter(None, options.get("renamed", "").split(",")))
        self.blessed = set(filter(None, options.get("blessed", "").split(",")))
        self.entry = None


class EspVerdict:
    def __init__(self):
        self.problem, self.entries, self.damage, self.has_loader = None, [], collections.Counter(), False


class Judge:
    def __init__(self, disk, releases, loader_sha256):
        self.disk, self.loader_sha256 = disk, loader_sha256
        self.releases = {release.version: release for release in releases}
        self.by_uki = {release.uki_sha256: release for release in releases}
        self.tables, self.esps, self.files, self.slots = {}, {}, {}, {}
        self.judged = collections.Counter()

    # ---- Parts, each judged once for each content ----

    def table(self, view):
        key = view.key("head"), view.key("tail"), view.key("var")
        if key not in self.tables:
            if len(self.tables) > 256:
                self.tables.clear()
            self.tables[key] = gpt.Table(view)
            self.judged["partition tables"] += 1
        return self.tables[key]

    def _content(self, volume, file):
        """(sha256, Uki) of a file."""
        extents, whole = volume.extents(file.first) if file.first else ([], True)
        runs = volume.sectors_of(extents)
        key = file.size, whole, volume.view.content_key(runs)
        if key not in self.files:
            data = volume.read(extents)[:file.size] if extents else b""
            self.files[key] = hashlib.sha256(data).hexdigest(), uki.Uki(data)
            self.judged["files"] += 1
        return self.files[key]

    def _judge_esp(self, view, start):
        verdict = EspVerdict()
        try:
            volume = fat.Fat(view, start)
            files = volume.walk()
        except (fat.Unreadable, ValueError) as problem:
            verdict.problem = str(problem)
            return verdict
        for file in files:
            path = file.path.lower()
            if path == "/efi/boot/bootx64.efi":
                verdict.has_loader = self._content(volume, file)[0] == self.loader_sha256
            if path.rpartition("/")[0] == "/efi/linux" and path.endswith(".efi") and not file.name.startswith("."):
                digest, image = self._content(volume, file)
                if image.is_listed:
                    verdict.entries.append(Entry(file.name, image, self.by_uki.get(digest), file.is_short))
        verdict.damage = volume.damage
        return verdict

    def esp(self, view):
        key = view.key("esp")
        if key not in self.esps:
            if len(self.esps) > 4096:
                self.esps.clear()
            self.esps[key] = self._judge_esp(view, self.table(view).partitions["esp"][0])
            self.judged["boot partitions"] += 1
        return self.esps[key]

    def slot_holds(self, view, root_hash):
        """Whether a slot verifies against this root hash."""
        partitions = self.table(view).partitions
        for slot in SLOTS:
            told = verity.superblock(view, partitions[slot + "-verity"])
            if not told or told[0] != root_hash[:16]:
                continue
            key = slot, root_hash, view.key(slot), view.key(slot + "-verity")
            if key not in self.slots:
                self.slots[key] = verity.verifies(view, partitions[slot], partitions[slot + "-verity"], root_hash)
                self.judged["slots"] += 1
            if self.slots[key]:
                return True
        return False

    # ---- The whole ----

    def boots(self, entry, view):
        return bool(entry.release and entry.uki.root_hash and self.slot_holds(view, entry.uki.root_hash))

    def outcome(self, view, entries):
        """(release that is up in the end, problem): goes through boots as the loader would."""
        entries = list(entries)
        for _ in range(64):
            entries = loader.order(entries)
            if not entries:
                return None, "no boot entry"
            first = entries[0]
            if not first.release:
                return None, "the loader starts a kernel image that is not whole: %s" % first.name
            if self.boots(first, view) and first.release.is_healthy:
                return first.release, None
            counter = loader.tries(first.name)
            if first.is_short:
                return None, UNTRIED
            if counter is None or counter[0] == 0:
                return None, "the loader always takes an entry that does not boot: %s" % first.name
            entries[0] = first._replace(name=loader.counted_down(first.name))
        return None, "tries do not come to an end"

    def judge(self, view, phase):
        """(losses, damage, release that boots)."""
        table = self.table(view)
        if not table.is_good:
            return ["no partition table can be used"], collections.Counter(), None
        damage = collections.Counter()
        damage["partition table: one copy"] += not (table.primary and table.backup)
        esp = self.esp(view)
        if esp.problem:
            return ["the boot partition cannot be read: " + esp.problem], damage, None
        losses = [] if esp.has_loader else ["the boot loader is damaged"]
        damage.update(esp.damage)
        up, problem = self.outcome(view, esp.entries)
        if problem:
            losses.append(problem)
        if not any(self.boots(entry, view) for entry in esp.entries):
            losses.append("no entry boots a slot that verifies")
        losses += self._running(view, phase, esp.entries)
        return losses + self._without_tries(view, phase, esp.entries), damage, up

    def _without_tries(self, view, phase, entries):
        """What the loader may take for good must have been blessed, and is there for as long as its slot is."""
        losses = []
        for entry in entries:
            version = entry.release.version if entry.release else entry.uki.version
            if loader.tries(entry.name) is not None:
                continue
            if version not in phase.blessed:
                losses.append(UNTRIED if entry.is_short else "release %s would boot without tries" % version)
            elif entry.release and not self.boots(entry, view):
                losses.append("release %s has an entry without tries, and no slot" % version)
        return losses

    def _running(self, view, phase, entries):
        own = [entry for entry in entries if entry.release and entry.release.version == phase.running]
        losses = []
        if not self.slot_holds(view, self.releases[phase.running].root_hash):
            losses.append("the slot of the running release is damaged")
        if not own:
            losses.append("the running release has no entry")
        elif phase.running not in phase.renamed and phase.entry not in [entry.name for entry in own]:
            losses.append("the entry of the running release has another name")
        return losses

    def entry_of(self, view, version):
        names = [entry.name for entry in self.esp(view).entries if entry.release and entry.release.version == version]
        return names[0] if names else None
