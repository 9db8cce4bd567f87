#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No room: said before the first byte is written, with what is missing."""
import os
import subprocess

from harness import servers
from harness.patience import PATIENCE
from harness.tap import need_root, run, test


def _no_space(world, host, words, two):
    before, entries = host.fingerprint(), host.entries()
    other_slot = host.read("root-b") + host.read("root-b-verity")
    result = host.cli("update", "--wait")
    assert result.status == 7, (result.status, result.err)
    for word in words:
        assert word in result.sentence, result.err
    plan = host.cli("plan", "--json").json
    assert plan["code"] == "no-space", plan
    assert host.fingerprint() == before and host.entries() == entries
    assert host.read("root-b") + host.read("root-b-verity") == other_slot, "something was written"
    host.assert_not_bootable(two)


def _fill(path):
    """Writes until there is no room left."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(fd, b"x" * 4096)
    except OSError:
        pass
    finally:
        os.close(fd)


@test
def esp_read_only(world):
    """As after a filesystem error, which the kernel answers by writing no more."""
    need_root("to mount a small filesystem")
    one, two = world.image("1"), world.image("2")
    esp = world.small_filesystem(2048)
    host = world.host(one, world.nginx(world.repository(one, two)).url, esp=esp).start()
    before, entries = host.fingerprint(), host.entries()
    subprocess.run(["mount", "-o", "remount,ro", esp], check=True)
    result = host.cli("update", "--wait")
    assert result.status == 11 and "Read-only" in result.sentence, (result.status, result.err)
    assert host.fingerprint() == before and host.entries() == entries
    subprocess.run(["mount", "-o", "remount,rw", esp], check=True)
    assert host.cli("update", "--wait").status == 0
    host.assert_installed(two)


@test
def slot_too_small(world):
    one, two = world.image("1"), world.image("2", size=7 << 20)
    host = world.host(one, world.nginx(world.repository(one, two)).url).start()
    _no_space(world, host, ["slot"], two)


@test
def esp_full(world):
    need_root("to mount a small filesystem")
    one, two = world.image("1"), world.image("2")
    esp = world.small_filesystem(640)
    host = world.host(one, world.nginx(world.repository(one, two)).url, esp=esp)
    filler = os.path.join(esp, "filler")
    with open(filler, "wb") as file:
        file.write(b"x" * (200 << 10))
    host.start()
    _no_space(world, host, ["ESP"], two)
    os.unlink(filler)
    result = host.cli("update", "--wait")
    assert result.status == 0, result.err
    host.assert_installed(two)


@test
def an_old_entry_makes_room_on_the_esp(world):
    """The release that the install replaces is counted as free room, and is removed first."""
    need_root("to mount a small filesystem")
    one, two, zero = world.image("1"), world.image("2"), world.image("0")
    esp = world.small_filesystem(760)
    host = world.host(one, world.nginx(world.repository(one, two)).url, esp=esp)
    host.put_release(zero, "b")
    host.start()
    result = host.cli("update", "--wait")
    assert result.status == 0, result.err
    host.assert_installed(two)
    host.assert_not_bootable(zero)


@test
def var_full(world):
    need_root("to mount a small filesystem")
    one, two = world.image("1"), world.image("2")
    state = world.small_filesystem(24 << 10)
    host = world.host(one, world.nginx(world.repository(one, two)).url, state=state)
    host.start()
    filler = os.path.join(state, "filler")
    _fill(filler)
    before = host.fingerprint()
    result = host.cli("update", "--wait")
    assert result.status == 7 and (state in result.sentence or "/var" in result.sentence), (result.status, result.err)
    host.assert_not_bootable(two)
    assert host.fingerprint() == before
    os.unlink(filler)
    result = host.cli("update", "--wait")
    assert result.status == 0, result.err
    host.assert_installed(two)


def _fill_while_it_downloads(world, folder, **places):
    """The room goes while an update is under way: it ends with a clear word, or well, and a rerun finishes."""
    one, two = world.image("1"), world.image("2")
    server = world.hostile(world.repository(one, two))
    server.rule("/payloads/", servers.slow(1500000))
    host = world.host(one, server.url, **places)
    host.start()
    before = host.fingerprint()
    caller = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=1)
    _fill(folder + "/filler")
    _, err = caller.communicate(timeout=PATIENCE)
    assert caller.returncode in (0, 7), (caller.returncode, err)
    assert host.fingerprint() == before and host.process.poll() is None
    if caller.returncode == 7:
        host.assert_not_bootable(two)
        assert len(err.strip().splitlines()[-1]) > 30, err
    os.unlink(folder + "/filler")
    server.behave()
    again = host.cli("update", "--wait")
    assert again.status == (4 if caller.returncode == 0 else 0), again.err
    host.assert_installed(two)
    host.restart()
    assert host.status()["pending_reboot"]


@test
def esp_full_in_the_middle(world):
    need_root("to mount a small filesystem")
    esp = world.small_filesystem(2048)
    _fill_while_it_downloads(world, esp, esp=esp)


@test
def var_full_in_the_middle(world):
    need_root("to mount a small filesystem")
    state = world.small_filesystem(24 << 10)
    _fill_while_it_downloads(world, state, state=state)


@test
def a_disk_that_fails_to_write(world):
    """The image file of the disk is sparse, and the filesystem below it has no room for the other slot."""
    need_root("to mount a small filesystem")
    one, two = world.image("1"), world.image("2")
    below = world.small_filesystem(20 << 10)
    host = world.host(one, world.nginx(world.repository(one, two)).url, disk=below).start()
    before = host.fingerprint()
    _fill(below + "/filler")
    result = host.cli("update", "--wait")
    assert result.status in (7, 11) and len(result.sentence) > 30, (result.status, result.err)
    host.assert_not_bootable(two)
    assert host.fingerprint() == before and host.process.poll() is None
    os.unlink(below + "/filler")
    result = host.cli("update", "--wait")
    assert result.status == 0, result.err
    host.assert_installed(two)


@test
def state_that_cannot_be_read_is_set_aside(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url)
    with open(host.state + "/state.json", "wb") as file:
        file.write(b"{\"format\": 1, \"ledger\": [")
    host.start()
    assert os.path.exists(host.state + "/state.json.bad")
    assert host.cli("update", "--wait").status == 0
    host.assert_installed(two)


if __name__ == "__main__":
    run()
