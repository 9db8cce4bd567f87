#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A cache saves time and changes nothing: after each kind of change, what is built with it is byte for byte what is built
without. A full one is enough: no connection is made. What gc takes away is made again."""
import filecmp
import json
import os
import shutil
import subprocess

from harness.oci import archive, member
from harness.packages import Packages, dpkg_system
from harness.system import MODULES, SYSTEM, UNIT, Scene
from harness.tap import run, test

MODULE = "usr/lib/modules/1.0/kernel/a/%s.ko"
INSTALL = "[Install]\nWantedBy=multi-user.target\n"


def _system(*more):
    """One with modules that are not built in, and a unit that can be enabled."""
    names = ("one", "two", "three")
    changed = {"usr/lib/modules/1.0/modules.dep": "".join("kernel/a/%s.ko:\n" % name for name in names),
               "usr/lib/modules/1.0/modules.builtin": MODULES}
    members = [entry for entry in SYSTEM if entry[0].name not in changed]
    members += [member(name, text) for name, text in changed.items()]
    members += [member(MODULE % name, name) for name in names]
    return archive(*members, member("usr/lib/systemd/system/made.service", UNIT + INSTALL), member("opt"), *more)


def differences(one, two):
    """Names of the files that are not the same in both folders."""
    filecmp.clear_cache()
    names = sorted(set(os.listdir(one)) | set(os.listdir(two)))
    same = filecmp.cmpfiles(one, two, names, shallow=False)[0]
    return [name for name in names if name not in same]


def copy(folder, place):
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run(["cp", "-a", "--sparse=always", folder, place], check=True)
    return place


def build_both(scene, base, *options):
    """Builds with the cache that there is and without one, compares, and returns the steps that the former did."""
    steps = scene.build(base, *options)
    warm = scene.cache, scene.out
    scene.cache, scene.out = scene.path("no-cache"), scene.path("cold")
    cold_steps = scene.build(base, *options)
    found = differences(warm[1], scene.out)
    for folder in (scene.cache, scene.out):
        shutil.rmtree(folder)
    scene.cache, scene.out = warm
    assert not found, "with the cache %s came out otherwise; steps: %s" % (found, steps)
    assert set(steps) <= set(cold_steps) and "base" in cold_steps, (steps, cold_steps)
    return steps


# ---- kinds of change ----

class Changes(Scene):
    """Each change is a method that returns more options, or changes the surroundings and says how to take it back."""

    def __init__(self, world):
        super().__init__(world)
        self.put("a.tar", _system())
        self.put("b.tar", _system(member("opt/other", "x")))
        self.put("file", b"one")
        self.put("root.json", b"{}")
        os.makedirs(self.path("folder/inner"))
        self.put("folder/inner/file", b"one")
        os.mkdir(self.path("host.conf.profiles"))
        self.put("host.conf.profiles/loud.conf", b"[Kernel]\nCommandLine=debug\n")
        self.options = settings("Content.File=%s:/opt/file" % self.path("file"),
                                "Content.Tree=%s:/opt/folder" % self.path("folder"), "Image.Hostname=first",
                                "Kernel.CommandLine=quiet", "Kernel.Modules=one")


def settings(*lines):
    return [word for line in lines for word in ("--set", line)]


def _write(name, text):
    def change(scene):
        with open(scene.path(name), "rb") as file:
            before = file.read()
        scene.put(name, text)
        return [], lambda: scene.put(name, before)
    return change


def _add(name):
    def change(scene):
        scene.put(name, b"more")
        return [], lambda: os.unlink(scene.path(name))
    return change


def _executable(scene):
    os.chmod(scene.path("folder/inner/file"), 0o755)
    return [], lambda: os.chmod(scene.path("folder/inner/file"), 0o644)


def _link(scene):
    os.symlink("inner", scene.path("folder/link"))
    return [], lambda: os.unlink(scene.path("folder/link"))


def _engine(scene):
    """Another bascule-init, which is in the initrd only."""
    stage = scene.world.stage
    scene.world.stage = shutil.copytree(stage, scene.path("stage"), symlinks=True)
    with open(scene.path("stage/usr/lib/bascule/bascule-init"), "ab") as file:
        file.write(b"\n")

    def back():
        scene.world.stage = stage
    return [], back


def _set(*lines):
    return lambda scene: (settings(*(line.replace("HERE", scene.folder) for line in lines)), lambda: None)


def _option(*words):
    return lambda scene: (list(words), lambda: None)


# What changes, what shows it, and how.
KINDS = (
    ("the bytes of a file", "root.erofs", _write("file", b"two")),
    ("the bytes of a file in a folder", "root.erofs", _write("folder/inner/file", b"two")),
    ("a new file in a folder", "root.erofs", _add("folder/inner/new")),
    ("a file that became executable", "root.erofs", _executable),
    ("a link in a folder", "root.erofs", _link),
    ("a file of another mode and owner", "root.erofs", _set("Content.File=HERE/file:/opt/file:0600:0:42")),
    ("a folder, and what is removed", "root.erofs", _set("Content.Directory=/opt/new:0700", "Content.Remove=/opt/folder/inner/file")),
    ("a unit that is enabled", "root.erofs", _set("Services.Enable=made.service")),
    ("a unit that is masked", "root.erofs", _set("Services.Mask=made.service")),
    ("the default target", "root.erofs", _set("Services.DefaultTarget=basic.target")),
    ("a user", "root.erofs", _set("Users.User=web:uid=700:shell=/bin/sh")),
    ("a group", "root.erofs", _set("Users.Group=web:701")),
    ("the host's name", "root.erofs", _set("Image.Hostname=second")),
    ("the time", "root.erofs", _set("Image.Epoch=2026-02-01")),
    ("where updates come from", "root.erofs", _set("Update.Repository=https://test.example/", "Update.TrustedRoot=HERE/root.json")),
    ("the base", "root.erofs", None),
    ("the version", "root.verity", _option("--version", "2")),
    ("modules of the initrd", "uki.efi", _set("Kernel.Modules=two")),
    ("modules of the root", "root.erofs", _set("Kernel.RootModules=two")),
    ("the engine", "uki.efi", _engine),
    ("a kernel argument", "uki.efi", _set("Kernel.CommandLine=debug")),
    ("a profile", "uki.efi", _option("--profile", "loud")),
)
OF_THE_DISK = (
    ("the size of a slot", "disk.raw", _set("Disk.SlotSize=96M")),
    ("the size of /var", "disk.raw", _set("Disk.VarSize=96M")),
    ("the size of the ESP", "disk.raw", _set("Disk.EspSize=96M")),
    ("a format more", "disk.vdi", _set("Disk.Formats=raw vdi")),
    ("a file, on the disk", "disk.raw", _write("file", b"two")),
)


def _go_through(scene, kinds, last_step):
    build_both(scene, "a.tar", *scene.options)
    first = copy(scene.out, scene.path("first"))
    for what, shown, change in kinds:
        if last_step == "disk":  # of which there is only what lies in the output folder: the change must be the only one since
            scene.build("a.tar", *scene.options)
        options, take_back = change(scene) if change else ([], lambda: None)
        try:
            steps = build_both(scene, "a.tar" if change else "b.tar", *scene.options, *options)
        except AssertionError as error:
            raise AssertionError("%s: %s" % (what, error)) from error
        finally:
            take_back()
        assert steps and shown in differences(first, scene.out), (what, steps)
    # There and back again.
    steps = scene.build("a.tar", *scene.options)
    assert steps == [last_step] and not differences(first, scene.out), (steps, differences(first, scene.out))
    assert scene.build("a.tar", *scene.options) == []


@test
def after_each_change_a_cached_build_is_a_cold_one(world):
    _go_through(Changes(world), KINDS, "tar")


@test
def after_each_change_a_cached_disk_is_a_cold_one(world):
    scene = Changes(world)
    scene.options += settings("Disk.Formats=raw")
    _go_through(scene, OF_THE_DISK, "disk")


# ---- packages ----

def _lock(scene, *options):
    scene.run("lock", "a.tar", *scene.options, *options)
    with open(scene.recipe + ".lock", "rb") as file:
        return file.read()


@test
def after_each_change_of_a_lock_a_cached_build_is_a_cold_one(world):
    scene = Packages(world)
    scene.put("a.tar", dpkg_system())
    text = _lock(scene)
    build_both(scene, "a.tar", "--locked", *scene.options)
    first, options = copy(scene.out, scene.path("first")), list(scene.options)
    # A package more.
    scene.options += settings("Packages.Install=unasked")
    _lock(scene, "--update")
    assert "packages" in build_both(scene, "a.tar", "--locked", *scene.options)
    assert scene.packages() == {"library": "1", "tool": "2", "unasked": "1"}, scene.packages()
    scene.options = options
    # A newer one, and then the same version with other bytes.
    for content in ("x", "y"):
        scene.archive.add("tool", "3", Depends="library (>= 1)", content=content)
        scene.archive.publish()
        before = copy(scene.out, scene.path("before"))
        _lock(scene, "--update")
        assert "packages" in build_both(scene, "a.tar", "--locked", *scene.options)
        assert scene.packages() == {"library": "1", "tool": "3"}, scene.packages()
        assert "root.erofs" in differences(before, scene.out)
    # Back to the first lock, of which the archive still has all.
    scene.put("host.conf.lock", text)
    steps = scene.build("a.tar", "--locked", *scene.options)
    assert steps == ["tar"] and not differences(first, scene.out), (steps, differences(first, scene.out))


def _has_network_namespaces():
    return subprocess.run(["unshare", "--net", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0


@test
def a_full_cache_needs_and_makes_no_connection(world):
    scene = Packages(world)
    scene.put("a.tar", dpkg_system())
    _lock(scene, "--fetch")
    assert any(".deb" in path for path in scene.server.requests), scene.server.requests
    scene.server.requests.clear()
    full = copy(scene.cache, scene.path("full"))
    assert "packages" in scene.build("a.tar", "--locked", *scene.options)
    assert scene.server.requests == [], scene.server.requests
    first = copy(scene.out, scene.path("first"))
    # Nor does it fail when there is none to be made.
    scene.server.stop()
    scene.cache = full
    if _has_network_namespaces():
        scene.command = lambda *words: ["unshare", "--net", *words]
    assert "packages" in scene.build("a.tar", "--locked", *scene.options)
    assert not differences(first, scene.out), differences(first, scene.out)
    scene.run("lock", "a.tar", "--fetch", *scene.options)


# ---- gc ----

DAY = 24 * 60 * 60


def _gc(scene, *options, status=0, says=""):
    done = subprocess.run([scene.world.program("image-builder/bascule-image"), "gc", "--cache", scene.cache, *options],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == status and says in done.stdout + done.stderr, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout) if "--json" in options else done.stdout


def _files(folder):
    return sorted(os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)


def _age(folder, days):
    for place, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = os.path.join(place, name)
            then = os.stat(path, follow_symlinks=False).st_mtime - days * DAY
            os.utime(path, (then, then), follow_symlinks=False)


@test
def gc_takes_what_it_says_and_builds_go_on(world):
    scene = Scene(world)
    scene.put("a.tar", archive(*SYSTEM))
    options = settings("Disk.Formats=raw tar")
    scene.build("a.tar", *options)
    first, before = copy(scene.out, scene.path("first")), _files(scene.cache)
    _gc(scene, status=2, says="say what may stay: --max-size SIZE, --max-age SPAN, or both")
    assert _gc(scene, "--max-size", "0", "--json")["removed"] == 0 and _files(scene.cache) == before  # used just now
    _age(scene.cache, 2)
    told = _gc(scene, "--max-age", "3d", "--json")
    assert told["removed"] == told["removed-bytes"] == 0 and told["kept"] > 0, told
    everything = {"removed": told["kept"], "removed-bytes": told["kept-bytes"], "kept": 0, "kept-bytes": 0}
    before = _files(scene.cache)
    assert _gc(scene, "--max-size", "0", "--dry-run", "--json") == everything
    _gc(scene, "--max-size", "0", "--dry-run", says=" would go; 0 items")
    assert _files(scene.cache) == before
    # Of half the size some stay: those that were used last.
    scene.build("a.tar", *options)
    half = _gc(scene, "--max-age", "1d", "--json")
    assert half["kept"] + half["removed"] >= told["kept"] and half["kept"] > 0, (half, told)
    assert scene.build("a.tar", *options) == [], "what was used just now is gone"
    _age(scene.cache, 2)
    assert _gc(scene, "--max-size", "0", "--json")["kept"] == 0
    assert _files(scene.cache) == [], _files(scene.cache)
    assert "base" in scene.build("a.tar", *options)
    assert not differences(first, scene.out), differences(first, scene.out)


if __name__ == "__main__":
    run()
