# SPDX-License-Identifier: Apache-2.0
"""Section 5.7, fetching targets."""
import os

from .harness import case, cut_off, endless, status


def good(title, path="dir/file.bin", data=b"content", second=None, repo_arguments=None, **arguments):
    @case("5.7.3", title, second=second, **(repo_arguments or {}))
    def _(test):
        test.repo.add_target(path, data, **arguments)
        test.repo.publish_all()
        test.init()
        test.downloads(path)
        test.has_targets(data)
        test.same(len([name for name in test.log if name.startswith("targets/")]), 1, "requests for the target")


good("a target is stored when it is right")
good("a target at the top is stored", "file")
good("a target deep below is stored", "a/b/c/d/e")
good("an empty target is stored", data=b"")
good("a target of a mebibyte is stored", data=bytes(range(256)) * 4096)
good("a target is checked by SHA-512 too", kinds=["sha512"])
good("a target is checked by both hashes", kinds=["sha256", "sha512"])
good("without consistent snapshots a target has no hash in its name", repo_arguments={"consistent": False})
good("a target may have a blank in its name", "a b")
good("a target may have letters beyond ASCII in its name", "d\u00e9j\u00e0/\u4e2d")
good("a target may have a percent sign and a hash in its name", "50%#x",
     second="it puts the name in the address as it is")
good("a target may have a question mark in its name", "what?", second="it puts the name in the address as it is")


def bad(title, served=None, second=None, repo_arguments=None, **arguments):
    """A target listed rightly or wrongly, and served so: nothing may be stored."""
    @case("5.7.3", title, second=second, **(repo_arguments or {}))
    def _(test):
        test.repo.add_target("dir/file", b"content", served=served, **arguments)
        test.repo.publish_all()
        test.init()
        test.cannot_download("dir/file")
        test.has_targets()
        test.trusts(targets=2)


bad("a target with another content is refused", b"CONTENT")
bad("a target that goes on is refused", b"content and more")
bad("a target that is too short is refused", b"conten")
bad("a target that is empty is refused", b"")
bad("a target without end is not read to its end", endless(b"content"))
bad("a target that breaks off is refused", cut_off(b"content"))
bad("a target that the server does not have is an error", status(404))
bad("a server's error is no target", status(500))
bad("a target longer than listed is refused even if its hash is right", length=6)
bad("a target shorter than listed is refused even if its hash is right", length=8)
bad("one wrong hash of two is enough to refuse a target", extra={"sha512": "00" * 64})
bad("a target whose only hash is of an unknown kind is refused", kinds=[], extra={"sha9": "00" * 32})
bad("a target with a hash of an unknown kind beside a good one is refused", extra={"sha9": "00" * 32})
bad("a target with another content is refused without consistent snapshots too", b"CONTENT",
    repo_arguments={"consistent": False})


@case("5.7.2", "a target that nobody lists is an error, and is not asked for")
def _(test):
    test.repo.files["targets/file"] = b"content"
    test.init()
    test.cannot_download("file")
    test.has_targets()
    test.requested("2.root", "timestamp", "1.snapshot", "1.targets")
    test.same([name for name in test.log if name.startswith("targets/")], [], "requests for targets")


@case("5.7.3", "with consistent snapshots the target's hash stands before its name")
def _(test):
    test.repo.add_target("dir/file", b"content")
    test.repo.publish_all()
    test.init()
    test.downloads("dir/file")
    test.same(test.log[-1], "targets/dir/ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73.file", "the request")


@case("5.7", "metadata is refreshed before a target is looked for")
def _(test):
    test.start()
    test.repo.add_target("file")
    test.repo.publish_all()
    test.downloads("file")
    test.trusts(targets=2, snapshot=2, timestamp=2)


@case("5.7", "no target is fetched when the refresh fails")
def _(test):
    test.repo.add_target("file")
    test.repo.publish_all()
    test.start()
    test.repo.publish("timestamp", signers=[])
    test.cannot_download("file")
    test.has_targets()


@case("5.7", "targets are fetched in order, and the first that fails ends it")
def _(test):
    for name in ("a", "b", "c"):
        test.repo.add_target(name, name.encode())
    test.repo.files = {path: data for path, data in test.repo.files.items() if not path.endswith(".b")}
    test.repo.publish_all()
    test.init()
    test.cannot_download("a", "b", "c")
    test.has_targets(b"a")


@case("5.7", "a target that is there already is not fetched again")
def _(test):
    test.repo.add_target("dir/file")
    test.repo.publish_all()
    test.init()
    test.downloads("dir/file")
    test.forget_requests()
    test.downloads("dir/file")
    test.same([name for name in test.log if name.startswith("targets/")], [], "requests for targets")
    test.has_targets(b"content")


@case("5.7", "a target file that was changed on disk is fetched again")
def _(test):
    test.repo.add_target("file")
    test.repo.publish_all()
    test.init()
    test.downloads("file")
    path = os.path.join(test.targets, os.listdir(test.targets)[0])
    with open(path, "wb") as file:
        file.write(b"changed")
    test.downloads("file")
    test.has_targets(b"content")


@case("5.7.3", "a new content of a target replaces the old one")
def _(test):
    test.repo.add_target("dir/file", b"first")
    test.repo.publish_all()
    test.init()
    test.downloads("dir/file")
    test.repo.add_target("dir/file", b"second")
    test.repo.publish_all()
    test.downloads("dir/file")
    test.has_targets(b"second")


@case("5.7.3", "the old content stays when the new one is wrong")
def _(test):
    test.repo.add_target("dir/file", b"first")
    test.repo.publish_all()
    test.init()
    test.downloads("dir/file")
    test.repo.add_target("dir/file", b"second", served=b"broken")
    test.repo.publish_all()
    test.cannot_download("dir/file")
    test.has_targets(b"first")


def escaping(name):
    @case("5.7.3", "a target called \"%s\" is stored nowhere but in its folder" % name)
    def _(test):
        test.repo.add_target(name)
        test.repo.publish_all()
        test.init()
        test.client.download(test, [name])
        test.same(sorted(os.listdir(test.folder)), ["metadata", "targets", "trusted.json"], "files beside the targets")
        for found in test.stored_targets():
            test.same(found, b"content", "content")
        test.trusts(root=1, targets=2)


for escape in ("../file", "a/../../file", "/file", "..", "./x", "a//b", "../metadata/root.json"):
    escaping(escape)
