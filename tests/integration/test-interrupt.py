#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two at once, stopped in the middle, killed at any moment: nothing that runs is touched and a rerun finishes."""
import glob
import os
import random
import signal
import socket
import threading
import time

from harness import servers
from harness.patience import PATIENCE, wait_until
from harness.tap import run, test

KILLS = 12
CANCELS = 8
BUSY = ("checking", "preparing", "downloading", "verifying", "finishing")


def _slow_host(world, rate=600000, **config):
    one, two = world.image("1"), world.image("2")
    server = world.hostile(world.repository(one, two))
    server.rule("/payloads/", servers.slow(rate))
    host = world.host(one, server.url)
    host.configure(**config)
    host.start()
    return host, server, two


@test
def two_updates_at_once(world):
    host, server, two = _slow_host(world)
    first = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=1)
    second = host.cli("update", "--wait")
    assert second.status == 6 and "bascule cancel" in second.sentence, (second.status, second.err)
    assert host.cli("rollback").status == 6
    assert host.cli("check").status == 6
    server.behave()
    out, err = first.communicate(timeout=PATIENCE)
    assert first.returncode == 0, err
    host.assert_installed(two)


@test
def a_rollback_waits_for_a_look(world):
    one, two = world.image("1"), world.image("2")
    server = world.hostile(world.repository(one, two))
    server.rule("/timestamp.json", servers.slow(200))
    host = world.host(two, server.url)
    host.put_release(one, "b")
    host.start()
    look = host.begin("check")
    host.wait_state(("checking",))
    result = host.cli("rollback")
    assert result.status == 0 and "waiting until the engine has looked" in result.out, (result.status, result.out, result.err)
    assert "The next boot starts 1" in result.out, result.out
    look.communicate(timeout=PATIENCE)


@test
def two_daemons_on_one_host(world):
    host, _, _ = _slow_host(world)
    first, host.process = host.process, None
    try:
        host.start(wait=False)
        assert host.process.wait(PATIENCE) == 6, host.log()
    finally:
        host.process = first


@test
def status_while_it_downloads(world):
    host, server, two = _slow_host(world)
    first = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=300000)
    time.sleep(1)
    words = host.cli("status").out
    assert "downloading 2" in words and "%" in words, words
    server.behave()
    first.communicate(timeout=PATIENCE)
    host.assert_installed(two)


@test
def an_update_goes_on_without_its_caller(world):
    host, server, two = _slow_host(world)
    caller = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=1)
    caller.send_signal(signal.SIGINT)
    _, err = caller.communicate(timeout=PATIENCE)
    assert caller.returncode == 13 and "goes on" in err, err
    server.behave()
    host.wait_state(("ready-to-reboot",))
    host.assert_installed(two)


@test
def cancel_while_it_downloads(world):
    host, server, two = _slow_host(world)
    before = host.fingerprint()
    caller = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=1)
    assert host.cli("cancel").status == 0
    _, err = caller.communicate(timeout=PATIENCE)
    assert caller.returncode == 13, err
    host.assert_not_bootable(two)
    assert host.fingerprint() == before
    assert host.wait_state(("idle",))["pending_reboot"] is False
    assert host.cli("cancel").status == 4
    server.behave()
    assert host.cli("update", "--wait").status == 0
    host.assert_installed(two)


@test
def cancel_at_any_moment(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url).start()
    before, chance = host.fingerprint(), random.Random(1)
    for _ in range(CANCELS):
        caller = host.begin("update", "--wait", "--reinstall")
        time.sleep(chance.random() * 0.6)
        cancelled = host.cli("cancel").status
        caller.communicate(timeout=PATIENCE)
        assert cancelled in (0, 4) and caller.returncode in (0, 4, 13), (cancelled, caller.returncode)
        assert host.fingerprint() == before
        if caller.returncode == 13:
            assert host.status()["state"] in ("idle", "ready-to-reboot")
    assert host.cli("update", "--wait", "--reinstall").status == 0
    host.assert_installed(two)


@test
def killed_at_any_moment(world):
    one, two = world.image("1"), world.image("2")
    server = world.hostile(world.repository(one, two))
    server.rule("/payloads/", servers.slow(4000000))
    host = world.host(one, server.url).start()
    before, chance = host.fingerprint(), random.Random(2)
    for _ in range(KILLS):
        caller = host.begin("update", "--wait")
        time.sleep(0.02 + chance.random() * 1.2)
        host.kill()
        _, err = caller.communicate(timeout=PATIENCE)
        if caller.returncode == 16:
            assert "goes on where it stopped" in err or "systemctl start" in err, err
        assert host.fingerprint() == before
        for name in host.entries():
            if name.startswith(two.image_id + "_2"):
                host.assert_installed(two)
        host.start()
    server.behave()
    result = host.cli("update", "--wait")
    assert result.status in (0, 4), result.err
    host.assert_installed(two)
    assert host.fingerprint() == before


@test
def the_children_end_with_the_daemon(world):
    host, _, _ = _slow_host(world)
    host.begin("update")
    host.wait_state(("downloading",), progress=1)
    children = _children(host.process.pid)
    assert children, "no roles run"
    host.kill()
    wait_until(lambda: not any(_is_alive(child) for child in children), "a role outlives its daemon")


def _children(pid):
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(path.split("/")[2]))
    return found


def _is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@test
def all_processes_stand_still_for_a_while(world):
    """As a virtual machine that is paused: servers have given up, connections are stale, and time has passed."""
    host, server, two = _slow_host(world, rate=300000, timeout="1s", update="RetryDelay=0")
    before = host.fingerprint()
    caller = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=1)
    processes = [host.process.pid, *_children(host.process.pid)]
    assert len(processes) > 2, "no roles run"
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(3)
    server.behave()
    for pid in processes:
        os.kill(pid, signal.SIGCONT)
    caller.communicate(timeout=PATIENCE)
    assert caller.returncode in (0, 8), caller.returncode
    assert host.fingerprint() == before
    assert host.cli("update", "--wait").status in (0, 4)
    host.assert_installed(two)


@test
def the_watchdog_is_fed_while_it_works(world):
    host, _, _ = _slow_host(world)
    host.stop()
    path, told = host.folder + "/notify", []

    def listen():
        while True:
            try:
                told.append(listener.recv(4096))
            except OSError:
                return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.settimeout(PATIENCE)
        threading.Thread(target=listen, daemon=True).start()
        host.start(around=("env", "NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=1000000"))
        host.begin("update")
        host.wait_state(("downloading",), progress=1)
        told.clear()
        wait_until(lambda: sum(b"WATCHDOG=1" in word for word in told) >= 3, lambda: told)
        assert host.status()["state"] == "downloading", host.status()
        host.stop()


@test
def stop_in_the_middle_and_start_again(world):
    host, server, two = _slow_host(world)
    caller = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=1)
    begun = time.monotonic()
    assert host.stop() == 0
    assert time.monotonic() - begun < 5
    caller.communicate(timeout=PATIENCE)
    assert caller.returncode in (13, 16)
    server.behave()
    host.start()
    assert host.cli("update", "--wait").status == 0
    host.assert_installed(two)


@test
def what_was_fetched_is_not_fetched_again(world):
    one, two = world.image("1"), world.image("2", size=12 << 20)
    server = world.hostile(world.repository(one, two))
    host = world.host(one, server.url, slot_mib=20).start()
    server.rule("/payloads/", servers.slow(5000000))
    caller = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=6 << 20)
    host.kill()
    caller.communicate(timeout=PATIENCE)
    server.behave()
    host.start()
    result = host.cli("update", "--wait")
    assert result.status == 0, result.err
    host.assert_installed(two)
    event = host.cli("history", "--json").json[-1]
    assert event["fetched_bytes"] < len(two.root) - (3 << 20), event


@test
def server_goes_away_and_comes_back(world):
    one, two = world.image("1"), world.image("2")
    server = world.hostile(world.repository(one, two))
    host = world.host(one, server.url).start()
    server.rule("/payloads/", servers.cut(400000), times=1)
    server.rule("/payloads/", servers.status(503), times=1)
    result = host.cli("update", "--wait")
    assert result.status in (0, 8), (result.status, result.err)
    if result.status == 8:
        server.behave()
        assert host.cli("update", "--wait").status == 0
    host.assert_installed(two)


@test
def other_bytes_in_the_slot_are_replaced(world):
    """What an earlier attempt left may be anything."""
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url)
    junk = bytearray(two.root)
    junk[70000:90000] = random.Random(3).randbytes(20000)
    host.write("root-b", bytes(junk))
    host.write("root-b-verity", random.Random(4).randbytes(20000))
    host.start()
    result = host.cli("update", "--wait")
    assert result.status == 0, result.err
    host.assert_installed(two)


if __name__ == "__main__":
    run()
