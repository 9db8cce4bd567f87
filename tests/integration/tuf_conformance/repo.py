# SPDX-License-Identifier: Apache-2.0
"""A TUF repository as files in memory, which a case can make good or bad in any way. It shares no code with ours:
JSON by Python, signatures by python3-cryptography."""
import copy
import hashlib
import itertools
import json
import time
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

PAST = "2020-01-01T00:00:00Z"
FUTURE = "2099-01-01T00:00:00Z"
SPEC = "1.0.34"
TOP_LEVEL = ("root", "timestamp", "snapshot", "targets")


def utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def canonical(value):
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)  # not canonical at all: for cases that try it
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return "{" + ",".join(canonical(name) + ":" + canonical(value[name]) for name in sorted(value)) + "}"


def keyid_of(key_object):
    return hashlib.sha256(canonical(key_object).encode()).hexdigest()


class Key:
    """A key pair. Ed25519 keys come from a counter, since they are needed by the hundred."""
    counter = itertools.count(1)
    kept = {}

    def __init__(self, kind="ed25519", keytype=None, extra=None, salt=None):
        self.kind, self.salt = kind, salt
        if kind == "ed25519":
            seed = hashlib.sha256(b"case key %d" % next(Key.counter)).digest()
            self.private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
            public = self.private.public_key().public_bytes(serialization.Encoding.Raw,
                                                            serialization.PublicFormat.Raw).hex()
            names = ("ed25519", "ed25519")
        else:
            self.private = Key.keep(kind)
            public = self.private.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
            names = {"ecdsa": ("ecdsa", "ecdsa-sha2-nistp256"), "ecdsa-p384": ("ecdsa", "ecdsa-sha2-nistp256"),
                     "rsa": ("rsa", "rsassa-pss-sha256"), "rsa-1024": ("rsa", "rsassa-pss-sha256")}[kind]
        self.object = {"keytype": keytype or names[0], "scheme": names[1], "keyval": {"public": public}, **(extra or {})}
        self.keyid = keyid_of(self.object)

    @staticmethod
    def keep(kind):
        if kind not in Key.kept:
            Key.kept[kind] = {
                "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
                "ecdsa-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
                "rsa": lambda: rsa.generate_private_key(65537, 2048),
                "rsa-1024": lambda: rsa.generate_private_key(65537, 1024),
            }[kind]()
        return Key.kept[kind]

    def sign(self, data):
        if self.kind == "ed25519":
            return self.private.sign(data).hex()
        if self.kind.startswith("ecdsa"):
            return self.private.sign(data, ec.ECDSA(hashes.SHA256())).hex()
        salt = 32 if self.salt is None else self.salt
        return self.private.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), salt), hashes.SHA256()).hex()

    def again_with(self, extra):
        """The same key pair under another keyid."""
        other = copy.copy(self)
        other.object = {**self.object, **extra}
        other.keyid = keyid_of(other.object)
        return other


class Repo:
    """`files` is what the server has: path to bytes, or to a function that answers the request by itself. `signed` is the
    present "signed" part of each role, `signers` the keys that sign it when it is published."""

    def __init__(self, consistent=True, with_hashes=False):
        self.files, self.signed, self.signers, self.bytes = {}, {}, {}, {}
        self.with_hashes = with_hashes
        self.signers = {role: [Key()] for role in TOP_LEVEL}
        self.signed["root"] = self.part("root", consistent_snapshot=consistent, keys={}, roles={})
        for role in TOP_LEVEL:
            self.set_keys(role, self.signers[role])
        self.signed["targets"] = self.part("targets", targets={})
        self.signed["snapshot"] = self.part("snapshot", meta={})
        self.signed["timestamp"] = self.part("timestamp", meta={})
        self.publish("root", "targets", "snapshot", "timestamp")

    @staticmethod
    def part(role, **members):
        return {"_type": role, "spec_version": SPEC, "version": 0, "expires": FUTURE, **members}

    @property
    def root(self):
        return self.signed["root"]

    @property
    def targets(self):
        return self.signed["targets"]

    def set_keys(self, role, keys, threshold=1, signers=None):
        """Lets exactly these keys sign for a top-level role."""
        for key in keys:
            self.root["keys"][key.keyid] = key.object
        self.root["roles"][role] = {"keyids": [key.keyid for key in keys], "threshold": threshold}
        self.signers[role] = list(keys if signers is None else signers)

    def rotate(self, role):
        """Replaces the keys of a role by a new one; a root is then signed by old and new."""
        old = self.signers[role]
        new = Key()
        self.set_keys(role, [new])
        if role == "root":
            self.signers[role] = old + [new]

    def describe(self, role):
        data = self.bytes[role]
        info = {"version": self.signed[role]["version"]}
        if self.with_hashes:
            info.update(length=len(data), hashes={"sha256": hashlib.sha256(data).hexdigest()})
        return info

    def file_name(self, role, version):
        name = quote(role, safe="") + ".json"
        is_versioned = role == "root" or (role != "timestamp" and self.root.get("consistent_snapshot"))
        return "metadata/%d.%s" % (version, name) if is_versioned else "metadata/" + name

    def document(self, role, edit=None, signers=None, edit_document=None):
        """The bytes of the role's file: `edit` changes a copy of the signed part before it is signed, `edit_document` the
        whole document after."""
        part = copy.deepcopy(self.signed[role])
        if edit:
            part = edit(part) or part
        data = canonical(part).encode()
        keys = self.signers[role] if signers is None else signers
        document = {"signatures": [{"keyid": key.keyid, "sig": key.sign(data)} for key in keys], "signed": part}
        if edit_document:
            document = edit_document(document) or document
        return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")

    def put(self, role, data, name=None):
        self.bytes[role] = data
        self.files[name or self.file_name(role, self.signed[role]["version"])] = data

    def publish(self, *roles, edit=None, signers=None, edit_document=None, edit_bytes=None, name=None, version=None):
        """Next version of each role, in the order given. The further arguments are for all of them."""
        for role in roles:
            part = self.signed[role]
            part["version"] = part["version"] + 1 if version is None else version
            if role == "snapshot":
                part["meta"] = {other + ".json": self.describe(other) for other in self.bytes
                                if other not in ("root", "timestamp", "snapshot")}
            if role == "timestamp":
                part["meta"] = {"snapshot.json": self.describe("snapshot")}
            data = self.document(role, edit, signers, edit_document)
            self.put(role, edit_bytes(data) if edit_bytes else data, name)

    def publish_all(self, **arguments):
        """New targets, snapshot and timestamp."""
        self.publish("targets", "snapshot", "timestamp", **arguments)

    def add_target(self, path, data=b"content", role="targets", kinds=("sha256",), served=None, length=None, extra=None):
        """Lists a target and serves it, as its plain name or under each of its hashes."""
        digests = {kind: getattr(hashlib, kind)(data).hexdigest() for kind in kinds}
        self.signed[role]["targets"][path] = {"length": len(data) if length is None else length,
                                              "hashes": {**digests, **(extra or {})}}
        folder, slash, name = path.rpartition("/")
        names = [path]
        if self.root.get("consistent_snapshot"):
            names = [folder + slash + digest + "." + name for digest in {**digests, **(extra or {})}.values()]
        for each in names:
            self.files["targets/" + each] = data if served is None else served

    def delegate(self, parent, name, paths=("*",), terminating=False, keys=None, threshold=1, prefixes=None, signers=None,
                 edit=None):
        """A delegation, and the role if it is new."""
        keys = [Key()] if keys is None else keys
        delegations = self.signed[parent].setdefault("delegations", {"keys": {}, "roles": []})
        for key in keys:
            delegations["keys"][key.keyid] = key.object
        entry = {"name": name, "keyids": [key.keyid for key in keys], "threshold": threshold, "terminating": terminating}
        if paths is not None and prefixes is None:
            entry["paths"] = list(paths)
        if prefixes is not None:
            entry["path_hash_prefixes"] = list(prefixes)
        if edit:
            edit(entry)
        delegations["roles"].append(entry)
        self.signers.setdefault(name, []).extend(keys if signers is None else signers)
        if name not in self.signed:
            self.signed[name] = self.part("targets", targets={})

    def publish_delegated(self, *names):
        """The named roles, then all that leads to them."""
        self.publish(*names)
        self.publish_all()
