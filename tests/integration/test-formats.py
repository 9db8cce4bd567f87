#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One build of every format there is: each holds the same disk, as other people's tools read it, and a second build, which
knows nothing of the first, has the same bytes in all."""
import filecmp
import hashlib
import json
import os
import shutil
import subprocess

from harness.oci import archive
from harness.system import SYSTEM, Scene
from harness.tap import Skip, run, test

# What [Disk] Formats= calls it, its file, and how qemu-img does.
FORMATS = (("raw", "disk.raw", None), ("raw.zst", "disk.raw.zst", None), ("qcow2", "disk.qcow2", "qcow2"),
           ("vmdk", "disk.vmdk", "vmdk"), ("ova", "disk.ova", None), ("vhd", "disk.vhd", "vpc"), ("vdi", "disk.vdi", "vdi"),
           ("gce", "disk.gce.tar.gz", None), ("tar", "root.tar", None), ("installer", "installer.raw", None))
PAPERS = {"root.erofs", "root.verity", "uki.efi", "image.json", "packages.txt", "provenance.json", "sbom.spdx.json"}


def _run(*command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, **options)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def _known_formats(scene):
    """As the program lists them."""
    said = scene.run("build", "a.tar", "--set", "Disk.Formats=no-such-thing", status=3, says="there are ")
    return set(json.loads(said)["error"]["message"].rpartition("there are ")[2].split(", "))


def _judge(scene, folder):
    """Whether each format holds what disk.raw does."""
    def path(name):
        return os.path.join(folder, name)
    for _, name, kind in FORMATS:
        if kind:
            _run("qemu-img", "compare", "-f", "raw", "-F", kind, path("disk.raw"), path(name))
    parts = scene.path("parts")
    os.mkdir(parts)
    _run("zstd", "-q", "-d", "--sparse", path("disk.raw.zst"), "-o", os.path.join(parts, "disk.raw"))
    _run("cmp", os.path.join(parts, "disk.raw"), path("disk.raw"))
    _run("tar", "-C", parts, "-xf", path("disk.ova"))
    _run("cmp", os.path.join(parts, "disk.vmdk"), path("disk.vmdk"))
    _run("tar", "-C", parts, "-xzSf", path("disk.gce.tar.gz"))
    size = os.path.getsize(path("disk.raw"))
    _run("cmp", "-n", str(size), os.path.join(parts, "disk.raw"), path("disk.raw"))
    assert os.path.getsize(os.path.join(parts, "disk.raw")) == 1 << 30
    for name in ("disk.raw", "installer.raw"):
        _run("sfdisk", "--verify", path(name))
    assert scene.tree()["usr/lib/os-release"].isfile()
    shutil.rmtree(parts)


@test
def all_formats_hold_one_disk_and_are_the_same_twice(world):
    for tool in ("qemu-img", "zstd", "sfdisk"):
        if not shutil.which(tool):
            raise Skip(tool + " is not installed")
    scene = Scene(world)
    scene.put("a.tar", archive(*SYSTEM))
    assert _known_formats(scene) == {name for name, _, _ in FORMATS}, _known_formats(scene)
    options = ("--set", "Disk.Formats=" + " ".join(name for name, _, _ in FORMATS))
    steps = scene.build("a.tar", *options)
    assert {"disk" if name == "raw" else name for name, _, _ in FORMATS} <= set(steps), steps
    files = {name for _, name, _ in FORMATS} | PAPERS
    assert set(os.listdir(scene.out)) == files, os.listdir(scene.out)
    _judge(scene, scene.out)
    # Once more with an empty cache, elsewhere, as somebody with other habits.
    first, scene.out, scene.cache = scene.out, scene.path("a longer name"), scene.path("another cache")
    scene.command = lambda *words: ["env", "TZ=Asia/Kathmandu", "LC_ALL=tr_TR.UTF-8", "sh", "-c", 'umask 077; exec "$@"', "sh", *words]
    assert scene.build("a.tar", *options) == steps
    assert set(os.listdir(scene.out)) == files, os.listdir(scene.out)
    filecmp.clear_cache()
    _, *others = filecmp.cmpfiles(first, scene.out, sorted(files), shallow=False)
    assert others == [[], []], others
    # One that is no longer asked for does not lie about.
    scene.build("a.tar", "--set", "Disk.Formats=vdi")
    assert set(os.listdir(scene.out)) == {"disk.vdi"} | PAPERS, os.listdir(scene.out)
    with open(os.path.join(scene.out, "disk.vdi"), "rb") as one, open(os.path.join(first, "disk.vdi"), "rb") as other:
        assert hashlib.file_digest(one, "sha256").digest() == hashlib.file_digest(other, "sha256").digest()


if __name__ == "__main__":
    run()
