# SPDX-License-Identifier: Apache-2.0
"""A host in a virtual machine, whose devices fail when they are told to: basculed and bascule work on a disk that is a loop
device over device-mapper, with /var on another. The disk below is a file of this machine, so the judge reads it while the
guest runs, and it is put back to its first state without a boot."""
import hashlib
import os
import shutil
import threading
import time

from . import view
from .guest import APPLETS, INIT, Guest
from .host_disk import LOADER, MIB, make_host_disk
from .initrd import MODULES, find_kernel, make_tree, pack, put
from .judge import Judge, Phase, Release
from .mapper import Mapped
from .replay import regions_of

PROGRAMS = ("update-engine/basculed", "update-engine/bascule")
TOOLS = ("dbus-daemon", "dmsetup", "losetup", "e2fsck")
BUS = "unix:path=/run/bus"
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/>
  </policy>
</busconfig>
""" % BUS
GROUP = "/sys/fs/cgroup/engine"
DAEMON = ("rm -f /run/ended; (sh -c 'echo $$ >%s/cgroup.procs; exec basculed --host /host.conf --bus %s --config-folder /config' "
          ">>/run/log 2>&1; echo $? >/run/ended) </dev/null >/dev/null 2>&1 &" % (GROUP, BUS))
UPDATE = ("rm -f /run/done /run/err; (BASCULE_BUS=%s bascule update --wait >/run/out 2>/run/err; echo $? >/run/done.new; "
          "mv /run/done.new /run/done) </dev/null >/dev/null 2>&1 &" % BUS)
SECONDS = 240  # more is a hang
TIMEOUT = 20  # seconds, of a silent server
SIZE, UKI_SIZE = 1 << 20, 128 << 10


class Hold:
    """The server stops in the middle of an image's payload until it is told to go on."""

    def __init__(self, server, kind, seconds=60):
        self.reached, self.free, self.seconds = threading.Event(), threading.Event(), seconds
        server.rule("payloads/.*%s" % kind, self._act)

    def _act(self, handler, found):
        body = handler.answer(*found)
        half = len(body) // 2
        if half < UKI_SIZE // 4:  # the index
            handler.wfile.write(body)
            return
        handler.wfile.write(body[:half])
        handler.wfile.flush()
        self.reached.set()
        self.free.wait(self.seconds)
        handler.wfile.write(body[half:])


class FaultyHost:
    def __init__(self, world, scratch):
        self.world, self.scratch = world, scratch
        self.one, self.two = (world.image(version, size=SIZE, uki_size=UKI_SIZE) for version in ("1", "2"))
        self.server = world.hostile(world.repository(self.one, self.two))
        self.disk, self.pristine = (os.path.join(scratch, name) for name in ("disk.raw", "pristine.raw"))
        make_host_disk(world, scratch, self.pristine, self.one, "", var_mib=32)
        shutil.copy(self.pristine, self.disk)
        judge = self._judge()
        self.places = judge.table(view.View(judge.disk)).partitions  # in sectors
        self.entry = judge.entry_of(view.View(judge.disk), "1")
        self.guest = self._start_guest()
        try:
            self.mapped = self._make_devices()
        except BaseException:
            self.guest.off()
            raise

    def _make_devices(self):
        self.guest.run("mkdir -p /run/bascule && mount -t cgroup2 cgroup /sys/fs/cgroup && "
                       "echo +memory >/sys/fs/cgroup/cgroup.subtree_control && mkdir " + GROUP)
        self.guest.run("dbus-daemon --config-file=/bus.conf --fork")
        mapped = {"disk": Mapped(self.guest, "disk", "/dev/vda", 0, os.path.getsize(self.disk) // 512),
                  "var": Mapped(self.guest, "var", "/dev/vda", *self.places["var"])}
        # Busybox has a losetup of its own. Without direct input and output a cache would stand before what fails.
        self.guest.run("/bin/losetup --direct-io=on --partscan /dev/loop0 /dev/mapper/disk && test -b /dev/loop0p6")
        return mapped

    def _start_guest(self):
        tree, kernel = os.path.join(self.scratch, "tree"), find_kernel(self.world.new_folder("kernel"))
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        programs = [self.world.program(name) for name in PROGRAMS] + [shutil.which(name, path=path) for name in TOOLS]
        make_tree(tree, kernel, programs, APPLETS, [*MODULES, "virtio_console", "dm-mod", "dm-flakey", "dm-delay", "loop"])
        url = self.server.url.replace("127.0.0.1", "10.0.2.2")
        put(tree, "config/engine.conf", "[Update]\nRepository=%s\nChannel=stable\nTimeout=%ds\nRetryDelay=0\n[Reboot]\n"
            "Policy=none\n" % (url, TIMEOUT))
        told = {"Disk": "/dev/loop0", "State": "/var/lib/bascule", "Runtime": "/run/bascule", "TrustedRoot": "/trust/root.json",
                "ImageId": self.one.image_id, "RunningVersion": "1", "RunningRootHash": self.one.root_hash.hex(),
                "Architecture": "x86-64", "Reboot": "/run/reboots"}
        put(tree, "host.conf", "[Host]\n" + "".join("%s=%s\n" % item for item in told.items()))
        with open(self.world.trusted_root, "rb") as file:
            put(tree, "trust/root.json", file.read())
        put(tree, "bus.conf", BUS_CONFIG)
        put(tree, "init", INIT, 0o755)
        initrd = os.path.join(self.scratch, "initrd.img")
        with open(initrd, "wb") as file:
            file.write(pack(tree))
        return Guest(self.scratch, self.disk, kernel, initrd)

    # ---- Its first state ----

    def restore(self):
        with open(self.pristine, "rb") as source, open(self.disk, "r+b") as target:
            while True:
                at, wanted = source.tell(), source.read(MIB)
                if not wanted:
                    return
                if target.read(len(wanted)) != wanted:
                    target.seek(at)
                    target.write(wanted)

    def begin(self):
        self.restore()
        self.guest.run("mount -t ext4 /dev/mapper/var /var && mkdir -p /var/lib/bascule && echo max >%s/memory.max" % GROUP)
        self.start_daemon()

    def end(self):
        """Whatever became of it."""
        self.stop_daemon()
        self.guest.run("cd /; umount /var && sync && blockdev --flushbufs /dev/loop0 && blockdev --flushbufs /dev/vda")
        self.server.behave()

    # ---- The engine ----

    def start_daemon(self):
        self.guest.run(DAEMON)
        self.guest.run("i=0; while ! test -e /run/ended && test $i -lt 30; do BASCULE_BUS=%s bascule status >/run/out 2>&1 && exit 0; "
                       "usleep 300000; i=$((i+1)); done; cat /run/out /run/log; exit 1" % BUS)

    def stop_daemon(self, signal="TERM"):
        self.guest.run("pids=$(cat %s/cgroup.procs); kill -CONT $pids; kill -%s $pids; i=0; while ! test -e /run/ended; "
                       "do usleep 50000; i=$((i+1)); test $i -lt 400 || exit 1; done 2>/dev/null" % (GROUP, signal))

    def is_daemon_up(self):
        return self.guest.try_run("test -e /run/ended")[0] != 0

    def update(self, hold=None, fault=None):
        """(status, standard error) of an update; None for the status if it does not end. With `hold` the function `fault` is
        called at that point, if it is reached."""
        self.guest.run(UPDATE)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if hold and hold.reached.is_set():
                begun = time.monotonic()
                fault()
                end += time.monotonic() - begun  # an order may take minutes by itself
                hold.free.set()
                hold = None
            status, said = self.guest.try_run("cat /run/done 2>/dev/null")
            if status == 0:
                return int(said), self.guest.run("cat /run/err")
            hold.reached.wait(1) if hold else time.sleep(1)
        return None, "it hangs"

    def ask_status(self):
        """What the daemon says of itself; None if it does not answer."""
        status, said = self.guest.try_run("BASCULE_BUS=%s timeout 60 bascule status" % BUS)
        return said if status == 0 else None

    def mount_var_again(self):
        """As a boot does it: bascule-init asks e2fsck when it cannot mount."""
        self.stop_daemon()
        self.guest.run("umount /var || exit 1; mount=\"mount -t ext4 /dev/mapper/var /var\"; $mount && exit 0; "
                       "e2fsck -p /dev/mapper/var; test $? -lt 4 || e2fsck -y /dev/mapper/var; $mount")
        self.guest.run("mkdir -p /var/lib/bascule")
        self.start_daemon()

    # ---- What must hold ----

    def _judge(self):
        with open(LOADER, "rb") as file:
            loader = hashlib.sha256(file.read()).hexdigest()
        releases = [Release(image.version, hashlib.sha256(image.uki).hexdigest(), image.root_hash, True)
                    for image in (self.one, self.two)]
        return Judge(view.Disk(self.disk, regions_of(self.pristine)), releases, loader)

    def _read(self, path, first, count):
        with open(path, "rb") as file:
            file.seek(first * 512)
            return file.read(count * 512)

    def complaints(self):
        """(what does not hold of the disk, version that the loader would start)."""
        judge, phase = self._judge(), Phase("fault running=1 blessed=1")
        now, phase.entry = view.View(judge.disk), self.entry
        losses, _, up = judge.judge(now, phase)
        sectors = os.path.getsize(self.disk) // 512
        for what, place in (("partition table", (0, 2048)), ("partition table's copy", (sectors - 33, 33)),
                            ("running slot", self.places["root-a"]), ("running slot's tree", self.places["root-a-verity"])):
            if self._read(self.disk, *place) != self._read(self.pristine, *place):
                losses.append("the %s was touched" % what)
        for entry in judge.esp(now).entries:
            if not judge.boots(entry, now):
                losses.append("the entry %s leads to nothing that verifies" % entry.name)
        return losses, up.version if up else None
