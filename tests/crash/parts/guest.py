# SPDX-License-Identifier: Apache-2.0
"""A running virtual machine that does what it is told: shell commands over a port of virtio's, one after the other. (A serial
port of a busy machine loses bytes.)"""
import os
import socket
import time

from .initrd import vmlinuz
from .qemu import Machine, Stuck

APPLETS = "sh mount umount insmod ifconfig mkdir dd cat tail sleep usleep kill sync rm mv blockdev date printf test timeout".split()
INIT = """#!/bin/sh
export PATH=/bin LD_LIBRARY_PATH=/lib DM_DISABLE_UDEV=1
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /tmp
while read module; do insmod /modules/$module.ko; done </modules/list
ifconfig lo up; ifconfig eth0 10.0.2.15 up
until test -e /dev/vport*p1; do usleep 100000; done
port=$(echo /dev/vport*p1); exec 3<>$port
echo GUEST READY
while read -r order <&3; do
        sh -c "$order" >/run/answer 2>&1 </dev/null 3>&-; result=$?
        tail -c 3000 /run/answer >&3; printf '\\nEND %d\\n' $result >&3
done
echo o >/proc/sysrq-trigger; sleep 9
"""
SECONDS = 300  # far more than any order takes


class Guest:
    """`kernel` as initrd.find_kernel() gives it, `initrd` a file with INIT in it, `disk` an image that the machine writes."""

    def __init__(self, folder, disk, kernel, initrd, memory_mib=320):
        self.machine = Machine(folder, disk, memory_mib)
        orders = os.path.join(folder, "orders")
        self.machine.start(["-no-reboot", "-kernel", vmlinuz(kernel), "-initrd", initrd,
                            "-append", "console=ttyS0 quiet no_timer_check panic=2",
                            "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile=",
                            "-chardev", "socket,id=orders,path=%s,server=on,wait=off" % orders, "-device", "virtio-serial-pci",
                            "-device", "virtserialport,chardev=orders"])
        self.line = self._connect(orders)
        self.machine.wait(lambda shown: "GUEST READY" in shown, SECONDS)

    def _connect(self, path):
        """At once: a port that nobody holds at the other end is at its end, for who reads it."""
        line, end = socket.socket(socket.AF_UNIX), time.monotonic() + SECONDS
        while line.connect_ex(path) != 0:
            if time.monotonic() > end or self.machine.process.poll() is not None:
                raise Stuck("QEMU does not start: " + self.machine.shown()[-3000:])
            time.sleep(0.1)
        line.settimeout(1)
        return line

    def try_run(self, order):
        """(status, what it said)"""
        assert "\n" not in order and len(order) < 4000, order
        self.line.sendall(order.encode() + b"\n")
        said, end = b"", time.monotonic() + SECONDS
        while not (said.endswith(b"\n") and said.rpartition(b"\nEND ")[1]):
            if time.monotonic() > end or self.machine.process.poll() is not None:
                raise Stuck("no answer to: %s\n%s" % (order, self.machine.shown()[-3000:]))
            try:
                said += self.line.recv(65536)
            except socket.timeout:
                pass
        text, _, status = said.rpartition(b"\nEND ")
        return int(status), text.decode("utf-8", "replace").strip()

    def run(self, order):
        """What it said. It must not fail."""
        status, said = self.try_run(order)
        if status != 0:
            raise Stuck("%s: ended with %d: %s" % (order, status, said))
        return said

    def cpu_seconds(self):
        """That the machine has used of this one's processors so far; 0 if it has ended."""
        try:
            with open("/proc/%d/stat" % self.machine.process.pid, encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            return 0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def off(self):
        self.machine.cut()
        self.line.close()
