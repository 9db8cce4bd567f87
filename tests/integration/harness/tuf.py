# SPDX-License-Identifier: Apache-2.0
"""A producer of TUF metadata that shares no code with ours: JSON by Python, signatures by the openssl program. Small
enough to be bent where a test needs a repository that no honest producer would make."""
import hashlib
import json
import os
import subprocess
import time

ROLES = ("root", "targets", "snapshot", "timestamp")
FAR = "2099-01-01T00:00:00Z"


def canonical(value):
    """Canonical JSON, for what stands in our metadata: ASCII strings and whole numbers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def expired():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))


class Key:
    def __init__(self, path):
        self.path = path
        if not os.path.exists(path):
            subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", path], check=True, capture_output=True)
        der = subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"], check=True,
                             capture_output=True).stdout
        self.public = {"keytype": "ed25519", "keyval": {"public": der[-32:].hex()}, "scheme": "ed25519"}
        self.keyid = hashlib.sha256(canonical(self.public)).hexdigest()

    def sign(self, data):
        message = self.path + ".message"
        with open(message, "wb") as file:
            file.write(data)
        return subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.path, "-in", message], check=True,
                              capture_output=True).stdout.hex()


class Metadata:
    """The four roles of one repository, with one key each, in a folder."""

    def __init__(self, keys_folder, repository):
        os.makedirs(keys_folder, exist_ok=True)
        self.folder = os.path.join(repository, "metadata")
        self.keys = {role: Key(os.path.join(keys_folder, role + ".pem")) for role in ROLES}
        self.versions = {role: 0 for role in ROLES}
        self.expires = {role: FAR for role in ROLES}
        self.targets = {}
        self.trusted_root = os.path.join(keys_folder, "root.json")
        os.makedirs(self.folder, exist_ok=True)
        self._write_root()

    def _sign(self, role, signed):
        signed = {"_type": role, "spec_version": "1.0.34", "version": self.versions[role],
                  "expires": self.expires[role], **signed}
        signature = {"keyid": self.keys[role].keyid, "sig": self.keys[role].sign(canonical(signed))}
        return json.dumps({"signatures": [signature], "signed": signed}).encode()

    def _put(self, name, data):
        temporary = os.path.join(self.folder, "." + name)
        with open(temporary, "wb") as file:
            file.write(data)
        os.rename(temporary, os.path.join(self.folder, name))

    def _write_root(self):
        self.versions["root"] = 1
        keys = {key.keyid: key.public for key in self.keys.values()}
        roles = {role: {"keyids": [key.keyid], "threshold": 1} for role, key in self.keys.items()}
        if not os.path.exists(self.trusted_root):
            data = self._sign("root", {"consistent_snapshot": True, "keys": keys, "roles": roles})
            with open(self.trusted_root, "wb") as file:
                file.write(data)
        with open(self.trusted_root, "rb") as file:
            self._put("1.root.json", file.read())

    def publish(self):
        """Signs targets, snapshot and timestamp anew, in this order."""
        for role in ("targets", "snapshot", "timestamp"):
            self.versions[role] += 1
        targets = self._sign("targets", {"targets": self.targets})
        snapshot = self._sign("snapshot", {"meta": {"targets.json": self._entry("targets", targets)}})
        timestamp = self._sign("timestamp", {"meta": {"snapshot.json": self._entry("snapshot", snapshot)}})
        self._put("%d.targets.json" % self.versions["targets"], targets)
        self._put("%d.snapshot.json" % self.versions["snapshot"], snapshot)
        self._put("timestamp.json", timestamp)

    def _entry(self, role, data):
        return {"version": self.versions[role], "length": len(data),
                "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}
