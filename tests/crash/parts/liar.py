# SPDX-License-Identifier: Apache-2.0
"""A disk that lies: it says that it has written, also after a flush, and has not, or elsewhere. Served to QEMU over the
network block device protocol (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md), fixed newstyle."""
import os
import socket
import struct
import threading

from .judge import Phase
from .view import View

BLOCK = 4096
OPTION_MAGIC, REPLY_MAGIC, REQUEST_MAGIC, ANSWER_MAGIC = 0x49484156454F5054, 0x3E889045565A9, 0x25609513, 0x67446698
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3
HAS_FLAGS, SEND_FLUSH = 1, 4


class LyingDisk:
    """Of the writes of at least BLOCK bytes into [begin, end) of `path` every second is not done as it should be: `lie` is
    "stale" (not at all), "misdirected" (a block further) or "flipped" (with a wrong bit)."""

    def __init__(self, path, socket_path, begin, end, lie):
        self.fd, self.begin, self.end, self.lie = os.open(path, os.O_RDWR), begin, end, lie
        self.size, self.seen, self.lies = os.fstat(self.fd).st_size, 0, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(socket_path)
        self.listener.listen(1)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def stop(self):
        """After the machine has gone."""
        self.listener.close()
        self.thread.join(10)
        os.close(self.fd)

    def _take(self, count):
        data = b""
        while len(data) < count:
            part = self.client.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def _serve(self):
        try:
            self.client, _ = self.listener.accept()
            self.client.sendall(struct.pack(">8sQH", b"NBDMAGIC", OPTION_MAGIC, 3))
            self._take(4)
            self._negotiate()
            while self._answer():
                pass
        except (EOFError, OSError):
            pass

    def _reply(self, option, kind, data=b""):
        self.client.sendall(struct.pack(">QIII", REPLY_MAGIC, option, kind, len(data)) + data)

    def _negotiate(self):
        while True:
            _, option, length = struct.unpack(">QII", self._take(16))
            self._take(length)
            if option == 7:  # GO
                self._reply(option, 3, struct.pack(">HQH", 0, self.size, HAS_FLAGS | SEND_FLUSH))
                self._reply(option, 1)
                return
            self._reply(option, 0x80000001)  # unsupported

    def _answer(self):
        _, _, kind, handle, offset, length = struct.unpack(">IHHQQI", self._take(28))
        data = b""
        if kind == DISCONNECT:
            return False
        if kind == WRITE:
            self._write(self._take(length), offset)
        elif kind == READ:
            data = os.pread(self.fd, length, offset)
        self.client.sendall(struct.pack(">IIQ", ANSWER_MAGIC, 0, handle) + data)
        return True

    def _write(self, data, offset):
        if self.begin <= offset and offset + len(data) <= self.end and len(data) >= BLOCK:
            self.seen += 1
            if self.seen % 2 == 0:
                self.lies += 1
                if self.lie == "stale":
                    return
                if self.lie == "misdirected":
                    offset += BLOCK if offset + len(data) + BLOCK <= self.end else -BLOCK
                if self.lie == "flipped":
                    data = data[:100] + bytes([data[100] ^ 4]) + data[101:]
        os.pwrite(self.fd, data, offset)


def refuse_lies(tap, machine, done, lies=(("root-b", "stale"), ("root-b", "misdirected"), ("esp", "stale"))):
    """An install on such a disk must end with a refusal, and leave the host as it was."""
    image = next(image for image in machine.world.images.values() if image.version == "1")
    for role, lie in lies:
        machine.use_base()
        judge = done.judge_for(machine.disk)
        first, count = judge.table(View(judge.disk)).partitions[role]
        begin = first * 512 + (1 << 20) * (role == "esp")  # past the tables: what is in files
        shown, told = machine.stage_lied_to(image, "bascule-disk grow /dev/vda\nbascule-bless\n"
                                            "if engine install 2; then exit 1; fi\n", begin, (first + count) * 512, lie)
        judge = done.judge_for(machine.disk)
        view, phase = View(judge.disk), Phase("lied-to running=1 renamed=1 blessed=1")
        losses, _, up = judge.judge(view, phase)
        problems = list(losses)
        if "does not read back as it was written" not in shown:
            problems += ["the engine did not notice"] + shown.splitlines()[-8:]
        if not told or not up or up.version != "1" or judge.entry_of(view, "2"):
            problems.append("%d lies, and %s is up" % (told, up))
        tap.ok(not problems, "a release is refused that reads back otherwise from %s: %s, %d writes" % (role, lie, told), problems)
