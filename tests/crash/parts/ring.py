# SPDX-License-Identifier: Apache-2.0
"""Three releases, and deltas from each to each, so that an update always finds another one in the slot that it writes."""
import json
import os

from . import host_disk  # noqa: F401 pylint: disable=unused-import
from harness.repository import bascule_image, sha256  # pylint: disable=wrong-import-order


class Ring:
    """Publishes `images` in `repository`."""

    def __init__(self, world, repository, images):
        self.world, self.images, self.repository = world, images, repository
        for image in images:
            repository.release(image, lambda manifest, image=image: self._add_deltas(manifest, image))

    def _file(self, image, name, content):
        path = os.path.join(image.folder, name)
        if not os.path.exists(path):
            with open(path, "wb") as file:
                file.write(content)
        return path

    def _add_deltas(self, manifest, image):
        for old in self.images:
            if old is image:
                continue
            root, uki = self._file(old, "root.content", old.root), self._file(old, "uki.content", old.uki)
            for kind, sources in (("root", [root]), ("uki", [root, uki, self._file(image, "root.content", image.root)])):
                manifest["images"][kind]["payloads"].append(self._delta(image, old, kind, sources))

    def _delta(self, image, old, kind, sources):
        path = os.path.join(image.folder, "%s-from-%s.payload" % (kind, old.version))
        arguments = [part for source in sources for part in ("--from", source)]
        bascule_image(self.world, "payload", "make", os.path.join(image.folder, kind + ".content"), "-o", path, "--level", "1",
                      "--group-size", "262144", *arguments)
        told = json.loads(bascule_image(self.world, "payload", "inspect", path, "--json"))
        with open(path, "rb") as file:
            data = file.read()
        target = "payloads/%s/%s/%s-from-%s.payload" % (image.version, image.architecture, kind, old.version)
        self.repository.put_target(target, data)
        return {"path": target, "size": len(data), "sha256": sha256(data), "index-size": told["index-size"],
                "index-sha256": told["index-sha256"], "memory": told["decoder-memory"],
                "from": {"root-hash": old.root_hash.hex(), "uki-sha256": sha256(old.uki)}}
