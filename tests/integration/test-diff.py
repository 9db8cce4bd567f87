#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `bascule-image diff` says of two images."""
import json
import os
import struct
import subprocess

from harness.repository import bascule_image
from harness.tap import run, test

STATUS = "Package: %s\nStatus: install ok installed\nInstalled-Size: 1\nArchitecture: amd64\nVersion: %s\n\n"


def _write(tree, path, content, mode=0o644):
    full = os.path.join(tree, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="ascii") as file:
        file.write(content)
    os.chmod(full, mode)
    return full


def _enable(tree, target, unit):
    folder = os.path.join(tree, "etc/systemd/system", target + ".wants")
    os.makedirs(folder, exist_ok=True)
    os.symlink("/usr/lib/systemd/system/" + unit, os.path.join(folder, unit))


def _image(world, fill):
    folder = world.new_folder("diff")
    tree, image = folder + "/tree", folder + "/root.erofs"
    os.makedirs(tree)
    fill(tree)
    subprocess.run(["mkfs.erofs", "-T1", "--all-root", image, tree], check=True, capture_output=True)
    return image


def _old(tree):
    _write(tree, "usr/share/bascule/dpkg/status", STATUS % ("bash", "5.1") + STATUS % ("gone", "1") + STATUS % ("same", "2"))
    _write(tree, "usr/bin/su", "su", 0o4755)
    _write(tree, "usr/bin/tool", "tool")
    _write(tree, "usr/bin/removed", "x" * 5000)
    _write(tree, "usr/lib/modules/6.1.0-1/config", "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=y\n")
    _enable(tree, "multi-user.target", "old.service")
    _enable(tree, "multi-user.target", "both.service")


def _new(tree):
    _write(tree, "usr/share/bascule/dpkg/status", STATUS % ("bash", "5.2") + STATUS % ("fresh", "3") + STATUS % ("same", "2"))
    _write(tree, "usr/bin/su", "su", 0o755)
    _write(tree, "usr/bin/tool", "TOOL", 0o6755)
    _write(tree, "usr/bin/added", "y" * 9000)
    _write(tree, "usr/lib/modules/6.1.0-2/config", "CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=m\n")
    _enable(tree, "multi-user.target", "new.service")
    _enable(tree, "multi-user.target", "both.service")
    if os.geteuid() == 0:
        # cap_net_raw, effective
        os.setxattr(_write(tree, "usr/bin/ping", "ping", 0o755), "security.capability",
                    struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))


@test
def everything_that_changed_is_named(world):
    old, new = _image(world, _old), _image(world, _new)
    report = json.loads(bascule_image(world, "diff", old, new, "--json"))
    assert report["packages"] == [{"package": "bash", "old": "5.1", "new": "5.2"}, {"package": "fresh", "old": "", "new": "3"},
                                  {"package": "gone", "old": "1", "new": ""}], report["packages"]
    changes = {row["path"]: row["change"] for row in report["file-changes"]}
    assert changes["/usr/bin/removed"] == "removed" and changes["/usr/bin/added"] == "added", changes
    assert changes["/usr/bin/tool"] == "changed" and changes["/usr/bin/su"] == "attributes", changes
    assert "/usr/lib/systemd" not in " ".join(changes) and "/etc" not in changes, changes
    assert report["file-changes"][0]["path"] == "/usr/bin/added", report["file-changes"]
    assert report["files"]["attributes"] == 1 and report["files"]["removed-bytes"] >= 5000, report["files"]
    privileges = {row["path"]: (row["old"], row["new"]) for row in report["privileges"]}
    assert privileges == {"/usr/bin/su": ("4755 of 0:0", ""), "/usr/bin/tool": ("", "6755 of 0:0")}, privileges
    units = {os.path.basename(row["path"]): (row["old"], row["new"]) for row in report["units"]}
    assert units == {"old.service": ("enabled", ""), "new.service": ("", "enabled")}, units
    options = {row["option"]: (row["old"], row["new"]) for row in report["kernel-options"]}
    assert options == {"CONFIG_B": ("m", "y"), "CONFIG_C": ("n", "m"), "CONFIG_D": ("y", "n")}, options
    if os.geteuid() == 0:
        assert report["capabilities"] == [{"path": "/usr/bin/ping", "old": "", "new": "net_raw"}], report["capabilities"]
    words = bascule_image(world, "diff", old, new)
    assert "kernel options" in words and "CONFIG_B" in words and "/usr/bin/added" in words, words


@test
def nothing_changed(world):
    old = _image(world, _old)
    report = json.loads(bascule_image(world, "diff", old, old, "--json", "--download"))
    assert sorted(report) == ["download", "files", "new", "old"], report
    assert not any(report["files"].values()), report["files"]
    assert report["download"]["root-delta-size"] < 1000, report


@test
def releases_and_folders_tell_what_the_download_costs(world):
    one, two = world.image("1"), world.image("2")
    repo, keys = world.new_folder("diff") + "/repo", world.new_folder("keys") + "/keys"
    bascule_image(world, "keys", "init", keys)
    for image in (one, two):
        released = json.loads(bascule_image(
            world, "release", image.folder, "--repo", repo, "--channel", "stable", "--keys", keys, "--level", "3", "--cache",
            world.folder + "/cache", "--json"))
    report = json.loads(bascule_image(world, "diff", "1", "2", "--repo", repo, "--json"))
    delta = released["deltas"][0]
    assert report["download"] == {"full-size": delta["full-download-size"], "delta-size": delta["download-size"]}, report
    assert report["old"]["version"] == "1" and report["new"]["version"] == "2"
    assert [row["path"] for row in report["file-changes"]] == ["/usr/lib/changed", "/usr/lib/os-release"], report
    folders = json.loads(bascule_image(world, "diff", one.folder, two.folder, "--json"))
    assert folders["file-changes"] == report["file-changes"] and "download" not in folders, folders


@test
def what_is_not_there_is_refused(world):
    old = _image(world, _old)
    for arguments in ((old, "2"), (old,), (old, __file__), ("1", old, "--repo", world.folder)):
        try:
            bascule_image(world, "diff", *arguments)
        except RuntimeError as error:
            assert "bascule-image: " in str(error), error
        else:
            raise AssertionError("diff %s succeeded" % (arguments,))


if __name__ == "__main__":
    run()
