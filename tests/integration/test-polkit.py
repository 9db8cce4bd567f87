#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Callers that are neither root nor the daemon's user: everybody may look, polkit decides about the rest."""
import os
import subprocess

from harness.tap import need_root, run, test

NOBODY, SOMEBODY = 65534, 1  # Debian's nobody and daemon
OF_ONE = 8  # questions that one user may leave unanswered (bus-authorize.c)


def _host(world):
    need_root("to become another user")
    one, two = world.image("1"), world.image("2")
    os.chmod(world.folder, 0o755)
    os.chmod(world.bus_address.split("=")[1].split(",")[0], 0o777)
    return world.host(one, world.nginx(world.repository(one, two)).url).start(), two


def _start_as(world, uid, *arguments):
    return subprocess.Popen(["setpriv", "--reuid=%d" % uid, "--regid=%d" % uid, "--clear-groups",
                             world.program("update-engine/bascule"), *arguments],
                            env=dict(os.environ, BASCULE_BUS=world.bus_address), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)


def _as_nobody(world, *arguments):
    asking = _start_as(world, NOBODY, *arguments)
    try:
        out, err = asking.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        asking.kill()
        raise
    return subprocess.CompletedProcess(arguments, asking.returncode, out, err)


class _Polkit:
    def __init__(self, world, *actions):
        self.process = subprocess.Popen(
            [world.program("tests/integration/fake-polkit"), world.bus_address, *actions], stdout=subprocess.PIPE,
            text=True)
        assert self.process.stdout.readline() == "ready\n"

    def stop(self):
        self.process.kill()
        return self.process.communicate()[0].splitlines()


@test
def without_polkit_others_may_only_look(world):
    host, two = _host(world)
    for verb in (["status"], ["slots"], ["history"], ["ledger"], ["config", "show"]):
        looked = _as_nobody(world, *verb)
        assert looked.returncode == 0, (verb, looked.stderr)
    for verb in (["check"], ["plan"], ["update", "--wait"], ["rollback"], ["pin"], ["unpin"], ["cancel"], ["bless"],
                 ["ledger", "clear", "1"]):
        refused = _as_nobody(world, *verb)
        assert refused.returncode == 14 and "root" in refused.stderr, (verb, refused.returncode, refused.stderr)
    host.assert_not_bootable(two)


@test
def polkit_is_asked_about_each_action(world):
    host, two = _host(world)
    polkit = _Polkit(world, "io.bascule.engine.check", "io.bascule.engine.update")
    try:
        assert _as_nobody(world, "check").returncode == 0
        for verb in (["pin"], ["rollback"], ["update", "--wait", "--version", "1", "--allow-older"],
                     ["plan", "--allow-expired"]):
            refused = _as_nobody(world, *verb)
            assert refused.returncode == 14 and "sudo" in refused.stderr, (verb, refused.returncode, refused.stderr)
        host.assert_not_bootable(two)
        updated = _as_nobody(world, "update", "--wait")
        assert updated.returncode == 0, updated.stderr
        host.assert_installed(two)
    finally:
        questions = [line.split() for line in polkit.stop()]
    assert [(question[2], question[4]) for question in questions] == [
        ("io.bascule.engine.check", "yes"), ("io.bascule.engine.manage", "no"), ("io.bascule.engine.rollback", "no"),
        ("io.bascule.engine.manage", "no"), ("io.bascule.engine.manage", "no"), ("io.bascule.engine.update", "yes"),
    ], questions
    assert all(question[:2] == ["system-bus-name", "name"] for question in questions), questions


@test
def one_user_cannot_take_all_places_for_questions(world):
    _host(world)
    polkit, asking = _Polkit(world, "silent"), []
    try:
        for _ in range(OF_ONE):
            asking.append(_start_as(world, NOBODY, "pin"))
            assert "manage" in polkit.process.stdout.readline()
        refused = _as_nobody(world, "pin")
        assert refused.returncode == 14 and "too many" in refused.stderr, (refused.returncode, refused.stderr)
        asking.append(_start_as(world, SOMEBODY, "pin"))
        assert "manage" in polkit.process.stdout.readline()
        assert all(process.poll() is None for process in asking)
    finally:
        for process in asking:
            process.kill()
            process.communicate()
        polkit.stop()


@test
def root_is_not_asked_about(world):
    host, _ = _host(world)
    polkit = _Polkit(world)
    try:
        assert host.cli("pin").status == 0
    finally:
        assert polkit.stop() == []


if __name__ == "__main__":
    run()
