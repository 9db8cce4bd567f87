#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packages that are installed on nothing: what becomes of their files and scripts, what dpkg then knows, and what must fail."""
import os
import shutil
import sys
import tarfile

from harness.oci import archive, member
from harness.packages import Installed
from harness.tap import run, test

DENIED = os.path.join(os.path.dirname(os.path.realpath(__file__)), "harness/denied.py")
WHO = "#!/bin/sh\necho \"$DPKG_MAINTSCRIPT_NAME $DPKG_MAINTSCRIPT_PACKAGE $*\" >>/opt/order\n"


def _deb(name, data, **fields):
    """A package that dpkg-deb would not make: `data` is its data archive."""
    control = "Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: wrong\n" % name
    control += "".join("%s: %s\n" % field for field in fields.items())
    text = b"!<arch>\n"
    for member_name, content in (("debian-binary", b"2.0\n"), ("control.tar", archive(member("control", control))), ("data.tar", data)):
        text += b"%-16s0           0     0     100644  %-10d`\n" % (member_name.encode(), len(content)) + content + b"\n" * (len(content) % 2)
    return text


@test
def packages_are_unpacked_and_configured(world):
    scene = Installed(world)
    scene.archive.add("tool", "3", Depends="library", members=[
        member("bin"), member("bin/tool", "tool", mode=0o4755), member("etc/tool.conf", "setting\n"),
        member("usr/share/doc/tool/README", "read"), member("usr/bin/hard", link="./bin/tool", kind=tarfile.LNKTYPE, mode=0o4755),
        member("usr/lib/tool", link="../share/tool", kind=tarfile.SYMTYPE), member("usr/share/tool/data", "data")],
        control={"preinst": WHO, "postinst": WHO + "cat /etc/tool.conf >/opt/conf\n/usr/sbin/policy-rc.d\necho $? >/opt/policy\nid -u >/opt/user\n", "conffiles": "/etc/tool.conf\n"})
    scene.archive.add("library", "2", members=[member("usr/share/library/plugin", "plugin")], control={
        "postinst": WHO + "[ \"$1\" != triggered ] || echo \"$2\" >/opt/triggered\n",
        "triggers": "# of others\ninterest /usr/share/other\ninterest-noawait named\n"})
    scene.archive.add("other", "1", Depends="tool", control={"postinst": WHO + "dpkg-trigger named\n"})
    scene.archive.publish()
    scene.options += ["--set", "Packages.Install=other", "--set", "Content.Setuid=/usr/bin/tool /usr/bin/hard"]
    assert "packages" in scene.build("")
    tree = scene.tree()
    assert "dpkg itself" not in scene.log(), scene.log()
    order = scene.read("opt/order").splitlines()
    assert order == ["preinst tool install", "postinst library configure", "postinst tool configure ", "postinst other configure ",
                     "postinst library triggered named"] or order[0] == "preinst tool install", order
    assert scene.read("opt/conf") == "setting\n" == scene.read("etc/tool.conf") and scene.read("opt/triggered") == "named\n"
    assert scene.read("opt/policy") == "101\n" and scene.read("opt/user") == "0\n"
    assert tree["usr/bin/tool"].mode == 0o4755 and {tree["usr/bin/tool"].islnk(), tree["usr/bin/hard"].islnk()} == {True, False}
    assert tree["usr/lib/tool"].issym() and tree["bin"].issym() and "usr/share/doc/tool/README" not in tree
    assert not [name for name in tree if name.endswith(".dpkg-new") or "policy-rc.d" in name or "bascule-configure" in name]
    assert scene.packages() == {"tool": "3", "library": "2", "other": "1", "unasked": "2",
                                "usr-is-merged": "37"}, scene.packages()
    folder = "usr/share/bascule/dpkg/"
    status = scene.read(folder + "status")
    assert "/etc/tool.conf 14d2fcc3d4fc4dfa9d3cbd3a5fb6ef0c" not in status and " /etc/tool.conf " in status and "unpacked" not in status, status
    assert "newconffile" not in status, status
    names = scene.read(folder + "info/tool.list").splitlines()
    assert names[0] == "/." and {"/bin/tool", "/etc/tool.conf", "/usr/share/doc/tool/README", "/usr/bin/hard"} <= set(names), names
    first = scene.root_hash()
    scene.build("", "--set", "Packages.Documentation=yes")
    assert "usr/share/doc/tool/README" in scene.tree()
    # The same from a lock, once more, and where there is nobody to give a user namespace.
    scene.run("lock", "", "--fetch")
    scene.server.stop()
    for prefix in ([], [sys.executable, DENIED, "user"], [sys.executable, DENIED, "mounts"], [sys.executable, DENIED, "all"]):
        for step in set(os.listdir(scene.cache)) - {"debs"}:
            shutil.rmtree(os.path.join(scene.cache, step), ignore_errors=True)
        scene.prefix = prefix
        assert "packages" in scene.build("", "--locked")
        assert scene.root_hash() == first, prefix


@test
def what_only_dpkg_can_do_is_left_to_it(world):
    scene = Installed(world)
    scene.options += ["--set", "Packages.Install=library"]
    scene.archive.add("apt", Priority="required")
    scene.archive.add("tool", "2", members=[member("opt/same", "of tool")])
    scene.archive.add("library", "1", Replaces="tool", Depends="tool", members=[member("opt/same", "of library")])
    scene.archive.publish()
    scene.build("")
    assert "not the only package with /opt/same: dpkg itself" in scene.log() and scene.read("opt/same") == "of library", scene.log()
    scene.archive.add("library", "2", Depends="tool", members=[member("opt/same", "of library")],
                      control={"preinst": "#!/bin/sh\n  # dpkg-divert would be another way\n"})
    scene.archive.publish()
    scene.run("build", "", status=1, says="the packages cannot be installed")
    assert "trying to overwrite '/opt/same'" in scene.log(), scene.log()
    scene.archive.add("library", "3", Depends="tool", members=[member("opt/same", "of library")], control={
        "preinst": "#!/bin/sh\n[ $1 != install ] || dpkg-divert --package library --divert /opt/other --rename --add /opt/same\n"})
    scene.archive.publish()
    scene.build("")
    assert "the preinst of library may divert files" in scene.log() and scene.read("opt/other") == "of tool", scene.log()
    assert scene.read("opt/same") == "of library"


@test
def a_script_that_fails_is_told(world):
    scene = Installed(world)
    for name, says in (("preinst", "the preinst script of tool failed with status 7"), ("postinst", "not configured: other tool")):
        scene.archive.add("tool", "2", control={name: "#!/bin/sh\necho sorry\nexit 7\n"})
        scene.archive.add("other", Depends="tool")
        scene.archive.publish()
        scene.run("build", "", "--set", "Packages.Install=other", status=1, says="the packages cannot be configured (log: ")
        scene.run("build", "", "--set", "Packages.Install=other", status=1, says=says)
        assert "sorry" in scene.log() and os.listdir(scene.out) == [] and os.listdir(scene.cache + "/packages") == [
            name for name in os.listdir(scene.cache + "/packages") if name.endswith(".lock")], os.listdir(scene.cache + "/packages")


@test
def hostile_packages_are_refused(world):
    scene = Installed(world)
    scene.options += ["--set", "Packages.Install=evil"]
    cases = (
        (archive(member("./"), member("./../../escaped", "x")), {}, "in it"),
        (archive(member("./"), member("/escaped", "x")), {}, "the name is absolute"),
        (archive(member("./"), member("./dev/disk", kind=tarfile.BLKTYPE, devmajor=8)), {}, "device nodes are not allowed"),
        (archive(member("./"), member("./opt/out", link="/", kind=tarfile.SYMTYPE), member("./opt/out/escaped", "x")), {},
         "through something that is not a folder"),
        (archive(member("./"), member("./opt/a", link="etc/shadow", kind=tarfile.LNKTYPE)), {}, "a hard link to what is not in the archive"),
        (archive(member("./"))[:700], {}, "The archive is cut off"),
        (archive(member("./"), member("./var/lib/dpkg/info/unasked.postinst", "#!/bin/sh\n", mode=0o755)), {}, "which is dpkg's own"),
        (archive(member("./")), {"Status": "install ok installed"}, "speaks of its own state"),
        (archive(member("./")), {"Conffiles": "/etc/shadow"}, "speaks of its own state"))
    for number, (data, fields, says) in enumerate(cases):
        path = scene.archive.path("evil", "1")
        with open(path, "wb") as file:
            file.write(_deb("evil", data, **fields))
        scene.archive.publish()
        scene.run("build", "", status=10, says="the package evil")
        scene.run("build", "", status=10, says=says)
        assert os.listdir(scene.out) == [], (number, os.listdir(scene.out))
    for line, says in (("interest ../../../etc/cron.d/x", "a trigger without a proper name"), ("interest", "a trigger without a proper name")):
        os.unlink(scene.archive.path("evil", "1")) if os.path.exists(scene.archive.path("evil", "1")) else None
        scene.archive.add("evil", "2", control={"triggers": line + "\n"})
        scene.archive.publish()
        scene.run("build", "", status=10, says=says)


@test
def names_of_another_package_lead_nowhere_else(world):
    """A link of one package and a file of another below it: inside the tree, as dpkg would do it."""
    scene = Installed(world)
    scene.archive.add("library", "2", members=[member("opt/link", link="/../../../usr/lib", kind=tarfile.SYMTYPE)])
    scene.archive.add("tool", "3", Depends="library", members=[member("opt"), member("opt/link"), member("opt/link/found", "x")])
    scene.archive.publish()
    scene.build("")
    assert scene.tree()["opt/link"].issym() and scene.read("usr/lib/found") == "x"


if __name__ == "__main__":
    run()
