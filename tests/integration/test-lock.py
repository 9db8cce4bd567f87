#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Locks: how they are made from an archive, and what happens when archive, cache, recipe or lock are not as they should be."""
import hashlib
import json
import os
import shutil
import subprocess

from harness.archive import SUITE, Archive
from harness.servers import Hostile, Rule, flip, longer, status
from harness.tap import run, test

RECIPE = """[Image]
Id=tiny
[Packages]
Suites=%s
Mirror=%s
Keyring=%s
Install=tool lib+tool
Exclude=unwanted
"""


def _fill(archive):
    archive.add("base", Essential="yes", Priority="required")
    archive.add("needed", Priority="required", compression="gzip")
    archive.add("usr-is-merged", compression="none")
    archive.add("tool", "1:2.0-1", Depends="library (>= 1), unwanted | other", compression="zstd")
    archive.add("library", "1.5~rc1")
    archive.add("lib+tool", "3+b1")
    archive.add("other")
    archive.add("unwanted")
    archive.add("bystander")
    archive.publish()


class Scene:
    """An archive, its web server, a recipe, and an empty cache."""

    def __init__(self, world):
        # One key and one set of packages for all tests: each gets a copy.
        if not hasattr(world, "archive"):
            world.archive = Archive(world)
            _fill(world.archive)
        self.world, self.archive = world, world.archive
        self.folder = world.new_folder("lock")
        pristine = self._pristine()
        shutil.rmtree(self.archive.folder)
        shutil.copytree(pristine, self.archive.folder)
        self.server = Hostile(self.archive.folder)
        world.servers.append(self.server)
        self.recipe = os.path.join(self.folder, "tiny.conf")
        self.lock = self.recipe + ".lock"
        self.cache = os.path.join(self.folder, "cache")
        with open(self.recipe, "w", encoding="ascii") as file:
            file.write(RECIPE % (SUITE, self.server.url, self.archive.keyring))

    def _pristine(self):
        path = self.world.archive.folder + ".pristine"
        if not os.path.exists(path):
            shutil.copytree(self.world.archive.folder, path)
        return path

    def run(self, verb, *options, status=0, says=""):
        """Runs a verb on the recipe and returns what it prints."""
        done = subprocess.run([self.world.program("image-builder/bascule-image"), verb, self.recipe, "--cache", self.cache,
                               *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == status, "status %d: %s" % (done.returncode, said)
        assert says in said, said
        return done.stdout

    def make(self, *options):
        self.run("lock", *options)
        return self.read()

    def read(self):
        with open(self.lock, encoding="ascii") as file:
            return json.load(file)

    def edit(self, change):
        """Lets `change` do something to the lock."""
        lock = self.read()
        change(lock)
        with open(self.lock, "w", encoding="ascii") as file:
            json.dump(lock, file)

    def cached(self):
        folder = os.path.join(self.cache, "debs")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def _package(lock, name):
    return next(package for package in lock["packages"] if package["name"] == name)


@test
def a_lock_names_what_apt_chooses(world):
    scene = Scene(world)
    lock = scene.make()
    assert [package["name"] for package in lock["packages"]] == [
        "base", "lib+tool", "library", "needed", "other", "tool", "usr-is-merged"], lock["packages"]
    tool = _package(lock, "tool")
    assert tool["version"] == "1:2.0-1" and tool["architecture"] == "all", tool
    assert tool["sha256"] == scene.archive.sha256("tool", "1:2.0-1"), tool
    assert tool["size"] == os.path.getsize(scene.archive.path("tool", "1:2.0-1")), tool
    source = lock["sources"][0]
    assert (source["suite"], source["mirror"]) == (SUITE, scene.server.url), source
    assert source["sha256"] == hashlib.sha256(scene.archive.read("InRelease")).hexdigest(), source
    assert source["indexes"] == [{"name": "main/binary-amd64/Packages", "sha256": hashlib.sha256(
        scene.archive.read("main/binary-amd64/Packages")).hexdigest()}], source
    with open(scene.lock, "rb") as file:
        before = file.read()
    report = json.loads(scene.run("lock", "--update", "--json"))
    assert report["changes"] == [] and report["written"], report
    with open(scene.lock, "rb") as file:
        assert file.read() == before
    assert scene.cached() == [], scene.cached()


@test
def an_update_shows_the_difference_first(world):
    scene = Scene(world)
    scene.make()
    with open(scene.lock, "rb") as file:
        before = file.read()
    scene.run("lock", status=5, says="--update renews it")
    scene.archive.add("library", "1.6", Depends="fresh")
    scene.archive.add("fresh", "7")
    scene.archive.add("other", content="y")
    scene.archive.publish()
    expected = ["+ fresh 7", "  library 1.5~rc1 -> 1.6", "  other 1 -> 1 (the same version with other bytes!)"]
    assert scene.run("lock", "--dry-run").splitlines()[:-1] == expected
    with open(scene.lock, "rb") as file:
        assert file.read() == before
    assert scene.run("lock", "--update").splitlines()[:-1] == expected
    assert _package(scene.read(), "library")["version"] == "1.6"
    scene.run("lock", "--update", "--set", "Packages.Install=", "--set", "Packages.Install=library", says="- tool 1:2.0-1")


@test
def a_stale_lock_is_refused(world):
    scene = Scene(world)
    scene.run("build", "-o", scene.folder + "/out", "--locked", status=5, says="--locked asks for one")
    scene.make()
    for setting, says in (("Packages.Install=bystander", "the recipe has Install=bystander"),
                          ("Packages.Exclude=library", "the recipe has Exclude=library"),
                          ("Packages.Areas=main contrib", "the recipe has Areas=main contrib"),
                          ("Packages.Recommended=yes", "the recipe has Recommended=yes"),
                          ("Packages.Exclude=", "the recipe has no Exclude=unwanted")):
        scene.server.requests.clear()
        scene.run("build", "-o", scene.folder + "/out", "--set", setting, status=5, says=says)
        scene.run("lock", "--fetch", "--set", setting, status=5, says="the lock is stale")
        assert scene.server.requests == [], scene.server.requests
    assert os.listdir(scene.folder + "/out") == []


def _profile(scene, name, text):
    os.makedirs(scene.recipe + ".profiles", exist_ok=True)
    with open("%s.profiles/%s.conf" % (scene.recipe, name), "w", encoding="ascii") as file:
        file.write(text)


@test
def each_profile_has_a_lock_of_its_own(world):
    scene = Scene(world)
    _profile(scene, "debug", "[Packages]\nInstall=bystander\n")
    _profile(scene, "quiet", "[Kernel]\nCommandLine=quiet\n")
    plain = scene.make()
    scene.run("lock", "--profile", "debug")
    with open(scene.recipe + ".debug.lock", encoding="ascii") as file:
        debug = json.load(file)
    assert {package["name"] for package in debug["packages"]} - {package["name"] for package in plain["packages"]} == {
        "bystander"}, debug["packages"]
    assert "Profiles=debug" in debug["request"] and scene.read() == plain, debug["request"]
    # Two make a third, and none stands for another, even if it names the same packages.
    scene.run("build", "--locked", "-o", scene.folder + "/out", "--profile", "debug", "--profile", "quiet", status=5,
              says="there is no %s.debug+quiet.lock" % scene.recipe)
    for name, profile, says in (("debug+quiet", ("--profile", "debug", "--profile", "quiet"),
                                 "the recipe has Profiles=debug quiet, and the lock was made without it"),
                                ("quiet", ("--profile", "quiet"), "lock --update --profile quiet " + scene.recipe)):
        shutil.copy(scene.recipe + (".debug" if "debug" in name else "") + ".lock", "%s.%s.lock" % (scene.recipe, name))
        scene.run("build", "-o", scene.folder + "/out", *profile, status=5, says=says)
    shutil.copy(scene.recipe + ".debug.lock", scene.lock)
    scene.run("lock", "--fetch", status=5, says="the lock is stale: the recipe has no ")
    scene.run("lock", "--profile", "debgu", status=3, says='there is no profile "debgu", did you mean "debug"?')
    scene.run("build", "-o", scene.folder + "/out", "--profile", "../x", status=3, says='there is no profile "../x"')
    shown = subprocess.run([world.program("image-builder/bascule-image"), "recipe", "show", scene.recipe, "--profile", "quiet"],
                           capture_output=True, text=True, check=True).stdout
    assert "CommandLine=quiet\n" in shown, shown


@test
def a_full_cache_needs_no_network(world):
    scene = Scene(world)
    lock = scene.make("--fetch")
    assert scene.cached() == sorted(package["sha256"] + ".deb" for package in lock["packages"]), scene.cached()
    scene.server.requests.clear()
    report = json.loads(scene.run("lock", "--fetch", "--json"))
    assert report["fetched-packages"] == 0 and scene.server.requests == [], scene.server.requests
    scene.server.stop()
    scene.run("lock", "--fetch")


@test
def a_damaged_cache_is_mended(world):
    scene = Scene(world)
    scene.make("--fetch")
    victim = os.path.join(scene.cache, "debs", scene.cached()[0])
    with open(victim, "r+b") as file:
        file.seek(100)
        file.write(b"?")
    report = json.loads(scene.run("lock", "--fetch", "--json"))
    assert report["fetched-packages"] == 1, report
    assert hashlib.sha256(open(victim, "rb").read()).hexdigest() + ".deb" == os.path.basename(victim)


@test
def a_mirror_that_lies_is_found_out(world):
    scene = Scene(world)
    scene.make()
    liar = Hostile(scene.archive.folder)
    world.servers.append(liar)
    for rule in (Rule(r"library.*\.deb", flip(80)), Rule(r"library.*\.deb", longer(1)), Rule(r"library.*\.deb", longer(9 << 20))):
        scene.server.rules = [rule]
        scene.run("lock", "--fetch", status=9, says="other bytes for the package library 1.5~rc1 than the lock names")
        assert scene.archive.sha256("library", "1.5~rc1") + ".deb" not in scene.cached()
        assert not [name for name in scene.cached() if name.endswith(".partial")], scene.cached()
    # Another one tells the truth, whether it is asked first or last.
    scene.run("lock", "--fetch", "--mirror", liar.url)
    shutil.rmtree(scene.cache)
    scene.run("lock", "--fetch", "--set", "Packages.FallbackMirrors=%s/nothing %s/" % (liar.url, liar.url))


@test
def a_package_that_is_gone_is_named(world):
    scene = Scene(world)
    scene.make()
    scene.server.rules = [Rule(r"tool_1", status(404))]
    scene.run("lock", "--fetch", status=8, says="no mirror has tool 1:2.0-1 of the lock (1 of 7 packages are missing)")
    # What did come is kept.
    scene.server.rules = []
    assert json.loads(scene.run("lock", "--fetch", "--json"))["fetched-packages"] == 1


@test
def a_lock_with_a_wrong_hash_installs_nothing(world):
    scene = Scene(world)
    scene.make("--fetch")
    scene.edit(lambda lock: _package(lock, "library").update(sha256="0" * 64))
    scene.run("build", "-o", scene.folder + "/out", status=9, says="other bytes for the package library")
    assert os.listdir(scene.folder + "/out") == []


@test
def a_lock_that_calls_a_package_something_else_installs_nothing(world):
    scene = Scene(world)
    scene.make("--fetch")
    scene.edit(lambda lock: _package(lock, "library").update(version="9"))
    scene.run("build", "-o", scene.folder + "/out", status=9, says="calls itself something else")
    assert os.listdir(scene.folder + "/out") == []


@test
def an_archive_that_nobody_signed_is_not_locked(world):
    scene = Scene(world)
    index = os.path.join(scene.archive.dist, "main/binary-amd64/Packages")
    with open(index, "ab") as file:
        file.write(b"\n")
    scene.run("lock", status=8, says="the archive's indexes cannot be used")
    scene.archive.publish()
    text = scene.archive.read("InRelease").replace(b"Codename: tiny", b"Codename: tinz")
    with open(os.path.join(scene.archive.dist, "InRelease"), "wb") as file:
        file.write(text)
    scene.run("lock", status=8, says="the archive's indexes cannot be used")
    assert not os.path.exists(scene.lock)


@test
def an_archive_that_has_expired_is_taken_when_the_recipe_says_so(world):
    scene = Scene(world)
    snapshot = {"Date": "Sat, 01 Jan 2022 00:00:00 UTC", "Valid_Until": "Sat, 08 Jan 2022 00:00:00 UTC"}
    scene.archive.publish(**snapshot)
    scene.run("lock", status=8, says="is expired")
    scene.run("lock", status=8, says="Expired=yes in [Packages] takes it")
    scene.run("lock", "--set", "Packages.Expired=no", status=8, says="is expired")
    assert not os.path.exists(scene.lock)
    expired = ("--set", "Packages.Expired=yes")
    source = scene.make(*expired)["sources"][0]
    assert source["date"] == "2022-01-01T00:00:00Z", source
    # It is signed all the same, by who may, and what it names is what comes.
    scene.run("lock", "--update", *expired, "--set", "Packages.Keyring=", status=8, says="the archive's indexes cannot be used")
    path = os.path.join(scene.archive.dist, "InRelease")
    text = scene.archive.read("InRelease")
    with open(path, "wb") as file:
        file.write(text.replace(b"08 Jan", b"09 Jan"))
    scene.run("lock", "--update", *expired, status=8, says="the archive's indexes cannot be used")
    with open(path, "wb") as file:
        file.write(text)
    with open(os.path.join(scene.archive.dist, "main/binary-amd64/Packages"), "ab") as file:
        file.write(b"\n")
    scene.run("lock", "--update", *expired, status=8, says="the archive's indexes cannot be used")
    # Of the lock that was made, packages are fetched with and without the setting.
    assert json.loads(scene.run("lock", "--fetch", "--json"))["fetched-packages"] == 7


@test
def packages_that_do_not_fit_are_explained(world):
    scene = Scene(world)
    scene.run("lock", "--set", "Packages.Install=no-such", status=1, says="Unable to locate package no-such")
    scene.run("lock", "--set", "Packages.Exclude=library", status=1, says="apt cannot choose the packages")
    assert not os.path.exists(scene.lock)
    assert os.listdir(scene.cache) == ["log"], os.listdir(scene.cache)


if __name__ == "__main__":
    run()
