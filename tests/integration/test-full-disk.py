#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that is full while an image is made: status 7, nothing half-made, what was there stays, and with room it goes on."""
import hashlib
import json
import os
import shutil
import subprocess

from harness.oci import archive
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


if __name__ == "__main__":
    run()
