# SPDX-License-Identifier: Apache-2.0
"""The small machine: real firmware, real systemd-boot, a real kernel with its FAT and ext4, and the engine's programs, on
a disk of a few dozen megabytes with releases of three. Its releases' UKIs do nothing but tell that they were started, so
a boot by the firmware takes seconds; what the engine does is done in a kernel that QEMU loads by itself, as root of an
initrd. So there is no bascule-init, no systemd and no health check in it: for those is the large recording."""
import hashlib
import json
import os
import re
import subprocess
import tempfile
import time

from .host_disk import LOADER, MIB, make_host_disk
from .initrd import find_kernel, make_tree, pack, put, vmlinuz
from .liar import LyingDisk
from .qemu import Machine

GROWN_MIB = 96
IMAGE_ID = "some-container-host"  # names of three or four slots, as real hosts have them
APPLETS = "sh mount umount insmod ifconfig mkdir dd cat timeout setsid usleep kill sync sleep grep df find tail wc test".split()
PROGRAMS = ("tests/integration/engine-driver", "partition-tools/bascule-disk", "bootloader-hooks/bascule-bless")

INIT = """#!/bin/sh
export PATH=/bin LD_LIBRARY_PATH=/lib
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /tmp
while read module; do insmod /modules/$module.ko; done </modules/list
ifconfig lo up; ifconfig eth0 10.0.2.15 up
e2fsck -p /dev/vda6; test $? -lt 4 || for _ in 1 2 3; do e2fsck -fy /dev/vda6; test $? -lt 4 && break; done  # as bascule-init
mount -t ext4 /dev/vda6 /var || exit 1
mkdir -p /run/bascule /var/lib/bascule
cat >/lib/functions <<'EOT'
mark() { printf 'bascule-mark %s\\n' "$*" | dd of=/dev/vda bs=512 seek=2000 conv=sync,fsync 2>/dev/null; echo "MARK $1"; }
engine() { timeout 100 engine-driver --host=/host.conf --config=/config "$@" >/run/out 2>/run/err || {
        result=$?; cat /run/out /run/err; return $result; }; }
written() { set -- $(cat /sys/block/vda/stat); echo $7; }
# killed SECTORS VERB...: the engine and its roles die as soon as so much more was written.
killed() { begun=$(written) wanted=$1; shift
        setsid engine-driver --host=/host.conf --config=/config "$@" >/run/out 2>/run/err & pid=$!
        while [ -d /proc/$pid ] && [ $(($(written) - begun)) -lt $wanted ]; do usleep 2000; done
        kill -KILL -$pid && echo "KILLED"; wait; sync; }
EOT
sh -c 'set -x; set -e; . /lib/functions; . /stage; echo "STAGE done"'
umount /var; sync; echo b >/proc/sysrq-trigger; sleep 9
"""


class SmallMachine:
    def __init__(self, world, folder, repository):
        self.world, self.folder, self.repository = world, folder, repository
        self.url = world.nginx(repository).url.replace("127.0.0.1", "10.0.2.2")
        self.kernel = find_kernel(world.new_folder("kernel"))
        self.scratch = world.new_folder("small")
        self.initrd = self._make_initrd()
        self.disk = os.path.join(self.scratch, "disk.raw")
        self.machine = Machine(self.scratch, self.disk)
        self.logs = []

    # ---- What the kernel is given ----

    def _make_initrd(self):
        tree = os.path.join(self.scratch, "initrd")
        make_tree(tree, self.kernel, [*map(self.world.program, PROGRAMS), "/usr/sbin/e2fsck"], APPLETS)
        put(tree, "config/engine.conf", "[Update]\nRepository=%s\nChannel=stable\n[Reboot]\nPolicy=none\n" % self.url)
        with open(self.world.trusted_root, "rb") as file:
            put(tree, "trust/root.json", file.read())
        put(tree, "init", INIT, 0o755)
        return pack(tree)

    def _stage(self, image, script, is_trial):
        tree = tempfile.mkdtemp(dir=self.scratch)
        told = {"Disk": "/dev/vda", "State": "/var/lib/bascule", "Runtime": "/run/bascule", "TrustedRoot": "/trust/root.json",
                "ImageId": image.image_id, "RunningVersion": image.version, "RunningRootHash": image.root_hash.hex(),
                "Architecture": "x86-64", "Reboot": "/run/reboots"}
        put(tree, "host.conf", "[Host]\n" + "".join("%s=%s\n" % item for item in told.items()))
        booted = "IMAGE_ID=%s\\nVERSION=%s\\nROOT_HASH=%s\\nDISK=/dev/vda\\nSLOT=a\\nVAR=persistent\\nETC=persistent\\n" % (
            image.image_id, image.version, image.root_hash.hex())
        before = "printf '%s' >/run/bascule/booted\n" % booted + "echo %s >/run/bascule/trial\n" % image.version * is_trial
        put(tree, "stage", before + script)
        path = os.path.join(self.scratch, "stage.initrd")
        with open(path, "wb") as file:
            file.write(self.initrd + b"\0" * (-len(self.initrd) % 512) + pack(tree))
        return path

    # ---- Its disk ----

    def make_disk(self, image, tries):
        """As the builder leaves it: one release, the other slot empty; then the disk grows."""
        make_host_disk(self.world, self.scratch, self.disk, image, tries)
        with open(self.disk, "r+b") as disk:
            disk.truncate(GROWN_MIB * MIB)
        subprocess.run(["cp", "--sparse=always", self.disk, os.path.join(self.folder, "base.raw")], check=True)

    # ---- Its life ----

    def _log(self, phase):
        name = "log%d" % len(self.logs)
        self.logs.append({"file": name, "phase": phase})
        return os.path.join(self.folder, name)

    def firmware(self, wanted, phase=None, seconds=200):
        """Boots until the release `wanted` was started; returns the versions that were, one a boot."""
        self.machine.start([], self._log(phase) if phase else None, has_firmware=True)
        shown = self.machine.wait(lambda text: "STARTED %s." % wanted in text, seconds)
        self.machine.cut()
        return re.findall(r"STARTED (\S+)\.", shown)

    def _begin(self, image, script, is_trial, log):
        self.machine.start(["-no-reboot", "-kernel", vmlinuz(self.kernel), "-initrd", self._stage(image, script, is_trial),
                            "-append", "console=ttyS0 quiet no_timer_check panic=2 gpt",
                            "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile="], log)

    def stage(self, image, script, is_recorded=True, is_trial=False, seconds=240):
        """Does the work of a running host. `script` is shell; it must not fail."""
        self._begin(image, script, is_trial, self._log(None) if is_recorded else None)
        shown = self.machine.wait_off(seconds)
        if "STAGE done" not in shown:
            raise RuntimeError("a stage failed:\n" + shown[-4000:])
        return shown

    def cut_stage(self, image, script, word, later):
        """Power goes so many seconds after that word; a stage that is done by then has ended."""
        self._begin(image, script, True, None)
        self.machine.wait(lambda shown: word in shown, 240)
        time.sleep(later)
        self.machine.cut()

    def stage_lied_to(self, image, script, begin, end, lie):
        """(what the console showed, lies): a stage on a disk that lies about writes into these bytes (liar.py)."""
        self.machine.socket = tempfile.mktemp(dir=self.scratch, suffix=".nbd")
        disk = LyingDisk(self.disk, self.machine.socket, begin, end, lie)
        try:
            return self.stage(image, script, is_recorded=False, is_trial=True), disk.lies
        finally:
            self.machine.cut()
            self.machine.socket = None
            disk.stop()

    def use_base(self):
        """Starts from the recording's first disk again."""
        subprocess.run(["cp", "--sparse=always", os.path.join(self.folder, "base.raw"), self.disk], check=True)

    @staticmethod
    def release_of(image, is_healthy=True):
        return {"version": image.version, "uki-sha256": hashlib.sha256(image.uki).hexdigest(),
                "root-hash": image.root_hash.hex(), "healthy": is_healthy}

    def describe(self, images, unhealthy):
        with open(LOADER, "rb") as file:
            loader = hashlib.sha256(file.read()).hexdigest()
        releases = [self.release_of(image, image.version not in unhealthy) for image in images]
        with open(os.path.join(self.folder, "recording.json"), "w", encoding="utf-8") as file:
            json.dump({"releases": releases, "loader-sha256": loader, "logs": self.logs}, file, indent=1)


def record(world, folder):
    """The life of a host that all is recorded of."""
    images = [world.image(version, image_id=IMAGE_ID, is_startable=True) for version in ("1", "2", "3", "4")]
    one, two, three, four = images
    small = SmallMachine(world, folder, world.repository(one, two, three, four))
    small.make_disk(one, "+3")
    small.firmware("1", "first-boot-alone running=1 renamed=1")
    small.stage(one, """
mark bless-alone running=1 renamed=1 blessed=1
bascule-bless
mark growth running=1 blessed=1
bascule-disk grow /dev/vda
mark install running=1 blessed=1
engine install 2
""", is_trial=True)
    small.firmware("2", "first-boot running=1 blessed=1")
    small.stage(two, """
mark bless running=2 renamed=2 blessed=1,2
bascule-bless
mark interrupted running=2 blessed=1,2
killed 1200 install 3
mark resumed running=2 blessed=1,2
engine install 3
""", is_trial=True)
    tried = small.firmware("2", "failed-trial running=2 blessed=2")
    assert tried == ["3", "3", "3", "2"], tried
    small.stage(two, """
mark noted running=2 blessed=2
engine status
mark install-again running=2 blessed=2
engine install 4
""")
    small.firmware("4", "first-boot-again running=2 blessed=2")
    small.stage(four, """
mark bless-again running=4 renamed=4 blessed=2,4
bascule-bless
mark rollback running=4 renamed=2,4 blessed=2,4
engine rollback
""", is_trial=True)
    assert small.firmware("2", "rolled-back running=2 blessed=2,4") == ["2"]
    small.describe(images, unhealthy=("3",))
    return small
