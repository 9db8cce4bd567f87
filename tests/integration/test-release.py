#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole way with our own producer: keys, release, a web server, a host."""
import json
import os
import shutil
import subprocess
import sys

from harness import servers
from harness.repository import bascule_image
from harness.patience import PATIENCE
from harness.tap import run, test


class _Published:
    """A repository that bascule-image made; what servers and hosts need of one is its folder and its root."""

    def __init__(self, world, *key_options):
        self.world, self.folder = world, world.new_folder("published") + "/repo"
        self.keys = world.new_folder("release-keys") + "/keys"
        bascule_image(world, "keys", "init", self.keys, *key_options)

    def release(self, image, *options):
        return bascule_image(self.world, "release", image.folder, "--repo", self.folder, "--channel", "stable", "--keys",
                             self.keys, "--level", "1", "--cache", self.world.folder + "/cache", *options)

    def host(self, image):
        host = self.world.host(image, self.world.nginx(self).url)
        host.describe(image, TrustedRoot=self.keys + "/root.json")
        return host.start()


@test
def release_serve_update(world):
    one, two, three = world.image("1"), world.image("2"), world.image("3")
    published = _Published(world)
    published.release(one)
    published.release(two)
    host = published.host(one)
    result = host.cli("update", "--wait")
    assert result.status == 0, result.err
    host.assert_installed(two)
    host.stop()
    host.describe(two, TrustedRoot=published.keys + "/root.json")
    os.rename(host.esp + "/EFI/Linux/" + two.entry_name("+3"), host.esp + "/EFI/Linux/" + two.entry_name())
    published.release(three)
    host.start()
    plan = host.cli("plan", "--json").json
    assert plan["verdict"] == "install" and plan["version"] == "3" and plan["slot"] == "a", plan
    result = host.cli("update", "--wait")
    assert result.status == 0, result.err
    assert host.read("root-a", len(three.root)) == three.root
    bascule_image(world, "verify", published.folder)


@test
def a_released_payload_is_what_was_built(world):
    """The payload that hosts fetch, decoded by the producer's own tool, is the image bit for bit."""
    two = world.image("2")
    published = _Published(world)
    published.release(two)
    payloads = []
    for folder, _, names in os.walk(published.folder + "/targets/payloads"):
        payloads += [os.path.join(folder, name) for name in names if name.endswith(".payload")]
    made = set()
    for path in payloads:
        target = world.new_folder("decoded") + "/image"
        bascule_image(world, "payload", "apply", path, "-o", target)
        with open(target, "rb") as file:
            made.add(file.read())
    assert made == {two.root, two.uki}, len(made)


@test
def a_withdrawn_release_leaves_hosts_where_they_are(world):
    one, two = world.image("1"), world.image("2")
    published = _Published(world)
    published.release(one)
    published.release(two)
    bascule_image(world, "withdraw", "2", "--repo", published.folder, "--channel", "stable", "--keys", published.keys,
                  "--reason", "It eats disks.")
    host = published.host(one)
    assert host.cli("update", "--wait").status == 4
    named = host.cli("update", "--wait", "--version", "2")
    assert named.status == 5 and "It eats disks." in named.sentence, named.err


@test
def notes_floors_and_waves_reach_the_host(world):
    one, two, three = world.image("1"), world.image("2"), world.image("3")
    notes = world.new_folder("notes") + "/notes"
    with open(notes, "w", encoding="utf-8") as file:
        file.write("Closes a hole.\n\x1b[31mred")
    published = _Published(world)
    published.release(one)
    published.release(two, "--floor", "--notes", notes)
    published.release(three, "--wave", "1000d")
    host = published.host(one)
    plan = host.cli("plan")
    assert "1 to 2" in plan.out and "Closes a hole." in plan.out, plan.out
    assert "\x1b" not in plan.out, "a release may not paint the terminal"
    named = host.cli("update", "--wait", "--version", "3")
    assert named.status == 5 and "2" in named.sentence, named.err


@test
def several_keys_and_a_threshold(world):
    one, two = world.image("1"), world.image("2")
    published = _Published(world, "--threshold", "targets=2/3")
    published.release(one)
    published.release(two)
    host = published.host(one)
    result = host.cli("update", "--wait")
    assert result.status == 0, result.err
    host.assert_installed(two)


@test
def refresh_keeps_a_repository_alive(world):
    one, two = world.image("1"), world.image("2")
    published = _Published(world)
    published.release(one)
    published.release(two)
    host = published.host(one)
    assert host.cli("check").status == 0
    bascule_image(world, "refresh", published.folder, "--keys", published.keys)
    assert host.cli("update", "--wait").status == 0
    host.assert_installed(two)


@test
def a_root_of_one_mirror_counts_with_the_next(world):
    """A key that one mirror's root takes away is not believed because another mirror has not heard of that root."""
    one, two = world.image("1"), world.image("2")
    published = _Published(world)
    published.release(one)
    published.release(two)
    old = world.new_folder("old")
    shutil.copytree(published.folder, old + "/repo")
    shutil.copy(published.keys + "/root.json", old + "/root.json")
    bascule_image(world, "keys", "rotate", published.keys, "timestamp")
    bascule_image(world, "keys", "root-publish", published.keys, "--repo", published.folder)
    bascule_image(world, "refresh", published.folder, "--keys", published.keys, "--resign")
    first, second = world.hostile(published), world.nginx(type("Served", (), {"folder": old + "/repo"}))
    first.rule(r"timestamp\.json", servers.flip(10))
    host = world.host(one, first.url + "\nRepository=" + second.url)
    host.describe(one, TrustedRoot=old + "/root.json")
    host.start()
    refused = host.cli("check")
    assert refused.status == 9, (refused.status, refused.out, refused.err)
    with open(host.state + "/metadata/root.json", encoding="utf-8") as file:
        assert json.load(file)["signed"]["version"] == 2
    first.behave()
    assert host.cli("update", "--wait").status == 0
    host.assert_installed(two)


@test
def publishing_is_atomic_for_hosts(world):
    """A host that asks all the time while releases are published always finds a whole repository."""
    one = world.image("1")
    published = _Published(world)
    published.release(one)
    host = published.host(one)
    asking = subprocess.Popen(
        [sys.executable, "-c", """
import json, os, subprocess, sys
bad = []
while not os.path.exists(sys.argv[2]):
    done = subprocess.run([sys.argv[1], "check", "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        bad.append(done.stdout)
print(json.dumps(bad))
""", world.program("update-engine/bascule"), published.folder + ".stop"],
        env=dict(os.environ, BASCULE_BUS=world.bus_address), stdout=subprocess.PIPE, text=True)
    try:
        for version in ("2", "3", "4", "5"):
            published.release(world.image(version, size=1 << 20))
    finally:
        with open(published.folder + ".stop", "wb"):
            pass
    bad = json.loads(asking.communicate(timeout=PATIENCE)[0])
    assert bad == [], bad
    assert host.cli("plan", "--json").json["version"] == "5"


if __name__ == "__main__":
    run()
