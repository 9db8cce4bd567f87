#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scripts of a recipe: what they may do to the tree, what they see, and what happens when they cannot run or fail."""
import glob
import json
import os
import pwd
import shutil
import signal
import subprocess
import tarfile

from harness.oci import archive, digest, member
from harness.packages import Packages, dpkg_system
from harness.patience import wait_until
from harness.system import RECIPE, SYSTEM, Scene, programs
from harness.tap import Skip, need_root, run, test

PROGRAMS = ("/bin/sh", "/bin/cat", "/bin/chmod", "/bin/chown", "/bin/date", "/bin/ln", "/bin/ls", "/bin/mkdir", "/bin/mknod",
            "/bin/sleep", "/usr/bin/env")
UNIT = "[Unit]\nDescription=made by a script\n[Install]\nWantedBy=multi-user.target\n"


class Scripts(Scene):
    def __init__(self, world):
        super().__init__(world)
        self.scratch = self.path("scratch")
        os.mkdir(self.scratch)
        self.put("a.tar", archive(*SYSTEM, *programs(PROGRAMS), member("opt")))
        self.prefix = []

    def command(self, *words):
        return super().command(*self.prefix, "env", "TMPDIR=" + self.scratch, *words)

    def script(self, text, name="script"):
        self.put(name, ("#!/bin/sh\nset -eu\n" + text).encode())
        return ("--set", "Content.Script=" + self.path(name))

    def read(self, name):
        with tarfile.open(os.path.join(self.out, "root.tar")) as tar:
            return tar.extractfile("./" + name).read().decode()

    def nothing_is_left(self):
        assert os.listdir(self.scratch) == [], os.listdir(self.scratch)


    def begin(self, text, *options):
        """A build in a group of processes of its own, whose script has begun."""
        command = [self.world.program("image-builder/bascule-image"), "build", self.recipe, "--cache", self.cache, "-o", self.out,
                   "--engine-root", self.world.stage, *self.script("echo begun\n" + text), *options]
        with open(self.recipe, "w", encoding="utf-8") as file:
            file.write(RECIPE % "a.tar")
        # What a shell starts in the background ignores SIGINT.
        process = subprocess.Popen(self.command(*command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        wait_until(lambda: "begun" in self.log() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        return process

    def log(self):
        """What scripts have printed."""
        text = ""
        for path in glob.glob(self.cache + "/log/scripts-*"):
            with open(path, encoding="utf-8") as file:
                text += file.read()
        return text


def has_user_namespaces():
    """A folder that was made the root, as by chroot, gives none, and neither do many containers."""
    return subprocess.run(["unshare", "--user", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0


def need_user_namespaces():
    if not has_user_namespaces():
        raise Skip("there are no user namespaces here")


CHANGES = """
echo "$IMAGE_ID $IMAGE_VERSION $SOURCE_DATE_EPOCH" >/opt/zero
mkdir -p /opt/folder /usr/lib/systemd/system
echo one >/opt/folder/one
chown 42:42 /opt/folder/one
chmod 04711 /opt/folder/one
ln /opt/folder/one /opt/two
ln -s folder/one /opt/link
echo "%s" >/usr/lib/systemd/system/made.service
: >/run/gone
""" % UNIT.replace("\n", "\\n")


@test
def a_script_changes_the_tree_and_is_run_again_when_it_changed(world):
    need_user_namespaces()
    scene = Scripts(world)
    options = (*scene.script(CHANGES), "--set", "Services.Enable=made.service")
    assert "root" in scene.build("a.tar", *options)
    first, tree = scene.root_hash(), scene.tree()
    assert scene.read("opt/zero") == "based 1 1769817600\n", scene.read("opt/zero")
    assert tree["opt/folder/one"].mode == 0o4711 and tree["opt/folder/one"].uid == tree["opt/folder/one"].gid == 42
    assert {tree["opt/folder/one"].islnk(), tree["opt/two"].islnk()} == {True, False}
    assert tree["opt/link"].linkname == "folder/one" and not [name for name in tree if name.startswith("run/")]
    assert "etc/systemd/system/multi-user.target.wants/made.service" in tree
    assert tree["etc/shadow"].gid == 42 and tree["etc/shadow"].mode == 0o640 and tree["usr/bin/env"].mode == 0o755
    assert scene.build("a.tar", *options) == []
    with open(scene.path("script"), "rb") as file:
        assert scene.inputs()["script"] == digest(file.read()), scene.inputs()
    shutil.rmtree(scene.cache)
    scene.build("a.tar", *options)
    assert scene.root_hash() == first
    scene.run("repro", "a.tar", *options, "--engine-root", world.stage, says="same      root.erofs")
    # The second script sees what the first did, and either's bytes count.
    options += scene.script("cat /opt/zero /opt/zero >/opt/three\n", "second")
    assert "root" in scene.build("a.tar", *options) and "base" not in scene.build("a.tar", *options)
    assert scene.read("opt/three") == 2 * "based 1 1769817600\n"
    scene.script("cat /opt/zero >/opt/three\n", "second")
    assert "root" in scene.build("a.tar", *options)
    scene.nothing_is_left()


LOOK = """
env >/opt/environment
ls / >/opt/root
ls /dev >/opt/dev
cat /proc/net/dev >/opt/network
cat /proc/self/uid_map >/opt/ids
cat /proc/sys/kernel/hostname >/opt/host
echo $$ >/opt/pid
! mknod /opt/disk b 8 0 2>/dev/null
! [ -e %s ]
ls /proc/self/fd >/opt/descriptors
echo said >/dev/stderr
for setting in core_pattern modprobe hotplug sysrq hostname; do
        if [ -w /proc/sys/kernel/$setting ]; then echo $setting >>/opt/writable; fi
done
sleep 1000 &
"""


def _interfaces(text):
    return {line.split(":")[0].strip() for line in text.splitlines() if ":" in line}


@test
def a_script_sees_the_tree_and_nothing_of_the_machine(world):
    need_user_namespaces()
    scene = Scripts(world)
    scene.prefix = ["sh", "-c", 'exec "$@" 9</', "sh"]  # a caller that leaves a descriptor open
    os.environ["BASCULE_SECRET"] = "of the caller"
    try:
        scene.build("a.tar", *scene.script(LOOK % world.folder))
    finally:
        del os.environ["BASCULE_SECRET"]
    names = {line.partition("=")[0] for line in scene.read("opt/environment").splitlines()}
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "HOME", "LC_ALL", "TZ", "DEBIAN_FRONTEND", "IMAGE_ID", "IMAGE_VERSION",
                                                      "SOURCE_DATE_EPOCH"}, names
    assert set(scene.read("opt/root").split()) == {"bin", "boot", "dev", "etc", "lib", "lib64", "opt", "proc", "run", "sbin", "usr"}, \
        scene.read("opt/root")
    assert set(scene.read("opt/dev").split()) == {"fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"}
    assert set(scene.read("opt/descriptors").split()) <= {"0", "1", "2", "3"}, scene.read("opt/descriptors")  # 3: of ls
    # Root of the image is not the machine's, whoever builds.
    assert "opt/writable" not in scene.tree(), scene.read("opt/writable")
    assert [words.split()[1] for words in scene.read("opt/ids").splitlines() if words.split()[0] == "0"] != ["0"], scene.read("opt/ids")
    assert "said" in scene.log(), scene.log()
    assert _interfaces(scene.read("opt/network")) == {"lo"}, scene.read("opt/network")
    assert scene.read("opt/host") == "localhost\n" and scene.read("opt/pid") == "1\n"
    assert not subprocess.run(["pgrep", "-fx", "sleep 1000"], capture_output=True, check=False).stdout
    with open("/proc/net/dev", encoding="ascii") as file:
        ours = _interfaces(file.read())
    scene.build("a.tar", *scene.script("cat /proc/net/dev >/opt/network\n[ -e /etc/resolv.conf ]\n"), "--set",
                "Content.ScriptNetwork=yes")
    assert _interfaces(scene.read("opt/network")) == ours and "etc/resolv.conf" not in scene.tree()
    scene.nothing_is_left()


@test
def a_script_that_fails_stops_the_build_and_says_why(world):
    need_user_namespaces()
    scene = Scripts(world)
    scene.refuse("a.tar", "script (log: ", 1, *scene.script("echo fine; echo it went wrong >&2; exit 3\n"))
    scene.refuse("a.tar", "it failed with status 3: it went wrong", 1, *scene.script("echo it went wrong >&2; exit 3\n"))
    scene.refuse("a.tar", "two (log: ", 1, *scene.script("exit 0\n"), *scene.script("exit 4\n", "two"))
    scene.put("script", b"#!/usr/bin/none\n")
    scene.refuse("a.tar", "it cannot be started: No such file or directory; has the image what its first line names?", 1,
                 "--set", "Content.Script=" + scene.path("script"))
    scene.refuse("a.tar", "cannot find", 3, "--set", "Content.Script=" + scene.path("none"))
    scene.put("a.tar", archive(*SYSTEM, *programs(PROGRAMS), member("dev", link="/etc", kind=tarfile.SYMTYPE)))
    scene.refuse("a.tar", "Script= needs mounts in a user namespace", 15, *scene.script("exit 0\n"))
    scene.nothing_is_left()


def _kill(scene, kill, number):
    process = scene.begin("sleep 1000\n")
    folders = [os.stat(os.path.join(scene.scratch, name)) for name in os.listdir(scene.scratch)]
    kill(process.pid, number)
    process.communicate()
    assert [status.st_mode & 0o777 for status in folders] == [0o700], folders  # there may be setuid programs in it
    assert process.returncode == -number, process.returncode
    wait_until(lambda: os.listdir(scene.scratch) == [], lambda: os.listdir(scene.scratch))
    shutil.rmtree(scene.cache)


@test
def a_build_that_is_killed_leaves_nothing(world):
    need_user_namespaces()
    scene = Scripts(world)
    _kill(scene, os.killpg, signal.SIGINT)
    _kill(scene, os.kill, signal.SIGTERM)
    _kill(scene, os.kill, signal.SIGKILL)


WAIT = """
exec 3>&1
until case "$(cat /proc/self/fd/3)" in *go-on*) true ;; *) false ;; esac; do
        sleep 0.05
done
"""


def _edit(scene, options, *contents):
    """What is said when a file gets these contents while its tree is made."""
    process = scene.begin(WAIT, *options)
    for data in contents:
        scene.put("file", data)
    for path in glob.glob(scene.cache + "/log/scripts-*"):
        with open(path, "a", encoding="ascii") as file:
            file.write("go-on\n")
    said = process.communicate()[0].decode()
    return process.returncode, said


@test
def what_changes_while_it_is_read_is_not_kept(world):
    need_user_namespaces()
    scene = Scripts(world)
    scene.put("file", b"one")
    options = ("--set", "Content.File=%s:/opt/file" % scene.path("file"))
    for contents in ((b"two",), (b"three", b"two")):  # the second time there and back again
        status, said = _edit(scene, options, *contents)
        assert status == 1 and "changed while it was read; run this again" in said, (status, said)
        shutil.rmtree(scene.cache)
    assert _edit(scene, options)[0] == 0 and scene.read("opt/file") == "two"
    scene.nothing_is_left()


FORBID = ("sh", "-c", "echo 0 >/proc/sys/user/max_user_namespaces && exec \"$@\"", "sh")


@test
def what_two_builds_do_not_share_is_named_with_its_cause(world):
    need_user_namespaces()
    scene = Scripts(world)
    engine = ("--engine-root", world.stage)
    steady, clock = scene.script("echo same >/opt/x\n", "steady"), scene.script("date +%s.%N >/opt/x\n", "clock")
    scene.run("repro", "a.tar", *clock, *engine, status=1, says="bascule-image: not reproducible: the first file that differs is "
              "/opt/x (of no package: a script makes it), by time: let what writes it take SOURCE_DATE_EPOCH")
    # Against what was built before, of a script that does the same each time and of one that does not.
    scene.build("a.tar", *steady)
    report = json.loads(scene.run("repro", "a.tar", *steady, *engine, "--against", scene.out, "--json"))
    assert report["reproducible"] and "difference" not in report, report
    assert sorted(entry["file"] for entry in report["artifacts"]) == sorted(os.listdir(scene.out)), report
    assert all(entry["same"] for entry in report["artifacts"]), report
    chance = scene.script("cat /proc/sys/kernel/random/uuid >/opt/x\n", "chance")
    scene.build("a.tar", *chance)
    report = json.loads(scene.run("repro", "a.tar", *chance, *engine, "--against", scene.out, "--json", status=1,
                                  says="by randomness: "))
    assert not report["reproducible"] and {"file": "root.erofs", "same": False} in report["artifacts"], report
    difference = report["difference"]
    assert (difference["artifact"], difference["path"], difference["package"], difference["cause"]) == (
        "root.erofs", "opt/x", None, "randomness"), difference
    assert "Remove=" in difference["remedy"], difference
    scene.run("repro", "a.tar", *steady, *engine, "--against", scene.path("none"), status=2, says="cannot look into ")
    scene.nothing_is_left()


@test
def without_user_namespaces_nothing_is_run(world):
    scene = Scripts(world)
    if has_user_namespaces():
        scene.prefix = ["unshare", "--user", "--map-root-user", *FORBID]
    scene.refuse("a.tar", "Script= needs a user namespace, so that scripts are root of the image and of nothing else", 15,
                 *scene.script(": >/opt/ran\n"))
    scene.build("a.tar")
    scene.nothing_is_left()


def _own(scene, user):
    subprocess.run(["chown", "-R", "%s:%s" % (user, user), scene.folder], check=True)


@test
def without_user_namespaces_an_ordinary_user_installs_no_packages(world):
    user = "12345"  # nobody, and without a line in /etc/subuid
    scene = Packages(world)
    scene.put("a.tar", dpkg_system())
    says = "installing packages as an ordinary user needs a user namespace"
    prefix = ["setpriv", "--reuid=" + user, "--regid=" + user, "--clear-groups", "env", "HOME=" + scene.folder]
    scene.command = lambda *words: [*prefix, *words]
    _own(scene, user)
    if has_user_namespaces():
        scene.refuse("a.tar", says + " with ids of its own, and /etc/subuid has no line for this user", 15, *scene.options)
        prefix = ["unshare", "--user", "--map-user=" + user, "--map-group=" + user, "--keep-caps", *FORBID]
        _own(scene, "0")
    scene.refuse("a.tar", says + ", so that scripts are root of the image and of nothing else", 15, *scene.options)
    # What is in the cache needs none.
    ours, prefix = prefix, []
    scene.build("a.tar", *scene.options)
    _own(scene, "0" if has_user_namespaces() else user)
    prefix = ours
    assert "packages" not in scene.build("a.tar", *scene.options)


def _ordinary_user():
    """One that has subordinate ids."""
    with open("/etc/subuid", encoding="ascii") as file:
        for line in file:
            try:
                return pwd.getpwnam(line.split(":")[0])
            except KeyError:
                continue
    raise Skip("no user has subordinate ids")


@test
def an_ordinary_user_gets_the_same_image(world):
    need_root("to become another user")
    need_user_namespaces()
    scene = Scripts(world)
    options = (*scene.script(CHANGES), "--set", "Services.Enable=made.service")
    scene.build("a.tar", *options)
    expected = scene.root_hash()
    user = _ordinary_user()
    if not shutil.which("newuidmap") or not os.path.exists("/etc/subgid"):
        raise Skip("newuidmap is not there")
    for path in (world.folder, world.stage):
        os.chmod(path, 0o755)
    shutil.rmtree(scene.cache)
    shutil.rmtree(scene.out)
    subprocess.run(["chown", "-R", "%d:%d" % (user.pw_uid, user.pw_gid), scene.folder], check=True)
    scene.prefix = ["setpriv", "--reuid=%d" % user.pw_uid, "--regid=%d" % user.pw_gid, "--init-groups", "env", "HOME=" + scene.folder]
    scene.build("a.tar", *options)
    assert scene.root_hash() == expected
    scene.nothing_is_left()
    _kill(scene, os.killpg, signal.SIGINT)


if __name__ == "__main__":
    run()
