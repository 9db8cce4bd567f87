#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad days of the producer: releases that are killed, refused or find no room; payload files that are damaged; and what
`inspect` says of everything."""
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time

from harness.repository import bascule_image
from harness.tap import need_root, run, test


def attempt(world, *arguments):
    return subprocess.run([world.program("image-builder/bascule-image"), *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)


class Place:
    def __init__(self, world, repo=None):
        self.world, self.folder = world, world.new_folder("publish")
        self.keys, self.repo = self.folder + "/keys", repo or self.folder + "/repo"
        bascule_image(world, "keys", "init", self.keys)

    def arguments(self, folder, *options):
        return ["release", folder, "--repo", self.repo, "--channel", "stable", "--keys", self.keys, "--level", "1", "--cache",
                self.repo + ".cache", *options]

    def fresh_copy(self, version):
        """An image folder without payloads of an earlier test."""
        folder = self.world.new_folder("built")
        source = self.world.image(version).folder
        for name in os.listdir(source):
            if os.path.isfile(source + "/" + name):
                os.link(source + "/" + name, folder + "/" + name)
        return folder

    def offered(self):
        """Versions of the channel, as inspect tells them."""
        told = json.loads(bascule_image(self.world, "inspect", self.repo, "--json"))
        return [release["version"] for release in told["channels"].get("channels/stable.json", [])]


@test
def killed_at_any_moment_it_published_all_or_nothing_and_a_rerun_finishes(world):
    place = Place(world)
    bascule_image(world, *place.arguments(place.fresh_copy("1")))
    begun = time.monotonic()
    bascule_image(world, *place.arguments(place.fresh_copy("2")))
    whole = time.monotonic() - begun
    chance = random.Random(3)
    published = 0
    for number in range(3, 13):
        folder = place.fresh_copy("3")
        with open(folder + "/image.json", encoding="utf-8") as file:
            info = json.load(file)
        os.unlink(folder + "/image.json")
        info["version"] = str(number)
        with open(folder + "/image.json", "w", encoding="utf-8") as file:
            json.dump(info, file)
        before = place.offered()
        process = subprocess.Popen([world.program("image-builder/bascule-image"), *place.arguments(folder)],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, 1.1 * whole))
        process.send_signal(signal.SIGKILL)
        process.wait()
        bascule_image(world, "verify", place.repo)
        after = place.offered()
        assert after in (before, before + [str(number)]), (before, after)
        if after == before:
            bascule_image(world, *place.arguments(folder))
        else:
            published += 1
            assert attempt(world, *place.arguments(folder)).returncode == 4
        assert place.offered() == before + [str(number)]
        remains = [name for name in os.listdir(folder + "/release") if name.startswith(".")]
        assert not remains, "remains of a killed run: %s" % remains
        bascule_image(world, "verify", place.repo)
    print("# %d of 10 were published before the kill" % published)


@test
def no_room_in_the_repository(world):
    need_root("to mount a small filesystem")
    small = world.small_filesystem(1500)
    place = Place(world, small + "/repo")
    folder = place.fresh_copy("1")
    refused = attempt(world, *place.arguments(folder))
    assert refused.returncode == 7, (refused.returncode, refused.stderr)
    assert "o space left" in refused.stderr or "room" in refused.stderr, refused.stderr
    subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
    bascule_image(world, *place.arguments(folder))
    assert place.offered() == ["1"]
    bascule_image(world, "verify", place.repo)


@test
def no_room_for_the_payload(world):
    need_root("to mount a small filesystem")
    small = world.small_filesystem(1000)
    source = world.image("1").folder
    done = attempt(world, "payload", "make", source + "/root.erofs", "-o", small + "/payload", "--level", "1")
    assert done.returncode == 7, (done.returncode, done.stderr)
    assert os.listdir(small) == [], os.listdir(small)


@test
def refusals_say_what_to_do(world):
    place = Place(world)
    folder = place.fresh_copy("1")
    empty = world.new_folder("empty")
    cases = [
        (["release", folder, "--repo", place.repo, "--channel", "stable"], 2, "--keys"),
        (["release", folder, "--keys", place.keys, "--channel", "stable"], 2, "--repo"),
        (["release", folder, "--repo", place.repo, "--keys", place.keys], 2, "--channel"),
        (place.arguments(empty), 1, "build"),
        (place.arguments(folder, "--wave", "soon"), 2, "time span"),
        (place.arguments(folder, "--notes", folder + "/nothing"), 2, "notes"),
        (["withdraw", "1", "--repo", place.repo, "--channel", "stable", "--keys", place.keys], 2, "--reason"),
        (["payload", "make", empty + "/nothing", "-o", empty + "/out"], 11, "cannot open"),
        (["payload", "make", folder + "/root.erofs"], 2, "--output"),
        (["payload", "bake", folder + "/root.erofs"], 2, "apply"),
        (["inspect", folder + "/nothing"], 11, "cannot open"),
        (["inspect", empty], 12, "neither"),
    ]
    for arguments, code, words in cases:
        done = attempt(world, *arguments)
        assert done.returncode == code and words in done.stderr, (arguments, done.returncode, done.stderr)
    assert os.listdir(empty) == []
    assert not os.path.exists(place.repo) or place.offered() == []


@test
def a_changed_image_or_a_version_twice(world):
    place = Place(world)
    one = place.fresh_copy("1")
    bascule_image(world, *place.arguments(one))
    two = place.fresh_copy("2")
    with open(two + "/image.json", encoding="utf-8") as file:
        info = json.load(file)
    info["version"] = "1"
    os.unlink(two + "/image.json")
    with open(two + "/image.json", "w", encoding="utf-8") as file:
        json.dump(info, file)
    done = attempt(world, *place.arguments(two))
    assert done.returncode == 5 and "other content" in done.stderr, done.stderr
    damaged = world.new_folder("damaged")
    for name in os.listdir(world.image("3").folder):
        if os.path.isfile(world.image("3").folder + "/" + name):
            shutil.copy(world.image("3").folder + "/" + name, damaged)
    with open(damaged + "/root.erofs", "r+b") as file:
        file.seek(100000)
        file.write(b"changed")
    done = attempt(world, *place.arguments(damaged))
    assert done.returncode == 10 and "build the image again" in done.stderr, done.stderr
    assert place.offered() == ["1"]


@test
def papers_are_published_as_they_were_built(world):
    place = Place(world)
    folder = place.fresh_copy("1")
    text = b"bash 5.2 amd64 bash\n"
    with open(folder + "/packages.txt", "wb") as file:
        file.write(text)
    with open(folder + "/image.json", encoding="utf-8") as file:
        info = json.load(file)
    os.unlink(folder + "/image.json")
    info["papers"] = [{"file": "packages.txt", "sha256": hashlib.sha256(b"other").hexdigest()}]
    with open(folder + "/image.json", "w", encoding="utf-8") as file:
        json.dump(info, file)
    done = attempt(world, *place.arguments(folder))
    assert done.returncode == 10 and "is not the file that image.json describes" in done.stderr, done.stderr
    info["papers"][0]["sha256"] = hashlib.sha256(text).hexdigest()
    with open(folder + "/image.json", "w", encoding="utf-8") as file:
        json.dump(info, file)
    bascule_image(world, *place.arguments(folder))
    bascule_image(world, "verify", place.repo)
    path = "%s/targets/releases/1/x86-64/%s.packages.txt" % (place.repo, hashlib.sha256(text).hexdigest())
    with open(path, "rb") as file:
        assert file.read() == text


@test
def two_releases_at_once_both_get_in(world):
    place = Place(world)
    bascule_image(world, *place.arguments(place.fresh_copy("1")))
    folders = [place.fresh_copy("2"), place.fresh_copy("3")]
    for _ in range(5):
        running = [subprocess.Popen([world.program("image-builder/bascule-image"), *place.arguments(folder)],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                   for folder in folders]
        codes = []
        for process in running:
            words = process.communicate()[1]
            codes.append(process.returncode)
            assert process.returncode in (0, 4, 6), (process.returncode, words)
        if all(code in (0, 4) for code in codes):
            break
    assert place.offered() == ["1", "2", "3"]
    bascule_image(world, "verify", place.repo)


def _payload(world):
    folder = world.new_folder("payload")
    image = world.image("1").folder + "/root.erofs"
    bascule_image(world, "payload", "make", image, "-o", folder + "/payload", "--level", "1", "--group-size", "64K")
    with open(folder + "/payload", "rb") as file:
        return folder, image, bytearray(file.read())


@test
def a_damaged_payload_makes_nothing(world):
    folder, _, data = _payload(world)
    chance = random.Random(5)
    spots = [0, 8, 40, 70, 90] + [chance.randrange(len(data)) for _ in range(25)]
    for spot in spots:
        bad = bytearray(data)
        bad[spot] ^= 0x10
        with open(folder + "/bad", "wb") as file:
            file.write(bad)
        done = attempt(world, "payload", "apply", folder + "/bad", "-o", folder + "/out")
        assert done.returncode in (9, 10, 12), (spot, done.returncode, done.stderr)
        assert not os.path.exists(folder + "/out"), spot
    for size in [0, 1, 79, 80, 200, len(data) // 2, len(data) - 1]:
        with open(folder + "/bad", "wb") as file:
            file.write(data[:size])
        done = attempt(world, "payload", "apply", folder + "/bad", "-o", folder + "/out")
        assert done.returncode in (10, 11), (size, done.returncode, done.stderr)
    assert sorted(os.listdir(folder)) == ["bad", "payload"]


@test
def a_delta_needs_exactly_its_source(world):
    folder = world.new_folder("delta")
    one, two, three = (world.image(version).folder + "/root.erofs" for version in ("1", "2", "3"))
    report = json.loads(bascule_image(world, "payload", "make", two, "--from", one, "-o", folder + "/delta", "--json"))
    assert report["payload-size"] < os.path.getsize(two) // 2, report
    bascule_image(world, "payload", "apply", folder + "/delta", "--from", one, "-o", folder + "/out")
    assert subprocess.run(["cmp", two, folder + "/out"], check=False).returncode == 0
    os.unlink(folder + "/out")
    missing = attempt(world, "payload", "apply", folder + "/delta", "-o", folder + "/out")
    assert missing.returncode == 12 and "full payload" in missing.stderr, missing.stderr
    other = attempt(world, "payload", "apply", folder + "/delta", "--from", three, "-o", folder + "/out")
    assert other.returncode in (10, 12), other.stderr
    assert os.listdir(folder) == ["delta"]


@test
def threads_do_not_show(world):
    folder, image, data = _payload(world)
    for threads in ("1", "5"):
        bascule_image(world, "payload", "make", image, "-o", folder + "/again", "--level", "1", "--group-size", "64K",
                      "--threads", threads)
        with open(folder + "/again", "rb") as file:
            assert file.read() == data


@test
def inspect_explains_everything(world):
    place = Place(world)
    folder = place.fresh_copy("1")
    bascule_image(world, *place.arguments(folder))
    paths = {"image folder": folder, "repository": place.repo, "root image": folder + "/root.erofs",
             "payload": folder + "/release/root-full-1.payload", "EFI program": folder + "/image.efi"}
    for base, _, names in os.walk(place.repo + "/targets"):
        for name in names:
            if name.endswith(".manifest.json"):
                paths["release manifest"] = base + "/" + name
            elif name.endswith(".stable.json"):
                paths["channel"] = base + "/" + name
    assert len(paths) == 7, paths
    for kind, path in paths.items():
        told = json.loads(bascule_image(world, "inspect", path, "--json"))
        assert told["kind"] == kind, (told["kind"], kind)
        words = bascule_image(world, "inspect", path)
        assert words.startswith("kind") and kind in words.splitlines()[0], words
    assert json.loads(bascule_image(world, "inspect", paths["root image"], "--json"))["version"] == "1"
    program = json.loads(bascule_image(world, "inspect", paths["EFI program"], "--json"))
    assert program["signed-by"] == [] and len(program["authenticode-sha256"]) == 64, program
    manifest = json.loads(bascule_image(world, "inspect", paths["release manifest"], "--json"))
    assert manifest["uki"]["signed-by"] == [], manifest


if __name__ == "__main__":
    run()
