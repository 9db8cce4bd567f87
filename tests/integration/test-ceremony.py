#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keys over their life, by the command line: thresholds, holders apart, passphrases, tokens, loss; and repositories as
readers see them, among them another TUF client."""
import glob
import calendar
import json
import os
import pty
import shutil
import subprocess
import termios
import threading
import time

from harness.patience import wait_until
from harness.repository import bascule_image
from harness.tap import Skip, run, test
from tuf_conformance import second
from tuf_conformance.harness import Second

TOKEN_MODULES = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"]
ENGINES = glob.glob("/usr/lib/*/engines-3/pkcs11.so")


def attempt(world, *arguments, **options):
    return subprocess.run([world.program("image-builder/bascule-image"), *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False, **options)


class Place:
    """A key folder, and a repository with one release in it."""

    def __init__(self, world, *key_options, release_options=()):
        self.world, self.folder = world, world.new_folder("ceremony")
        self.keys, self.repo = self.folder + "/keys", self.folder + "/repo"
        bascule_image(world, "keys", "init", self.keys, *key_options)
        bascule_image(world, "release", world.image("1").folder, "--repo", self.repo, "--channel", "stable", "--keys",
                      self.keys, "--level", "1", *release_options)

    def run(self, *arguments):
        return bascule_image(self.world, *arguments)

    def move_keys(self, role, *holders):
        """Gives each holder one of the role's keys, in a folder of its own. Returns the first digits of their keyids."""
        paths = sorted(glob.glob("%s/%s-*.pem" % (self.keys, role)))
        for holder, path in zip(holders, paths):
            os.mkdir(self.folder + "/" + holder)
            for suffix in (".pem", ".pub"):
                shutil.move(path[:-4] + suffix, "%s/%s/key%s" % (self.folder, holder, suffix))
        return {holder: path[-12:-4] for holder, path in zip(holders, paths)}

    def holder(self, name):
        return "%s/%s/key.pem" % (self.folder, name)

    def client(self, first_root="1.root.json"):
        return Client(self, first_root)


class Client:
    """A host's view: trusted metadata that begins with an old root."""

    def __init__(self, place, first_root):
        self.place, self.folder = place, place.world.new_folder("client")
        self.program = place.world.program("tests/tuf-client/tuf-client")
        self.url = place.world.nginx(type("Served", (), {"folder": place.repo})).url
        self.run("init", place.repo + "/metadata/" + first_root)

    def run(self, *words):
        return subprocess.run([self.program, "--metadata-dir", self.folder, "--metadata-url", self.url + "/metadata", *words],
                              capture_output=True, text=True, check=False)

    def refresh(self):
        return self.run("refresh")

    def version(self, role):
        with open("%s/%s.json" % (self.folder, role), encoding="utf-8") as file:
            return json.load(file)["signed"]["version"]


@test
def three_holders_change_the_root_in_steps(world):
    place = Place(world, "--threshold", "root=2/3")
    client = place.client()
    assert client.refresh().returncode == 0
    place.move_keys("root", "alice", "bob", "carol")
    draft = place.keys + "/root-next.json"
    said = place.run("keys", "rotate", place.keys, "timestamp")
    assert "not signed yet" in said, said
    said = place.run("sign", draft, "--key", place.holder("alice"))
    assert "1 of the 2" in said, said
    early = attempt(world, "keys", "root-publish", place.keys, "--repo", place.repo)
    assert early.returncode == 9 and "threshold is 2" in early.stderr, early.stderr
    said = place.run("sign", draft, "--key", place.holder("alice"))
    assert "1 of the 2" in said, "one key counts once: " + said
    stranger = attempt(world, "sign", draft, "--keys", place.keys)
    assert stranger.returncode == 9, stranger.stderr
    said = place.run("sign", draft, "--key", place.holder("carol"))
    assert said.count("2 of the 2") == 2, said
    said = place.run("keys", "root-publish", place.keys, "--repo", place.repo)
    assert "--resign" in said, said
    assert client.refresh().returncode == 1, "the old timestamp key is no longer trusted"
    refused = attempt(world, "refresh", place.repo, "--keys", place.keys)
    assert refused.returncode == 9 and "revoked" in refused.stderr, refused.stderr
    place.run("refresh", place.repo, "--keys", place.keys, "--resign")
    assert client.refresh().returncode == 0
    assert client.version("root") == 2
    place.run("verify", place.repo)


@test
def a_lost_root_key_is_replaced_by_the_others(world):
    place = Place(world, "--threshold", "root=2/3")
    client = place.client()
    digits = place.move_keys("root", "alice", "bob", "carol")
    shutil.rmtree(place.folder + "/bob")
    dave = world.new_folder("dave")
    for words in (["genpkey", "-algorithm", "ed25519", "-out", dave + "/key.pem"],
                  ["pkey", "-in", dave + "/key.pem", "-pubout", "-out", dave + "/key.pub"]):
        subprocess.run(["openssl", *words], check=True, capture_output=True)
    place.run("keys", "root-next", place.keys, "--add", "root=" + dave + "/key.pub", "--remove", "root=" + digits["bob"])
    for key in (dave + "/key.pem", place.holder("alice")):
        place.run("sign", place.keys + "/root-next.json", "--key", key)
    early = attempt(world, "keys", "root-publish", place.keys, "--repo", place.repo)
    assert early.returncode == 9, "dave is no holder of the present root: " + early.stderr
    place.run("sign", place.keys + "/root-next.json", "--key", place.holder("carol"))
    place.run("keys", "root-publish", place.keys, "--repo", place.repo)
    assert client.refresh().returncode == 0 and client.version("root") == 2
    place.run("keys", "root-next", place.keys)
    for key in (dave + "/key.pem", place.holder("alice")):
        place.run("sign", place.keys + "/root-next.json", "--key", key)
    place.run("keys", "root-publish", place.keys, "--repo", place.repo)
    assert client.refresh().returncode == 0 and client.version("root") == 3
    place.run("verify", place.repo)


@test
def encrypted_keys_need_their_passphrase(world):
    secret = world.new_folder("secret") + "/passphrase"
    with open(secret, "w", encoding="ascii") as file:
        file.write("correct horse battery\n")
    place = Place(world, "--passphrase-file", secret, release_options=("--passphrase-file", secret))
    for path in glob.glob(place.keys + "/*.pem"):
        with open(path, encoding="ascii") as file:
            assert "ENCRYPTED PRIVATE KEY" in file.read(), path
        assert os.stat(path).st_mode & 0o077 == 0, path
    refused = attempt(world, "refresh", place.repo, "--keys", place.keys, start_new_session=True)
    assert refused.returncode == 9 and "--passphrase-file" in refused.stderr, refused.stderr
    wrong = attempt(world, "refresh", place.repo, "--keys", place.keys, "--passphrase-command", "echo wrong")
    assert wrong.returncode == 9 and "wrong" in wrong.stderr, wrong.stderr
    agent = world.new_folder("agent") + "/ask"
    with open(agent, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n[ -n \"$1\" ] && cat %s\n" % secret)
    os.chmod(agent, 0o755)
    place.run("refresh", place.repo, "--keys", place.keys, "--passphrase-command", agent)
    place.run("verify", place.repo)


def type_passphrase(program, passphrase):
    """Runs it on a terminal of its own and answers when it asks. Its status, and what it said."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(program[0], program)
    said, is_asked = b"", False
    try:
        while new := os.read(terminal, 4096):
            said += new
            if not is_asked and said.endswith(b".pem: "):
                is_asked = True
                # It asks first, and hides what is typed then.
                wait_until(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO)
                os.write(terminal, passphrase.encode() + b"\n")
    except OSError:
        pass  # the terminal is gone with the last who had it
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode(errors="replace")


@test
def a_passphrase_is_typed(world):
    secret = world.new_folder("secret") + "/passphrase"
    with open(secret, "w", encoding="ascii") as file:
        file.write("correct horse\n")
    place = Place(world, "--passphrase-file", secret, release_options=("--passphrase-file", secret))
    program = [world.program("image-builder/bascule-image"), "refresh", place.repo, "--keys", place.keys]
    status, said = type_passphrase(program, "battery staple")
    assert status == 9 and "wrong" in said, (status, said)
    status, said = type_passphrase(program, "correct horse")
    assert status == 0 and "timestamp version 2" in said, (status, said)
    assert "horse" not in said, "what is typed is not shown: " + said
    place.run("verify", place.repo)


@test
def a_key_is_revoked_by_its_digits(world):
    place = Place(world, "--threshold", "timestamp=1/2")
    client = place.client()
    assert client.refresh().returncode == 0
    stolen = place.move_keys("timestamp", "thief")["thief"]
    refused = attempt(world, "keys", "revoke", place.keys, "00000000")
    assert refused.returncode != 0, refused.stdout
    place.run("keys", "revoke", place.keys, stolen)
    place.run("keys", "root-publish", place.keys, "--repo", place.repo)
    shown = json.loads(place.run("keys", "show", place.keys, "--json"))["root"]["roles"]["timestamp"]
    assert [key["keyid"].startswith(stolen) for key in shown["keys"]] == [False], shown
    by_thief = attempt(world, "refresh", place.repo, "--key", place.holder("thief"))
    assert by_thief.returncode == 9, by_thief.stderr
    place.run("refresh", place.repo, "--keys", place.keys, "--resign")
    assert client.refresh().returncode == 0 and client.version("root") == 2
    place.run("verify", place.repo)


def days_left(path):
    with open(path, encoding="utf-8") as file:
        expires = json.load(file)["signed"]["expires"]
    return round((calendar.timegm(time.strptime(expires, "%Y-%m-%dT%H:%M:%SZ")) - time.time()) / 86400)


@test
def roles_expire_when_they_are_told_to(world):
    place = Place(world)
    metadata = place.repo + "/metadata/"
    place.run("refresh", place.repo, "--keys", place.keys, "--targets", "--timestamp-days", "3", "--snapshot-days", "11",
              "--targets-days", "40")
    assert [days_left(metadata + name) for name in ("timestamp.json", "2.snapshot.json", "2.targets.json")] == [3, 11, 40]
    too_many = attempt(world, "refresh", place.repo, "--keys", place.keys, "--timestamp-days", "36501")
    assert too_many.returncode == 2, too_many.stderr
    for days, status in ((2, 0), (4, 9)):
        seen = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86400))
        done = attempt(world, "verify", place.repo, "--time", seen)
        assert done.returncode == status, (days, done.stderr)
    os.utime(metadata + "1.snapshot.json", (0, 0))
    assert "removed 1 old" in place.run("refresh", place.repo, "--keys", place.keys, "--prune-days", "30")
    assert not os.path.exists(metadata + "1.snapshot.json") and os.path.exists(metadata + "1.targets.json")
    place.run("verify", place.repo)


@test
def a_timestamp_key_in_a_token(world):
    module = [path for path in TOKEN_MODULES if os.path.exists(path)]
    if not module or not ENGINES or not shutil.which("softhsm2-util"):
        raise Skip("needs softhsm2 and libengine-pkcs11-openssl")
    place, token = Place(world), world.new_folder("token")
    with open(token + "/softhsm2.conf", "w", encoding="ascii") as file:
        file.write("directories.tokendir = %s\nobjectstore.backend = file\n" % token)
    environment = dict(os.environ, SOFTHSM2_CONF=token + "/softhsm2.conf", PKCS11_MODULE_PATH=module[0])

    def tool(*words):
        subprocess.run(words, check=True, capture_output=True, env=environment)

    tool("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", token + "/key.pem")
    tool("openssl", "pkey", "-in", token + "/key.pem", "-pubout", "-out", place.keys + "/timestamp-token.pub")
    tool("softhsm2-util", "--init-token", "--free", "--label", "release", "--pin", "1234", "--so-pin", "5678")
    tool("softhsm2-util", "--import", token + "/key.pem", "--token", "release", "--label", "timestamp", "--id", "01", "--pin",
         "1234")
    os.remove(token + "/key.pem")
    with open(place.keys + "/timestamp-token.uri", "w", encoding="ascii") as file:
        file.write("pkcs11:token=release;object=timestamp;type=private\n")
    with open(token + "/pin", "w", encoding="ascii") as file:
        file.write("1234\n")
    old = json.loads(place.run("keys", "show", place.keys, "--json"))["root"]["roles"]["timestamp"]["keys"][0]["keyid"]
    place.run("keys", "root-next", place.keys, "--add", "timestamp=" + place.keys + "/timestamp-token.pub", "--remove",
              "timestamp=" + old)
    place.run("sign", place.keys + "/root-next.json", "--key", glob.glob(place.keys + "/root-*.pem")[0])
    place.run("keys", "root-publish", place.keys, "--repo", place.repo)
    done = attempt(world, "refresh", place.repo, "--keys", place.keys, "--resign", "--passphrase-file", token + "/pin",
                   env=environment)
    assert done.returncode == 0, done.stderr
    place.run("verify", place.repo)
    os.remove(place.keys + "/timestamp-token.uri")
    done = attempt(world, "refresh", place.repo, "--keys", place.keys, env=environment)
    assert done.returncode == 9, done.stderr
    by_name = ["--keys", place.keys, "--key", "pkcs11:token=release;object=timestamp;type=private;pin-value=1234"]
    done = attempt(world, "refresh", place.repo, *by_name, env=environment)
    assert done.returncode == 0, done.stderr
    place.run("verify", place.repo)
    bad = attempt(world, "refresh", place.repo, *by_name[:3], by_name[3].replace("1234", "4321"), env=environment)
    assert bad.returncode != 0 and "4321" not in bad.stderr, bad.stderr
    wrong = attempt(world, "refresh", place.repo, *by_name[:3], "pkcs11:token=release;object=timestamp",
                    "--passphrase-command", "echo 0000", env=environment)
    assert wrong.returncode != 0
    place.run("verify", place.repo)


@test
def a_revoked_targets_key_publishes_nothing_more(world):
    place = Place(world)
    client = place.client()
    assert client.refresh().returncode == 0
    stolen = world.new_folder("stolen") + "/keys"
    shutil.copytree(place.keys, stolen)
    for path in glob.glob(stolen + "/root-*.pem"):
        os.remove(path)
    place.run("keys", "rotate", place.keys, "targets")
    place.run("keys", "root-publish", place.keys, "--repo", place.repo)
    place.run("refresh", place.repo, "--keys", place.keys, "--resign")
    assert client.refresh().returncode == 0
    thief = attempt(world, "release", world.image("2").folder, "--repo", place.repo, "--channel", "stable", "--keys", stolen,
                    "--level", "1")
    assert thief.returncode == 9 and "of its keys are here" in thief.stderr, thief.stderr
    place.run("verify", place.repo)
    assert client.refresh().returncode == 0


@test
def readers_never_see_half_of_a_publication(world):
    place = Place(world)
    client, failures, over = place.client(), [], threading.Event()

    def read():
        while not over.is_set():
            done = client.refresh()
            failures.extend([done.stderr] if done.returncode != 0 else [])

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(15):
            place.run("refresh", place.repo, "--keys", place.keys, "--targets")
    finally:
        over.set()
        reader.join()
    assert not failures, failures
    client.refresh()
    assert client.version("targets") == 16


@test
def another_client_reads_what_we_publish(world):
    modules = second.find_modules()
    if not modules:
        raise Skip("needs npm to install " + second.PACKAGE)
    place = Place(world)
    place.run("keys", "rotate", place.keys, "snapshot", "--type", "ecdsa")
    place.run("keys", "root-publish", place.keys, "--repo", place.repo)
    place.run("keys", "rotate", place.keys, "timestamp", "--type", "rsa")
    place.run("keys", "root-publish", place.keys, "--repo", place.repo)
    place.run("refresh", place.repo, "--keys", place.keys, "--resign")
    ours = place.client()
    folder = world.new_folder("second")
    os.mkdir(folder + "/targets")
    shutil.copy(place.repo + "/metadata/1.root.json", folder + "/root.json")
    other = Second(modules)
    try:
        done = other.ask(metadata=folder, targets=folder + "/targets", url=ours.url + "/",
                         names=["channels/stable.json", "releases/1/x86-64/manifest.json"])
    finally:
        other.close()
    assert done.returncode == 0, done.stderr
    assert len(os.listdir(folder + "/targets")) == 2
    assert ours.refresh().returncode == 0 and ours.version("root") == 3


if __name__ == "__main__":
    run()
