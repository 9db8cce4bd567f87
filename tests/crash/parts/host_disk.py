# SPDX-License-Identifier: Apache-2.0
"""The disk of a small host, as the builder leaves one: a release in the first slot, the other empty."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../integration"))
from harness.host import MIB, TYPES  # noqa: E402 pylint: disable=wrong-import-position

LAYOUT = [("esp", "esp", 40), ("root-a", "root", 6), ("root-a-verity", "verity", 1), ("root-b", "root", 6),
          ("root-b-verity", "verity", 1)]  # and var
LOADER = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"


def _make_esp(world, scratch, image, tries, size):
    path, uki = os.path.join(scratch, "esp.img"), os.path.join(scratch, "uki.efi")
    conf = os.path.join(scratch, "loader.conf")
    with open(path, "wb") as file:
        file.truncate(size)
    with open(uki, "wb") as file:
        file.write(image.uki)
    with open(conf, "w", encoding="ascii") as file:
        file.write("timeout 0\neditor no\n")
    environment = dict(os.environ, MTOOLSRC="/dev/null")
    for command in (["/usr/sbin/mkfs.vfat", "--invariant", "-F", "32", "-S", "512", "-n", "ESP", path],
                    ["mmd", "-i", path, "::/EFI", "::/EFI/BOOT", "::/EFI/Linux", "::/EFI/bascule", "::/EFI/systemd", "::/loader"],
                    ["mcopy", "-i", path, conf, "::/EFI/Linux/" + "_" * 240],
                    ["mdel", "-i", path, "::/EFI/Linux/" + "_" * 240],
                    ["mcopy", "-i", path, LOADER, "::/EFI/BOOT/BOOTX64.EFI"],
                    ["mcopy", "-i", path, LOADER, "::/EFI/systemd/systemd-bootx64.efi"],
                    ["mcopy", "-i", path, conf, "::/loader/loader.conf"],
                    ["mcopy", "-i", path, uki, "::/EFI/bascule/incoming.efi"],
                    [world.program("tests/tools/esp-tool"), "move", path, "EFI/bascule", "incoming.efi", "EFI/Linux",
                     image.entry_name(tries), "3"]):
        subprocess.run(command, check=True, capture_output=True, env=environment)
    return path


def make_host_disk(world, scratch, path, image, tries, var_mib=8):
    """Makes `path`; what is needed on the way is left in the folder `scratch`."""
    places, at, script = {}, 1, "label: gpt\n"
    for label, kind, size in [*LAYOUT, ("var", "var", var_mib)]:
        script += "start=%d, size=%d, type=%s, name=%s\n" % (at * 2048, size * 2048, TYPES[kind], label)
        places[label] = (at * MIB, size * MIB)
        at += size
    with open(path, "wb") as file:
        file.truncate((at + 1) * MIB)
    subprocess.run(["/usr/sbin/sfdisk", "-q", path], input=script.encode(), check=True, capture_output=True)
    esp, var = _make_esp(world, scratch, image, tries, places["esp"][1]), os.path.join(scratch, "var.img")
    with open(var, "wb") as file:
        file.truncate(places["var"][1])
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", var], check=True, capture_output=True)
    tree = image.superblock + b"\0" * (4096 - len(image.superblock)) + image.tree
    with open(path, "r+b") as disk:
        for label, content in (("esp", open(esp, "rb").read()), ("var", open(var, "rb").read()),
                               ("root-a", image.root), ("root-a-verity", tree)):
            disk.seek(places[label][0])
            disk.write(content)
