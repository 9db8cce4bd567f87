#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that is full while an image is made: status 7, nothing half-made, what was there stays, and with room it goes on."""
import hashlib
import json
import os
import shutil
import subprocess

from harness.oci import archive
from harness.packages import Installed, Packages, dpkg_system
from harness.system import SYSTEM, Scene
from harness.tap import need_root, run, test

ENOUGH = 512 << 10
ABOUT_IMAGES = ("image.json", "packages.txt", "sbom.spdx.json", "provenance.json")


def _kib(path, but=()):
    """What a folder takes, in pages as on the small filesystems; files of some names left out."""
    return sum(os.lstat(os.path.join(folder, name)).st_blocks // 2
               for folder, _, names in os.walk(path) for name in names if name not in but)


def _contents(folder):
    found = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            found[name] = hashlib.sha256(file.read()).hexdigest()
    return found


def _version(scene):
    with open(os.path.join(scene.out, "image.json"), encoding="ascii") as file:
        return json.load(file)["version"]


class Small:
    """A filesystem whose size is changed while it is in use."""

    def __init__(self, world):
        need_root("to mount a small filesystem")
        self.path = world.small_filesystem(ENOUGH)

    def resize(self, kib=ENOUGH):
        subprocess.run(["mount", "-o", "remount,size=%dk" % kib, self.path], check=True)


def _scene(world):
    scene = Scene(world)
    scene.put("a.tar", archive(*SYSTEM))
    return scene


def _partial(folder):
    return [os.path.join(where, name) for where, folders, names in os.walk(folder) for name in folders + names if "partial" in name]


# ---- images ----

@test
def an_output_folder_that_is_full_keeps_the_set_that_it_has(world):
    scene, small = _scene(world), Small(world)
    scene.out = small.path + "/other"
    scene.build("a.tar", "--version", "2")
    images = _kib(scene.out, ABOUT_IMAGES)
    shutil.rmtree(scene.out)
    scene.out = small.path + "/out"
    scene.build("a.tar", "--version", "1")
    before, used = _contents(scene.out), _kib(scene.out)
    # For the first image, for some of them, and for all of them but not for what is written about them.
    for room in (4, images // 2, images + 4):
        small.resize(used + room)
        scene.run("build", "a.tar", "--version", "2", status=7, says="No space left on device")
        assert _contents(scene.out) == before, os.listdir(scene.out)
    small.resize()
    scene.build("a.tar", "--version", "2")
    assert _version(scene) == "2" and sorted(os.listdir(scene.out)) == sorted(before), os.listdir(scene.out)


@test
def a_disk_format_that_another_program_writes(world):
    scene, small = _scene(world), Small(world)
    scene.out = small.path + "/out"
    scene.build("a.tar", "--set", "Disk.Formats=raw")
    used = _kib(scene.out, ("root.tar", *ABOUT_IMAGES))
    shutil.rmtree(scene.out)
    qcow2 = ("--set", "Disk.Formats=", "--set", "Disk.Formats=qcow2")
    small.resize(used + 64)
    scene.run("build", "a.tar", *qcow2, status=7, says="qemu-img found a disk full, make room and run this again: qemu-img: ")
    assert os.listdir(scene.out) == [], os.listdir(scene.out)
    small.resize()
    assert scene.build("a.tar", *qcow2) == ["disk", "qcow2"]
    assert "disk.qcow2" in os.listdir(scene.out) and "disk.raw" not in os.listdir(scene.out), os.listdir(scene.out)


@test
def a_name_that_cannot_be_given_leaves_no_image_json(world):
    scene = _scene(world)
    scene.build("a.tar", "--version", "1")
    victim = os.path.join(scene.out, "uki.efi")
    os.unlink(victim)
    os.mkdir(victim)
    with open(os.path.join(scene.out, ".disk.vmdk.partial"), "wb") as file:
        file.write(b"of a build that was killed")
    scene.run("build", "a.tar", "--version", "2", status=11, says="cannot rename")
    left = os.listdir(scene.out)
    assert "image.json" not in left and not [name for name in left if name.startswith(".")], left
    os.rmdir(victim)
    scene.build("a.tar", "--version", "2")
    assert _version(scene) == "2", _version(scene)
    # A build that changes nothing leaves the one that is there.
    before = _contents(scene.out)
    assert scene.build("a.tar", "--version", "2") == [] and _contents(scene.out) == before
    # What this build does not have must not seem to be of it.
    scene.put("out/fixes.json", b"{}")
    scene.put("out/disk.vmdk", b"older")
    scene.build("a.tar", "--version", "2")
    assert _contents(scene.out) == before, os.listdir(scene.out)


@test
def a_full_cache_keeps_what_is_complete(world):
    scene, small = _scene(world), Small(world)
    scene.build("a.tar")
    expected, size = scene.root_hash(), _kib(scene.cache)
    scene.cache = small.path + "/cache"
    for eighths in (1, 4, 7):
        small.resize(size * eighths // 8)
        shutil.rmtree(scene.out)
        scene.run("build", "a.tar", status=7, says="No space left on device")
        assert os.listdir(scene.out) == [] and not _partial(scene.cache), (os.listdir(scene.out), _partial(scene.cache))
    small.resize()
    scene.build("a.tar")
    assert scene.root_hash() == expected


# ---- packages ----

def _say(scene, *prefix):
    """Runs commands behind others."""
    scene.command = lambda *words: [*prefix, *words]


@test
def packages_that_find_no_room_are_told_so(world):
    small = Small(world)
    scene = Packages(world)
    scene.put("a.tar", dpkg_system())
    says = "the packages cannot be installed (log: "
    small.resize(4 << 10)
    _say(scene, "env", "TMPDIR=" + small.path)
    scene.run("build", "a.tar", *scene.options, status=7, says=says)
    assert os.listdir(scene.out) == [] and os.listdir(small.path) == [], (os.listdir(scene.out), os.listdir(small.path))
    small.resize()
    # The same of the archive that mmdebstrap writes, which it then ends its process group for.
    _say(scene)
    scene.cache = small.path + "/cache"
    scene.run("lock", "a.tar", "--fetch", *scene.options)
    small.resize(_kib(small.path) + 64)
    scene.run("build", "a.tar", "--locked", *scene.options, status=7, says="No space left on device")
    assert os.listdir(scene.out) == [] and not _partial(scene.cache), (os.listdir(scene.out), _partial(scene.cache))
    small.resize()
    assert "packages" in scene.build("a.tar", "--locked", *scene.options)


@test
def packages_on_nothing_find_no_room_either(world):
    small = Small(world)
    scene = Installed(world)
    scene.archive.add("tool", "3", content=os.urandom(2 << 20).hex(), Depends="library")
    scene.archive.publish()
    scene.run("lock", "", "--fetch")
    shutil.copytree(scene.cache, small.path + "/cache")
    scene.prefix = ["env", "TMPDIR=" + small.path]
    for where in (scene.cache, small.path + "/cache"):
        scene.cache, needed = where, _kib(small.path)
        for more in (64, 3 << 10, 12 << 10):  # the package, what is in it, the tree
            small.resize(needed + more)
            scene.run("build", "", "--locked", status=7)
            assert not os.path.isdir(scene.out) or os.listdir(scene.out) == [], os.listdir(scene.out)
            assert os.listdir(small.path) == ["cache"] and not _partial(scene.cache), (os.listdir(small.path), _partial(scene.cache))
        small.resize()
        scene.build("", "--locked")
        shutil.rmtree(scene.out)


@test
def no_mirror_is_blamed_for_a_full_cache(world):
    small = Small(world)
    scene = Packages(world)
    scene.archive.add("library", "1", content=os.urandom(200 << 10).hex())
    scene.archive.publish()
    options = [*scene.options, "--set", "Packages.Install=library"]
    with open(scene.path("apt.conf"), "w", encoding="ascii") as file:
        file.write('Acquire::Retries "0";\n')
    _say(scene, "env", "APT_CONFIG=" + scene.path("apt.conf"))
    scene.put("a.tar", dpkg_system(version="0.5"))
    scene.run("lock", "a.tar", *options)
    with open(scene.recipe + ".lock", "rb") as file:
        lock = file.read()
    scene.cache = small.path + "/cache"
    small.resize(160)
    scene.run("lock", "a.tar", "--fetch", *options, status=7, says="/debs has no room for the packages of the lock (")
    found = os.listdir(scene.cache + "/debs")
    assert not _partial(scene.cache) and scene.archive.sha256("library", "1") + ".deb" not in found, found
    small.resize()
    scene.run("lock", "a.tar", "--dry-run", *options)
    small.resize(_kib(small.path) + 64)
    scene.run("lock", "a.tar", "--update", *options, status=7, says="apt-get found a disk full")
    with open(scene.recipe + ".lock", "rb") as file:
        assert file.read() == lock
    small.resize()
    scene.run("lock", "a.tar", "--fetch", *options)
    assert scene.archive.sha256("library", "1") + ".deb" in os.listdir(scene.cache + "/debs")


if __name__ == "__main__":
    run()
