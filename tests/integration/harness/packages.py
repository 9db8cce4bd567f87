# SPDX-License-Identifier: Apache-2.0
"""Builds that install tiny packages on a base: a system with a dpkg that works, an archive and its web server."""
import glob
import json
import os
import tarfile

from .archive import SUITE, Archive
from .oci import archive, member
from .servers import Hostile
from .system import SYSTEM, Scene, programs
from .tap import need_root

# What dpkg needs to install a package without scripts.
PROGRAMS = ("/bin/sh", "/bin/rm", "/bin/tar", "/usr/bin/env", "/usr/bin/diff", "/usr/bin/dpkg", "/usr/bin/dpkg-deb",
            "/usr/bin/dpkg-split", "/usr/sbin/ldconfig", "/usr/sbin/start-stop-daemon")
# And with scripts.
TOOLS = PROGRAMS + ("/bin/cat", "/bin/chmod", "/bin/sed", "/usr/bin/dpkg-divert", "/usr/bin/dpkg-query", "/usr/bin/dpkg-trigger", "/usr/bin/id")
RECIPE = "[Image]\nId=installed\nEpoch=2026-01-31\n[Disk]\nFormats=tar\nSlotSize=64M\nVarSize=64M\nEspSize=64M\n"
ACCOUNTS = ("etc/passwd", "etc/group", "etc/shadow", "etc/gshadow")
STATUS = ("Package: library\nStatus: install ok installed\nMaintainer: x\nArchitecture: all\nVersion: %s\n"
          "Description: in the base\n\n"
          # What a build of ours leaves in an archive of packages, which can be a base too.
          "Package: bascule-no-initrd\nStatus: install ok installed\nMaintainer: Bascule\nArchitecture: all\nVersion: 1\n"
          "Description: no initrd\n\n")


def dpkg_system(*more, version="1"):
    """A system with a dpkg that works, made of files of this machine, and one package in its database."""
    members = [*SYSTEM, member("tmp", mode=0o1777), member("var"), member("var/lib"), member("var/lib/dpkg"),
               member("var/lib/dpkg/status", STATUS % version), member("var/lib/dpkg/info"), member("var/lib/dpkg/updates"),
               member("var/lib/dpkg/info/library.list", "/.\n"), member("var/lib/dpkg/info/format", "1\n"), *more]
    return archive(*members, *programs(PROGRAMS), member("usr/sbin"), member("usr/lib64"))


class Packages(Scene):
    """With an archive of tiny packages and the recipe's own mirror."""

    def __init__(self, world):
        need_root("to install packages without subordinate ids")
        super().__init__(world)
        self.archive = Archive(world)
        self.archive.add("tool", "2", Depends="library (>= 1)")
        self.archive.add("library", "1")
        self.archive.add("unasked", Essential="yes", Priority="required")
        self.archive.publish()
        self.server = Hostile(self.archive.folder)
        world.servers.append(self.server)
        os.chmod(world.folder, 0o755)  # apt checks signatures as a user of its own
        self.options = []
        for setting in ("Suites=" + SUITE, "Mirror=" + self.server.url, "Keyring=" + self.archive.keyring,
                        "Install=tool"):
            self.options += ["--set", "Packages." + setting]

    def packages(self):
        with open(os.path.join(self.out, "image.json"), encoding="ascii") as file:
            return {package["name"]: package["version"] for package in json.load(file)["packages"]}


class Installed(Packages):
    """Without a base: an archive whose essential package is a system in which dpkg works."""

    def __init__(self, world):
        super().__init__(world)
        self.recipe_text = lambda base: RECIPE
        everything = [*SYSTEM, *programs(TOOLS)]
        # What is there before any package, and what scripts make.
        system = [(info, data) for info, data in everything if info.name != "./" and info.name not in ACCOUNTS and not info.issym()]
        accounts = "".join("cat >/%s <<EOT\n%sEOT\n" % (info.name, data.decode()) for info, data in SYSTEM if info.name in ACCOUNTS)
        self.archive.add("unasked", "2", Essential="yes", Priority="required", members=[*system, member("opt"), member("run")],
                         control={"preinst": "#!/bin/sh\n" + accounts})
        self.archive.add("usr-is-merged", "37", Source="usrmerge")  # mmdebstrap looks for just that
        self.archive.publish()
        self.prefix = []

    def command(self, *words):
        return [*self.prefix, *words, *self.options]

    def log(self):
        text = ""
        for path in glob.glob(self.cache + "/log/packages-*"):
            with open(path, encoding="utf-8", errors="replace") as file:
                text += file.read()
        return text

    def read(self, name):
        with tarfile.open(os.path.join(self.out, "root.tar")) as tar:
            return tar.extractfile("./" + name).read().decode()
