# SPDX-License-Identifier: Apache-2.0
"""What tests share: a scratch folder, a message bus, keys, and images that are made when first asked for."""
import os
import shutil
import subprocess
import tempfile

from .host import Host
from .images import Image
from .repository import Repository
from .servers import Hostile, Nginx

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <keep_umask/>
  <listen>unix:tmpdir=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
"""


class World:
    def __init__(self):
        self.build = os.environ.get("BASCULE_BUILD") or os.path.join(
            os.path.dirname(os.path.abspath(__file__)), "../../../build")
        self.folder = tempfile.mkdtemp(prefix="bascule-test-")
        self.bus = self.bus_address = None
        self.images, self.hosts, self.servers, self.mounts = {}, [], [], []
        self.count = 0
        self.keys = None

    def __enter__(self):
        config = os.path.join(self.folder, "bus.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(BUS_CONFIG % self.folder)
        self.bus = subprocess.Popen(["dbus-daemon", "--config-file=" + config, "--nofork", "--nopidfile",
                                     "--print-address"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.bus_address = self.bus.stdout.readline().strip()
        self.keys = os.path.join(self.folder, "keys")
        return self

    def __exit__(self, *unused):
        self.clean()
        self.bus.kill()
        self.bus.wait()
        self.bus.stdout.close()
        if not os.environ.get("BASCULE_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def program(self, path):
        return os.path.join(self.build, path)

    @property
    def is_sanitized(self):
        """Such programs run without a filter of system calls: a sanitizer makes calls of its own."""
        with open(self.program("update-engine/basculed"), "rb") as file:
            return b"__asan_init" in file.read()

    @property
    def trusted_root(self):
        return os.path.join(self.keys, "root.json")

    def new_folder(self, name):
        self.count += 1
        path = os.path.join(self.folder, "%s%d" % (name, self.count))
        os.makedirs(path)
        return path

    # ---- What tests ask for ----

    def image(self, version, **options):
        key = (version, tuple(sorted(options.items())))
        if key not in self.images:
            self.images[key] = Image(os.path.join(self.folder, "image%d" % len(self.images)), version, **options)
        return self.images[key]

    def repository(self, *images, keys=None):
        """A repository that offers these images in the channel "stable"."""
        repository = Repository(self, self.new_folder("repository"), keys or self.keys)
        for image in images:
            repository.release(image)
        return repository

    def nginx(self, repository):
        return self._server(Nginx(self.new_folder("nginx"), repository.folder))

    def hostile(self, repository, certificate=None):
        return self._server(Hostile(repository.folder, certificate))

    def _server(self, server):
        self.servers.append(server)
        return server

    def host(self, image, url, **options):
        host = Host(self, image, url, **options)
        self.hosts.append(host)
        return host

    def small_filesystem(self, size_kib):
        """A folder with only that much room; the caller has asked for root."""
        path = self.new_folder("small")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dk,mode=0755" % size_kib, "bascule-test", path], check=True)
        self.mounts.append(path)
        return path

    # ---- The end of a test ----

    def explain(self):
        lines = []
        for host in self.hosts:
            lines += ["", "log of %s:" % host.folder] + host.log().splitlines()[-40:]
        return lines

    def clean(self):
        for host in self.hosts:
            host.clean()
        for server in self.servers:
            server.stop()
        for path in self.mounts:
            subprocess.run(["umount", "-l", path], check=False)
        for host in self.hosts:
            shutil.rmtree(host.folder, ignore_errors=True)
        self.hosts, self.servers, self.mounts = [], [], []
