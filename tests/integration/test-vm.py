#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`bascule-image test` around a machine: what it says of guests that come up, hang, restart or go off, of a QEMU that is
missing or dies, and what it leaves behind. In QEMU's place is a program that plays the guest: it writes to the console and
renames the boot entry as the loader and the host would."""
import hashlib
import json
import os
import signal
import socket
import subprocess
import time
import xml.etree.ElementTree as ET

from harness.host import TYPES
from harness.tap import Skip, run, test

MIB = 1 << 20
ESP_AT, ESP_MIB = 1, 4
KERNEL = b"a kernel" * 1000
PLAY = r'''#!/usr/bin/python3
import os, subprocess, sys, time
plot, arguments = sys.argv[0].rsplit("-", 1)[1], " ".join(sys.argv[1:])
def say(text):
    os.write(1, text if isinstance(text, bytes) else text.encode())
def mtool(program, *names):
    number = int(arguments.split("file=/proc/self/fd/")[2].split()[0])
    subprocess.run([program, "-i", "/proc/self/fd/%d@@1M" % number, *["::/EFI/Linux/" + name for name in names]],
                   pass_fds=[number], check=True, env={"MTOOLS_SKIP_CHECK": "1", "PATH": "/usr/bin"})
def bless(release):
    mtool("mren", release + "+3.efi", release + "+2-1.efi")
    mtool("mren", release + "+2-1.efi", release + ".efi")
def update():
    command = arguments.split("10.0.2.100:80-cmd:")[1].split(" -device")[0].split()
    question = b"GET /metadata/timestamp.json HTTP/1.1\r\n\r\n"
    answer = subprocess.run(command, input=question, check=True, stdout=subprocess.PIPE).stdout
    if answer.endswith(b"signed, as it were"):
        mtool("mcopy", "host_0.9.efi", "host_1.0+3.efi")
        bless("host_1.0")
with open(os.path.dirname(sys.argv[0]) + "/pids", "a") as file:
    file.write("%d %s\n" % (os.getpid(), arguments))
if "-kernel" in sys.argv:
    with open(sys.argv[sys.argv.index("-kernel") + 1], "rb") as file:
        kernel = file.read()
    if plot != "kvm" or kernel != b"a kernel" * 1000:
        sys.exit(1)
    say("[    0.000000] Linux version 6.1\n[    1.0] Kernel panic - not syncing: VFS\n")
    sys.exit(0)
if plot == "dies":
    sys.stderr.write("first line\nqemu: the machine type is not to my liking\n")
    sys.exit(1)
say("BdsDxe: starting Boot0002 \"disk\"\r\n[    0.000000] Linux version 6.1\r\n")
if plot == "off":
    sys.exit(0)
if plot in ("stuck", "restarts"):
    mtool("mren", "host_1.0+3.efi", "host_1.0+2-1.efi")
if plot == "stuck":
    say(b"</failure>\x1b[31m\xff\0]]>\r\n[    9.000000] Kernel panic - not syncing: \x1b[1m<no>\x07\r\n")
elif plot == "restarts":
    say("BdsDxe: starting Boot0002 \"disk\"\r\n" * 4)
elif "guestfwd" in arguments:
    bless("host_0.9")
    update()
else:
    bless("host_1.0")
time.sleep(60)
'''


def _uki():
    header = b"MZ" + b"\0" * 58 + (64).to_bytes(4, "little") + b"PE\0\0" + b"\0\0" + (2).to_bytes(2, "little") + b"\0" * 16
    sections = b""
    for name, at in ((b".osrel", 1024), (b".linux", 4096)):
        size = len(KERNEL) if name == b".linux" else 10
        sections += name.ljust(8, b"\0") + b"".join(n.to_bytes(4, "little") for n in (size, at, size, at)) + b"\0" * 16
    return (header + sections).ljust(4096, b"\0") + KERNEL


def _image(world, entry="host_1.0+3.efi"):
    """A disk as `build` leaves it, as far as the test looks: the table, and an ESP with one entry."""
    folder = world.new_folder("image")
    esp, disk, uki = folder + "/esp", folder + "/disk.raw", folder + "/uki.efi"
    with open(uki, "wb") as file:
        file.write(_uki())
    subprocess.run(["mkfs.vfat", "-F", "16", "-s", "1", "-C", esp, str(ESP_MIB * 1024)], check=True, capture_output=True,
                   env={"PATH": "/usr/sbin:/usr/bin:/sbin"})
    for command in (["mmd", "-i", esp, "::/EFI", "::/EFI/Linux"], ["mcopy", "-i", esp, uki, "::/EFI/Linux/" + entry]):
        subprocess.run(command, check=True, capture_output=True)
    parts = [("esp", "esp", ESP_MIB), ("root-a", "root", 1), ("root-a-verity", "verity", 1), ("root-b", "root", 1),
             ("root-b-verity", "verity", 1), ("var", "var", 1)]
    script, at = "label: gpt\n", ESP_AT
    for label, kind, size in parts:
        script += "start=%d, size=%d, type=%s, name=%s\n" % (at * 2048, size * 2048, TYPES[kind], label)
        at += size
    with open(disk, "wb") as file:
        file.truncate((at + 1) * MIB)
    subprocess.run(["/usr/sbin/sfdisk", "-q", disk], input=script.encode(), check=True, capture_output=True)
    with open(esp, "rb") as file, open(disk, "r+b") as to:
        to.seek(ESP_AT * MIB)
        to.write(file.read())
    return disk


def _firmware(world):
    folder = world.new_folder("firmware")
    for name in ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(b"\0" * 4096)
    return folder


class Trial:
    """A run of the verb on an image, with the guest that `plot` tells of."""

    def __init__(self, world, plot, *options, image=None):
        self.folder = world.new_folder("trial")
        self.output, self.scratch = self.folder + "/results", self.folder + "/scratch"
        os.makedirs(self.scratch)
        qemu = os.path.join(self.folder, "qemu-" + plot)
        with open(qemu, "w", encoding="ascii") as file:
            file.write(PLAY)
        os.chmod(qemu, 0o755)
        self.image = image or _image(world)
        self.process = subprocess.Popen(
            [world.program("image-builder/bascule-image"), "test", self.image, "-o", self.output, "--qemu", qemu, "--firmware",
             _firmware(world), "--timeout", "20", "--json", *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=dict(os.environ, TMPDIR=self.scratch))

    def end(self, status):
        out, self.told = self.process.communicate(timeout=120)
        assert self.process.returncode == status, (self.process.returncode, out, self.told)
        assert not os.listdir(self.scratch), os.listdir(self.scratch)
        for pid in self.pids():
            self.wait_gone(pid)
        return json.loads(out)

    def pids(self):
        try:
            with open(self.folder + "/pids", encoding="ascii") as file:
                return [int(line.split()[0]) for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []

    @staticmethod
    def wait_gone(pid):
        for _ in range(500):
            try:
                with open("/proc/%d/stat" % pid, encoding="ascii") as file:
                    if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                        return
            except (FileNotFoundError, ProcessLookupError):
                return
            time.sleep(0.02)
        raise AssertionError("QEMU outlived the test")

    def cases(self):
        suite = ET.parse(self.output + "/junit.xml").getroot().find("testsuite")
        return suite, {case.get("classname") + " " + case.get("name"): case for case in suite}

    def read(self, name):
        with open(os.path.join(self.output, name), "rb") as file:
            return file.read()


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@test
def a_guest_that_blesses_its_release_passes(world):
    image = _image(world)
    before = _digest(image)
    trial = Trial(world, "healthy", "--accelerator", "emulation", image=image)
    summary = trial.end(0)
    suite, cases = trial.cases()
    assert (summary["id"], summary["version"], summary["accelerator"]) == ("host", "1.0", "emulation"), summary
    assert list(cases) == ["image boot", "image healthy"] and not any(len(case) for case in cases.values()), cases
    assert suite.get("tests") == "2" and suite.get("failures") == suite.get("errors") == "0"
    assert b"Linux version 6.1" in trial.read("serial.log")
    assert ET.fromstring(trial.read("boot.svg")).tag.endswith("svg")
    assert summary["boot"][0]["phase"] == "firmware" and summary["boot"][-1]["milliseconds"] >= 0, summary["boot"]
    assert [(step["step"], "message" in step) for step in summary["steps"]] == [("boot", False), ("healthy", False)], summary
    assert _digest(image) == before, "the image was written to"


@test
def a_qcow2_image_will_do(world):
    raw = _image(world)
    image = raw + ".qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, image], check=True)
    assert Trial(world, "healthy", "--accelerator", "emulation", image=image).end(0)["passed"] == 2


@test
def an_update_is_followed_from_outside(world):
    repository = world.new_folder("repository")
    for folder in ("metadata", "targets/releases"):
        os.makedirs(os.path.join(repository, folder))
    with open(repository + "/metadata/timestamp.json", "w", encoding="ascii") as file:
        file.write("signed, as it were")
    options = ["--accelerator", "emulation", "--update-from", _image(world, "host_0.9+3.efi"), "--repo", repository]
    missing = Trial(world, "healthy", *options)
    assert "no release 1.0" in missing.end(2)["error"]["message"]
    assert missing.cases()[0].get("errors") == "1"
    os.makedirs(repository + "/targets/releases/1.0")
    trial = Trial(world, "healthy", *options)
    summary = trial.end(0)
    _, cases = trial.cases()
    assert (summary["version"], summary["updated-from"], summary["passed"], summary["skipped"]) == ("1.0", "0.9", 6, 1), summary
    assert [name for name in cases if name.startswith("update ")] == [
        "update boot", "update healthy", "update update", "update new release healthy", "update rollback"]
    assert "--ssh-key" in cases["update rollback"].find("skipped").get("message")
    same = Trial(world, "healthy", "--accelerator", "emulation", "--update-from", _image(world), "--repo", repository)
    assert "both images are of version 1.0" in same.end(2)["error"]["message"]


@test
def a_guest_that_hangs_fails_in_time_with_what_it_showed(world):
    trial = Trial(world, "stuck", "--accelerator", "emulation", "--timeout", "2")
    summary = trial.end(1)
    suite, cases = trial.cases()
    assert summary["failed"] == 1 and suite.get("failures") == "1"
    assert len(cases["image boot"]) == 0
    failure = cases["image healthy"].find("failure")
    assert "not within 2 s" in failure.get("message") and "Kernel panic - not syncing: <no>?" in failure.get("message")
    assert "</failure>??]]>" in failure.text, failure.text
    assert b"\xff\0]]>" in trial.read("serial.log"), "the log is as it was sent"


@test
def a_guest_that_starts_over_and_over_is_not_waited_for(world):
    trial = Trial(world, "restarts", "--accelerator", "emulation", "--timeout", "100")
    trial.end(1)
    message = trial.cases()[1]["image healthy"].find("failure").get("message")
    assert "given up by the boot loader after 3 tries" in message, message


@test
def a_guest_that_goes_off_has_failed(world):
    trial = Trial(world, "off", "--accelerator", "emulation")
    trial.end(1)
    _, cases = trial.cases()
    messages = [part.get("message") for case in cases.values() for part in case.findall("failure")]
    assert len(messages) == 1 and "went off" in messages[0], messages


@test
def a_qemu_that_dies_is_no_verdict_on_the_image(world):
    trial = Trial(world, "dies", "--accelerator", "emulation")
    error = trial.end(15)["error"]
    suite, _ = trial.cases()
    assert "not to my liking" in error["message"], error
    assert suite.get("errors") == "1" and suite.get("failures") == "0"
    assert b"not to my liking" in trial.read("serial-qemu.log")


@test
def what_is_missing_is_named(world):
    trial = Trial(world, "healthy", "--qemu", "/no/such/qemu")
    assert "/no/such/qemu" in trial.end(15)["error"]["message"]
    trial = Trial(world, "healthy", "--accelerator", "emulation", "--firmware", world.new_folder("empty"))
    assert "ovmf" in trial.end(15)["error"]["message"]
    assert trial.cases()[0].get("errors") == "1"
    trial = Trial(world, "healthy", image=_image(world, "host_1.0.efi"))
    assert "never started" in trial.end(12)["error"]["message"]
    assert "--ssh-key" in Trial(world, "healthy", "--check-command", "true").end(2)["error"]["message"]
    assert "--repo" in Trial(world, "healthy", "--update-from", "x").end(2)["error"]["message"]


@test
def kvm_is_used_only_if_it_runs_the_kernel(world):
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Skip("there is no /dev/kvm to try")
    good = Trial(world, "kvm")
    assert good.end(0)["accelerator"] == "kvm"
    bad = Trial(world, "healthy")
    summary = bad.end(0)
    assert summary["accelerator"] == "emulation" and "does not run" in summary["no-kvm-because"], summary
    assert "emulated" in bad.told
    for trial, word in ((good, "-accel kvm"), (bad, "-accel tcg")):
        with open(trial.folder + "/pids", encoding="ascii") as file:
            assert word in file.read().splitlines()[-1]


@test
def no_machine_is_left_whatever_ends_the_test(world):
    for number, status in ((signal.SIGINT, 13), (signal.SIGTERM, 13), (signal.SIGKILL, -9)):
        trial = Trial(world, "stuck", "--accelerator", "emulation", "--timeout", "100")
        while not trial.pids():
            assert trial.process.poll() is None, trial.process.communicate()
            time.sleep(0.02)
        trial.process.send_signal(number)
        if status < 0:
            trial.process.communicate()
            trial.wait_gone(trial.pids()[0])
            assert not os.listdir(trial.scratch)
            continue
        assert "interrupted" in trial.end(status)["error"]["message"]
        assert trial.cases()[0].get("errors") == "1"


# ---- what the guest gets as its repository ----


def _ask(world, folder, request):
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = subprocess.Popen([world.program("image-builder/bascule-image"), "test", "--serve", folder], stdin=theirs,
                                       stdout=theirs, stderr=subprocess.DEVNULL)
        ours.sendall(request)
        ours.shutdown(socket.SHUT_WR)
        answer = b""
        while True:
            try:
                part = ours.recv(65536)
            except ConnectionResetError:  # it had not read all that was asked
                break
            if not part:
                break
            answer += part
        process.wait()
    return answer


@test
def a_repository_is_served_and_nothing_beside_it(world):
    folder = world.new_folder("served")
    os.makedirs(folder + "/repo/metadata")
    content = bytes(range(256)) * 1000
    for path, data in ((folder + "/secret", b"secret"), (folder + "/repo/metadata/a b", content)):
        with open(path, "wb") as file:
            file.write(data)
    os.symlink("../secret", folder + "/repo/link")
    repo = folder + "/repo"

    def get(path, *headers):
        head, body = _ask(world, repo, "\r\n".join(["GET /%s HTTP/1.1" % path, *headers, "", ""]).encode()).split(b"\r\n\r\n", 1)
        return head, body

    os.rename(repo + "/metadata/a b", repo + "/metadata/a")
    head, body = get("metadata/a", "Host: x")
    assert head.startswith(b"HTTP/1.1 200 ") and body == content
    head, body = get("metadata/a", "Range: bytes=100-299")
    assert head.startswith(b"HTTP/1.1 206 ") and b"bytes 100-299/256000" in head and body == content[100:300]
    assert get("metadata/a", "range: bytes=255990-999999999999999999999")[0].startswith(b"HTTP/1.1 200 ")
    assert get("metadata/a", "Range: bytes=255990-")[1] == content[255990:]
    assert get("metadata/a", "Range: bytes=256000-")[0].startswith(b"HTTP/1.1 416 ")
    assert get("metadata/a", "Range: bytes=5-4")[1] == content
    for path in ("../secret", "link", "metadata/../../secret", "/etc/passwd", "metadata", "", "no", "%2e%2e/secret"):
        assert get(path)[0].startswith(b"HTTP/1.1 404 "), path
    for request in (b"POST / HTTP/1.1\r\n\r\n", b"GET /metadata/a\r\n\r\n", b"\0\r\n\r\n", b"GET metadata/a HTTP/1.1\r\n\r\n"):
        assert _ask(world, repo, request).startswith(b"HTTP/1.1 400 "), request
    assert _ask(world, repo, b"GET /" + b"x" * 20000).startswith(b"HTTP/1.1 431 ")
    two = _ask(world, repo, b"HEAD /metadata/a HTTP/1.1\r\n\r\nGET /metadata/a HTTP/1.0\r\n\r\nGET /no HTTP/1.1\r\n\r\n")
    assert two.count(b"HTTP/1.1 200 ") == 2 and two.endswith(content), "one after the other, until the client is done"


if __name__ == "__main__":
    run()
