#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What must not be believed, and what policy refuses."""
import json
import os
import shutil

from harness import servers
from harness.patience import PATIENCE
from harness.tap import run, test


def _refused(world, repository, codes, words=(), arguments=(), target="2", image=None):
    one = world.image("1")
    host = world.host(image or one, world.nginx(repository).url).start()
    before, entries = host.fingerprint(), host.entries()
    other_slot = host.read("root-b") + host.read("root-b-verity")
    result = host.cli("update", "--wait", *arguments)
    assert result.status in codes, (result.status, result.err)
    for word in words:
        assert word in result.sentence, result.err
    assert len(result.sentence) > 25, result.err
    assert host.fingerprint() == before and host.entries() == entries
    assert host.read("root-b") + host.read("root-b-verity") == other_slot, "something was written"
    return host


def _edit_json(path, change):
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    change(content)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file)


@test
def no_signature(world):
    repository = world.repository(world.image("1"), world.image("2"))
    for name in repository.files("timestamp.json"):
        _edit_json(os.path.join(repository.folder, name), lambda content: content["signatures"].clear())
    _refused(world, repository, {9}, ["timestamp"])


@test
def a_changed_signature(world):
    def change(content):
        content["signatures"][0]["sig"] = content["signatures"][0]["sig"][::-1]

    repository = world.repository(world.image("1"), world.image("2"))
    for name in repository.files("targets.json"):
        _edit_json(os.path.join(repository.folder, name), change)
    _refused(world, repository, {9})


@test
def the_wrong_key(world):
    world.repository(world.image("1"))  # makes the keys that the host trusts
    other = world.new_folder("other-keys")
    _refused(world, world.repository(world.image("1"), world.image("2"), keys=other), {9})


@test
def a_running_release_without_an_entry_leaves_the_other_one_its(world):
    one, two, three = (world.image(version) for version in ("1", "2", "3"))
    url = world.nginx(world.repository(one, two, three)).url
    for spoil in (os.remove, lambda path: os.truncate(path, 0)):
        host = world.host(two, url)
        host.put_release(one, "b")
        spoil(os.path.join(host.esp, "EFI/Linux", two.entry_name()))
        host.start()
        result = host.cli("update", "--wait")
        assert result.status == 10 and "rollback" in result.sentence, (result.status, result.err)
        assert one.entry_name() in host.entries(), host.entries()
        host.stop()


@test
def no_trusted_root(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url)
    host.describe(one, TrustedRoot=host.folder + "/nowhere.json")
    host.start()
    before = host.fingerprint()
    result = host.cli("update", "--wait")
    assert result.status in (3, 9) and "root" in result.sentence, (result.status, result.err)
    assert host.fingerprint() == before
    host.assert_not_bootable(two)


@test
def an_older_repository_than_seen_before(world):
    one, two, three = world.image("1"), world.image("2"), world.image("3")
    repository = world.repository(one, two)
    old = repository.folder + ".old"
    shutil.copytree(repository.folder, old)
    repository.release(three)
    server = world.nginx(repository)
    host = world.host(one, server.url).start()
    assert host.cli("check").status == 0
    shutil.rmtree(repository.folder)
    shutil.move(old, repository.folder)
    result = host.cli("update", "--wait")
    assert result.status == 9 and len(result.sentence) > 25, (result.status, result.err)
    host.assert_not_bootable(two)


@test
def another_architecture(world):
    repository = world.repository(world.image("1"), world.image("2", architecture="arm64"))
    _refused(world, repository, {4, 5, 12})
    _refused(world, repository, {5, 12}, ["2"], ["--version", "2"])


@test
def another_image_id(world):
    repository = world.repository(world.image("1", image_id="other-host"), world.image("2", image_id="other-host"))
    _refused(world, repository, {12}, ["other-host"])


@test
def an_older_version(world):
    repository = world.repository(world.image("1"), world.image("2"))
    _refused(world, repository, {4}, image=world.image("2"))
    _refused(world, repository, {5}, ["older"], ["--version", "1"], image=world.image("2"))


@test
def an_older_version_when_asked(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(two, world.nginx(world.repository(one, two)).url).start()
    result = host.cli("update", "--wait", "--version", "1", "--allow-older")
    assert result.status == 0, result.err
    host.assert_installed(one)


@test
def a_version_that_is_not_offered(world):
    _refused(world, world.repository(world.image("1"), world.image("2")), {4, 5}, ["7"], ["--version", "7"])


@test
def bytes_changed_after_they_were_proved_are_caught(world):
    """A group was right when it was written; what counts is what the slot holds in the end."""
    one, two = world.image("1"), world.image("2")
    server = world.hostile(world.repository(one, two))
    server.rule("/payloads/", servers.slow(600000))
    host = world.host(one, server.url).start()
    update = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=500000)
    assert host.read("root-b", 4096) == two.root[:4096], "the first group is not there yet"
    host.write("root-b", b"?")
    server.behave()
    _, err = update.communicate(timeout=PATIENCE)
    assert update.returncode == 10 and "read back" in err, (update.returncode, err)
    host.assert_not_bootable(two)
    assert host.status()["other_state"] == "empty"
    assert host.cli("update", "--wait").status == 0
    host.assert_installed(two)


if __name__ == "__main__":
    run()
