# SPDX-License-Identifier: Apache-2.0
"""Tiny releases: an erofs of a few megabytes, a UKI that is only shape, and the image.json that the builder would
have written beside them. dm-verity is computed here once more, from the kernel's documentation, so that what the
engine makes is compared with something that shares no code with it."""
import hashlib
import json
import os
import random
import struct
import subprocess

BLOCK = 4096
IMAGE_ID = "test-host"


def verity_tree(data, salt):
    """Returns (tree bytes, root hash) of hash format 1 with sha256; the superblock is not part of it."""
    def digest(block):
        return hashlib.sha256(salt + block).digest()

    levels = []
    blocks = [data[at:at + BLOCK] for at in range(0, len(data), BLOCK)]
    while len(blocks) > 1:
        digests = b"".join(digest(block) for block in blocks)
        digests += b"\0" * (-len(digests) % BLOCK)
        levels.append(digests)
        blocks = [digests[at:at + BLOCK] for at in range(0, len(digests), BLOCK)]
    return b"".join(reversed(levels)), digest(blocks[0])


def verity_superblock(root_hash, data_blocks, salt):
    return struct.pack("<8sII16s32sIIQH6x256s168x", b"verity\0\0", 1, 1, root_hash[:16],
                       b"sha256", BLOCK, BLOCK, data_blocks, len(salt), salt)


def reset_code(version):
    """A program for EFI: tells on the first serial port that it was started, and resets the machine."""
    told = b"".join(b"\xb0" + bytes([byte]) + b"\xee" for byte in ("\nSTARTED %s.\n" % version).encode())  # mov al, out
    return (b"\x4c\x8b\x52\x58"                # mov r10, [rdx + 0x58]: the system table's runtime services
            b"\x66\xba\xf8\x03" + told +        # mov dx, 0x3f8
            b"\x31\xc9\x31\xd2\x45\x31\xc0\x45\x31\xc9\x48\x83\xec\x28"
            b"\x41\xff\x52\x68\xeb\xfe")          # call [r10 + 0x68]: ResetSystem, cold; and no further


def make_uki(command_line, release_text, padding, code=b"\xc3"):
    """A PE file whose sections hold what the engine looks for, and that can be signed. Firmware that starts it runs
    `code`, which returns at once by default."""
    contents = [(b".text", code), (b".osrel", release_text), (b".cmdline", command_line), (b".linux", padding)]
    header_size, sections, body = 0x400, b"", b""
    for number, (name, content) in enumerate(contents):
        padded = content + b"\0" * (-len(content) % 512)
        sections += struct.pack("<8sIIIIIIHHI", name, len(content), 0x1000 * (number + 1), len(padded),
                                header_size + len(body), 0, 0, 0, 0, 0x60000020 if name == b".text" else 0x40000040)
        body += padded
    image_size = 0x1000 * len(contents) + (len(padding) + 0xfff) // 0x1000 * 0x1000
    optional = struct.pack("<HBBIIIIIQIIHHHHHHIIIIHHQQQQII", 0x20b, 0, 0, 0, 0, 0, 0x1000, 0x1000, 0, 0x1000, 512, 0, 0, 0, 0, 0,
                           0, 0, image_size, header_size, 0, 10, 0, 0, 0, 0, 0, 0, 16) + b"\0" * 128
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, len(contents), 0, 0, 0, len(optional), 0x22)
    dos = b"MZ" + b"\0" * 58 + struct.pack("<I", 64)
    head = dos + coff + optional + sections
    return head + b"\0" * (header_size - len(head)) + body


def _write_tree(folder, version, size):
    """Files that mostly stay from version to version, as those of a distribution do."""
    stable = random.Random("stable")
    for number in range(24):
        path = os.path.join(folder, "usr", "lib", "part%d" % (number % 3))
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, "file%d" % number), "wb") as file:
            file.write(stable.randbytes(size // 32))
    fresh = random.Random("fresh " + version)
    with open(os.path.join(folder, "usr", "lib", "changed"), "wb") as file:
        file.write(fresh.randbytes(size // 4))
    os.makedirs(os.path.join(folder, "etc"))
    with open(os.path.join(folder, "usr", "lib", "os-release"), "w", encoding="ascii") as file:
        file.write("ID=test\nIMAGE_ID=%s\nIMAGE_VERSION=%s\n" % (IMAGE_ID, version))


class Image:
    """One version, in a folder of its own as `bascule-image build` leaves it."""

    def __init__(self, folder, version, image_id=IMAGE_ID, architecture="x86-64", size=3 << 20, uki_size=300 << 10,
                 is_startable=False):
        self.folder, self.version, self.image_id, self.architecture = folder, version, image_id, architecture
        os.makedirs(folder)
        self._make_root(size)
        self.salt = hashlib.sha256(("bascule-verity\0%s\0%s" % (image_id, version)).encode()).digest()
        self.tree, self.root_hash = verity_tree(self.root, self.salt)
        self.superblock = verity_superblock(self.root_hash, len(self.root) // BLOCK, self.salt)
        command_line = "bascule.roothash=%s quiet" % self.root_hash.hex()
        self.uki = make_uki(command_line.encode(),
                            ("IMAGE_ID=%s\nIMAGE_VERSION=%s\n" % (image_id, version)).encode(),
                            random.Random("uki " + version).randbytes(uki_size),
                            *[reset_code(version)] * is_startable)
        self._write_files()

    def _make_root(self, size):
        tree, path = os.path.join(self.folder, "tree"), os.path.join(self.folder, "root.erofs")
        _write_tree(tree, self.version, size)
        subprocess.run(["mkfs.erofs", "-T1", "-U01234567-89ab-cdef-0123-456789abcdef", "--all-root", "-x-1", path, tree],
                       check=True, capture_output=True)
        with open(path, "rb") as file:
            self.root = file.read()
        self.root += b"\0" * (-len(self.root) % BLOCK)
        with open(path, "wb") as file:
            file.write(self.root)

    def _write_files(self):
        def write(name, content):
            with open(os.path.join(self.folder, name), "wb") as file:
                file.write(content)

        write("root.verity", self.superblock + b"\0" * (BLOCK - len(self.superblock)) + self.tree)
        write("image.efi", self.uki)
        write("image.json", json.dumps(self.describe()).encode())

    def describe(self):
        return {
            "format": 1, "id": self.image_id, "version": self.version, "architecture": self.architecture,
            "root": {"file": "root.erofs", "size": len(self.root), "sha256": hashlib.sha256(self.root).hexdigest()},
            "uki": {"file": "image.efi", "size": len(self.uki), "sha256": hashlib.sha256(self.uki).hexdigest()},
            "verity": {"file": "root.verity", "root-hash": self.root_hash.hex(), "salt": self.salt.hex()},
            "packages": [],
        }

    def entry_name(self, tries=""):
        return "%s_%s%s.efi" % (self.image_id, self.version, tries)
