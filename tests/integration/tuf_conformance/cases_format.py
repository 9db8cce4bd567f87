# SPDX-License-Identifier: Apache-2.0
"""Section 4: keys, signatures, canonical JSON and the members that all metadata has."""
import json

from .harness import case
from .repo import FUTURE, TOP_LEVEL, Key, keyid_of


def bad_member(title, second=None, role="targets", **changes):
    """A role whose signed part has such members is refused, however well it is signed."""
    @case("4.2", title, second=second)
    def _(test):
        def edit(part):
            for name, value in changes.items():
                if value is None:
                    del part[name]
                else:
                    part[name] = value

        test.start()
        name = test.repo.file_name(role, test.repo.signed[role]["version"] + 1)
        order = ["targets", "snapshot", "timestamp"]
        for each in order[order.index(role):] if role in order else [role]:
            test.repo.publish(each, edit=edit if each == role else None, name=name if each == role else None)
        test.refuses(**{role: 1})


for checked in TOP_LEVEL:
    bad_member(checked + " for a specification 2 is refused", role=checked, spec_version="2.0.0")
    bad_member(checked + " without a time of expiry is refused", role=checked, expires=None)
bad_member("metadata without a specification version is refused", spec_version=None)
bad_member("metadata without a version is refused", version=None)
bad_member("metadata without a type is refused", _type=None)
bad_member("metadata of a type that nobody knows is refused", _type="mirrors")
bad_member("version 0 is refused", role="timestamp", version=0)
bad_member("a negative version is refused", role="timestamp", version=-2)
bad_member("a version that is text is refused", version="2")
bad_member("a version with a fraction is refused", version=2.5)
bad_member("a time of expiry that is a number is refused", expires=4070908800)
bad_member("a time of expiry that is no time is refused", expires="tomorrow", second="what is no time never expires for it")
bad_member("a time of expiry on a day that is not is refused", expires="2099-13-01T00:00:00Z",
           second="what is no time never expires for it")
bad_member("a time of expiry with an offset is refused", expires="2099-01-01T00:00:00+01:00",
           second="it reads whatever Date reads")
bad_member("a time of expiry with fractions of a second is refused", expires="2099-01-01T00:00:00.5Z",
           second="it reads whatever Date reads")
bad_member("targets that are no object are refused", targets=[])


def good_member(title, second=None, **changes):
    @case("4.2", title, second=second)
    def _(test):
        test.start()
        for role in TOP_LEVEL:
            test.repo.signed[role].update(changes)
        test.repo.publish("root", "targets", "snapshot", "timestamp")
        test.refreshes()
        test.trusts(root=2, timestamp=2, snapshot=2, targets=2)


good_member("a newer specification 1 is accepted", spec_version="1.9.9")
good_member("members that nobody knows are accepted, and signed for", unknown={"b": [1, None, True, {"a": ""}], "a": -1})
good_member("letters beyond ASCII are signed as they are", unknown="d\u00e9j\u00e0 \u4e2d\u6587 \U0001f600")
good_member("quotes, backslashes and control characters are signed in canonical form",
            unknown="\" \\ \n \t \x01 \x1f \x7f / \u2028")
good_member("members are sorted by code point", unknown={"Z": 1, "a": 2, "\u00e9": 3, "_": 4, "": 5})
good_member("members beyond U+FFFF are sorted by code point too", unknown={"\ue000": 1, "\U00010000": 2, "\uffff": 3},
            second="it sorts by UTF-16 units")
good_member("integers beyond 2^53 are signed to the last digit", unknown=[9007199254740993, -9007199254740993],
            second="its numbers are doubles")
good_member("integers of 64 bits are signed to the last digit", unknown=[2**63 - 1, -2**63],
            second="its numbers are doubles")


@case("4.2", "integers written in another form than the canonical one are refused or mean the same")
def _(test):
    test.start()
    test.repo.root["unknown"] = 0
    test.repo.publish("root", edit_bytes=lambda data: data.replace(b'"unknown": 0', b'"unknown": -0'))
    test.refreshes()
    test.trusts(root=2)


def bad_bytes(title, change, second=None):
    @case("4.2", title, second=second)
    def _(test):
        test.start()
        test.repo.publish("root", edit=lambda part: part.update(unknown=1), edit_bytes=change)
        test.refuses(root=1)


bad_bytes("bytes after the document are refused", lambda data: data + b"x")
bad_bytes("a document that ends early is refused", lambda data: data[:-1])
bad_bytes("a comment is refused", lambda data: b"/* */" + data)
bad_bytes("bytes that are not UTF-8 are refused", lambda data: data.replace(b'"unknown"', b'"unkn\xffown"'))
bad_bytes("a number with a fraction is refused", lambda data: data.replace(b'"unknown": 1', b'"unknown": 1.5'))
bad_bytes("a number with an exponent is refused", lambda data: data.replace(b'"unknown": 1', b'"unknown": 1e0'),
          second="1e0 is 1 to it")
bad_bytes("a number with an empty fraction is refused", lambda data: data.replace(b'"unknown": 1', b'"unknown": 1.0'),
          second="1.0 is 1 to it")
bad_bytes("a member that is there twice is refused", lambda data: data.replace(b'"unknown": 1', b'"unknown": 2, "unknown": 1'),
          second="it takes the last one")
bad_bytes("a document that is an array is refused", lambda data: b"[" + data + b"]")
bad_bytes("a document that is nothing but open brackets is refused", lambda data: b"[" * 100000)


def bad_document(title, change, second=None):
    @case("4.2", title, second=second)
    def _(test):
        test.start()
        test.repo.publish("root", edit_document=change)
        test.refuses(root=1)


bad_document("a document without signatures is refused", lambda all: all.pop("signatures") and None)
bad_document("a document without a signed part is refused", lambda all: all.pop("signed") and None)
bad_document("signatures that are no array are refused", lambda all: all.update(signatures={}))
bad_document("a signature without keyid is refused", lambda all: all["signatures"][0].pop("keyid") and None)
bad_document("a signature without sig is refused", lambda all: all["signatures"][0].pop("sig") and None)
bad_document("a signature that is a number is refused", lambda all: all["signatures"][0].update(sig=1))
bad_document("a signature cut off is refused", lambda all: all["signatures"][0].update(sig=all["signatures"][0]["sig"][:-2]))
bad_document("a signature with more after it is refused",
             lambda all: all["signatures"][0].update(sig=all["signatures"][0]["sig"] + "00"))
bad_document("a signature in capitals is not the same signature", second="it takes either case",
             change=lambda all: all["signatures"][0].update(sig=all["signatures"][0]["sig"].upper()))


def key_kind(title, is_good, second=None, **arguments):
    @case("4.2", title, second=second)
    def _(test):
        test.start()
        test.repo.set_keys("timestamp", [Key(**arguments)])
        test.repo.publish("root", "timestamp")
        if not is_good:
            test.refuses(root=2)
            test.distrusts(timestamp=2)
            return
        test.refreshes()
        test.trusts(root=2, timestamp=2)
        test.repo.publish("timestamp", edit_document=lambda all: all["signed"].update(version=9))
        test.refuses(timestamp=2)


key_kind("ed25519 signs", True)
key_kind("ECDSA on P-256 signs", True, kind="ecdsa")
key_kind("ECDSA by its other key type signs", True, kind="ecdsa", keytype="ecdsa-sha2-nistp256")
key_kind("RSA-PSS signs", True, kind="rsa")
key_kind("RSA-PSS with another length of salt signs", True, kind="rsa", salt=20)
key_kind("RSA-PSS with the longest salt signs", True, kind="rsa", salt=222)
key_kind("ECDSA on another curve under that name does not sign", False, kind="ecdsa-p384", second="it takes any curve")
key_kind("RSA of 1024 bits does not sign", False, kind="rsa-1024", second="it takes any length")
key_kind("a key with members that nobody knows signs", True, extra={"unknown": {"a": 1, "\u00e9": [2]}})
key_kind("a key with keyid_hash_algorithms signs", True, extra={"keyid_hash_algorithms": ["md5"]})
key_kind("an ed25519 key that calls itself RSA does not sign", False, keytype="rsa")


@case("4.2", "a key of a kind that nobody knows may be listed")
def _(test):
    test.start()
    strange = Key(extra={"scheme": "moon-phase", "keytype": "moon"})
    test.repo.set_keys("timestamp", test.repo.signers["timestamp"] + [strange], 1, test.repo.signers["timestamp"])
    test.repo.publish("root", "timestamp")
    test.refreshes()
    test.trusts(root=2, timestamp=2)


@case("4.2", "a key of a kind that nobody knows does not sign")
def _(test):
    test.start()
    test.repo.set_keys("timestamp", [Key(extra={"scheme": "moon-phase", "keytype": "moon"})])
    test.repo.publish("root", "timestamp")
    test.refuses(root=2)
    test.distrusts(timestamp=2)


@case("4.3", "a keyid that is not the hash of its key is refused", second="it takes keyids as they are")
def _(test):
    test.start()
    key = Key()
    key.keyid = keyid_of({"not": "this key"})
    test.repo.set_keys("timestamp", [key])
    test.repo.publish("root", "timestamp")
    test.refuses(root=1, timestamp=1)


@case("4.3", "a keyid in capitals is not the hash of its key", second="it takes keyids as they are")
def _(test):
    test.start()
    key = Key()
    key.keyid = key.keyid.upper()
    test.repo.set_keys("timestamp", [key])
    test.repo.publish("root", "timestamp")
    test.refuses(root=1)


def bad_threshold(value, second=None):
    @case("4.3", "a threshold of %s is refused" % json.dumps(value), second=second)
    def _(test):
        test.start()
        test.repo.publish("root", edit=lambda part: part["roles"]["timestamp"].update(threshold=value))
        test.refuses(root=1)


for threshold in (0, -1, "1", 1.5, None):
    bad_threshold(threshold)


@case("4.3", "a role with a threshold beyond its keys can be listed, but not used")
def _(test):
    test.start()
    test.repo.root["roles"]["snapshot"]["threshold"] = 2
    test.repo.publish("root", "snapshot", "timestamp")
    test.refuses(root=2, snapshot=1)


@case("4.2", "an expiry at the end of time is accepted")
def _(test):
    test.start()
    test.repo.root["expires"] = "9999-12-31T23:59:59Z"
    test.repo.publish("root")
    test.refreshes()
    assert FUTURE < test.repo.root["expires"]
    test.trusts(root=2)
