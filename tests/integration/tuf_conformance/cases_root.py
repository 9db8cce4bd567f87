# SPDX-License-Identifier: Apache-2.0
"""Section 5.2, the trusted root, and 5.3, the chain of roots."""
import json

from .harness import case, cut_off, endless, status
from .repo import PAST, TOP_LEVEL, Key


def bad_initial(title, change):
    @case("5.2", title)
    def _(test):
        test.init(change(test.repo))
        test.refuses()
        test.requested()


bad_initial("a trusted root that is not JSON is refused", lambda repo: b"no JSON")
bad_initial("a trusted root without a signature is refused",
            lambda repo: repo.document("root", signers=[]))
bad_initial("a trusted root signed by a key that it does not list is refused",
            lambda repo: repo.document("root", signers=[Key()]))
bad_initial("a trusted root that was changed after signing is refused",
            lambda repo: repo.document("root", edit_document=lambda all: all["signed"].update(version=7)))
bad_initial("a trusted root of another type is refused",
            lambda repo: repo.document("targets", signers=repo.signers["root"]))
bad_initial("a trusted root without a version is refused",
            lambda repo: repo.document("root", edit=lambda part: part.pop("version") and None))
bad_initial("an empty trusted root is refused", lambda repo: b"")


@case("5.2", "without a trusted root nothing is asked for")
def _(test):
    test.refuses()
    test.requested()


@case("5.2", "an expired trusted root is good enough to find the next one")
def _(test):
    old = test.repo.document("root", edit=lambda part: part.update(expires=PAST))
    test.repo.publish("root")
    test.init(old)
    test.refreshes()
    test.trusts(root=2)


@case("5.3.1", "a refresh asks for the next root, timestamp, snapshot and targets, in this order and once")
def _(test):
    test.start()
    test.requested("2.root", "timestamp", "1.snapshot", "1.targets")
    test.trusts(root=1, timestamp=1, snapshot=1, targets=1)


@case("5.3.3", "every root up to the last is fetched, each by its number")
def _(test):
    test.init()
    for _ in range(4):
        test.repo.publish("root")
    test.refreshes()
    test.requested("2.root", "3.root", "4.root", "5.root", "6.root", "timestamp", "1.snapshot", "1.targets")
    test.trusts(root=5)


@case("5.3.3", "status 403 means that there is no further root")
def _(test):
    test.repo.files["metadata/2.root.json"] = status(403)
    test.start()


@case("5.3.3", "a server's error is not taken for the end of the roots")
def _(test):
    test.start()
    test.repo.files["metadata/2.root.json"] = status(500)
    test.forget_requests()
    test.refuses(root=1)
    test.requested("2.root")


@case("5.3.3", "a root that breaks off is refused")
def _(test):
    test.init()
    test.repo.publish("root")
    test.repo.files["metadata/2.root.json"] = cut_off(test.repo.bytes["root"])
    test.refuses(root=1)


@case("5.3.3", "a root without end is not read to its end")
def _(test):
    test.init()
    test.repo.publish("root")
    test.repo.files["metadata/2.root.json"] = endless(test.repo.bytes["root"])
    test.refuses(root=1)


# (keys, threshold, signers) of each root; the last one is good or not.
ROTATIONS = {
    "one key replaced by another": ([([1], 1, [1]), ([2], 1, [1, 2]), ([2], 1, [2])], True),
    "with signatures of strangers": ([([1], 1, [1, 8]), ([2], 1, [9, 1, 8, 2])], True),
    "without the old key": ([([1], 1, [1]), ([2], 1, [2])], False),
    "without the new key": ([([1], 1, [1]), ([2], 1, [1])], False),
    "by a stranger alone": ([([1], 1, [1]), ([1], 1, [9])], False),
    "threshold 3 of 5, other signers each time":
        ([([1, 2, 3, 4, 5], 3, [1, 2, 3]), ([1, 2, 3, 4, 5], 3, [3, 4, 5]), ([1, 2, 3, 4, 5], 3, [1, 3, 5])], True),
    "threshold 3 of 5, two signers": ([([1, 2, 3, 4, 5], 3, [1, 2, 3]), ([1, 2, 3, 4, 5], 3, [4, 5])], False),
    "threshold 2, all keys replaced": ([([1, 2], 2, [1, 2]), ([3, 4], 2, [1, 2, 3, 4])], True),
    "threshold 2, one old signature missing": ([([1, 2], 2, [1, 2]), ([3, 4], 2, [1, 3, 4])], False),
    "threshold 2, one new signature missing": ([([1, 2], 2, [1, 2]), ([3, 4], 2, [1, 2, 3])], False),
    "threshold raised from 1 to 2": ([([1, 2], 1, [1]), ([1, 2], 2, [1, 2])], True),
    "threshold raised, but not reached": ([([1, 2], 1, [1]), ([1, 2], 2, [2])], False),
    "threshold lowered from 2 to 1": ([([1, 2], 2, [1, 2]), ([1, 2], 1, [1, 2]), ([1, 2], 1, [2])], True),
    "threshold lowered, the old one not reached": ([([1, 2], 2, [1, 2]), ([1, 2], 1, [1])], False),
    "a threshold that its own keys cannot reach": ([([1], 1, [1]), ([1, 2], 3, [1, 2])], False),
}


def rotation(name, versions, is_good):
    @case("5.3.4", "root chain, " + name + (": accepted" if is_good else ": refused"))
    def _(test):
        keys = [Key() for _ in range(10)]
        first = None
        for number, (listed, threshold, signers) in enumerate(versions, 1):
            test.repo.root["keys"] = {key.keyid: key.object for key in keys} | test.repo.root["keys"]
            test.repo.set_keys("root", [keys[i] for i in listed], threshold, [keys[i] for i in signers])
            test.repo.publish("root", version=number)
            first = first or test.repo.bytes["root"]
        test.init(first)
        if is_good:
            test.refreshes()
            test.holds("root", test.repo.bytes["root"])
        else:
            test.refuses(root=len(versions) - 1, timestamp=0)


for rotation_name, (rotation_versions, rotation_is_good) in ROTATIONS.items():
    rotation(rotation_name, rotation_versions, rotation_is_good)


def wrong_version(title, version):
    @case("5.3.5", title)
    def _(test):
        test.start()
        test.repo.publish("root", edit=lambda part: part.update(version=version), name="metadata/2.root.json")
        test.refuses(root=1)


wrong_version("root 2 that calls itself 1 is refused", 1)
wrong_version("root 2 that calls itself 3 is refused", 3)


@case("5.3.4", "a key listed twice in the root role does not count twice")
def _(test):
    test.start()
    key = test.repo.signers["root"][0]
    test.repo.root["roles"]["root"] = {"keyids": [key.keyid, key.keyid], "threshold": 2}
    test.repo.publish("root")
    test.refuses(root=1)


@case("5.3.4", "one keyid twice among the signatures does not reach a threshold of two")
def _(test):
    test.start()
    test.repo.set_keys("root", test.repo.signers["root"] + [Key()], 2, test.repo.signers["root"])
    test.repo.publish("root", edit_document=lambda all: all["signatures"].append(all["signatures"][0]))
    test.refuses(root=1)


@case("5.3.4", "one public key under two keyids does not reach a threshold of two",
      second="it counts keyids, not keys")
def _(test):
    test.start()
    key = Key()
    twice = [key, key.again_with({"again": 1})]
    test.repo.set_keys("timestamp", twice, 2)
    test.repo.publish("root", "timestamp")
    test.refuses(root=2)
    test.distrusts(timestamp=2)


@case("5.3.4", "a keyid that the key list does not have is not counted")
def _(test):
    test.start()
    key = Key()
    test.repo.set_keys("timestamp", [key])
    del test.repo.root["keys"][key.keyid]
    test.repo.publish("root", "timestamp")
    test.refuses(root=2)
    test.distrusts(timestamp=2)


@case("5.3.6", "an intermediate root may have expired")
def _(test):
    test.init()
    test.repo.publish("root", edit=lambda part: part.update(expires=PAST))
    test.repo.publish("root")
    test.refreshes()
    test.trusts(root=3)


@case("5.3.8", "each root is kept as soon as it is verified")
def _(test):
    test.init()
    test.repo.publish("root")
    good = test.repo.bytes["root"]
    test.repo.publish("root", signers=[])
    test.refuses(root=2, timestamp=0)
    test.holds("root", good)


@case("5.3.8", "roots are kept as they came, byte for byte")
def _(test):
    test.init()
    test.repo.publish("root", edit_bytes=lambda data: b"\n " + data.replace(b'"signed"', b'\t"signed" ') + b"\n")
    test.refreshes()
    test.holds("root", test.repo.bytes["root"])


@case("5.3.4", "after a bad root was repaired the client goes on")
def _(test):
    test.init()
    test.repo.publish("root", signers=[])
    test.refuses(root=1)
    test.repo.publish("root", version=2)
    test.refreshes()
    test.trusts(root=2, targets=1)


@case("5.3.9", "of roots without end 256 are fetched, and the next refresh goes on from there")
def _(test):
    test.init()
    for _ in range(260):
        test.repo.publish("root")
    test.refreshes()
    test.requested(*["%d.root" % version for version in range(2, 258)], "timestamp", "1.snapshot", "1.targets")
    test.trusts(root=257)
    test.refreshes()
    test.trusts(root=261)


@case("5.3.10", "an expired last root is kept, and nothing is fetched after it")
def _(test):
    test.start()
    test.repo.publish("root", edit=lambda part: part.update(expires=PAST))
    test.repo.publish_all()
    test.forget_requests()
    test.refuses(root=2, timestamp=1, snapshot=1, targets=1)
    if test.is_ours:  # tuf-js looks at the timestamp before it refuses
        test.requested("2.root", "3.root")


@case("5.3.10", "a root that expires between two refreshes stops the second")
def _(test):
    expires, wait = test.soon()
    test.init()
    test.repo.publish("root", edit=lambda part: part.update(expires=expires))
    test.refreshes()
    wait()
    test.refuses(root=2)


@case("5.3.11", "a new timestamp key lets the timestamp's version begin anew")
def _(test):
    test.repo.publish("timestamp", version=100)
    test.start()
    test.repo.rotate("timestamp")
    test.repo.publish("root")
    test.repo.publish("timestamp", version=1)
    test.refreshes()
    test.trusts(timestamp=1)


@case("5.3.11", "new timestamp and snapshot keys let the snapshot's version begin anew")
def _(test):
    test.repo.publish("snapshot", version=100)
    test.repo.publish("timestamp")
    test.start()
    test.repo.rotate("snapshot")
    test.repo.rotate("timestamp")
    test.repo.publish("root")
    test.repo.publish("snapshot", version=1)
    test.repo.publish("timestamp")
    test.refreshes()
    test.trusts(snapshot=1)


@case("5.3.11", "a new snapshot key alone lets the versions of targets begin anew")
def _(test):
    test.repo.delegate("targets", "gone")
    test.repo.publish("gone")
    test.repo.publish("targets", version=100)
    test.repo.publish("snapshot", "timestamp")
    test.start()
    test.repo.rotate("snapshot")
    test.repo.publish("root")
    test.repo.publish("targets", version=1)
    del test.repo.bytes["gone"]
    test.repo.publish("snapshot", "timestamp")
    test.refreshes()
    test.trusts(targets=1)


def cut_off_rotation(title, stop, go_on):
    """A refresh ends after it has kept a root with another timestamp key, and before it is done with what the old key
    signed. What the next one finds has begun anew, and the snapshot's key is what it was."""
    @case("5.3.11", title, second="it removes nothing: what the present keys signed stays the measure")
    def _(test):
        test.repo.publish("targets", version=100)
        test.repo.publish("snapshot", "timestamp")
        test.start()
        test.repo.rotate("timestamp")
        stop(test.repo)
        test.refuses(root=2)
        go_on(test.repo)
        test.repo.publish("targets", version=1)
        test.repo.publish("snapshot", "timestamp")
        test.refreshes()
        test.trusts(targets=1)


def server_fails_after_root(repo):
    repo.publish("root")
    repo.files["metadata/3.root.json"] = status(500)


cut_off_rotation("versions begin anew even if the refresh that met the new key was cut off",
                 server_fails_after_root, lambda repo: repo.files.pop("metadata/3.root.json"))
cut_off_rotation("versions begin anew even if the root with the new key had expired",
                 lambda repo: repo.publish("root", edit=lambda part: part.update(expires=PAST)),
                 lambda repo: repo.publish("root"))


@case("5.3.11", "a new root with the same keys is no reason to let versions go back")
def _(test):
    test.repo.publish("timestamp", version=100)
    test.start()
    test.repo.publish("root")
    test.repo.publish("timestamp", version=50)
    test.refuses(root=2, timestamp=100)


@case("5.3.11", "a new targets key does not let versions go back")
def _(test):
    test.repo.publish("timestamp", version=100)
    test.start()
    test.repo.rotate("targets")
    test.repo.publish("root", "targets", "snapshot")
    test.repo.publish("timestamp", version=50)
    test.refuses(root=2, timestamp=100)


@case("5.3.11", "the timestamp signed by a key that was taken away is refused")
def _(test):
    test.start()
    stolen = test.repo.signers["timestamp"]
    test.repo.rotate("timestamp")
    test.repo.publish("root")
    test.repo.publish("timestamp", signers=stolen)
    test.refuses(root=2)


@case("5.3.12", "a root that ends consistent snapshots takes effect at once")
def _(test):
    test.start()
    test.repo.root["consistent_snapshot"] = False
    test.repo.publish("root")
    test.repo.publish_all()
    test.forget_requests()
    test.refreshes()
    test.requested("2.root", "3.root", "timestamp", "snapshot", "targets")


@case("5.3.12", "a root that begins consistent snapshots takes effect at once", consistent=False)
def _(test):
    test.start()
    test.requested("2.root", "timestamp", "snapshot", "targets")
    test.repo.root["consistent_snapshot"] = True
    test.repo.publish("root")
    test.repo.publish_all()
    test.forget_requests()
    test.refreshes()
    test.requested("2.root", "3.root", "timestamp", "2.snapshot", "2.targets")


@case("5.3.12", "a root that does not speak of consistent snapshots has none", consistent=False,
      second="it wants to be told")
def _(test):
    test.init()
    del test.repo.root["consistent_snapshot"]
    test.repo.publish("root")
    test.refreshes()
    test.requested("2.root", "3.root", "timestamp", "snapshot", "targets")


def missing_role(role):
    @case("4.3", "a root without the role " + role + " is refused")
    def _(test):
        test.start()
        test.repo.publish("root", edit=lambda part: part["roles"].pop(role) and None)
        test.refuses(root=1)


for top_level in TOP_LEVEL:
    missing_role(top_level)


@case("4.3", "a root file with the signed part of a timestamp is refused")
def _(test):
    test.start()
    test.repo.put("timestamp", test.repo.document("timestamp", signers=test.repo.signers["root"]), "metadata/2.root.json")
    test.refuses(root=1)
    assert json.loads(test.repo.files["metadata/2.root.json"])
