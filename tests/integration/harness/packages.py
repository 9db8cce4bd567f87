# SPDX-License-Identifier: Apache-2.0
"""Builds that install tiny packages on a base: a system with a dpkg that works, an archive and its web server."""
import json
import os

from .archive import SUITE, Archive
from .oci import archive, member
from .servers import Hostile
from .system import SYSTEM, Scene, programs
from .tap import need_root

# What dpkg needs to install a package without scripts.
PROGRAMS = ("/bin/sh", "/bin/rm", "/bin/tar", "/usr/bin/env", "/usr/bin/diff", "/usr/bin/dpkg", "/usr/bin/dpkg-deb",
            "/usr/bin/dpkg-split", "/usr/sbin/ldconfig", "/usr/sbin/start-stop-daemon")
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
