#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an install costs a host: seconds, CPU seconds, peak memory of basculed and its roles together, bytes.

    BASCULE_BUILD=$PWD/build tests/bench/install.py [MEBIBYTES]

The image is made of random bytes, so that a full payload is as large as the image: the worst case. Memory is the
proportional share (Pss), so that what the processes share counts once.
"""
import glob
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness.repository import bascule_image  # noqa: E402
from harness.world import World  # noqa: E402


def _field(path, name):
    with open(path, encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    return 0


def _family(pid):
    """The process and its children."""
    found = [pid]
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if parent == pid:
            found.append(int(path.split("/")[2]))
    return found


class Watch(threading.Thread):
    """Looks at the memory of a family of processes every 20 ms."""

    def __init__(self, pid):
        super().__init__()
        self.pid, self.peak_kib, self.stopped = pid, 0, threading.Event()

    def run(self):
        while not self.stopped.wait(0.02):
            total = 0
            for pid in _family(self.pid):
                try:
                    total += _field("/proc/%d/smaps_rollup" % pid, "Pss")
                except OSError:
                    pass  # it has just ended
            self.peak_kib = max(self.peak_kib, total)


def _cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


class Published:
    def __init__(self, world, image):
        self.folder, self.keys = world.new_folder("published") + "/repo", world.new_folder("release-keys") + "/keys"
        bascule_image(world, "keys", "init", self.keys)
        bascule_image(world, "release", image.folder, "--repo", self.folder, "--channel", "stable", "--keys", self.keys,
                      "--level", "3")


def main():
    size = int(sys.argv[1] if len(sys.argv) > 1 else "160") << 20
    with World() as world:
        one, two = world.image("1"), world.image("2", size=size, uki_size=20 << 20)
        published = Published(world, two)
        host = world.host(one, world.nginx(published).url, slot_mib=(size >> 20) * 5 // 4 + 8)
        host.describe(one, TrustedRoot=published.keys + "/root.json")
        host.start()
        watch = Watch(host.process.pid)
        watch.start()
        begun = time.monotonic()
        result = host.cli("update", "--wait", timeout=3600)
        seconds = time.monotonic() - begun
        watch.stopped.set()
        watch.join()
        if result.status != 0:
            sys.exit(result.err)
        host.assert_installed(two)
        event = host.cli("history", "--json").json[-1]
        print("root image      %8.1f MiB" % (len(two.root) / 2**20))
        print("UKI             %8.1f MiB" % (len(two.uki) / 2**20))
        print("fetched         %8.1f MiB" % (event["fetched_bytes"] / 2**20))
        print("written         %8.1f MiB" % (event["written_bytes"] / 2**20))
        print("time            %8.1f s" % seconds)
        print("CPU             %8.1f s" % _cpu_seconds(host.process.pid))
        print("peak memory     %8.1f MiB" % (watch.peak_kib / 1024))


if __name__ == "__main__":
    main()
