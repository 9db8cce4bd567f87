#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Role fetch as a service of its own: basculed itself then needs no network, and either may die."""
import os
import signal
import socket

from harness import servers
from harness.patience import PATIENCE, wait_until
from harness.tap import need_root, run, test


def _slow_host(world):
    one, two = world.image("1"), world.image("2")
    server = world.hostile(world.repository(one, two))
    server.rule("/payloads/", servers.slow(600000))
    host = world.host(one, server.url)
    host.serve_fetch()
    host.start("--fetch-socket", host.fetch_socket)
    return host, server, two


@test
def basculed_needs_no_network(world):
    need_root("to take the network from basculed")
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url)
    # Alone it has none: not even the loopback of its namespace is up.
    host.start(around=("unshare", "--net"))
    refused = host.cli("update", "--wait")
    assert refused.status == 8, (refused.status, refused.err)
    host.stop()
    host.serve_fetch()
    host.start("--fetch-socket", host.fetch_socket, around=("unshare", "--net"))
    before = host.fingerprint()
    result = host.cli("update", "--wait")
    assert result.status == 0, result.err
    host.assert_installed(two)
    assert host.fingerprint() == before
    wait_until(lambda: not host.fetch_processes())


def _child(host, role):
    """The process id of a role that is basculed's child."""
    for thread in os.listdir("/proc/%d/task" % host.process.pid):
        with open("/proc/%d/task/%s/children" % (host.process.pid, thread), encoding="ascii") as file:
            for pid in file.read().split():
                with open("/proc/%s/cmdline" % pid, "rb") as line:
                    if b"--role=" + role in line.read():
                        return pid
    return None


def _status(pid):
    with open("/proc/%s/status" % pid, encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def _assert_confined(world, pid):
    status = _status(pid)
    assert "0" not in status["Uid"].split() and "0" not in status["Gid"].split(), status
    assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0, status
    assert status["NoNewPrivs"] == "1", status
    assert status["Seccomp"] == "2" or world.is_sanitized, status


@test
def what_fetch_may_as_a_child(world):
    """Where no service is, basculed takes from it what the service would."""
    need_root("to look into a process of another user")
    one, two = world.image("1"), world.image("2")
    server = world.hostile(world.repository(one, two))
    server.rule("/payloads/", servers.slow(600000))
    host = world.host(one, server.url)
    host.start()
    update = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=1)
    _assert_confined(world, _child(host, b"fetch"))
    server.behave()
    assert update.wait(PATIENCE) == 0
    host.assert_installed(two)


@test
def what_apply_holds(world):
    """No user's rights, no path, and of what it holds only the slot that does not run can be written."""
    need_root("to look into a process of another user")
    host, server, two = _slow_host(world)
    update = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=1)
    pid = _child(host, b"apply")
    _assert_confined(world, pid)
    writable = {}
    for number in sorted(map(int, os.listdir("/proc/%s/fd" % pid))):
        assert number < 16, number
        with open("/proc/%s/fdinfo/%d" % (pid, number), encoding="ascii") as file:
            flags = int(dict(line.split(":\t", 1) for line in file if ":\t" in line)["flags"], 8)
        if flags & os.O_ACCMODE != os.O_RDONLY:
            writable[number] = os.readlink("/proc/%s/fd/%d" % (pid, number))
    # Standard input, output and error, the socket to basculed, the slot.
    assert set(writable) <= {0, 1, 2, 3, 5} and writable[3].startswith("socket:"), writable
    assert writable[0] == "/dev/null", writable
    server.behave()
    assert update.wait(PATIENCE) == 0
    host.assert_installed(two)


@test
def fetch_goes_when_basculed_is_killed(world):
    host, _, two = _slow_host(world)
    update = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=1)
    assert host.fetch_processes()
    host.kill()
    update.communicate(timeout=PATIENCE)
    wait_until(lambda: not host.fetch_processes())
    host.assert_not_bootable(two)


@test
def fetch_goes_when_an_update_is_cancelled(world):
    host, server, two = _slow_host(world)
    update = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=1)
    for pid in host.fetch_processes():
        os.kill(pid, signal.SIGSTOP)  # it will not end by itself
    assert host.cli("cancel").status == 0
    assert update.wait(PATIENCE) == 13
    wait_until(lambda: not host.fetch_processes())
    server.behave()
    assert host.cli("update", "--wait").status == 0
    host.assert_installed(two)


@test
def a_service_that_does_not_start_can_be_cancelled(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(host.fetch_socket)
        listener.listen()  # and nobody takes the connection
        host.start("--fetch-socket", host.fetch_socket)
        update = host.begin("update", "--wait")
        host.wait_state(("checking",))
        assert host.cli("cancel").status == 0
        assert update.wait(PATIENCE) == 13
    host.assert_not_bootable(two)


@test
def a_fetch_that_dies_is_reported_and_another_goes_on(world):
    host, server, two = _slow_host(world)
    update = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=1)
    before = host.fingerprint()
    for pid in host.fetch_processes():
        os.kill(pid, signal.SIGKILL)
    _, err = update.communicate(timeout=PATIENCE)
    assert update.returncode == 1 and "journalctl" in err, (update.returncode, err)
    host.assert_not_bootable(two)
    assert host.fingerprint() == before
    server.behave()
    assert host.cli("update", "--wait").status == 0
    host.assert_installed(two)


@test
def a_service_that_is_missing_is_named(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url)
    host.start("--fetch-socket", host.fetch_socket)
    refused = host.cli("update", "--wait")
    assert refused.status == 1 and "bascule-fetch.socket" in refused.sentence, (refused.status, refused.err)
    host.assert_not_bootable(two)


if __name__ == "__main__":
    run()
