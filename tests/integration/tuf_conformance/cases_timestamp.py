# SPDX-License-Identifier: Apache-2.0
"""Section 5.4, the timestamp."""
import os
import time

from .harness import case, cut_off, endless, status
from .repo import PAST, Key, utc


def bad_timestamp(section, title, second=None, **arguments):
    """A new timestamp, made bad by the arguments of publish(), must not replace the old one."""
    @case(section, title, second=second)
    def _(test):
        test.start()
        test.repo.publish("timestamp", **{name: value(test.repo) if name == "signers" else value
                                          for name, value in arguments.items()})
        test.refuses(root=1, timestamp=1, snapshot=1, targets=1)


bad_timestamp("5.4.2", "a timestamp without a signature is refused", signers=lambda repo: [])
bad_timestamp("5.4.2", "a timestamp signed by a stranger is refused", signers=lambda repo: [Key()])
bad_timestamp("5.4.2", "a timestamp signed by another role's key is refused", signers=lambda repo: repo.signers["snapshot"])
bad_timestamp("5.4.2", "a timestamp that was changed after signing is refused",
              edit_document=lambda all: all["signed"].update(version=9))
bad_timestamp("5.4.2", "a timestamp with two signatures of one keyid is refused",
              edit_document=lambda all: all["signatures"].append(all["signatures"][0]))
bad_timestamp("5.4.2", "a timestamp with another type is refused", edit=lambda part: part.update(_type="snapshot"))
bad_timestamp("5.4.4", "an expired timestamp is refused", edit=lambda part: part.update(expires=PAST))
bad_timestamp("4.6", "a timestamp that describes no snapshot is refused", edit=lambda part: part.update(meta={}))
bad_timestamp("4.6", "a timestamp that describes more than the snapshot is refused",
              edit=lambda part: part["meta"].update({"targets.json": {"version": 1}}))
bad_timestamp("5.4.1", "a timestamp that is not JSON is refused", edit_bytes=lambda data: b"{" + data)
bad_timestamp("5.4.1", "an empty timestamp is refused", edit_bytes=lambda data: b"")


@case("5.4.2", "a timestamp that only reaches a part of its threshold is refused")
def _(test):
    keys = [Key(), Key(), Key()]
    test.repo.set_keys("timestamp", keys, 2)
    test.repo.publish("root", "timestamp")
    test.start()
    test.repo.publish("timestamp", signers=keys[:1])
    test.refuses(timestamp=2)
    test.repo.publish("timestamp", signers=keys[1:])
    test.refreshes()
    test.trusts(timestamp=4)


@case("5.4.2", "a threshold cannot be reached by one key's signature repeated under other keyids")
def _(test):
    keys = [Key(), Key()]
    test.repo.set_keys("timestamp", keys, 2)
    test.repo.publish("root", "timestamp")
    test.start()

    def forge(document):
        first = document["signatures"][0]
        document["signatures"] = [first, {"keyid": keys[1].keyid, "sig": first["sig"]}]

    test.repo.publish("timestamp", edit_document=forge)
    test.refuses(timestamp=2)


@case("5.4.2", "a wrong signature does no harm beside enough good ones")
def _(test):
    keys = [Key(), Key()]
    test.repo.set_keys("timestamp", keys, 1)
    test.repo.publish("root", "timestamp")
    test.start()
    for bad in ("00" * 64, "", "zz"):
        test.repo.publish("timestamp", edit_document=lambda all, bad=bad: all["signatures"][0].update(sig=bad))
        test.refreshes()
    test.trusts(timestamp=5)


@case("5.4.2", "a signature of a keyid that nobody knows does no harm")
def _(test):
    test.start()
    test.repo.publish("timestamp", edit_document=lambda all: all["signatures"].insert(0, {"keyid": "ab" * 32, "sig": "00"}))
    test.refreshes()
    test.trusts(timestamp=2)


@case("5.4.3.1", "a timestamp older than the one seen before is refused")
def _(test):
    first = test.repo.bytes["timestamp"]
    test.repo.publish("timestamp")
    test.start()
    test.repo.files["metadata/timestamp.json"] = first
    test.forget_requests()
    test.refuses(timestamp=2)
    test.requested("2.root", "timestamp")


@case("5.4.3.1", "another timestamp of the same version changes nothing and is no error")
def _(test):
    test.start()
    old = test.repo.bytes["timestamp"]
    test.repo.publish("snapshot")
    test.repo.publish("timestamp", version=1)
    test.forget_requests()
    test.refreshes()
    test.requested("2.root", "timestamp")
    test.holds("timestamp", old)
    test.trusts(snapshot=1)


@case("5.4.3.1", "with nothing new only root and timestamp are asked for")
def _(test):
    test.start()
    test.forget_requests()
    test.refreshes()
    test.requested("2.root", "timestamp")


@case("5.4.3.1", "a timestamp of the same version, but badly signed, is refused")
def _(test):
    test.start()
    test.repo.publish("timestamp", version=1, signers=[])
    test.refuses(timestamp=1)


@case("5.4.3.2", "a timestamp that names an older snapshot is refused")
def _(test):
    test.repo.publish("snapshot", "timestamp")
    test.start()
    test.repo.publish("snapshot", version=1)
    test.repo.publish("timestamp")
    test.forget_requests()
    test.refuses(timestamp=2, snapshot=2)
    test.requested("2.root", "timestamp")


@case("5.4.3.2", "the version of the last snapshot named counts even if that snapshot was never had")
def _(test):
    test.start()
    test.repo.publish("snapshot", version=5)
    test.repo.publish("timestamp")
    del test.repo.files["metadata/5.snapshot.json"]
    test.refuses(timestamp=2, snapshot=1)
    test.repo.publish("snapshot", version=4)
    test.repo.publish("timestamp")
    test.refuses(timestamp=2, snapshot=1)


@case("5.1", "what expires while a refresh runs had not expired when it began")
def _(test):
    test.start()
    moments = []

    def answer_timestamp(handler):
        """The client has begun, so what expires after this second was good when it did."""
        moments.append(int(time.time()) + 2)
        test.repo.publish("targets", "snapshot", edit=lambda part: part.update(expires=utc(moments[0])))
        snapshot = test.repo.bytes["snapshot"]

        def answer_late(late_handler):
            time.sleep(max(0, moments[0] + 0.1 - time.time()))
            late_handler.answer(200, snapshot)

        test.repo.files["metadata/2.snapshot.json"] = answer_late
        test.repo.publish("timestamp")
        handler.answer(200, test.repo.bytes["timestamp"])

    test.repo.files["metadata/timestamp.json"] = answer_timestamp
    test.refreshes()
    test.trusts(timestamp=2, snapshot=2, targets=2)
    test.refuses(timestamp=2)


@case("5.4.4", "a timestamp that has expired since is no longer enough")
def _(test):
    expires, wait = test.soon()
    test.repo.publish("timestamp", edit=lambda part: part.update(expires=expires))
    test.start()
    wait()
    test.refuses(timestamp=2)


@case("5.4.4", "a client with an expired timestamp takes the new one")
def _(test):
    expires, wait = test.soon()
    test.repo.publish("timestamp", edit=lambda part: part.update(expires=expires))
    test.start()
    wait()
    test.repo.publish_all()
    test.refreshes()
    test.trusts(timestamp=3, snapshot=2, targets=2)


@case("5.4.3", "an expired timestamp still guards against an older one")
def _(test):
    expires, wait = test.soon()
    test.repo.publish("timestamp", version=10, edit=lambda part: part.update(expires=expires))
    test.start()
    wait()
    test.repo.publish("timestamp", version=9)
    test.refuses(timestamp=10)


@case("5.4.5", "the timestamp is kept before the snapshot is fetched")
def _(test):
    test.start()
    test.repo.publish("snapshot", "timestamp")
    del test.repo.files["metadata/2.snapshot.json"]
    test.refuses(timestamp=2, snapshot=1, targets=1)


@case("5.4.5", "the timestamp is kept as it came, byte for byte")
def _(test):
    test.repo.publish("timestamp", edit_bytes=lambda data: data + b" \n\t")
    test.start()
    test.holds("timestamp", test.repo.bytes["timestamp"])


@case("5.4.1", "a missing timestamp is an error")
def _(test):
    test.start()
    del test.repo.files["metadata/timestamp.json"]
    test.forget_requests()
    test.refuses(timestamp=1)
    test.requested("2.root", "timestamp")


def no_timestamp(title, answer):
    @case("5.4.1", title)
    def _(test):
        test.start()
        test.repo.publish("timestamp")
        test.repo.files["metadata/timestamp.json"] = answer(test.repo.bytes["timestamp"])
        test.refuses(timestamp=1)


no_timestamp("a server's error instead of a timestamp is an error", lambda data: status(500))
no_timestamp("a timestamp that breaks off is refused", cut_off)
no_timestamp("a timestamp without end is not read to its end", endless)


def bad_store(title, change):
    @case("5.4.3", title)
    def _(test):
        test.repo.publish("timestamp", version=10)
        test.start()
        path = os.path.join(test.metadata, "timestamp.json")
        with open(path, "rb") as file:
            data = file.read()
        with open(path, "wb") as file:
            file.write(change(data))
        test.repo.publish("timestamp", version=3)
        test.refreshes()
        test.trusts(timestamp=3)


bad_store("a trusted timestamp that is damaged on disk is as good as none", lambda data: data[:40])
bad_store("a trusted timestamp that was changed on disk is as good as none",
          lambda data: data.replace(b'"version": 10', b'"version": 11'))
