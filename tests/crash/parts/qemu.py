# SPDX-License-Identifier: Apache-2.0
"""Machines whose disk is written down: QEMU with the driver blklogwrites below the guest's disk."""
import os
import shutil
import subprocess
import time

FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd"
LOG_ROOM = 4 << 30  # a file of holes


class Stuck(Exception):
    """The machine did not come as far as it should; the message ends with what its console showed."""


class Machine:
    """`disk` is changed by it, and every write of a run goes to the log that `start` is given."""

    def __init__(self, folder, disk, memory_mib=320):
        self.folder, self.disk, self.memory_mib = folder, disk, memory_mib
        self.console = os.path.join(folder, "console")
        self.variables = os.path.join(folder, "vars.fd")
        self.process = self.socket = None  # socket: of a server of network block devices that is the disk

    def _disk_arguments(self, log):
        if self.socket:
            return ["-blockdev", "driver=nbd,server.type=unix,server.path=%s,node-name=d0" % self.socket]
        base = "driver=file,filename=%s,node-name=base,discard=unmap,cache.no-flush=on" % self.disk
        if not log:
            return ["-blockdev", base.replace("node-name=base", "node-name=basefile"),
                    "-blockdev", "driver=raw,file=basefile,node-name=d0"]
        with open(log, "wb") as file:
            file.truncate(LOG_ROOM)
        return ["-blockdev", base, "-blockdev", "driver=file,filename=%s,node-name=logfile,cache.no-flush=on" % log,
                "-blockdev", "driver=blklogwrites,file=base,log=logfile,log-sector-size=512,"
                "log-super-update-interval=1,node-name=d0"]

    def start(self, arguments, log=None, has_firmware=False):
        command = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "qemu64,+rdrand",
                   "-smp", "1", "-m", str(self.memory_mib), "-nodefaults", "-display", "none", "-monitor", "none",
                   *self._disk_arguments(log), "-device", "virtio-blk-pci,drive=d0",
                   "-chardev", "file,id=serial,path=%s" % self.console, "-serial", "chardev:serial", *arguments]
        if has_firmware:
            if not os.path.exists(self.variables):
                shutil.copy(VARIABLES, self.variables)
            command += ["-drive", "if=pflash,format=raw,readonly=on,file=" + FIRMWARE,
                        "-drive", "if=pflash,format=raw,file=" + self.variables]
        with open(self.console, "wb"):
            pass
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                                        stdout=open(self.console + ".qemu", "wb"))

    def shown(self):
        with open(self.console, "rb") as file:
            return file.read().decode("latin-1").replace("\r", "")

    def wait(self, check, seconds):
        """Until `check(what the console showed)`, or the machine is off; returns what the console showed."""
        end = time.monotonic() + seconds
        while True:
            ended = self.process.poll() is not None
            shown = self.shown()
            if check(shown):
                return shown
            if ended or time.monotonic() > end:
                self.cut()
                with open(self.console + ".qemu", encoding="latin-1") as file:
                    raise Stuck(file.read() + shown[-3000:])
            time.sleep(0.1)

    def wait_off(self, seconds):
        self.wait(lambda shown: self.process.poll() is not None, seconds)
        return self.shown()

    def cut(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
