#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which release, and when: floors, waves, withdrawn releases, expiry, the timer and reboot windows."""
import os
import shutil
import time

from harness.tap import run, test
from harness.tuf import expired


def _plan(host, *arguments):
    return host.cli("plan", "--json", *arguments).json


@test
def a_floor_is_passed_through(world):
    one, two, three = world.image("1"), world.image("2"), world.image("3")
    repository = world.repository(one)
    repository.release(two, floor=True)
    repository.release(three)
    host = world.host(one, world.nginx(repository).url).start()
    assert _plan(host)["version"] == "2"
    named = host.cli("update", "--wait", "--version", "3")
    assert named.status == 5 and "2" in named.sentence, (named.status, named.err)
    assert host.cli("update", "--wait", "--version", "3", "--allow-floor").status == 0
    host.assert_installed(three)


@test
def a_withdrawn_release_is_not_installed(world):
    one, two = world.image("1"), world.image("2")
    repository = world.repository(one)
    repository.release(two, withdrawn={"reason": "It eats disks."})
    host = world.host(one, world.nginx(repository).url).start()
    assert host.cli("update", "--wait").status == 4
    named = host.cli("update", "--wait", "--version", "2")
    assert named.status == 5 and "It eats disks." in named.sentence, (named.status, named.err)
    assert host.cli("update", "--wait", "--version", "2", "--allow-withdrawn").status == 0
    host.assert_installed(two)


@test
def a_wave_holds_the_timer_back_but_not_a_person(world):
    one, two = world.image("1"), world.image("2")
    repository = world.repository(one)
    repository.release(two, wave={"start": int(time.time()) + 86400, "seconds": 3600})
    host = world.host(one, world.nginx(repository).url).start()
    waited = host.cli("update", "--background")
    assert waited.status == 0, waited.err
    host.assert_not_bootable(two)
    assert host.cli("update", "--wait").status == 0
    host.assert_installed(two)


@test
def the_timer_installs_only_when_told_to(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url)
    host.configure(update="Automatic=no")
    host.start()
    assert host.cli("update", "--background").status == 0
    host.assert_not_bootable(two)
    assert host.status()["available_version"] == "2"
    host.configure(update="Automatic=yes")
    host.restart()
    assert host.cli("update", "--background").status == 0
    host.assert_installed(two)


@test
def a_newer_engine_is_needed(world):
    def bend(manifest):
        manifest["minimum-engine"] = 1000

    one, two = world.image("1"), world.image("2")
    repository = world.repository(one)
    repository.release(two, change_manifest=bend)
    host = world.host(one, world.nginx(repository).url).start()
    refused = host.cli("update", "--wait")
    assert refused.status == 12 and "engine" in refused.sentence, (refused.status, refused.err)
    host.assert_not_bootable(two)


@test
def expired_metadata_is_refused_unless_an_administrator_insists(world):
    one, two = world.image("1"), world.image("2")
    for role in ("timestamp", "snapshot", "targets"):
        repository = world.repository(one)
        repository.metadata.expires[role] = expired()
        repository.release(two)
        host = world.host(one, world.nginx(repository).url).start()
        refused = host.cli("update", "--wait")
        assert refused.status == 9 and "expired" in refused.sentence and role in refused.sentence, refused.err
        host.assert_not_bootable(two)
        assert host.cli("update", "--wait", "--allow-expired").status == 0
        assert "with allow_expired" in host.log(), "it is not logged"
        detail = host.cli("history", "--json").json[-1]["detail"]
        assert detail == "an administrator allowed expired metadata", detail
        host.assert_installed(two)
        host.stop()


@test
def allowing_expired_metadata_allows_nothing_else(world):
    """Neither signatures nor versions nor floors."""
    one, two, three = world.image("1"), world.image("2"), world.image("3")
    repository = world.repository(one)
    repository.metadata.expires["timestamp"] = expired()
    repository.release(two, floor=True)
    old = {name: repository.read(name) for name in repository.files("metadata/")}
    repository.release(three)
    host = world.host(one, world.nginx(repository).url).start()
    host.cli("plan", "--allow-expired")
    state = host.read_state()
    named = host.cli("update", "--wait", "--allow-expired", "--version", "3")
    assert named.status == 5 and "2" in named.sentence, (named.status, named.err)
    new = {name: repository.read(name) for name in repository.files("metadata/")}
    for name, data in old.items():
        repository.write(name, data)
    back = host.cli("update", "--wait", "--allow-expired")
    assert back.status == 9 and "older" in back.sentence, (back.status, back.err)
    for name, data in new.items():
        repository.write(name, data)
    repository.write("metadata/timestamp.json", new["metadata/timestamp.json"].replace(b'"sig": "', b'"sig": "0'))
    bad = host.cli("update", "--wait", "--allow-expired")
    assert bad.status == 9, (bad.status, bad.err)
    host.assert_not_bootable(two)
    host.assert_not_bootable(three)
    assert host.read_state().get("latest_known_time", 0) == state.get("latest_known_time", 0), "expired, yet taken for now"


def _soon():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400))


@test
def a_clock_that_is_behind_counts_as_the_latest_known_time(world):
    one, two = world.image("1"), world.image("2")
    repository = world.repository(one)
    repository.metadata.expires["timestamp"] = _soon()
    repository.release(two)
    begun = int(time.time())
    host = world.host(one, world.nginx(repository).url).start()
    assert host.cli("check").status == 0
    known = host.read_state()["latest_known_time"]
    assert begun <= known <= time.time(), (begun, known)
    host.stop()
    # To a host that has seen the day after tomorrow, this clock is two days behind.
    host.write_state(latest_known_time=begun + 2 * 86400)
    host.start()
    refused = host.cli("update", "--wait")
    assert refused.status == 9 and "timestamp expired" in refused.sentence, (refused.status, refused.err)
    assert "behind the latest time that is known" in host.log(), "it is not logged"
    assert host.read_state()["latest_known_time"] == begun + 2 * 86400, "it went back"
    host.assert_not_bootable(two)


@test
def no_time_is_earlier_than_the_build(world):
    one, two = world.image("1"), world.image("2")
    repository = world.repository(one)
    repository.metadata.expires["timestamp"] = _soon()
    repository.release(two)
    host = world.host(one, world.nginx(repository).url)
    root = host.folder + "/root.json"
    shutil.copy(world.trusted_root, root)
    os.utime(root, (time.time() + 2 * 86400,) * 2)  # an image that will be built the day after tomorrow
    host.describe(one, TrustedRoot=root)
    host.start()
    refused = host.cli("update", "--wait")
    assert refused.status == 9 and "timestamp expired" in refused.sentence, (refused.status, refused.err)
    host.assert_not_bootable(two)
    assert "latest_known_time" not in host.read_state() or host.read_state()["latest_known_time"] == 0
    assert host.cli("update", "--wait", "--allow-expired").status == 0
    host.assert_installed(two)


@test
def a_manifest_that_lies_about_its_image_is_caught(world):
    """Even with valid signatures: what was written is read back and compared."""
    def bend(manifest):
        manifest["images"]["root"]["verity"]["root-hash"] = "00" * 32

    one, two = world.image("1"), world.image("2")
    repository = world.repository(one)
    repository.release(two, change_manifest=bend)
    host = world.host(one, world.nginx(repository).url).start()
    before = host.fingerprint()
    refused = host.cli("update", "--wait")
    assert refused.status in (9, 10), (refused.status, refused.err)
    host.assert_not_bootable(two)
    assert host.fingerprint() == before
    assert host.status()["other_state"] == "empty"


@test
def a_uki_for_another_root_image_is_caught(world):
    one, two, three = world.image("1"), world.image("2"), world.image("3")
    repository = world.repository(one, three)

    def bend(manifest):
        manifest["images"]["uki"] = repository.manifest(three)["images"]["uki"]

    repository.release(two, change_manifest=bend)
    host = world.host(one, world.nginx(repository).url).start()
    refused = host.cli("update", "--wait", "--version", "2")
    assert refused.status in (9, 10, 12), (refused.status, refused.err)
    host.assert_not_bootable(two)


@test
def impossible_numbers_in_a_manifest_are_refused(world):
    one, two = world.image("1"), world.image("2")
    bends = {
        "size": lambda image: image.update(size=1 << 50),
        "odd size": lambda image: image.update(size=image["size"] + 1),
        "negative": lambda image: image.update(size=-1),
        "memory": lambda image: image["payloads"][0].update(memory=1 << 40),
        "index": lambda image: image["payloads"][0].update({"index-size": 1 << 40}),
        "path": lambda image: image["payloads"][0].update(path="../../etc/passwd"),
        "no payload": lambda image: image.update(payloads=[]),
    }
    for name, bend in bends.items():
        repository = world.repository(one)
        repository.release(two, change_manifest=lambda manifest, bend=bend: bend(manifest["images"]["root"]))
        host = world.host(one, world.nginx(repository).url).start()
        refused = host.cli("update", "--wait")
        assert refused.status in (9, 10, 12, 7), (name, refused.status, refused.err)
        host.assert_not_bootable(two)
        host.stop()


@test
def the_policy_immediately_reboots_after_the_grace_period(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url)
    host.configure(reboot="Policy=immediately\nGracePeriod=1s")
    host.start()
    assert host.cli("update", "--wait").status == 0
    host.wait_state(("rebooting",))


@test
def the_policy_window_waits_for_its_window(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url)
    later = time.localtime(time.time() + 7200)
    window = "%02d:00-%02d:59" % (later.tm_hour, later.tm_hour)
    host.configure(reboot="Policy=window\nGracePeriod=1s\nWindows=" + window)
    host.start()
    assert host.cli("update", "--wait").status == 0
    at = host.status()["reboot_at"]
    assert time.localtime(at).tm_hour == later.tm_hour and at > time.time(), at
    # The promise is kept over a restart of the daemon.
    host.restart()
    assert host.status()["reboot_at"] == at
    host.configure(reboot="Policy=window\nGracePeriod=1s\nWindows=00:00-24:00")
    host.restart()
    host.wait_state(("rebooting",))


if __name__ == "__main__":
    run()
