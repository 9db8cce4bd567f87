#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Deltas from release to host: what they save, and that no host is lost when one cannot be used."""
import json
import os
import re
import time

from harness import servers
from harness.repository import bascule_image, sha256
from harness.tap import run, test


class Published:
    """A repository made by bascule-image, with deltas."""

    def __init__(self, world):
        self.world, self.folder = world, world.new_folder("published") + "/repo"
        self.keys = world.new_folder("release-keys") + "/keys"
        bascule_image(world, "keys", "init", self.keys)

    def release(self, image, *options):
        return json.loads(bascule_image(
            self.world, "release", image.folder, "--repo", self.folder, "--channel", "stable", "--keys", self.keys, "--level",
            "3", "--cache", self.world.folder + "/cache", "--json", *options))

    def file(self, part):
        """The only target file with that in its name."""
        found = [os.path.join(folder, name) for folder, _, names in os.walk(self.folder + "/targets") for name in names
                 if re.search(part, os.path.join(folder, name))]
        assert len(found) == 1, found
        return found[0]

    def host(self, image, server):
        host = self.world.host(image, server.url)
        host.describe(image, TrustedRoot=self.keys + "/root.json")
        return host.start()


def _published(world, *versions):
    published = Published(world)
    reports = [published.release(world.image(version)) for version in versions]
    return published, reports[-1]


def _update(host):
    result = host.cli("update", "--wait", "--json")
    assert result.status == 0, result.err + result.out
    return host.status()["progress"]["fetched_bytes"]


def _wait_for_the_middle(host):
    """Small updates are one group, which counts when it is whole, so progress does not tell."""
    host.wait_state(("downloading",))
    time.sleep(0.5)


@test
def an_update_takes_the_delta(world):
    one, two = world.image("1"), world.image("2")
    published, report = _published(world, "1", "2")
    delta = report["deltas"][0]
    assert delta["from"] == "1" and delta["root-payload-size"] < report["root-payload-size"] / 2, report
    host = published.host(one, world.nginx(published))
    plan = host.cli("plan", "--json").json
    assert plan["is_delta"] and plan["fetch_bytes"] == delta["download-size"], (plan, delta)
    assert plan["full_bytes"] == delta["full-download-size"] > plan["fetch_bytes"], (plan, delta)
    words = host.cli("plan").out
    assert "% saved), as a delta" in words.replace("\u00a0", " "), words
    before, fetched = host.fingerprint(), _update(host)
    assert fetched < delta["download-size"] + 200000 < report["root-payload-size"], (fetched, delta)
    host.assert_installed(two)
    assert host.fingerprint() == before
    assert host.status()["progress"]["full_bytes"] == plan["full_bytes"]
    assert "% saved)" in host.cli("status").out and "% saved)" in host.cli("history").out
    event = host.cli("history", "--json").json[-1]
    assert event["full_bytes"] == plan["full_bytes"] > event["fetched_bytes"] == fetched, event


@test
def an_interrupted_delta_goes_on(world):
    one, two = world.image("1"), world.image("2")
    published, report = _published(world, "1", "2")
    server = world.hostile(published)
    server.rule("/payloads/", servers.slow(30000))
    host = published.host(one, server)
    for _ in range(3):
        host.begin("update")
        _wait_for_the_middle(host)
        host.kill()
        host.start()
    server.behave()
    fetched = _update(host)
    assert fetched < report["root-payload-size"], fetched
    host.assert_installed(two)


@test
def a_damaged_source_costs_a_part_of_the_full_payload(world):
    one, two = world.image("1"), world.image("2")
    published, report = _published(world, "1", "2")
    host = published.host(one, world.nginx(published))
    damaged = bytearray(one.root)
    for at in range(len(damaged) // 3, len(damaged) // 2, 4096):
        damaged[at] ^= 255
    host.write("root-a", bytes(damaged))
    fetched = _update(host)
    assert fetched < report["root-payload-size"], fetched
    host.assert_installed(two)


@test
def a_lost_delta_is_done_without(world):
    one, two = world.image("1"), world.image("2")
    published, _ = _published(world, "1", "2")
    for part in ("root-from-1", "uki-from-1"):
        server = world.hostile(published)
        server.rule(part, servers.status(404))
        host = published.host(one, server)
        _update(host)
        host.assert_installed(two)
        host.stop()


@test
def a_delta_that_is_wrong_on_the_server_is_done_without(world):
    one, two = world.image("1"), world.image("2")
    published, _ = _published(world, "1", "2")
    path = published.file("root-from-1")
    with open(path, "rb") as file:
        data = bytearray(file.read())
    data[-1] ^= 1
    os.unlink(path)
    with open(path, "wb") as file:
        file.write(data)
    host = published.host(one, world.nginx(published))
    _update(host)
    host.assert_installed(two)


@test
def skipped_versions_have_deltas_or_reuse_what_they_have(world):
    one, four = world.image("1"), world.image("4")
    published = Published(world)
    for version in ("1", "2", "3"):
        published.release(world.image(version), "--deltas", "0")
    report = published.release(four, "--deltas", "2")
    assert [delta["from"] for delta in report["deltas"]] == ["3", "2"], report
    server = world.nginx(published)
    for image, is_delta in ((world.image("2"), True), (one, False)):
        host = published.host(image, server)
        plan = host.cli("plan", "--json").json
        assert plan["version"] == "4" and plan["is_delta"] == is_delta, plan
        fetched = _update(host)
        assert fetched < plan["fetch_bytes"] + 200000 and fetched < report["root-payload-size"] / 2, fetched
        host.assert_installed(four)
        host.stop()


@test
def what_the_other_slot_still_holds_is_not_fetched(world):
    """Nothing of the running release is like the new one, but an earlier attempt left nearly all of it, elsewhere."""
    one, two = world.image("1"), world.image("2")
    published = Published(world)
    published.release(one)
    report = published.release(two, "--deltas", "0")
    host = published.host(one, world.nginx(published))
    host.write("root-a", bytes(len(one.root)))
    host.write("root-b", bytes(3 * 4096) + two.root)
    fetched = _update(host)
    assert fetched < report["root-payload-size"] / 4 + report["uki-payload-size"] + 100000, fetched
    host.assert_installed(two)


@test
def pieces_go_on_where_they_stopped(world):
    one, two = world.image("1"), world.image("2")
    published = Published(world)
    published.release(one)
    report = published.release(two, "--deltas", "0")
    server = world.hostile(published)
    server.rule("/payloads/", servers.slow(30000))
    host = published.host(one, server)
    for _ in range(2):
        host.begin("update")
        _wait_for_the_middle(host)
        host.kill()
        host.start()
    server.behave()
    _update(host)
    host.assert_installed(two)


@test
def a_host_with_nothing_of_it_takes_the_full_payload(world):
    one, two = world.image("1"), world.image("2")
    published = Published(world)
    published.release(one)
    report = published.release(two, "--deltas", "0")
    host = published.host(one, world.nginx(published))
    host.write("root-a", bytes(len(one.root)))
    fetched = _update(host)
    assert fetched < report["root-payload-size"] + report["uki-payload-size"] + 50000, (fetched, report)
    host.assert_installed(two)


@test
def pieces_that_are_lost_or_wrong_are_done_without(world):
    one, two = world.image("1"), world.image("2")
    published = Published(world)
    published.release(one)
    published.release(two, "--deltas", "0")
    path = published.file(r"/2/.*root\.pieces$")
    for damage in ("lost", "index", "blobs"):
        with open(path, "rb") as file:
            data = file.read()
        server = world.hostile(published)
        if damage == "lost":
            server.rule("pieces", servers.status(404))
        elif damage == "index":
            server.rule("root.pieces", servers.flip(70))
        else:
            server.rule("root.pieces", servers.flip(len(data) - 20000))
        host = published.host(one, server)
        _update(host)
        host.assert_installed(two)
        host.stop()


def _with_delta(world, old, new, bend):
    """A repository of another producer, whose manifest has a delta of the root image; `bend` changes what it says."""
    folder = world.new_folder("delta")
    images = [os.path.join(image.folder, "root.erofs") for image in (old, new)]
    made = json.loads(bascule_image(world, "payload", "make", images[1], "--from", images[0], "-o", folder + "/delta", "--json"))
    with open(folder + "/delta", "rb") as file:
        data = file.read()
    told = json.loads(bascule_image(world, "payload", "inspect", folder + "/delta", "--json"))
    reference = {"path": "payloads/2/x86-64/root.delta", "size": len(data), "sha256": sha256(data),
                 "index-size": told["index-size"], "index-sha256": told["index-sha256"], "memory": made["decoder-memory"],
                 "from": {"root-hash": old.root_hash.hex(), "uki-sha256": sha256(old.uki)}}
    bend(reference)
    repository = world.repository(old)
    repository.put_target(reference["path"], data)
    repository.release(new, lambda manifest: manifest["images"]["root"]["payloads"].append(reference))
    return repository, len(data)


@test
def a_delta_that_asks_for_too_much_memory_is_refused(world):
    one, two = world.image("1"), world.image("2")
    # More than any payload may: nothing that says so is believed.
    repository, _ = _with_delta(world, one, two, lambda delta: delta.update(memory=61 << 20))
    host = world.host(one, world.nginx(repository).url).start()
    result = host.cli("update", "--wait")
    assert result.status == 9 and "memory" in result.sentence, result.err
    host.assert_not_bootable(two)
    host.stop()
    # More than was signed: the delta is not taken, the full payload is.
    repository, _ = _with_delta(world, one, two, lambda delta: delta.update(memory=delta["memory"] - 1))
    host = world.host(one, world.nginx(repository).url).start()
    assert host.cli("plan", "--json").json["is_delta"]
    _update(host)
    host.assert_installed(two)


@test
def a_delta_for_newer_engines_is_passed_over(world):
    one, two = world.image("1"), world.image("2")
    for level, is_delta in ((1, True), (1000, False)):
        repository, size = _with_delta(world, one, two, lambda delta, level=level: delta.update({"minimum-engine": level}))
        host = world.host(one, world.nginx(repository).url).start()
        assert host.cli("plan", "--json").json["is_delta"] == is_delta
        fetched = _update(host)
        assert (fetched < size + len(two.uki) + 100000) == is_delta, fetched
        host.assert_installed(two)
        host.stop()


if __name__ == "__main__":
    run()
