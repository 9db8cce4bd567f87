# SPDX-License-Identifier: Apache-2.0
"""A host in files: a disk image with our partitions, a folder for the ESP, basculed on a bus of its own."""
import hashlib
import json
import os
import signal
import subprocess
import time

from .images import BLOCK
from .patience import PATIENCE, wait_until

MIB = 1 << 20
TYPES = {
    "esp": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    "root": "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
    "verity": "2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5",
    "var": "4D21B016-B534-45C2-A9FB-5C16E091FD2D",
}

CONFIG = """[Update]
Repository=%(url)s
Channel=stable
Timeout=%(timeout)s
%(update)s
[Reboot]
Policy=none
GracePeriod=0
%(reboot)s
[Boot]
%(boot)s
"""


class Result:
    """What a run of bascule gave."""

    def __init__(self, process):
        self.status, self.out, self.err = process.returncode, process.stdout, process.stderr

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def sentence(self):
        """The error, as a person reads it."""
        return self.err.strip().splitlines()[-1] if self.err.strip() else ""


class Host:
    def __init__(self, world, image, url, slot_mib=6, esp=None, state=None, disk=None, **config):
        self.world, self.image, self.url = world, image, url
        self.folder = world.new_folder("host")
        self.disk = os.path.join(disk or self.folder, "disk.raw")
        self.esp = esp or os.path.join(self.folder, "esp")
        self.state = state or os.path.join(self.folder, "state")
        self.runtime = os.path.join(self.folder, "run")
        self.reboots = os.path.join(self.folder, "reboots")
        self.log_path = os.path.join(self.folder, "basculed.log")
        self.process = self.fetch = None
        self.partitions = self._make_disk(slot_mib)
        for folder in (self.esp + "/EFI/Linux", self.state, self.runtime, self.folder + "/config"):
            os.makedirs(folder, exist_ok=True)
        self.put_release(image, "a")
        self.describe(image)
        self.configure(**config)

    # ---- The disk ----

    def _make_disk(self, slot_mib):
        tree_mib = 1 + slot_mib // 100
        sizes = [("esp", "esp", 1), ("root-a", "root", slot_mib), ("root-a-verity", "verity", tree_mib),
                 ("root-b", "root", slot_mib), ("root-b-verity", "verity", tree_mib), ("var", "var", 1)]
        total = sum(size for _, _, size in sizes) + 2
        with open(self.disk, "wb") as file:
            file.truncate(total * MIB)
        script, partitions, at = "label: gpt\n", {}, 1
        for label, kind, size in sizes:
            script += "start=%d, size=%d, type=%s, name=%s\n" % (at * 2048, size * 2048, TYPES[kind], label)
            partitions[label] = (at * MIB, size * MIB)
            at += size
        subprocess.run(["/usr/sbin/sfdisk", "-q", self.disk], input=script.encode(), check=True, capture_output=True)
        return partitions

    def write(self, label, data):
        offset, size = self.partitions[label]
        assert len(data) <= size
        with open(self.disk, "r+b") as file:
            file.seek(offset)
            file.write(data)

    def read(self, label, size=None):
        offset, whole = self.partitions[label]
        with open(self.disk, "rb") as file:
            file.seek(offset)
            return file.read(whole if size is None else size)

    def put_release(self, image, slot, tries=""):
        """As an installer, or an earlier update, would have left it."""
        self.write("root-" + slot, image.root)
        self.write("root-%s-verity" % slot,
                   image.superblock + b"\0" * (BLOCK - len(image.superblock)) + image.tree)
        with open(os.path.join(self.esp, "EFI/Linux", image.entry_name(tries)), "wb") as file:
            file.write(image.uki)

    # ---- Configuration ----

    def describe(self, image, **extra):
        """Says which release runs."""
        self.image = image
        settings = {
            "Disk": self.disk, "Esp": self.esp, "State": self.state, "Runtime": self.runtime,
            "TrustedRoot": self.world.trusted_root, "ImageId": image.image_id, "RunningVersion": image.version,
            "RunningRootHash": image.root_hash.hex(), "Architecture": "x86-64", "Reboot": self.reboots, **extra}
        with open(self.folder + "/host.conf", "w", encoding="utf-8") as file:
            file.write("[Host]\n" + "".join("%s=%s\n" % item for item in settings.items()))

    def configure(self, url=None, update="", reboot="", boot="", timeout="20s"):
        self.url = url or self.url
        with open(self.folder + "/config/engine.conf", "w", encoding="utf-8") as file:
            file.write(CONFIG % {"url": self.url, "timeout": timeout, "update": update, "reboot": reboot, "boot": boot})

    # ---- The daemon ----

    @property
    def fetch_socket(self):
        return os.path.join(self.folder, "fetch.socket")

    def serve_fetch(self):
        """As bascule-fetch.socket: systemd's own program starts role fetch for each connection."""
        with open(self.log_path, "ab") as log:
            self.fetch = subprocess.Popen(
                ["systemd-socket-activate", "--accept", "--setenv=ASAN_OPTIONS=detect_leaks=0", "--listen",
                 self.fetch_socket, self.world.program("update-engine/basculed"), "--role=fetch"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(self.fetch_socket) or self.fetch.poll() is not None, self.log)
        assert self.fetch.poll() is None, self.log()

    def fetch_processes(self):
        """Of the service, as process ids: those that have not ended."""
        with open("/proc/%d/task/%d/children" % (self.fetch.pid, self.fetch.pid), encoding="ascii") as file:
            found = [int(pid) for pid in file.read().split()]
        alive = []
        for pid in found:
            try:
                with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
                    if file.read().rpartition(")")[2].split()[0] != "Z":
                        alive.append(pid)
            except OSError:
                pass
        return alive

    def start(self, *arguments, wait=True, around=()):
        # The roles are confined so well that a leak checker cannot look into them.
        environment = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*around, self.world.program("update-engine/basculed"), "--host", self.folder + "/host.conf", "--bus",
                 self.world.bus_address, "--config-folder", self.folder + "/config", "--verbose", *arguments],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError("basculed ended with %d:\n%s" % (self.process.returncode, self.log()))
            if self.cli("status").status == 0:
                return
            time.sleep(0.03)
        raise RuntimeError("basculed is not on the bus:\n" + self.log())

    def stop(self):
        if not self.process:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self.process = None
        return code

    def kill(self):
        """As the power going, for the process; its children see their pipes close."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def clean(self):
        self.kill()
        if self.fetch:
            for pid in self.fetch_processes():
                os.kill(pid, signal.SIGKILL)
            self.fetch.kill()
            self.fetch.wait()

    def restart(self):
        self.stop()
        return self.start()

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    # ---- bascule ----

    def begin(self, *arguments):
        """Starts bascule and does not wait."""
        environment = dict(os.environ, BASCULE_BUS=self.world.bus_address, LC_ALL="C.UTF-8")
        return subprocess.Popen([self.world.program("update-engine/bascule"), *arguments], env=environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)

    def cli(self, *arguments, timeout=PATIENCE):
        process = self.begin(*arguments)
        try:
            process.stdout, process.stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return Result(process)

    def status(self):
        return self.cli("status", "--json").json

    def wait_state(self, wanted, progress=0):
        """Until the daemon is in one of these states (and has that many bytes done)."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            status = self.status()
            if status["state"] in wanted and status["progress"]["done_bytes"] >= progress:
                return status
            time.sleep(0.02)
        raise AssertionError("the state stays %s" % status["state"])

    def ledger(self):
        return {entry["version"]: entry for entry in self.cli("ledger", "--json").json}

    def history(self):
        return [(event["kind"], event["version"]) for event in self.cli("history", "-n", "0", "--json").json]

    def read_state(self):
        with open(os.path.join(self.state, "state.json"), encoding="utf-8") as file:
            return json.load(file)

    def write_state(self, **change):
        with open(os.path.join(self.state, "state.json"), "r+", encoding="utf-8") as file:
            state = {**json.load(file), **change}
            file.seek(0)
            json.dump(state, file)
            file.truncate()

    # ---- What must hold ----

    def entries(self):
        return sorted(os.listdir(self.esp + "/EFI/Linux"))

    def fingerprint(self):
        """Everything that an update must never touch: partition table, running slot and its tree, its entry."""
        digest = hashlib.sha256()
        with open(self.disk, "rb") as file:
            digest.update(file.read(MIB))
            file.seek(-MIB, os.SEEK_END)
            digest.update(file.read())
        for label in ("root-a", "root-a-verity", "esp", "var"):
            digest.update(self.read(label))
        for name in self.entries():
            if name.startswith("%s_%s" % (self.image.image_id, self.image.version)):
                with open(os.path.join(self.esp, "EFI/Linux", name), "rb") as file:
                    digest.update(name.encode() + hashlib.sha256(file.read()).digest())
        return digest.hexdigest()

    def assert_installed(self, image, tries="+3"):
        """The other slot holds the release, provable by the kernel's rules, and its entry boots it."""
        assert self.read("root-b", len(image.root)) == image.root, "the slot does not hold the image"
        tree = self.read("root-b-verity", BLOCK + len(image.tree))
        assert tree[BLOCK:] == image.tree, "the hash tree is not the kernel's"
        assert tree[:len(image.superblock)] == image.superblock, "the superblock is not veritysetup's"
        name = image.entry_name(tries)
        assert name in self.entries(), "no entry %s in %s" % (name, self.entries())
        with open(os.path.join(self.esp, "EFI/Linux", name), "rb") as file:
            assert file.read() == image.uki, "the entry is not the UKI"

    def assert_not_bootable(self, image):
        assert not any(name.startswith("%s_%s" % (image.image_id, image.version)) for name in self.entries()), \
            "an entry of %s is there: %s" % (image.version, self.entries())
