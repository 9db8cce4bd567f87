# SPDX-License-Identifier: Apache-2.0
"""Section 5.6.7, the search through delegations, and 4.5, what a delegation may say."""
import hashlib

from .harness import case, status
from .repo import PAST, Key

# Graphs: (delegating role, role, more arguments of delegate()), and the order in which roles are visited in search
# of a target that is nowhere.
GRAPHS = {
    "one role": ([("targets", "A", {})], ["A"]),
    "two roles in the order of their appearance": ([("targets", "B", {}), ("targets", "A", {})], ["B", "A"]),
    "a role's own delegations come before its siblings":
        ([("targets", "A", {}), ("targets", "B", {}), ("A", "C", {}), ("A", "D", {})], ["A", "C", "D", "B"]),
    "depth first, over three levels":
        ([("targets", "A", {}), ("targets", "B", {}), ("A", "C", {}), ("C", "D", {})], ["A", "C", "D", "B"]),
    "nothing after a terminating delegation": ([("targets", "A", {"terminating": True}), ("targets", "B", {})], ["A"]),
    "nothing after a terminating delegation further down":
        ([("targets", "A", {}), ("targets", "B", {}), ("A", "C", {"terminating": True}), ("A", "D", {})], ["A", "C"]),
    "a terminating delegation's own delegations are searched":
        ([("targets", "A", {"terminating": True}), ("targets", "B", {}), ("A", "C", {}), ("C", "D", {})], ["A", "C", "D"]),
    "a terminating delegation that is not for the target does not end the search":
        ([("targets", "A", {"terminating": True, "paths": ["*.py"]}), ("targets", "B", {})], ["B"]),
    "delegations that are not for the target are left out":
        ([("targets", "A", {"paths": ["*.py"]}), ("targets", "B", {}), ("A", "C", {})], ["B"]),
    "a cycle ends": ([("targets", "A", {}), ("A", "B", {}), ("B", "C", {}), ("C", "A", {})], ["A", "B", "C"]),
    "a role that delegates to itself is visited once": ([("targets", "A", {}), ("A", "A", {}), ("targets", "B", {})],
                                                        ["A", "B"]),
    "a role with two ways to it is visited once":
        ([("targets", "A", {}), ("targets", "B", {}), ("A", "C", {}), ("B", "C", {})], ["A", "C", "B"]),
}


def graph(name, delegations, visited):
    @case("5.6.7", "the search: " + name)
    def _(test):
        keys = {}
        for parent, role, arguments in delegations:
            keys.setdefault(role, Key())
            is_new = role not in test.repo.signed
            test.repo.delegate(parent, role, keys=[keys[role]], signers=None if is_new else [], **arguments)
        test.repo.publish_delegated(*keys)
        test.start()
        test.forget_requests()
        test.cannot_download("nowhere")
        test.requested("2.root", "timestamp", *["1." + role for role in visited])


for graph_name, (graph_delegations, graph_visited) in GRAPHS.items():
    graph(graph_name, graph_delegations, graph_visited)


# Pattern, path, whether the delegation is for it.
PATTERNS = [
    ("foo.tgz", "foo.tgz", True),
    ("foo.tgz", "Foo.tgz", False),
    ("*.tgz", "foo.tgz", True),
    ("*.tgz", "targets/foo.tgz", False),
    ("targets/*.tgz", "targets/foo.tgz", True),
    ("targets/*.tgz", "targets/foo.txt", False),
    ("targets/*", "targets/a/b", False),
    ("*/*/c", "a/b/c", True),
    ("foo-version-?.tgz", "foo-version-a.tgz", True),
    ("foo-version-?.tgz", "foo-version-alpha.tgz", False),
    ("a?b", "a/b", False),
    ("dir/*", "dir", False),
]


def pattern(text, path, is_match):
    @case("4.5", "path pattern \"%s\" %s \"%s\"" % (text, "matches" if is_match else "does not match", path))
    def _(test):
        test.repo.delegate("targets", "role", paths=[text])
        test.repo.add_target(path, role="role")
        test.repo.publish_delegated("role")
        test.init()
        if is_match:
            test.downloads(path)
            test.has_targets(b"content")
        else:
            test.cannot_download(path)
            test.trusts(role=0)


for pattern_text, pattern_path, pattern_is_match in PATTERNS:
    pattern(pattern_text, pattern_path, pattern_is_match)


def prefix(title, is_match, choose):
    @case("4.5", title)
    def _(test):
        digest = hashlib.sha256(b"dir/a").hexdigest()
        test.repo.delegate("targets", "bin", prefixes=choose(digest))
        test.repo.add_target("dir/a", role="bin")
        test.repo.publish_delegated("bin")
        test.init()
        if is_match:
            test.downloads("dir/a")
        else:
            test.cannot_download("dir/a")
            test.trusts(bin=0)


prefix("a hash prefix of a target's path leads to it", True, lambda digest: [digest[:2]])
prefix("one of several hash prefixes is enough", True, lambda digest: ["000000", digest[:5]])
prefix("a whole hash is a prefix of itself", True, lambda digest: [digest])
prefix("another hash prefix does not lead to the target", False, lambda digest: [("1" if digest[0] == "0" else "0")])
prefix("an end of the hash is no prefix", False, lambda digest: [digest[8:16]])


@case("5.6.7.1", "the first role that lists a target has the say")
def _(test):
    for role in ("A", "B"):
        test.repo.delegate("targets", role)
    test.repo.add_target("file", b"from A", "A")
    test.repo.add_target("file", b"from B", "B")
    test.repo.publish_delegated("A", "B")
    test.init()
    test.downloads("file")
    test.has_targets(b"from A")


@case("5.6.7.1", "what a role lists itself comes before what its delegations list")
def _(test):
    test.repo.delegate("targets", "A")
    test.repo.add_target("file", b"from A", "A")
    test.repo.add_target("file", b"from targets")
    test.repo.publish_delegated("A")
    test.init()
    test.downloads("file")
    test.has_targets(b"from targets")
    test.trusts(A=0)


@case("5.6.7", "a target must be within the paths of every delegation on the way")
def _(test):
    test.repo.delegate("targets", "A", paths=["a/*"])
    test.repo.delegate("A", "B", paths=["*/*"])
    test.repo.add_target("a/file", b"in", "B")
    test.repo.add_target("b/file", b"out", "B")
    test.repo.publish_delegated("A", "B")
    test.init()
    test.downloads("a/file")
    test.cannot_download("b/file")
    test.has_targets(b"in")


@case("5.6.7", "what a role lists outside of its paths is not found")
def _(test):
    test.repo.delegate("targets", "A", paths=["a/*"])
    test.repo.add_target("b/file", role="A")
    test.repo.publish_delegated("A")
    test.init()
    test.cannot_download("b/file")


@case("5.6.7", "no more than so many roles are visited")
def _(test):
    names = ["r%02d" % number for number in range(40)]
    for parent, role in zip(["targets"] + names, names):
        test.repo.delegate(parent, role)
    test.repo.add_target("near", role=names[20])
    test.repo.add_target("far", role=names[39])
    test.repo.publish_delegated(*names)
    test.init()
    test.downloads("near")
    test.cannot_download("far")
    test.trusts(r39=0)


def bad_role(section, title, second=None, damage=None, **arguments):
    """A delegated role made bad: its target is not found, although the role after it lists it too."""
    @case(section, title, second=second)
    def _(test):
        test.repo.delegate("targets", "A")
        test.repo.delegate("targets", "B")
        test.repo.add_target("file", b"from A", "A")
        test.repo.add_target("file", b"from B", "B")
        test.repo.publish("B")
        test.repo.publish("A", **{name: value(test.repo) if name == "signers" else value
                                  for name, value in arguments.items()})
        test.repo.publish("targets")
        test.repo.publish("snapshot", edit=damage)
        test.repo.publish("timestamp")
        test.init()
        test.refreshes()
        test.cannot_download("file")
        test.has_targets()
        test.trusts(A=0, targets=2)


bad_role("5.6.3", "a delegated role without a signature is refused", signers=lambda repo: [])
bad_role("5.6.3", "a delegated role signed by the delegating role's key is refused",
         signers=lambda repo: repo.signers["targets"])
bad_role("5.6.3", "a delegated role signed by its sibling's key is refused", signers=lambda repo: repo.signers["B"])
bad_role("5.6.3", "a delegated role that was changed after signing is refused",
         edit_document=lambda all: all["signed"].update(extra=1))
bad_role("5.6.3", "a delegated role with another type is refused", edit=lambda part: part.update(_type="snapshot"))
bad_role("5.6.4", "a delegated role of another version than the snapshot says is refused",
         edit=lambda part: part.update(version=2), name="metadata/1.A.json")
bad_role("5.6.5", "an expired delegated role is refused", edit=lambda part: part.update(expires=PAST))
bad_role("5.6.2", "a delegated role with another hash than the snapshot says is refused",
         damage=lambda part: part["meta"]["A.json"].update(hashes={"sha256": "00" * 32}))
bad_role("5.6.1", "a delegated role longer than the snapshot says is refused",
         damage=lambda part: part["meta"]["A.json"].update(length=10))
bad_role("5.6.7", "a delegated role that the snapshot does not list ends the search",
         damage=lambda part: part["meta"].pop("A.json") and None)


@case("5.6.7", "a delegated role that cannot be fetched ends the search")
def _(test):
    test.repo.delegate("targets", "A")
    test.repo.delegate("targets", "B")
    test.repo.add_target("file", b"from B", "B")
    test.repo.publish_delegated("A", "B")
    test.start()
    for answer in (None, status(500)):
        test.repo.files["metadata/1.A.json"] = answer
        test.cannot_download("file")
        test.trusts(A=0, B=0)


@case("5.6.3", "a delegated role must reach its threshold")
def _(test):
    keys = [Key(), Key(), Key()]
    test.repo.delegate("targets", "A", keys=keys, threshold=2, signers=keys[:1])
    test.repo.add_target("file", role="A")
    test.repo.publish_delegated("A")
    test.init()
    test.cannot_download("file")
    test.repo.signers["A"] = keys[1:]
    test.repo.publish_delegated("A")
    test.downloads("file")
    test.trusts(A=2)


@case("5.6.6", "a delegated role is kept as it came and not fetched again")
def _(test):
    test.repo.delegate("targets", "A")
    test.repo.add_target("file", role="A")
    test.repo.publish("A", edit_bytes=lambda data: data + b"\n\n")
    test.repo.publish_all()
    test.init()
    test.downloads("file")
    test.holds("A", test.repo.bytes["A"])
    test.forget_requests()
    test.downloads("file")
    test.requested("2.root", "timestamp")


@case("5.6.6", "a new version of a delegated role is fetched")
def _(test):
    test.repo.delegate("targets", "A")
    test.repo.add_target("file", b"first", "A")
    test.repo.publish_delegated("A")
    test.init()
    test.downloads("file")
    test.repo.add_target("file", b"second", "A")
    test.repo.publish("A", "snapshot", "timestamp")
    test.downloads("file")
    test.has_targets(b"second")
    test.trusts(A=2)


@case("5.6.3", "after a delegation changed its key the role signed by the old one is refused")
def _(test):
    test.repo.delegate("targets", "A")
    test.repo.add_target("file", role="A")
    test.repo.publish_delegated("A")
    test.init()
    test.downloads("file")
    new = Key()
    delegations = test.repo.targets["delegations"]
    delegations["keys"][new.keyid] = new.object
    delegations["roles"][0]["keyids"] = [new.keyid]
    test.repo.publish_all()
    test.cannot_download("file")


@case("5.6.3", "a role that one delegation vouched for is verified again for another",
      second="it keeps a role by its name, whoever delegated to it")
def _(test):
    good, never = Key(), Key()
    test.repo.delegate("targets", "left", paths=["l/*"])
    test.repo.delegate("targets", "right", paths=["r/*"])
    test.repo.delegate("left", "shared", paths=["l/*"], keys=[good])
    test.repo.delegate("right", "shared", paths=["r/*"], keys=[never], signers=[])
    test.repo.add_target("l/file", b"left", "shared")
    test.repo.add_target("r/file", b"right", "shared")
    test.repo.publish_delegated("shared", "left", "right")
    test.init()
    test.cannot_download("l/file", "r/file")
    test.has_targets(b"left")


@case("5.6.1", "without consistent snapshots delegated roles have no number", consistent=False)
def _(test):
    test.repo.delegate("targets", "A")
    test.repo.add_target("file", role="A")
    test.repo.publish_delegated("A")
    test.init()
    test.downloads("file")
    test.requested("2.root", "timestamp", "snapshot", "targets", "A")


def odd_name(name, encoded):
    @case("5.6.1", "a role may be called \"%s\"; it is asked for as %s" % (name, encoded))
    def _(test):
        test.repo.delegate("targets", name)
        test.repo.add_target("file", role=name)
        test.repo.publish_delegated(name)
        test.init()
        test.downloads("file")
        test.requested("2.root", "timestamp", "2.snapshot", "2.targets", "1." + encoded)
        test.same(len(test.trusted()), 5, "trusted roles")


for odd, odd_encoded in (("?", "%3F"), ("#", "%23"), ("/x", "%2Fx"), ("../x", "..%2Fx"), ("a b", "a%20b"), ("100%", "100%25"),
                         ("\u00e9", "%C3%A9"), ("..", "..")):
    odd_name(odd, odd_encoded)


def bad_delegation(title, second=None, **arguments):
    """Targets with such a delegation is no good as a whole."""
    @case("4.5", title, second=second)
    def _(test):
        test.start()
        test.repo.delegate("targets", **{"name": "A", **arguments})
        test.repo.publish_all()
        test.refuses(snapshot=2, targets=1)


for taken in ("root", "timestamp", "snapshot", "targets"):
    bad_delegation("a delegation to a role called \"%s\" is refused" % taken, name=taken, signers=[])
bad_delegation("a delegation with both paths and hash prefixes is refused", edit=lambda entry: entry.update(
    path_hash_prefixes=["00"]))
bad_delegation("a delegation with neither paths nor hash prefixes is refused", paths=None,
               second="such a delegation is for nothing")
bad_delegation("a delegation with a threshold of 0 is refused", threshold=0)


@case("4.5", "two delegations to one name in one file are refused")
def _(test):
    test.start()
    test.repo.delegate("targets", "A")
    test.repo.delegate("targets", "A", paths=["x"])
    test.repo.publish_all()
    test.refuses(targets=1)


@case("4.5", "a key of a delegation whose keyid is not its hash is refused", second="it takes keyids as they are")
def _(test):
    test.start()
    key = Key()
    key.keyid = "ab" * 32
    test.repo.delegate("targets", "A", keys=[key])
    test.repo.publish_delegated("A")
    test.refuses(targets=1)
