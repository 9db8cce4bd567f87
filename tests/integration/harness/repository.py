# SPDX-License-Identifier: Apache-2.0
"""Release repositories: channel, manifests and payloads as signed targets. Payloads come from bascule-image; all else is
made here (tuf.py), so that hosts are shown to read what another producer wrote."""
import hashlib
import json
import os
import subprocess
import time

from .tuf import Metadata


def bascule_image(world, *arguments):
    done = subprocess.run([world.program("image-builder/bascule-image"), *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError("bascule-image %s: %s" % (" ".join(arguments), done.stderr.strip()))
    return done.stdout


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Repository:
    def __init__(self, world, folder, keys):
        self.world, self.folder = world, folder
        self.metadata = Metadata(keys, folder)
        self.channel = {"format": 1, "name": "stable", "id": None, "releases": []}

    def put_target(self, path, data):
        folder, name = os.path.split(path)
        place = os.path.join(self.folder, "targets", folder)
        os.makedirs(place, exist_ok=True)
        with open(os.path.join(place, sha256(data) + "." + name), "wb") as file:
            file.write(data)
        self.metadata.targets[path] = {"length": len(data), "hashes": {"sha256": sha256(data)}}

    def _payload(self, image, kind, content):
        """Made once for an image, put into every repository that offers it."""
        path = os.path.join(image.folder, kind + ".payload")
        if not os.path.exists(path):
            source = os.path.join(image.folder, kind + ".content")
            with open(source, "wb") as file:
                file.write(content)
            bascule_image(self.world, "payload", "make", source, "-o", path, "--level", "1", "--group-size", "262144")
        told = json.loads(bascule_image(self.world, "payload", "inspect", path, "--json"))
        with open(path, "rb") as file:
            data = file.read()
        target = "payloads/%s/%s/%s.full" % (image.version, image.architecture, kind)
        self.put_target(target, data)
        return {"path": target, "size": len(data), "sha256": sha256(data), "index-size": told["index-size"],
                "index-sha256": told["index-sha256"], "memory": told["decoder-memory"]}

    def manifest(self, image):
        return {
            "format": 1, "id": image.image_id, "version": image.version, "architecture": image.architecture,
            "minimum-engine": 1, "notes": "Notes of %s." % image.version,
            "images": {
                "root": {"size": len(image.root), "sha256": sha256(image.root),
                         "verity": {"salt": image.salt.hex(), "root-hash": image.root_hash.hex()},
                         "payloads": [self._payload(image, "root", image.root)]},
                "uki": {"size": len(image.uki), "sha256": sha256(image.uki),
                        "payloads": [self._payload(image, "uki", image.uki)]},
            },
        }

    def release(self, image, change_manifest=None, **of_release):
        """Offers an image in the channel and publishes. `change_manifest` may bend the manifest before it is signed;
        `of_release` are more members of the channel's entry (wave, floor, withdrawn)."""
        manifest = self.manifest(image)
        if change_manifest:
            change_manifest(manifest)
        self.put_target("releases/%s/%s/manifest.json" % (image.version, image.architecture),
                        json.dumps(manifest).encode())
        self.channel["id"] = self.channel["id"] or image.image_id
        self.channel["releases"].append({"version": image.version, "architectures": [image.architecture], **of_release})
        self.publish()

    def publish(self):
        self.put_target("channels/stable.json", json.dumps(self.channel).encode())
        self.metadata.publish()

    def date_timestamp(self, seconds_ago):
        """Of a file that was changed just now the server's tag is not believed: it may change again in the same second."""
        then = time.time() - seconds_ago
        os.utime(self.folder + "/metadata/timestamp.json", (then, then))

    def read(self, name):
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read()

    def write(self, name, data):
        with open(os.path.join(self.folder, name), "wb") as file:
            file.write(data)

    def files(self, part):
        """Paths, relative to the repository, of files whose path contains `part`."""
        found = []
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self.folder)
                if part in path:
                    found.append(path)
        return sorted(found)
