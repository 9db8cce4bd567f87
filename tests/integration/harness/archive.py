# SPDX-License-Identifier: Apache-2.0
"""A tiny package archive: real packages made by dpkg-deb, indexes by apt-ftparchive, signed with a key of its own."""
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile

from .oci import archive

SUITE = "tiny"


def _run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, **options).stdout


class Archive:
    def __init__(self, world, name="archive"):
        self.folder = world.new_folder(name)
        self.pool = os.path.join(self.folder, "pool")
        self.dist = os.path.join(self.folder, "dists", SUITE)
        self.scratch = world.new_folder("debs")
        self.home = world.new_folder("gnupg")
        self.keyring = os.path.join(self.home, "archive.gpg")
        os.makedirs(self.pool)
        os.chmod(self.home, 0o700)
        self._gpg("--quick-generate-key", "archive@test.example", "ed25519", "sign", "0")
        with open(self.keyring, "wb") as file:
            file.write(self._gpg("--export"))
        os.chmod(self.home, 0o755)
        os.chmod(self.keyring, 0o644)

    def _gpg(self, *arguments):
        return _run("gpg", "--homedir", self.home, "--batch", "--pinentry-mode", "loopback", "--passphrase", "",
                    "--no-permission-warning", "--quiet", *arguments)

    def _stop_agent(self):
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=False, capture_output=True)

    def path(self, name, version):
        return os.path.join(self.pool, "%s_%s_all.deb" % (name, version.replace(":", "%3a")))

    def sha256(self, name, version):
        with open(self.path(name, version), "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def add(self, name, version="1", compression="xz", content="x", changelog=None, members=(), control=(), **fields):
        """A package; fields such as Depends="other", Priority="required", Essential="yes"; with the text of a changelog, files
        and links (oci.member()), and files of its control archive by name, whose owner may execute what begins with #!."""
        tree = os.path.join(self.scratch, name)
        shutil.rmtree(tree, ignore_errors=True)
        with tarfile.open(fileobj=io.BytesIO(archive(*members))) as tar:
            tar.extractall(tree)
        if changelog:
            folder = os.path.join(tree, "usr/share/doc", name)
            os.makedirs(folder, exist_ok=True)
            with gzip.open(folder + "/changelog.Debian.gz", "wb") as file:
                file.write(changelog.encode())
        os.makedirs(os.path.join(tree, "DEBIAN"), exist_ok=True)
        with open(os.path.join(tree, "DEBIAN/control"), "w", encoding="ascii") as file:
            file.write("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@test.example>\n"
                       "Description: made for a test\n" % (name, version))
            for key, value in fields.items():
                file.write("%s: %s\n" % (key.replace("_", "-"), value))
        for path, text in dict(control).items():
            with open(os.path.join(tree, "DEBIAN", path), "w", encoding="ascii") as file:
                file.write(text)
            os.chmod(file.name, 0o755 if text.startswith("#!") else 0o644)
        with open(os.path.join(tree, "content-of-" + name), "w", encoding="ascii") as file:
            file.write(content)
        _run("dpkg-deb", "--root-owner-group", "-Z" + compression, "--build", tree, self.path(name, version))

    def remove(self, name, version):
        os.unlink(self.path(name, version))

    def publish(self, **fields):
        """Indexes of what is in the pool, signed; with these fields of the Release file, such as Valid_Until="..."."""
        index = os.path.join(self.dist, "main/binary-amd64")
        os.makedirs(index, exist_ok=True)
        with open(index + "/Packages", "wb") as file:
            file.write(_run("apt-ftparchive", "packages", "pool", cwd=self.folder))
        release = _run("apt-ftparchive", "-o", "APT::FTPArchive::Release::Suite=" + SUITE, "-o",
                       "APT::FTPArchive::Release::Codename=" + SUITE, "-o", "APT::FTPArchive::Release::Components=main",
                       "-o", "APT::FTPArchive::Release::Architectures=amd64", "release", self.dist)
        for key, value in fields.items():
            name = key.replace("_", "-").encode()
            release = name + b": " + value.encode() + b"\n" + re.sub(rb"(?m)^%s:.*\n" % name, b"", release)
        plain = os.path.join(self.scratch, "Release")
        with open(plain, "wb") as file:
            file.write(release)
        with open(os.path.join(self.dist, "InRelease"), "wb") as file:
            file.write(self._gpg("--clearsign", "--output", "-", plain))
        self._stop_agent()

    def read(self, path):
        with open(os.path.join(self.dist, path), "rb") as file:
            return file.read()
