# SPDX-License-Identifier: Apache-2.0
"""Section 5.5, the snapshot."""
import hashlib

from .harness import case, cut_off, endless
from .repo import PAST, Key


def bad_snapshot(section, title, second=None, repo_arguments=None, **arguments):
    """A new snapshot, made bad by the arguments of publish(): the timestamp that names it is kept, itself not."""
    @case(section, title, second=second, **(repo_arguments or {}))
    def _(test):
        test.start()
        test.repo.publish("snapshot", **{name: value(test.repo) if name == "signers" else value
                                         for name, value in arguments.items()})
        test.repo.publish("timestamp")
        test.refuses(root=1, timestamp=2, snapshot=1, targets=1)


bad_snapshot("5.5.3", "a snapshot without a signature is refused", signers=lambda repo: [])
bad_snapshot("5.5.3", "a snapshot signed by a stranger is refused", signers=lambda repo: [Key()])
bad_snapshot("5.5.3", "a snapshot signed by another role's key is refused", signers=lambda repo: repo.signers["timestamp"])
bad_snapshot("5.5.3", "a snapshot that was changed after signing is refused",
             edit_document=lambda all: all["signed"].update(extra=1))
bad_snapshot("5.5.3", "a snapshot with two signatures of one keyid is refused",
             edit_document=lambda all: all["signatures"].append(all["signatures"][0]))
bad_snapshot("5.5.3", "a snapshot with another type is refused", edit=lambda part: part.update(_type="targets"))
bad_snapshot("5.5.4", "a snapshot newer than the timestamp says is refused", edit=lambda part: part.update(version=3),
             name="metadata/2.snapshot.json")
bad_snapshot("5.5.4", "a snapshot older than the timestamp says is refused", edit=lambda part: part.update(version=1),
             name="metadata/2.snapshot.json")
bad_snapshot("5.5.6", "an expired snapshot is refused", edit=lambda part: part.update(expires=PAST))
bad_snapshot("5.5.5", "a snapshot that no longer lists targets is refused", edit=lambda part: part["meta"].clear())
bad_snapshot("4.4", "a snapshot that lists version 0 is refused",
             edit=lambda part: part["meta"]["targets.json"].update(version=0))
bad_snapshot("5.5.1", "a snapshot that is not JSON is refused", edit_bytes=lambda data: data[:-1])


@case("5.5.3", "a snapshot that only reaches a part of its threshold is refused")
def _(test):
    keys = [Key(), Key()]
    test.repo.set_keys("snapshot", keys, 2)
    test.repo.publish("root", "snapshot", "timestamp")
    test.start()
    test.repo.publish("snapshot", signers=keys[:1])
    test.repo.publish("timestamp")
    test.refuses(timestamp=3, snapshot=2)


@case("5.5.1", "a snapshot that is not there is an error, after the timestamp was kept")
def _(test):
    test.start()
    test.repo.publish("snapshot", "timestamp")
    del test.repo.files["metadata/2.snapshot.json"]
    test.forget_requests()
    test.refuses(timestamp=2, snapshot=1)
    test.requested("2.root", "timestamp", "2.snapshot")


def no_snapshot(title, answer):
    @case("5.5.1", title)
    def _(test):
        test.start()
        test.repo.publish("snapshot", "timestamp")
        test.repo.files["metadata/2.snapshot.json"] = answer(test.repo.bytes["snapshot"])
        test.refuses(timestamp=2, snapshot=1)


no_snapshot("a snapshot that breaks off is refused", cut_off)
no_snapshot("a snapshot without end is not read to its end", endless)


def described(section, title, is_good, second=None, **info):
    """The timestamp describes the snapshot with these members more."""
    @case(section, title, second=second)
    def _(test):
        test.start()
        test.repo.publish("snapshot")
        data = test.repo.bytes["snapshot"]
        more = {name: value(data) if callable(value) else value for name, value in info.items()}
        test.repo.publish("timestamp", edit=lambda part: part["meta"]["snapshot.json"].update(more))
        if is_good:
            test.refreshes()
            test.trusts(snapshot=2)
        else:
            test.refuses(timestamp=2, snapshot=1)


def digests(*kinds):
    return lambda data: {kind: getattr(hashlib, kind)(data).hexdigest() for kind in kinds}


described("5.5.2", "a snapshot with the SHA-256 that the timestamp gives is accepted", True, hashes=digests("sha256"))
described("5.5.2", "a snapshot with the SHA-512 that the timestamp gives is accepted", True, hashes=digests("sha512"))
described("5.5.2", "a snapshot with both hashes is accepted", True, hashes=digests("sha256", "sha512"))
described("5.5.2", "a snapshot with another SHA-256 is refused", False, hashes={"sha256": "00" * 32})
described("5.5.2", "a snapshot with another SHA-512 is refused", False, hashes={"sha512": "00" * 64})
described("5.5.2", "one wrong hash of two is enough to refuse a snapshot", False,
          hashes=lambda data: {**digests("sha256")(data), "sha512": "00" * 64})
described("5.5.2", "a snapshot whose only hash is of an unknown kind is refused", False, hashes={"sha9": "00" * 32})
described("5.5.1", "a snapshot of the length that the timestamp gives is accepted", True, length=len)
described("5.5.1", "a snapshot longer than the timestamp says is refused", False, length=lambda data: len(data) - 1)
described("5.5.1", "a snapshot shorter than the timestamp says is refused", False, length=lambda data: len(data) + 1)


@case("5.5.5", "a snapshot that lists an older version of targets is refused")
def _(test):
    test.repo.publish_all()
    test.start()
    test.repo.publish("targets", version=1)
    test.repo.publish("snapshot", "timestamp")
    test.refuses(timestamp=3, snapshot=2, targets=2)


@case("5.5.5", "a snapshot that lists an older version of targets is refused, with hashes too", with_hashes=True)
def _(test):
    test.repo.publish_all()
    test.start()
    test.repo.publish("targets", version=1)
    test.repo.publish("snapshot", "timestamp")
    test.refuses(timestamp=3, snapshot=2, targets=2)


@case("5.5.5", "a snapshot that lists an older version of a delegated role is refused")
def _(test):
    test.repo.delegate("targets", "team")
    test.repo.publish("team", version=5)
    test.repo.publish_all()
    test.start()
    test.repo.publish("team", version=4)
    test.repo.publish("snapshot", "timestamp")
    test.refuses(timestamp=3, snapshot=2)


@case("5.5.5", "a snapshot that no longer lists a delegated role is refused")
def _(test):
    test.repo.delegate("targets", "team")
    test.repo.publish_delegated("team")
    test.start()
    del test.repo.bytes["team"]
    test.repo.publish("snapshot", "timestamp")
    test.refuses(timestamp=3, snapshot=2)


@case("5.5.5", "a snapshot may list roles that are new")
def _(test):
    test.start()
    test.repo.delegate("targets", "team")
    test.repo.publish_delegated("team")
    test.refreshes()
    test.trusts(snapshot=2)


@case("5.5.5", "an expired snapshot still guards against older versions of targets")
def _(test):
    expires, wait = test.soon()
    test.repo.publish("targets", version=5)
    test.repo.publish("snapshot", edit=lambda part: part.update(expires=expires))
    test.repo.publish("timestamp")
    test.start()
    wait()
    test.repo.publish("targets", version=4)
    test.repo.publish("snapshot", "timestamp")
    test.refuses(timestamp=3, snapshot=2)


@case("5.5.6", "a snapshot that has expired since is not used again")
def _(test):
    expires, wait = test.soon()
    test.repo.publish("snapshot", edit=lambda part: part.update(expires=expires))
    test.repo.publish("timestamp")
    test.start()
    wait()
    test.repo.publish("timestamp")
    test.refuses(timestamp=3, snapshot=2)


@case("5.5.7", "the snapshot is kept before targets is fetched")
def _(test):
    test.start()
    test.repo.publish_all()
    del test.repo.files["metadata/2.targets.json"]
    test.refuses(timestamp=2, snapshot=2, targets=1)


@case("5.5.7", "the snapshot is kept as it came, byte for byte")
def _(test):
    test.repo.publish("snapshot", edit_bytes=lambda data: b"  " + data)
    test.repo.publish("timestamp")
    test.start()
    test.holds("snapshot", test.repo.bytes["snapshot"])


@case("5.5.1", "a snapshot that is there already is not fetched again", with_hashes=True)
def _(test):
    test.start()
    test.repo.publish("timestamp")
    test.forget_requests()
    test.refreshes()
    test.requested("2.root", "timestamp")
    test.trusts(timestamp=2)


@case("5.5.1", "without consistent snapshots the snapshot has no number", consistent=False)
def _(test):
    test.start()
    test.repo.publish_all()
    test.forget_requests()
    test.refreshes()
    test.requested("2.root", "timestamp", "snapshot", "targets")
    test.trusts(snapshot=2, targets=2)


@case("5.5.2", "a snapshot from another time than its timestamp is refused", consistent=False, with_hashes=True)
def _(test):
    old = test.repo.bytes["snapshot"]
    test.repo.publish("snapshot", "timestamp")
    test.init()
    test.repo.files["metadata/snapshot.json"] = old
    test.refuses(timestamp=2, snapshot=0)
