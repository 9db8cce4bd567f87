#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hosts under Secure Boot: a release that the firmware would not start is refused before anything is written, whatever its
manifest says. Programs are signed by sbsign, which shares no code with the engine."""
import hashlib
import os
import shutil
import subprocess

from harness.images import Image
from harness.repository import bascule_image
from harness.tap import Skip, run, test

GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
SECURITY = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"


class Keys:
    """A folder of Secure Boot keys, made once: RSA takes its time."""
    made = {}

    def __init__(self, world, name="ours"):
        if not shutil.which("sbsign"):
            raise Skip("needs sbsigntool")
        if name not in self.made:
            self.made[name] = os.path.join(world.folder, "secure-boot-" + name)
            bascule_image(world, "keys", "secure-boot", self.made[name])
        self.folder = self.made[name]

    def sign(self, path):
        subprocess.run(["sbsign", "--key", self.folder + "/db.pem", "--cert", self.folder + "/db.crt", path, "--output", path],
                       check=True, capture_output=True)

    def signature_list(self):
        """What the firmware stores once db.auth is enrolled: all that follows time and signature."""
        with open(self.folder + "/db.auth", "rb") as file:
            data = file.read()
        return data[16 + int.from_bytes(data[16:20], "little"):]


def _signed(world, version, *keys):
    image = Image(world.new_folder("signed") + "/image", version)
    path = image.folder + "/image.efi"
    for key in keys:
        key.sign(path)
    with open(path, "rb") as file:
        image.uki = file.read()
    return image


def _told(image):
    """The manifest's member about an image, made from its file by other means than the engine's."""
    uki, at = image.uki, int.from_bytes(image.uki[0x3c:0x40], "little") + 24
    table, size = (int.from_bytes(uki[at + 144 + 4 * i:at + 148 + 4 * i], "little") for i in range(2))
    table = table or len(uki)
    digest = hashlib.sha256(uki[:at + 64] + uki[at + 68:at + 144] + uki[at + 152:table]).hexdigest()
    signatures, rest = [], uki[table:table + size]
    while rest:
        length = int.from_bytes(rest[:4], "little")
        signatures.append(rest[8:length].hex())
        rest = rest[(length + 7) // 8 * 8:]
    return {"digest": digest, "signatures": signatures}


def _release(repository, image, told=None):
    def bend(manifest):
        manifest["images"]["uki"]["secure-boot"] = told or _told(image)

    repository.release(image, change_manifest=bend)


def _set_variables(host, db, dbx=b"", is_on=True):
    folder = host.folder + "/efivars"
    os.makedirs(folder, exist_ok=True)
    for name, guid, value in (("SecureBoot", GLOBAL, bytes([is_on])), ("db", SECURITY, db), ("dbx", SECURITY, dbx)):
        with open("%s/%s-%s" % (folder, name, guid), "wb") as file:
            file.write(b"\x06\0\0\0" + value)


def _host(world, repository, image, *variables, **options):
    host = world.host(image, world.nginx(repository).url)
    _set_variables(host, *variables, **options)
    host.describe(image, EfiVariables=host.folder + "/efivars")
    return host.start()


def _written(host):
    return (host.read("root-b"), host.read("root-b-verity"), sorted(os.walk(host.esp)))


@test
def a_release_that_the_firmware_trusts_is_installed(world):
    keys = Keys(world)
    one, two = world.image("1"), _signed(world, "2", keys)
    repository = world.repository(one)
    _release(repository, two)
    host = _host(world, repository, one, keys.signature_list())
    done = host.cli("update", "--wait")
    assert done.status == 0, done.err
    host.assert_installed(two)


@test
def an_unknown_key_is_refused_before_anything_is_written(world):
    keys, others = Keys(world), Keys(world, "others")
    one, two = world.image("1"), _signed(world, "2", others)
    repository = world.repository(one)
    _release(repository, two)
    host = _host(world, repository, one, keys.signature_list())
    before = _written(host)
    done = host.cli("update", "--wait")
    assert done.status == 9 and "enrol" in done.sentence and "Bascule db" in done.sentence, (done.status, done.err)
    assert _written(host) == before
    plan = host.cli("plan", "--json").json
    assert plan["verdict"] == "secure-boot", plan
    _set_variables(host, keys.signature_list() + others.signature_list())
    done = host.cli("update", "--wait")
    assert done.status == 0, done.err
    host.assert_installed(two)


@test
def a_release_that_is_not_signed_or_does_not_say_is_refused(world):
    keys = Keys(world)
    one, two, three = world.image("1"), _signed(world, "2"), _signed(world, "3", keys)
    repository = world.repository(one)
    _release(repository, two)
    host = _host(world, repository, one, keys.signature_list())
    before = _written(host)
    done = host.cli("update", "--wait")
    assert done.status == 9 and "not signed" in done.sentence, (done.status, done.err)
    repository.release(three)
    done = host.cli("update", "--wait")
    assert done.status == 9 and "does not say" in done.sentence, (done.status, done.err)
    assert _written(host) == before


@test
def a_forbidden_program_is_refused(world):
    keys = Keys(world)
    one, two = world.image("1"), _signed(world, "2", keys)
    repository = world.repository(one)
    _release(repository, two)
    digest = bytes.fromhex(_told(two)["digest"])
    forbidden = (bytes.fromhex("2616c4c14c509240aca941f936934328") + (76).to_bytes(4, "little") + bytes(4) +
                 (48).to_bytes(4, "little") + bytes(16) + digest)
    host = _host(world, repository, one, keys.signature_list(), forbidden)
    before = _written(host)
    done = host.cli("update", "--wait")
    assert done.status == 9 and "dbx" in done.sentence, (done.status, done.err)
    assert _written(host) == before


@test
def a_manifest_that_flatters_its_program_makes_nothing_bootable(world):
    keys, others = Keys(world), Keys(world, "others")
    one, good, two = world.image("1"), _signed(world, "2", keys), _signed(world, "2", others)
    repository = world.repository(one)
    _release(repository, two, _told(good))
    host = _host(world, repository, one, keys.signature_list())
    done = host.cli("update", "--wait")
    assert done.status == 9 and "would not start" in done.sentence, (done.status, done.err)
    host.assert_not_bootable(two)


@test
def without_secure_boot_anything_goes(world):
    keys = Keys(world)
    one, two = world.image("1"), world.image("2")
    host = _host(world, world.repository(one, two), one, keys.signature_list(), is_on=False)
    done = host.cli("update", "--wait")
    assert done.status == 0, done.err
    host.assert_installed(two)


@test
def lists_that_cannot_be_read_are_no_permission(world):
    keys = Keys(world)
    one, two = world.image("1"), _signed(world, "2", keys)
    repository = world.repository(one)
    _release(repository, two)
    host = _host(world, repository, one, keys.signature_list()[:-1])
    before = _written(host)
    done = host.cli("update", "--wait")
    assert done.status == 9 and "damaged" in done.sentence, (done.status, done.err)
    assert _written(host) == before


@test
def the_firmware_must_still_trust_what_one_goes_back_to(world):
    keys, others = Keys(world), Keys(world, "others")
    one, two = _signed(world, "1", others), _signed(world, "2", keys)
    host = world.host(two, world.nginx(world.repository(two)).url)
    host.put_release(one, "b")
    _set_variables(host, keys.signature_list())
    host.describe(two, EfiVariables=host.folder + "/efivars")
    host.start()
    done = host.cli("rollback")
    assert done.status == 9 and "would not start" in done.sentence, (done.status, done.err)
    _set_variables(host, keys.signature_list() + others.signature_list())
    done = host.cli("rollback")
    assert done.status == 0, done.err


if __name__ == "__main__":
    run()
