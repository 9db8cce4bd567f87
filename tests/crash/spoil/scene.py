# SPDX-License-Identifier: Apache-2.0
"""A host in files that can be put back to its first state, the engine at work on it, and what must hold whatever happened.
The engine is tests/integration/engine-driver.c: all of basculed but the bus."""
import hashlib
import json
import os
import shutil
import subprocess

from harness.host import Host
from harness.images import BLOCK

DOCUMENTED = range(1, 17)


def end_complaints(status, err):
    """An end must be success, or a documented status with a sentence for a person."""
    sentence = err.splitlines()[-1] if err else ""
    if status == 0:
        return []
    if status not in DOCUMENTED:
        return ["ended with %d: %s" % (status, err)]
    if len(sentence) < 30 or "(null)" in sentence or "Success" in sentence:
        return ["no clear message: %s" % err]
    return []


class Scene:
    """A host in files that can be put back to its first state, and what must hold of it."""

    def __init__(self, world, url, images, verb, slot_mib=1):
        self.world, self.images, self.verb = world, images, verb
        self.host = Host(world, images[0], url, slot_mib=slot_mib)
        self.host.configure(timeout="2s", update="RetryDelay=0")
        if verb == "rollback":
            self.host.put_release(images[1], "b")
        self.saved = self.host.folder + "/saved"
        self._copy(self.host.folder, self.saved)
        self.before = self.fingerprint()
        self.names = None

    def _copy(self, source, target):
        os.makedirs(target, exist_ok=True)
        subprocess.run(["cp", "--sparse=always", source + "/disk.raw", target + "/disk.raw"], check=True)
        for name in ("esp", "state", "run"):
            shutil.rmtree(os.path.join(target, name), ignore_errors=True)
            shutil.copytree(os.path.join(source, name), os.path.join(target, name))

    def reset(self):
        self._copy(self.saved, self.host.folder)

    # ---- What must hold ----

    def entry_hash(self, image):
        """Of the entry of a release, whatever its counter says; None without one."""
        for name in self.host.entries():
            if name.startswith("%s_%s" % (image.image_id, image.version)) and name.endswith(".efi"):
                with open(os.path.join(self.host.esp, "EFI/Linux", name), "rb") as file:
                    return hashlib.sha256(file.read()).hexdigest()
        return None

    def fingerprint(self):
        """Nothing of this may ever change. A rollback renames the running entry, but keeps it."""
        with open(self.host.disk, "rb") as file:
            found = [file.read(1 << 20)]
            file.seek(-(1 << 20), os.SEEK_END)
            found.append(file.read())
        found += [self.host.read(label) for label in ("root-a", "root-a-verity", "esp", "var")]
        found.append(self.entry_hash(self.images[0]))
        if self.verb != "rollback":
            found.append([name for name in self.host.entries() if self.is_of(name, self.images[0])])
        return found

    @staticmethod
    def is_of(name, image):
        return name.startswith("%s_%s" % (image.image_id, image.version))

    def proves(self, image, slot="b"):
        """The slot holds the release, and its entry is the one that was signed."""
        tree = self.host.read("root-%s-verity" % slot, BLOCK + len(image.tree))
        return (self.host.read("root-" + slot, len(image.root)) == image.root and tree[BLOCK:] == image.tree and
                tree[:len(image.superblock)] == image.superblock and
                self.entry_hash(image) == hashlib.sha256(image.uki).hexdigest())

    def preferred(self):
        """The entry that the loader takes: the newest that has tries left or needs none."""
        def key(name):
            version, _, counter = name[:-4].partition("_")[2].partition("+")
            return counter.startswith("0"), -int(version)
        return sorted(self.host.entries(), key=key)[0]

    def complaints(self):
        """What does not hold."""
        found = []
        if self.fingerprint() != self.before:
            found.append("what runs was touched")
        other = self.images[1]
        if self.entry_hash(other) is not None and not self.proves(other):
            found.append("an entry leads to a slot that does not prove it")
        if self.verb == "rollback" and not self.proves(other):
            found.append("the release to go back to was touched")
        best = self.preferred()
        if not any(self.is_of(best, image) for image in self.images) or not best.endswith(".efi"):
            found.append("the loader would choose %s" % best)
        return found

    def is_done(self):
        return self.proves(self.images[1]) and self.is_of(self.preferred(), self.images[1])

    def files(self):
        found = []
        for part in ("esp", "state", "run"):
            for folder, _, names in os.walk(os.path.join(self.host.folder, part)):
                found += [os.path.relpath(os.path.join(folder, name), self.host.folder) for name in names]
        return sorted(found)

    # ---- Runs ----

    def command(self):
        return [self.world.program("tests/integration/engine-driver"), "--host", self.host.folder + "/host.conf", "--config",
                self.host.folder + "/config", self.verb]

    def run(self):
        """(status, standard error)"""
        done = subprocess.run(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              errors="replace", check=False)
        return done.returncode, done.stderr.strip()

    def run_measured(self):
        """The same, and the most memory in KiB that one of its processes had, and the bytes that it says it fetched."""
        with subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, errors="replace") as process:
            out, err = process.stdout.read(), process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, err.strip(), usage.ru_maxrss, json.loads(out)["fetched"]

    def rerun_complaints(self):
        """The same command once more finishes what was begun, and leaves what an undisturbed run leaves."""
        found = []
        status, err = self.run()
        if status not in (0, 4):
            found.append("the rerun ends with %d: %s" % (status, err))
        elif not self.is_done():
            found.append("the rerun did not finish")
        found += self.complaints()
        if self.names and self.files() != self.names:
            found.append("left over: %s" % sorted(set(self.files()) ^ set(self.names)))
        return found
