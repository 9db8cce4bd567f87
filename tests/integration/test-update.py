#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The good days: find, plan, install, roll back, pin; what the daemon and the program say about it."""
import json
import os
import subprocess
import threading
import time

from harness.patience import wait_until
from harness.tap import run, test


def call_engine(world, *arguments):
    """A method of the engine's interface, as any program calls it."""
    return subprocess.run(["busctl", "--address=" + world.bus_address, "call", "io.bascule.Engine1", "/io/bascule/Engine1",
                           "io.bascule.Engine1", *arguments], capture_output=True, text=True, check=False)


@test
def status_of_a_fresh_host(world):
    one = world.image("1")
    host = world.host(one, world.nginx(world.repository(one)).url).start()
    status = host.status()
    assert status["state"] == "idle" and status["running_version"] == "1", status
    assert status["running_slot"] == "a" and status["running_state"] == "blessed", status
    assert status["other_state"] == "empty" and not status["pending_reboot"], status
    words = host.cli("status").out
    assert "test-host 1, slot a, blessed" in words and "slot b is empty" in words, words
    assert "never checked" in words, words
    slots = host.cli("slots", "--json").json
    assert [slot["slot"] for slot in slots] == ["a", "b"] and slots[0]["is_running"], slots
    assert one.root_hash.hex().startswith(slots[0]["root_hash_begin"]), slots


@test
def check_finds_the_newest_and_plan_reckons(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url).start()
    assert "2 is on offer" in host.cli("check").out
    assert host.status()["available_version"] == "2"
    plan = host.cli("plan", "--json").json
    assert plan["verdict"] == "install" and plan["version"] == "2" and plan["slot"] == "b", plan
    assert plan["write_bytes"] >= len(two.root) + len(two.uki), plan
    assert 0 < plan["fetch_bytes"] < 2 * len(two.root), plan
    assert "`bascule update`" in host.cli("plan").out
    host.assert_not_bootable(two)


@test
def nothing_newer_is_said_and_has_its_code(world):
    one = world.image("1")
    host = world.host(one, world.nginx(world.repository(one)).url).start()
    result = host.cli("update", "--wait")
    assert result.status == 4 and result.sentence, (result.status, result.err)
    assert host.cli("check").status == 0
    assert host.cli("plan", "--json").json["verdict"] == "up-to-date"
    assert host.cli("update", "--background").status == 0


@test
def update_installs_the_newest(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url).start()
    before = host.fingerprint()
    result = host.cli("update", "--wait")
    assert result.status == 0, result.err
    assert "2 is ready in slot b" in result.out, result.out
    host.assert_installed(two)
    assert host.fingerprint() == before
    status = host.status()
    assert status["state"] == "ready-to-reboot" and status["pending_reboot"], status
    assert status["other_version"] == "2" and status["other_state"] == "trial", status
    assert ("installed", "2") in host.history()
    event = host.cli("history", "--json").json[-1]
    assert event["written_bytes"] >= len(two.root) and event["fetched_bytes"] > 0, event


@test
def update_of_an_installed_release_does_nothing(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url).start()
    assert host.cli("update", "--wait").status == 0
    result = host.cli("update", "--wait")
    assert result.status == 4 and "2" in result.sentence, (result.status, result.err)
    assert host.cli("update", "--wait", "--reinstall").status == 0
    host.assert_installed(two)


@test
def update_with_reboot_reboots(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url).start()
    assert host.cli("update", "--wait", "--reboot").status == 0
    wait_until(lambda: os.path.exists(host.reboots), "no reboot was asked for")


@test
def a_planned_reboot_can_be_cancelled(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url)
    host.configure(reboot="Policy=immediately\nGracePeriod=1h")
    host.start()
    assert host.cli("update", "--wait").status == 0
    assert host.status()["reboot_at"] > time.time() + 3000, host.status()
    assert "`bascule cancel` drops it" in host.cli("status").out
    cancelled = host.cli("cancel")
    assert cancelled.status == 0 and "reboot is dropped" in cancelled.out, (cancelled.out, cancelled.err)
    assert host.status()["reboot_at"] == 0
    assert host.cli("cancel").status == 4
    # Looking for releases does not plan it again.
    assert host.cli("check").status in (0, 4)
    assert host.status()["reboot_at"] == 0
    assert not os.path.exists(host.reboots)


@test
def a_reboot_that_was_ordered_with_nothing_to_do_can_be_cancelled(world):
    one = world.image("1")
    host = world.host(one, world.nginx(world.repository(one)).url)
    host.configure(reboot="Policy=none\nGracePeriod=1h")
    host.start()
    assert call_engine(world, "Reboot").returncode == 0
    assert host.status()["reboot_at"] > time.time() + 3000, host.status()
    assert host.cli("cancel").status == 0
    assert host.status()["reboot_at"] == 0 and host.cli("cancel").status == 4


@test
def looking_for_releases_leaves_a_planned_reboot_alone(world):
    one, two = world.image("1"), world.image("2")
    for policy, options in (("immediately", ()), ("none", ("--reboot",))):
        host = world.host(one, world.nginx(world.repository(one, two)).url)
        host.configure(reboot="Policy=%s\nGracePeriod=1h" % policy)
        host.start()
        assert host.cli("update", "--wait", *options).status == 0
        at = host.status()["reboot_at"]
        assert at > time.time() + 3000, host.status()
        time.sleep(1.1)
        assert host.cli("check").status in (0, 4)
        assert host.cli("update", "--wait").status == 4
        assert host.status()["reboot_at"] == at, (policy, at, host.status())
        host.stop()


@test
def an_ordered_reboot_waits_for_an_update(world):
    one, two, three = (world.image(version) for version in ("1", "2", "3"))
    repository = world.repository(one, two)
    host = world.host(one, world.nginx(repository).url)
    host.configure(reboot="Policy=none\nGracePeriod=1h")
    host.start()
    assert host.cli("update", "--wait", "--reboot").status == 0
    repository.release(three)
    assert host.cli("update", "--wait").status == 0
    assert host.status()["reboot_at"] > time.time() + 3000, host.status()


@test
def layers_of_etc_whose_release_is_gone_go(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url)
    layers = host.state + "/etc"
    for name in ("0.8", "0.9", "1", "2", ".2.new"):
        os.makedirs("%s/%s/upper" % (layers, name))
    with open(layers + "/.last", "w", encoding="ascii") as file:
        file.write("0.9\n")  # this boot could not have a layer of its own
    host.start()
    assert host.cli("update", "--wait").status == 0
    assert sorted(os.listdir(layers)) == [".last", "0.9", "1"], os.listdir(layers)


@test
def the_new_release_boots_is_blessed_and_updates_on(world):
    one, two, three = world.image("1"), world.image("2"), world.image("3")
    repository = world.repository(one, two)
    host = world.host(one, world.nginx(repository).url).start()
    assert host.cli("update", "--wait").status == 0
    host.stop()
    # The loader takes one try, and the new release runs.
    entries = host.esp + "/EFI/Linux/"
    os.rename(entries + two.entry_name("+3"), entries + two.entry_name("+2-1"))
    host.describe(two)
    host.start()
    status = host.status()
    assert status["running_version"] == "2" and status["running_state"] == "trial", status
    assert "on trial" in host.cli("status").out
    repository.release(three)
    refused = host.cli("update", "--wait")
    assert refused.status == 5 and "bless" in refused.sentence, (refused.status, refused.err)
    assert host.cli("bless").status == 0
    assert two.entry_name() in host.entries()
    assert host.status()["running_state"] == "blessed"
    assert host.cli("bless").status == 4
    # What others do to the ESP is seen, too.
    for tries, state in (("+1-2", "trial"), ("", "blessed")):
        old = next(name for name in host.entries() if name.startswith("test-host_2"))
        os.rename(entries + old, entries + two.entry_name(tries))
        time.sleep(2.1)
        assert host.status()["running_state"] == state
    assert ("booted", "2") in host.history() and ("blessed", "2") in host.history(), host.history()


@test
def rollback_goes_back_and_fills_the_ledger(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(two, world.nginx(world.repository(one, two)).url)
    host.put_release(one, "b")
    host.start()
    result = host.cli("rollback")
    assert result.status == 0, result.err
    assert "The next boot starts 1" in result.out, result.out
    assert two.entry_name("+0-0") in host.entries() or any(
        name.startswith("test-host_2+0") for name in host.entries()), host.entries()
    assert host.status()["pending_reboot"]
    assert host.ledger()["2"]["kind"] == "rolled-back", host.ledger()
    host.stop()
    # The host comes up in 1, and does not take 2 again by itself.
    host.describe(one)
    host.start()
    assert host.cli("update", "--wait").status in (4, 5)
    assert host.cli("ledger", "clear", "2").status == 0
    assert host.ledger() == {}
    assert host.cli("ledger", "clear", "2").status != 0


@test
def rollback_goes_back_and_forth(world):
    one, two, three = world.image("1"), world.image("2"), world.image("3")
    repository = world.repository(one, two)
    host = world.host(two, world.nginx(repository).url)
    host.put_release(one, "b")
    host.start()
    assert host.cli("rollback", "--reboot").status == 0
    host.stop()
    host.describe(one)
    host.start()
    assert host.status()["running_state"] == "blessed" and not host.status()["pending_reboot"], host.status()
    assert host.cli("rollback", "--reboot").status == 0
    assert two.entry_name("+3") in host.entries(), host.entries()
    host.stop()
    entries = host.esp + "/EFI/Linux/"
    os.rename(entries + two.entry_name("+3"), entries + two.entry_name("+2-1"))
    host.describe(two)
    host.start()
    assert host.status()["running_state"] == "trial"
    assert host.cli("bless").status == 0
    assert host.cli("ledger", "clear", "--all").status == 0 and host.ledger() == {}
    repository.release(three)
    assert host.cli("update", "--wait").status == 0
    host.assert_installed(three)


@test
def rollback_to_a_damaged_release_is_refused(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(two, world.nginx(world.repository(one, two)).url)
    host.put_release(one, "b")
    offset, _ = host.partitions["root-b"]
    with open(host.disk, "r+b") as file:
        file.seek(offset + 4096 * 17 + 5)
        file.write(b"\xff\x00\xff")
    host.start()
    before = host.entries()
    result = host.cli("rollback")
    assert result.status == 10 and result.sentence, (result.status, result.err)
    assert host.entries() == before and host.ledger() == {}


@test
def rollback_without_another_release_is_refused(world):
    one = world.image("1")
    host = world.host(one, world.nginx(world.repository(one)).url).start()
    result = host.cli("rollback")
    assert result.status in (4, 5) and result.sentence, (result.status, result.err)


@test
def a_failed_trial_is_noticed_and_not_tried_again(world):
    one, two, three = world.image("1"), world.image("2"), world.image("3")
    repository = world.repository(one, two)
    host = world.host(one, world.nginx(repository).url).start()
    assert host.cli("update", "--wait").status == 0
    host.stop()
    # The loader tried it three times and went back.
    entries = host.esp + "/EFI/Linux/"
    os.rename(entries + two.entry_name("+3"), entries + two.entry_name("+0-3"))
    host.start()
    ledger = host.ledger()
    assert ledger["2"]["kind"] == "trial-failed" and ledger["2"]["reason"], ledger
    assert ("trial-failed", "2") in host.history()
    assert "2" in host.cli("status").out and host.status()["other_state"] == "given-up"
    refused = host.cli("update", "--wait")
    assert refused.status in (4, 5), (refused.status, refused.err)
    named = host.cli("update", "--wait", "--version", "2")
    assert named.status == 5 and "ledger" in named.sentence, (named.status, named.err)
    # A newer one supersedes it.
    repository.release(three)
    assert host.cli("update", "--wait").status == 0
    host.assert_installed(three)
    host.assert_not_bootable(two)


@test
def rollback_to_a_release_that_failed_is_refused(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url).start()
    assert host.cli("update", "--wait").status == 0
    already = host.cli("rollback")
    assert already.status == 4 and "already" in already.sentence, (already.status, already.err)
    assert host.ledger() == {}
    host.stop()
    entries = host.esp + "/EFI/Linux/"
    os.rename(entries + two.entry_name("+3"), entries + two.entry_name("+0-3"))
    host.start()
    refused = host.cli("rollback")
    assert refused.status == 5 and "`bascule ledger clear 2`" in refused.sentence, (refused.status, refused.err)
    assert two.entry_name("+0-3") in host.entries()
    assert host.cli("ledger", "clear", "2").status == 0
    assert host.cli("rollback").status == 0
    assert host.status()["pending_reboot"]


@test
def an_administrator_overrides_the_ledger(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url).start()
    assert host.cli("update", "--wait").status == 0
    host.stop()
    entries = host.esp + "/EFI/Linux/"
    os.rename(entries + two.entry_name("+3"), entries + two.entry_name("+0-3"))
    host.start()
    assert host.cli("update", "--wait", "--version", "2", "--allow-ledger").status == 0
    host.assert_installed(two)


@test
def a_pin_holds_and_is_lifted(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url).start()
    assert host.cli("pin").status == 0
    assert host.status()["pinned_version"] == "1"
    result = host.cli("update", "--wait")
    assert result.status in (4, 5), (result.status, result.err)
    named = host.cli("update", "--wait", "--version", "2")
    assert named.status == 5 and "pin" in named.sentence, (named.status, named.err)
    host.restart()
    assert host.status()["pinned_version"] == "1", "a pin survives"
    assert host.cli("unpin").status == 0
    assert host.cli("update", "--wait").status == 0
    host.assert_installed(two)


@test
def progress_is_signalled_on_the_bus(world):
    one, two = world.image("1"), world.image("2")
    server = world.hostile(world.repository(one, two))
    # Slow enough that each state lasts longer than the daemon gathers changes.
    host = world.host(one, server.url, update="BandwidthLimit=1M").start()
    watch = subprocess.Popen(["busctl", "--address=" + world.bus_address, "--json=short", "monitor", "io.bascule.Engine1"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    guard = threading.Timer(60, watch.kill)  # ends the reading below if a signal never comes
    guard.start()
    while "Monitoring" not in watch.stderr.readline():
        assert watch.poll() is None
    assert host.cli("update", "--wait").status == 0
    states, finished = [], []
    while not finished or states[-1:] != ["ready-to-reboot"]:
        line = watch.stdout.readline()
        if not line:
            break
        message = json.loads(line)
        if message.get("member") == "PropertiesChanged":
            changed = message["payload"]["data"][1]
            if "State" in changed:
                states.append(changed["State"]["data"])
        if message.get("member") == "JobFinished":
            finished.append(message["payload"]["data"])
    guard.cancel()
    watch.kill()
    watch.communicate()
    assert "downloading" in states and states[-1] == "ready-to-reboot", states
    assert len(finished) == 1 and finished[0][1:3] == ["update", "none"], finished


@test
def the_interface_introspects_and_checks_its_arguments(world):
    one = world.image("1")
    host = world.host(one, world.nginx(world.repository(one)).url).start()

    listing = subprocess.run(["busctl", "--address=" + world.bus_address, "introspect", "io.bascule.Engine1",
                              "/io/bascule/Engine1"], capture_output=True, text=True, check=True).stdout
    for member in ("Update", "GetSlots", "JobFinished", "PendingReboot"):
        assert member in listing, listing
    for bad in (["Update", "a{sv}", "1", "nonsense", "b", "true"], ["Update", "a{sv}", "1", "version", "s", "../x"],
                ["Update", "a{sv}", "1", "allow_older", "s", "yes"], ["Pin", "s", "a/b"], ["Update", "s", "x"],
                ["ClearLedger", "s", "a b"]):
        answer = call_engine(world, *bad)
        assert answer.returncode != 0 and answer.stderr, bad
    assert host.status()["state"] == "idle"
    assert host.cli("update", "--version", "a/b").status == 2


@test
def configuration_is_shown_and_read_again(world):
    one = world.image("1")
    host = world.host(one, world.nginx(world.repository(one)).url).start()
    config = host.cli("config", "show", "--json").json
    assert config["Update"]["Repository"] == host.url and config["Reboot"]["Policy"] == "none", config
    assert "[Update]" in host.cli("config", "show").out
    host.configure(update="Automatic=no")
    host.process.send_signal(1)
    wait_until(lambda: not host.status()["automatic"], "the configuration is not read again")
    # A mistake leaves the old configuration in force, and the log names file and line.
    host.configure(update="Automatik=yes")
    host.process.send_signal(1)
    wait_until(lambda: "Automatic" in host.log(), host.log)
    assert host.status()["state"] == "idle"
    asked = call_engine(world, "Reload")
    assert asked.returncode != 0 and "engine.conf" in asked.stderr, asked.stderr
    assert "engine.conf" in host.log(), host.log()


@test
def without_the_daemon_the_program_says_so(world):
    one = world.image("1")
    host = world.host(one, "http://127.0.0.1:9")
    for verb in (["status"], ["check"], ["update", "--wait"], ["slots"], ["history"], ["ledger"], ["config", "show"]):
        result = host.cli(*verb)
        assert result.status == 16 and "systemctl start basculed" in result.sentence, (verb, result.err)
    error = host.cli("status", "--json").json["error"]
    assert error["code"] == "unavailable" and error["status"] == 16, error


@test
def mistakes_on_the_command_line_are_explained(world):
    host = world.host(world.image("1"), "http://127.0.0.1:9")
    for line, words in ((["statsu"], "did you mean \"status\""), (["update", "--wiat"], "did you mean \"--wait\""),
                        (["pin", "1", "2"], "usage"), (["ledger", "forget"], "bascule ledger"), ([], "--help"),
                        (["etc", "apply"], "bascule etc diff")):
        result = host.cli(*line)
        assert result.status == 2 and words in result.err, (line, result.err)
    for verb in ("status", "check", "plan", "update", "cancel", "rollback", "bless", "slots", "history", "pin", "unpin",
                 "ledger", "etc", "config"):
        result = host.cli(verb, "--help")
        assert result.status == 0 and "Usage: bascule " + verb in result.out and "--json" in result.out, verb


if __name__ == "__main__":
    run()
