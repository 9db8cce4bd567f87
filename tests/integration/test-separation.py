#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Role fetch as a service of its own: basculed itself then needs no network, and either may die."""
import os
import signal
import time

from harness import servers
from harness.tap import need_root, run, test


def _wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.02)


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
    _wait_for(lambda: not host.fetch_processes())


@test
def fetch_goes_when_basculed_is_killed(world):
    host, _, two = _slow_host(world)
    update = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=1)
    assert host.fetch_processes()
    host.kill()
    update.communicate(timeout=30)
    _wait_for(lambda: not host.fetch_processes())
    host.assert_not_bootable(two)


@test
def fetch_goes_when_an_update_is_cancelled(world):
    host, server, two = _slow_host(world)
    update = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=1)
    for pid in host.fetch_processes():
        os.kill(pid, signal.SIGSTOP)  # it will not end by itself
    assert host.cli("cancel").status == 0
    assert update.wait(30) == 13
    _wait_for(lambda: not host.fetch_processes())
    server.behave()
    assert host.cli("update", "--wait").status == 0
    host.assert_installed(two)


@test
def a_fetch_that_dies_is_reported_and_another_goes_on(world):
    host, server, two = _slow_host(world)
    update = host.begin("update", "--wait")
    host.wait_state(("downloading",), progress=1)
    before = host.fingerprint()
    for pid in host.fetch_processes():
        os.kill(pid, signal.SIGKILL)
    _, err = update.communicate(timeout=60)
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
