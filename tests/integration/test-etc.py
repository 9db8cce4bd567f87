#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`bascule etc diff` on a real overlay, in a root folder of its own."""
import json
import os
import subprocess

from harness.tap import Skip, need_root, run, test

# In a mount namespace of its own: a root with the overlay that bascule-init makes, and the programs of this machine.
ENTER = """
set -e
root=$1 program=$2
# No mount from here on may be seen outside. (A chroot's own root is no mount, so it cannot be told that as a whole.)
mount --make-private "$root"
for folder in usr proc; do mount --make-rprivate --rbind "/$folder" "$root/$folder"; done
mount --bind "$root/os-release" "$root/usr/lib/os-release"
mount --bind "$(dirname "$program")" "$root/program"
state=$root/var/lib/bascule/etc/7
mount -t overlay overlay -o "lowerdir=$root/etc,upperdir=$state/upper,workdir=$state/work" "$root/etc"
shift 2
exec chroot "$root" sh -c "$1"
"""


def _put(root, path, text):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _make_root(world):
    root = world.small_filesystem(16 << 10)  # what an upper layer may lie on
    for folder in ("usr", "proc", "program", "var/lib/bascule/etc/7/upper", "var/lib/bascule/etc/7/work"):
        os.makedirs(os.path.join(root, folder))
    for name in ("lib", "lib64", "bin"):
        os.symlink("usr/" + name, os.path.join(root, name))
    _put(root, "os-release", "IMAGE_ID=test-host\nIMAGE_VERSION=\"7\"\n")
    _put(root, "etc/hostname", "release\n")
    _put(root, "etc/motd", "Hello\n")
    _put(root, "etc/ssh/sshd_config", "Port 22\n")
    _put(root, "etc/cron/daily", "x\n")
    return root


def _inside(world, root, script):
    done = subprocess.run(["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", ENTER, "sh", root,
                           world.program("update-engine/bascule"), script],
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode == 32:
        raise Skip("no overlay filesystem: " + done.stderr.strip())
    return done


@test
def changes_through_the_overlay_are_listed(world):
    need_root("to mount an overlay")
    done = _inside(world, _make_root(world), """
        echo mine >/etc/hostname
        echo new >/etc/new.conf
        rm /etc/motd
        rm -r /etc/cron && mkdir /etc/cron && echo y >/etc/cron/hourly
        chmod 600 /etc/ssh/sshd_config
        /program/bascule etc diff --json""")
    assert done.returncode == 0, done.stderr
    found = {change["path"]: change["change"] for change in json.loads(done.stdout)["changes"]}
    assert found == {"hostname": "changed", "new.conf": "added", "motd": "removed", "cron/daily": "removed",
                     "cron/hourly": "added", "ssh/sshd_config": "changed"}, found
    assert json.loads(done.stdout)["knows_release"] is False


@test
def an_untouched_etc_has_no_changes(world):
    need_root("to mount an overlay")
    done = _inside(world, _make_root(world), "/program/bascule etc diff")
    assert done.returncode == 0 and "as the release has it" in done.stdout, (done.stdout, done.stderr)


@test
def what_the_release_changed_too_is_marked(world):
    need_root("to mount an overlay")
    root = _make_root(world)
    _put(root, "other/hostname", "an older release\n")
    _put(root, "other/motd", "Hello\n")
    done = _inside(world, root, """
        echo mine >/etc/hostname
        echo mine >/etc/motd
        /program/bascule etc diff --other /other""")
    assert done.returncode == 0, done.stderr
    lines = {line.split()[2]: line for line in done.stdout.splitlines() if line.startswith("~")}
    assert "the release changed it too" in lines["/etc/hostname"], done.stdout
    assert "the release" not in lines["/etc/motd"], done.stdout
    assert "merge by hand" in done.stdout


@test
def on_a_host_that_is_not_ours_it_is_refused(world):
    host = world.host(world.image("1"), "http://127.0.0.1:9")
    result = host.cli("etc", "diff")
    assert result.status == 12 and "IMAGE_VERSION" in result.sentence, (result.status, result.err)


if __name__ == "__main__":
    run()
