# SPDX-License-Identifier: Apache-2.0
"""Section 5.6.1 to 5.6.6, the top-level targets."""
import hashlib
import os

from .harness import case, cut_off, endless
from .repo import PAST, Key


def bad_targets(section, title, second=None, **arguments):
    """New targets, made bad by the arguments of publish(): what names them is kept, they are not."""
    @case(section, title, second=second)
    def _(test):
        test.start()
        test.repo.publish("targets", **{name: value(test.repo) if name == "signers" else value
                                        for name, value in arguments.items()})
        test.repo.publish("snapshot", "timestamp")
        test.refuses(root=1, timestamp=2, snapshot=2, targets=1)


bad_targets("5.6.3", "targets without a signature is refused", signers=lambda repo: [])
bad_targets("5.6.3", "targets signed by a stranger is refused", signers=lambda repo: [Key()])
bad_targets("5.6.3", "targets signed by another role's key is refused", signers=lambda repo: repo.signers["snapshot"])
bad_targets("5.6.3", "targets that was changed after signing is refused",
            edit_document=lambda all: all["signed"]["targets"].update(a={"length": 1, "hashes": {"sha256": "00" * 32}}))
bad_targets("5.6.3", "targets with two signatures of one keyid is refused",
            edit_document=lambda all: all["signatures"].append(all["signatures"][0]))
bad_targets("5.6.3", "targets with another type is refused", edit=lambda part: part.update(_type="root"))
bad_targets("5.6.4", "targets newer than the snapshot says is refused", edit=lambda part: part.update(version=3),
            name="metadata/2.targets.json")
bad_targets("5.6.4", "targets older than the snapshot says is refused", edit=lambda part: part.update(version=1),
            name="metadata/2.targets.json")
bad_targets("5.6.5", "expired targets is refused", edit=lambda part: part.update(expires=PAST))
bad_targets("5.6.1", "targets that is not JSON is refused", edit_bytes=lambda data: data + b"}")
bad_targets("4.5", "a target of negative length is refused",
            edit=lambda part: part["targets"].update(a={"length": -1, "hashes": {"sha256": "00" * 32}}))
bad_targets("4.5", "a target without hashes is refused", edit=lambda part: part["targets"].update(a={"length": 1}))


@case("5.6.3", "targets that only reaches a part of its threshold is refused")
def _(test):
    keys = [Key(), Key(), Key()]
    test.repo.set_keys("targets", keys, 3)
    test.repo.publish("root", "targets", "snapshot", "timestamp")
    test.start()
    test.repo.publish("targets", signers=keys[1:])
    test.repo.publish("snapshot", "timestamp")
    test.refuses(snapshot=3, targets=2)


@case("5.6.1", "targets that is not there is an error, after the snapshot was kept")
def _(test):
    test.start()
    test.repo.publish_all()
    del test.repo.files["metadata/2.targets.json"]
    test.forget_requests()
    test.refuses(snapshot=2, targets=1)
    test.requested("2.root", "timestamp", "2.snapshot", "2.targets")


def no_targets(title, answer):
    @case("5.6.1", title)
    def _(test):
        test.start()
        test.repo.publish_all()
        test.repo.files["metadata/2.targets.json"] = answer(test.repo.bytes["targets"])
        test.refuses(snapshot=2, targets=1)


no_targets("targets that breaks off is refused", cut_off)
no_targets("targets without end is not read to its end", endless)


def described(section, title, is_good, **info):
    """The snapshot describes targets with these members more."""
    @case(section, title)
    def _(test):
        test.start()
        test.repo.publish("targets")
        data = test.repo.bytes["targets"]
        more = {name: value(data) if callable(value) else value for name, value in info.items()}
        test.repo.publish("snapshot", edit=lambda part: part["meta"]["targets.json"].update(more))
        test.repo.publish("timestamp")
        if is_good:
            test.refreshes()
            test.trusts(targets=2)
        else:
            test.refuses(snapshot=2, targets=1)


described("5.6.2", "targets with the hash that the snapshot gives is accepted", True,
          hashes=lambda data: {"sha256": hashlib.sha256(data).hexdigest()})
described("5.6.2", "targets with another hash is refused", False, hashes={"sha256": "00" * 32})
described("5.6.2", "targets whose only hash is of an unknown kind is refused", False, hashes={"sha9": "00"})
described("5.6.1", "targets of the length that the snapshot gives is accepted", True, length=len)
described("5.6.1", "targets longer than the snapshot says is refused", False, length=lambda data: len(data) - 1)
described("5.6.1", "targets shorter than the snapshot says is refused", False, length=lambda data: len(data) + 1)


@case("5.6.2", "targets from another time than its snapshot is refused", consistent=False, with_hashes=True)
def _(test):
    old = test.repo.bytes["targets"]
    test.repo.publish_all()
    test.init()
    test.repo.files["metadata/targets.json"] = old
    test.refuses(snapshot=2, targets=0)


@case("5.6.6", "targets is kept as it came, byte for byte")
def _(test):
    test.repo.publish("targets", edit_bytes=lambda data: data + b"\r\n")
    test.repo.publish("snapshot", "timestamp")
    test.start()
    test.holds("targets", test.repo.bytes["targets"])


@case("5.6.1", "targets that is there already is not fetched again", with_hashes=True)
def _(test):
    test.start()
    test.repo.publish("snapshot", "timestamp")
    test.forget_requests()
    test.refreshes()
    test.requested("2.root", "timestamp", "2.snapshot")


@case("5.6.5", "targets that has expired since is not used again")
def _(test):
    expires, wait = test.soon()
    test.repo.publish("targets", edit=lambda part: part.update(expires=expires))
    test.repo.publish("snapshot", "timestamp")
    test.start()
    wait()
    test.refuses(targets=2)


@case("5.6.3", "targets signed by a key that was taken away is fetched anew, and refused if it is the same")
def _(test):
    test.start()
    test.repo.rotate("targets")
    test.repo.publish("root")
    test.forget_requests()
    test.refuses(root=2, targets=1)
    test.requested("2.root", "3.root", "timestamp", "1.targets")
    test.repo.publish_all()
    test.refreshes()
    test.trusts(targets=2)


def bad_store(title, role, change):
    @case("5.6.1", title)
    def _(test):
        test.start()
        path = os.path.join(test.metadata, role + ".json")
        with open(path, "rb") as file:
            data = file.read()
        with open(path, "wb") as file:
            file.write(change(data))
        test.forget_requests()
        test.refreshes()
        test.requested("2.root", "timestamp", "1." + role)
        test.holds(role, data)


bad_store("trusted targets that is damaged on disk is fetched again", "targets", lambda data: data[:100])
bad_store("trusted targets that was changed on disk is fetched again", "targets",
          lambda data: data.replace(b"2099", b"2098"))
bad_store("a trusted snapshot that is damaged on disk is fetched again", "snapshot", lambda data: data[:100])
bad_store("a trusted snapshot that was changed on disk is fetched again", "snapshot",
          lambda data: data.replace(b"2099", b"2098"))


@case("5.6", "after a failure anywhere the next refresh goes on")
def _(test):
    test.start()
    for role in ("timestamp", "snapshot", "targets"):
        test.repo.publish_all()
        name = test.repo.file_name(role, test.repo.signed[role]["version"])
        test.repo.files[name] = b"broken"
        test.refuses()
        test.repo.files[name] = test.repo.bytes[role]
        test.refreshes()
    test.trusts(timestamp=4, snapshot=4, targets=4)
