# SPDX-License-Identifier: Apache-2.0
"""Initrds for machines whose kernel QEMU loads by itself: busybox, programs with their libraries, modules."""
import glob
import os
import re
import shutil
import subprocess

FOLDERS = ("proc", "sys", "dev", "run", "tmp", "var", "modules", "lib", "lib64", "bin")
# In the order in which they are inserted; those that are built in are not there.
MODULES = """virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk failover net_failover virtio_net
nls_cp437 nls_ascii nls_iso8859-1 nls_utf8 fat vfat crc16 libcrc32c crc32c_generic mbcache jbd2 ext4""".split()


def find_kernel(folder):
    """A folder with boot/vmlinuz* and lib/modules: what BASCULE_TEST_KERNEL names, or the archive's."""
    given = os.environ.get("BASCULE_TEST_KERNEL")
    if given:
        return given
    told = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"], check=True, capture_output=True, text=True).stdout
    package = re.search(r"Depends: (linux-image\S+)", told).group(1)
    place = os.path.join(folder, "kernel")
    os.makedirs(place, exist_ok=True)
    subprocess.run(["apt-get", "-q", "download", package], cwd=place, check=True, capture_output=True)
    subprocess.run(["dpkg-deb", "-x", glob.glob(place + "/*.deb")[0], place], check=True)
    return place


def vmlinuz(kernel):
    return glob.glob(os.path.join(kernel, "boot/vmlinuz*"))[0]


def pack(tree):
    names = subprocess.run(["find", "."], cwd=tree, check=True, capture_output=True).stdout
    return subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=tree, input=names, check=True, capture_output=True).stdout


def put(tree, path, content, mode=0o644):
    place = os.path.join(tree, path)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(place, mode)


def _put_programs(tree, paths):
    libraries = set()
    for path in paths:
        shutil.copy(path, tree + "/bin/")
        told = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
        libraries.update(re.findall(r"(/\S+)", told))
    for path in libraries:
        shutil.copy(path, tree + ("/lib64/" if "ld-linux" in path else "/lib/"))


def _put_modules(tree, kernel, modules):
    present = []
    for name in modules:
        found = glob.glob("%s/**/%s.ko" % (kernel, name), recursive=True)
        if found:
            shutil.copy(found[0], tree + "/modules/")
            present.append(name)
    put(tree, "modules/list", "".join(name + "\n" for name in present))


def make_tree(tree, kernel, programs, applets, modules=tuple(MODULES)):
    """All but /init. `programs` are paths of this machine; `applets` are busybox's."""
    for name in FOLDERS:
        os.makedirs(os.path.join(tree, name))
    shutil.copy(shutil.which("busybox"), tree + "/bin/busybox")
    for applet in applets:
        os.symlink("busybox", "%s/bin/%s" % (tree, applet))
    _put_programs(tree, programs)
    _put_modules(tree, kernel, modules)
    put(tree, "etc/passwd", "root:x:0:0::/:/bin/sh\nbascule-fetch:x:998:998::/:/bin/sh\nbascule-apply:x:997:997::/:/bin/sh\n")
    put(tree, "etc/group", "root:x:0:\nbascule-fetch:x:998:\nbascule-apply:x:997:\n")
