# SPDX-License-Identifier: Apache-2.0
"""The least that a host can be made of, and builds that begin with it: no packages, no network, a second each."""
import json
import os
import shutil
import subprocess
import tarfile

from .oci import Layout, member
from .tap import Skip

RECIPE = """[Image]
Id=based
Epoch=2026-01-31
[Content]
Base=%s
Setuid=/usr/bin/tool /usr/bin/hard /opt/folder/one /opt/two
[Disk]
Formats=tar
SlotSize=64M
VarSize=64M
EspSize=64M
"""
MODULES = "kernel/a/dm-verity.ko\nkernel/a/dm-mod.ko\nkernel/a/erofs.ko\nkernel/a/overlay.ko\nkernel/a/ext4.ko\nkernel/a/efivarfs.ko\n"
UNIT = "[Unit]\nDescription=test\n"
USERS = "root:x:0:0:root:/root:/bin/sh\nsystemd-network:x:998:998::/:/usr/sbin/nologin\n"

# The least that a host can be made of.
SYSTEM = [member("./"), member("boot"), member("boot/vmlinuz-1.0", "kernel"), member("etc"), member("etc/passwd", USERS),
          member("etc/group", "root:x:0:\nshadow:x:42:\n"), member("etc/shadow", "root:*:1:0:99999:7:::\n", mode=0o640, gid=42),
          member("etc/gshadow", "root:*::\nshadow:*::\n", mode=0o640, gid=42), member("usr"), member("usr/bin"),
          member("usr/lib"), member("usr/lib/os-release", "ID=test\nNAME=Test\n"),
          member("usr/lib/modules/1.0/modules.dep", ""), member("usr/lib/modules/1.0/modules.builtin", MODULES),
          member("usr/lib/systemd/system/multi-user.target", UNIT), member("usr/lib/systemd/system/basic.target", UNIT),
          member("usr/lib/systemd/system/local-fs.target", UNIT), member("usr/lib/systemd/systemd", "#!", mode=0o755)]


class Scene:
    """A recipe with a base, and what comes of it."""

    def __init__(self, world):
        self.world = world
        self.recipe_text = lambda base: RECIPE % base
        self.folder = world.new_folder("base")
        self.recipe = os.path.join(self.folder, "host.conf")
        self.out = os.path.join(self.folder, "out")
        self.cache = os.path.join(self.folder, "cache")
        if not hasattr(world, "stage"):
            world.stage = world.new_folder("stage")
            subprocess.run(["meson", "install", "-C", world.build, "--no-rebuild", "--quiet", "--strip", "--destdir", world.stage],
                           capture_output=True, check=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def put(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return name

    def layout(self, name="layout"):
        shutil.rmtree(self.path(name), ignore_errors=True)
        return Layout(self.path(name))

    def command(self, *words):
        return list(words)

    def run(self, verb, base, *options, status=0, says=""):
        with open(self.recipe, "w", encoding="utf-8") as file:
            file.write(self.recipe_text(base))
        command = self.command(self.world.program("image-builder/bascule-image"), verb, self.recipe, "--cache", self.cache, *options)
        if verb == "build":
            command += ["-o", self.out, "--engine-root", self.world.stage, "--json"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == status, "status %d, not %d: %s" % (done.returncode, status, said)
        assert says in said, said
        return done.stdout

    def build(self, base, *options):
        """Builds and returns the steps that were done, not found in the cache."""
        report = json.loads(self.run("build", base, *options))
        return [step["step"] for step in report["steps"] if not step["cached"]]

    def refuse(self, base, says, status, *options):
        shutil.rmtree(self.out, ignore_errors=True)
        self.run("build", base, *options, status=status, says=says)
        assert not os.path.isdir(self.out) or os.listdir(self.out) == [], os.listdir(self.out)
        steps = os.path.join(self.cache, "base")
        assert not os.path.isdir(steps) or not [name for name in os.listdir(steps) if "partial" in name], os.listdir(steps)

    def tree(self):
        """The image's members by name."""
        with tarfile.open(os.path.join(self.out, "root.tar")) as tar:
            return {info.name.removeprefix("./"): info for info in tar}

    def root_hash(self):
        with open(os.path.join(self.out, "image.json"), encoding="ascii") as file:
            return json.load(file)["verity"]["root-hash"]

    def inputs(self):
        with open(os.path.join(self.out, "provenance.json"), encoding="ascii") as file:
            found = json.load(file)["predicate"]["buildDefinition"]["resolvedDependencies"]
        return {entry["name"]: "sha256:" + entry["digest"]["sha256"] for entry in found}


def programs(paths):
    """Members: programs of this machine with their libraries, and the links of a merged /usr."""
    found = set()
    for path in paths:
        if not os.path.exists(path):
            raise Skip("%s is not there" % path)
        listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        found |= {word for word in listed.split() if word.startswith("/")} | {path}
    members = []
    for path in sorted(found):
        with open(path, "rb") as file:
            place = path if path.startswith("/usr") else "/usr" + path
            members.append(member(place[1:], file.read(), mode=0o755))
    return members + [member(name, link="usr/" + name, kind=tarfile.SYMTYPE) for name in ("bin", "sbin", "lib", "lib64")]
