# SPDX-License-Identifier: Apache-2.0
"""OCI image layouts, right and wrong: layers, configs, manifests and indexes, written as tools like umoci write them."""
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile

TYPE = "application/vnd.oci.image."
REF_NAME = "org.opencontainers.image.ref.name"
COMPRESSIONS = {"": lambda data: data, "+gzip": lambda data: gzip.compress(data, mtime=0),
                "+zstd": lambda data: subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout}


def member(name, text=None, kind=None, link="", mode=None, **fields):
    """A member of an archive: a file if there is text, else a folder, or what `kind` says."""
    info = tarfile.TarInfo(name)
    info.type = kind or (tarfile.REGTYPE if text is not None else tarfile.DIRTYPE)
    info.mode = mode if mode is not None else (0o755 if info.isdir() else 0o644)
    info.linkname = link
    for key, value in fields.items():
        setattr(info, key, value)
    data = text.encode() if isinstance(text, str) else text or b""
    info.size = len(data)
    return info, data


def archive(*members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layout:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(os.path.join(folder, "blobs/sha256"), exist_ok=True)
        self.write("oci-layout", {"imageLayoutVersion": "1.0.0"})
        self.entries = []

    def write(self, name, value):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        with open(os.path.join(self.folder, name), "wb") as file:
            file.write(data)
        return data

    def path(self, name):
        return os.path.join(self.folder, "blobs/sha256", name.partition(":")[2])

    def blob(self, value, kind, **more):
        """Adds a blob and returns its descriptor."""
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        with open(self.path(digest(data)), "wb") as file:
            file.write(data)
        return dict(mediaType=kind if "/" in kind else TYPE + kind, digest=digest(data), size=len(data), **more)

    def image(self, *layers, architecture="amd64", compression="+gzip", change=None):
        """The descriptor of an image of layers (archives). `change` may alter config and manifest, which it is given."""
        blobs = [self.blob(COMPRESSIONS[compression](layer), "layer.v1.tar" + compression) for layer in layers]
        config = {"architecture": architecture, "os": "linux",
                  "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]}}
        manifest = {"schemaVersion": 2, "mediaType": TYPE + "manifest.v1+json", "layers": blobs}
        if change:
            change(config, manifest)
        manifest.setdefault("config", self.blob(config, "config.v1+json"))
        return self.blob(manifest, "manifest.v1+json")

    def index(self, *entries):
        """The descriptor of a nested index."""
        return self.blob({"schemaVersion": 2, "manifests": list(entries)}, "index.v1+json")

    def tag(self, descriptor, name=None, platform=None):
        """Names an image, or an index, in index.json."""
        entry = dict(descriptor)
        if name:
            entry["annotations"] = {REF_NAME: name}
        if platform:
            entry["platform"] = {"os": "linux", "architecture": platform}
        self.entries.append(entry)
        self.write("index.json", {"schemaVersion": 2, "manifests": self.entries})
        return self
