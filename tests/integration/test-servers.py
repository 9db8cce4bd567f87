#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Servers that are down, wrong or slow, through the daemon: a clear sentence, the right code, nothing bootable that
should not be, and a second run that finishes. tests/crash/servers has the long table of what servers do."""
import os
import time

from harness import servers
from harness.tap import run, test

PAYLOAD = r"/payloads/"
TIMESTAMP = r"timestamp\.json"


def _expect(world, pattern, act, codes, **config):
    """One update against a server with that rule: it fails with one of `codes` and leaves nothing; then the
    server behaves and the same command finishes."""
    one, two = world.image("1"), world.image("2")
    server = world.hostile(world.repository(one, two))
    host = world.host(one, server.url)
    host.configure(**config)
    host.start()
    before = host.fingerprint()
    server.rule(pattern, act)
    result = host.cli("update", "--wait")
    assert result.status in codes, (result.status, result.err)
    assert len(result.sentence) > 30, result.err
    host.assert_not_bootable(two)
    assert host.fingerprint() == before
    status = host.status()
    assert status["state"] == "idle" and status["last_error_message"], status
    server.behave()
    host.configure()
    host.restart()
    again = host.cli("update", "--wait")
    assert again.status == 0, again.err
    host.assert_installed(two)
    assert host.fingerprint() == before


@test
def server_down(world):
    one, two = world.image("1"), world.image("2")
    server = world.nginx(world.repository(one, two))
    host = world.host(one, server.url).start()
    server.stop()
    result = host.cli("update", "--wait")
    assert result.status == 8 and server.url.split("//")[1].split(":")[0] in result.sentence, (result.status, result.err)
    server.start()
    assert host.cli("update", "--wait").status == 0
    host.assert_installed(two)


def _timestamp_answers(server):
    """The status of each answer to a question for the timestamp."""
    with open(server.folder + "/nginx-access.log", encoding="utf-8") as log:
        return [line.split('" ')[1].split()[0] for line in log if "timestamp.json" in line]


@test
def a_timestamp_that_did_not_change_is_not_sent_again(world):
    one, two = world.image("1"), world.image("2")
    repository = world.repository(one)
    repository.date_timestamp(3600)
    server = world.nginx(repository)
    host = world.host(one, server.url).start()
    for _ in range(3):
        assert host.cli("check").status == 0
    assert _timestamp_answers(server) == ["200", "304", "304"], _timestamp_answers(server)
    repository.release(two)
    repository.date_timestamp(1800)
    assert "2" in host.cli("check").out
    assert _timestamp_answers(server)[3:] == ["200"], _timestamp_answers(server)
    host.restart()
    assert "2" in host.cli("check").out
    assert _timestamp_answers(server)[4:] == ["304"], _timestamp_answers(server)
    # A tag that belongs to another file than the one that is trusted is not used.
    with open(host.state + "/metadata/timestamp.etag", "r+b") as file:
        file.write(b"0000")
    assert "2" in host.cli("check").out
    assert _timestamp_answers(server)[5:] == ["200"], _timestamp_answers(server)
    repository.date_timestamp(-3600)  # as if it were changed while it is sent
    for _ in range(2):
        assert "2" in host.cli("check").out
    assert _timestamp_answers(server)[6:] == ["200", "200"], _timestamp_answers(server)


@test
def no_repository_is_configured(world):
    host = world.host(world.image("1"), "http://127.0.0.1:9")
    host.configure(update="Repository=")
    host.start()
    result = host.cli("check")
    assert result.status == 3 and "Repository=" in result.sentence, (result.status, result.err)


@test
def metadata_404(world):
    _expect(world, TIMESTAMP, servers.status(404), {8, 9})


@test
def payload_500(world):
    _expect(world, PAYLOAD, servers.status(500), {8})


@test
def payload_with_a_wrong_byte(world):
    _expect(world, PAYLOAD, servers.flip(200000), {9, 10})


@test
def a_stalled_server_is_given_up(world):
    _expect(world, PAYLOAD, servers.stall(50000), {8}, timeout="1s")


@test
def a_slow_server_is_waited_for(world):
    one, two = world.image("1"), world.image("2")
    server = world.hostile(world.repository(one, two))
    host = world.host(one, server.url)
    host.configure(timeout="5s")
    host.start()
    server.rule(PAYLOAD, servers.slow(1500000))
    result = host.cli("update", "--wait")
    assert result.status == 0, result.err
    host.assert_installed(two)


def _authority(certificate):
    return "CertificateAuthorities=%s.crt" % certificate


@test
def https_needs_an_authority_that_vouches(world):
    """Whether fetch is a child or a service; the certificates are read by basculed, who hands them over."""
    one, two = world.image("1"), world.image("2")
    folder = world.new_folder("certificates")
    ours, other = (servers.make_certificate(os.path.join(folder, name)) for name in ("ours", "other"))
    for is_service in (False, True):
        server = world.hostile(world.repository(one, two), ours)
        host = world.host(one, server.url)
        arguments = ()
        if is_service:
            host.serve_fetch()
            arguments = ("--fetch-socket", host.fetch_socket)
        for update in ("", _authority(other)):
            host.configure(update=update)
            host.start(*arguments)
            refused = host.cli("update", "--wait")
            assert refused.status == 8 and "certificate" in refused.sentence, (refused.status, refused.err)
            assert not server.requests, "something was asked of a server that nobody vouches for"
            host.stop()
        host.assert_not_bootable(two)
        host.configure(update=_authority(ours))
        host.start(*arguments)
        result = host.cli("update", "--wait")
        assert result.status == 0, result.err
        host.assert_installed(two)
        host.stop()


@test
def the_bandwidth_limit_holds(world):
    one, two = world.image("1"), world.image("2")
    host = world.host(one, world.nginx(world.repository(one, two)).url)
    host.configure(update="BandwidthLimit=1M")
    host.start()
    size = host.cli("plan", "--json").json["fetch_bytes"]
    begun = time.monotonic()
    assert host.cli("update", "--wait").status == 0
    assert time.monotonic() - begun > 0.6 * size / (1 << 20) - 0.5
    host.assert_installed(two)


if __name__ == "__main__":
    run()
