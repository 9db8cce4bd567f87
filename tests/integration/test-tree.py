#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The packages of minimal.conf as we install them, beside what mmdebstrap makes of the same ones."""
import glob
import hashlib
import json
import os
import re
import subprocess
import tarfile

from harness.tap import need_root, run, test

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
DOCUMENTATION = ("doc", "info", "lintian", "locale", "man")
STAND_IN = ("\nPackage: bascule-no-initrd\nStatus: install ok installed\nMaintainer: x\nArchitecture: all\nVersion: 1\n"
            "Provides: linux-initramfs-tool\nDescription: none\n\n")

# What an image does not take from the tree (image-tree.md, "What is dropped"), and what mmdebstrap adds to it.
DROPPED = re.compile(r"(dev|run|proc|sys|tmp|var/tmp|var/log|var/cache|var/lib/apt|var/backups)(/|$)|"
                     r"etc/(machine-id|hostname|fstab|resolv\.conf|\.resolv\.conf.*|\.pwd\.lock|(passwd|shadow|group|gshadow|subuid|subgid)-)$|"
                     r"etc/apt/(sources\.list|apt\.conf\.d/99mmdebstrap)$|etc/dpkg/dpkg\.cfg\.d/99mmdebstrap$|etc/ssh/ssh_host_|"
                     r"var/lib/dbus/machine-id$|var/lib/dpkg/(arch|available|lock.*|.*-old)$|var/lib/systemd/(random-seed|credential\.secret)$|"
                     r"var/lib/dpkg/info/bascule-no-initrd\.list$")
# What systemd-tmpfiles leaves for the first boot when it finds no /proc (image-tree.md, "Packages").
WITHOUT_PROC = ("etc/mtab", "root/.ssh", "var/lib/private", "var/lib/systemd/coredump", "var/lib/systemd/pstore")
# Files of lines whose order is that in which packages were installed.
UNORDERED = re.compile(r"var/lib/dpkg/info/.*\.list$|var/lib/dpkg/triggers/|etc/(passwd|group|gshadow|shadow|shells)$")


def _content(name, data):
    if name == "etc/shadow":  # the day of the last change and what follows it
        data = b"\n".join(line.split(b":")[0] + b":" + line.split(b":")[1] if b":" in line else line for line in data.split(b"\n"))
    if name == "var/lib/dpkg/status":
        data = b"\n\n".join(sorted(stanza for stanza in data.split(b"\n\n") if b"bascule-no-initrd" not in stanza))
    if UNORDERED.match(name):
        data = b"\n".join(sorted(data.split(b"\n")))
    return hashlib.sha256(data).hexdigest()


def _tree(path):
    """What counts of each member: type, mode, owner, target or content, capabilities."""
    found = {}
    with tarfile.open(path) as tar:
        for info in tar:
            name = re.sub(r"^\./?", "", info.name) or "."
            if DROPPED.match(name):
                continue
            if info.islnk():
                found[name] = found[re.sub(r"^\./?", "", info.linkname)]
                continue
            content = info.linkname if info.issym() else _content(name, tar.extractfile(info).read()) if info.isfile() else ""
            found[name] = (info.type, None if info.issym() else info.mode, info.uid, info.gid, content,
                           info.pax_headers.get("SCHILY.xattr.security.capability"))
    return found


def _can_mount():
    """Not where the root is no mount, as in a chroot."""
    return subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0


def _mmdebstrap(work, lock, archive):
    sources = ["deb %s %s main" % (source["mirror"], source["suite"]) for source in lock["sources"]]
    subprocess.run(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=tar", "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
                    *("--dpkgopt=path-exclude=/usr/share/%s/*" % folder for folder in DOCUMENTATION), '--aptopt=Apt::Install-Recommends "false"',
                    "--essential-hook=printf '%s' '" + STAND_IN + "' >>\"$1/var/lib/dpkg/status\"",
                    "--include=" + ",".join("%s=%s" % (package["name"], package["version"]) for package in lock["packages"]),
                    lock["sources"][0]["suite"], archive, *sources],
                   env=dict(os.environ, SOURCE_DATE_EPOCH="1700000000"), cwd=work, check=True, capture_output=True)


@test
def packages_become_the_tree_that_mmdebstrap_makes(world):
    need_root("to install packages with mmdebstrap")
    work = world.new_folder("tree")
    recipe, cache, stage = os.path.join(work, "host.conf"), os.path.join(work, "cache"), os.path.join(work, "stage")
    with open(recipe, "w", encoding="ascii") as file:
        file.write("[Recipe]\nInclude=%s/image-builder/recipes/minimal.conf\n" % TOP)
    tool = world.program("image-builder/bascule-image")
    subprocess.run(["meson", "install", "-C", world.build, "--no-rebuild", "--quiet", "--destdir", stage], capture_output=True, check=True)
    for command in (["lock", recipe, "--fetch"], ["build", recipe, "--locked", "-o", work + "/out", "--version", "1", "--engine-root", stage]):
        subprocess.run([tool, *command, "--cache", cache], check=True, capture_output=True)
    with open(recipe + ".lock", encoding="ascii") as file:
        lock = json.load(file)
    _mmdebstrap(work, lock, work + "/other.tar")
    ours, other = _tree(glob.glob(cache + "/packages/*/tree.tar")[0]), _tree(work + "/other.tar")
    let_go = () if _can_mount() else WITHOUT_PROC
    differ = ["%s: %s, mmdebstrap: %s" % (name, ours.get(name), other.get(name)) for name in sorted({*ours, *other})
              if ours.get(name) != other.get(name) and name not in let_go]
    assert not differ, "\n".join(differ)
    assert len(ours) > 5000, len(ours)


if __name__ == "__main__":
    run()
