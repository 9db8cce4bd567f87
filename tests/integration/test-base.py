#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a recipe may begin with: archives, folders and OCI images, good ones to the last file and bad ones with a reason."""
import gzip
import hashlib
import json
import lzma
import os
import shutil
import subprocess
import tarfile

from harness.oci import TYPE, Layout, archive, digest, member
from harness.packages import Packages, dpkg_system
from harness.repository import bascule_image
from harness.system import SYSTEM, Scene
from harness.tap import Skip, need_root, run, test


def _unpack(scene, data, name):
    os.mkdir(scene.path(name))
    subprocess.run(["tar", "-x", "-C", scene.path(name)], input=data, check=True)
    return name


@test
def one_system_in_every_shape_gives_one_image(world):
    scene = Scene(world)
    plain = archive(*SYSTEM, member("usr/bin/tool", "tool", mode=0o4755), member("usr/bin/link", link="tool", kind=tarfile.SYMTYPE),
                    member("usr/bin/hard", link="usr/bin/tool", kind=tarfile.LNKTYPE), member("dev"),
                    member("dev/null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3), member("etc/apt/sources.list", "deb x y z\n"))
    zstd = subprocess.run(["zstd", "-q", "-c"], input=plain, capture_output=True, check=True).stdout
    layout = scene.layout()
    layout.tag(layout.image(plain), "v1").tag(layout.image(plain, compression="+zstd"), "v2")
    shapes = [scene.put("a.tar", plain), scene.put("a.tar.gz", gzip.compress(plain)), scene.put("a.tar.zst", zstd),
              scene.put("a.tar.xz", lzma.compress(plain)), "oci:layout:v1", "oci:layout:v2"]
    subprocess.run(["tar", "-C", scene.path("layout"), "-cf", scene.path("layout.tar"), "."], check=True)
    shapes.append("oci:layout.tar:v1")
    if os.geteuid() == 0:
        shapes.append(_unpack(scene, plain, "folder"))
    hashes = set()
    for shape in shapes:
        assert scene.build(shape)[0] == "base" or shape == "oci:layout.tar:v1", shape
        hashes.add(scene.root_hash())
    assert len(hashes) == 1, hashes
    tree = scene.tree()
    assert tree["usr/bin/tool"].mode == 0o4755 and tree["usr/bin/link"].linkname == "tool", tree["usr/bin/tool"]
    assert {tree["usr/bin/tool"].islnk(), tree["usr/bin/hard"].islnk()} == {True, False}
    assert tree["etc/shadow"].gid == 42 and tree["etc/shadow"].mode == 0o640
    assert "dev/null" not in tree and "etc/apt/sources.list" not in tree and "boot/vmlinuz-1.0" not in tree
    assert "packages" not in os.listdir(scene.cache), os.listdir(scene.cache)


@test
def repro_names_the_script_of_a_file_that_no_package_owns(world):
    scene = Scene(world)
    system = [*SYSTEM, member("var/lib/dpkg/info/tool.postinst", "#!/bin/sh\ndate >/opt/made\n", mode=0o755),
              member("var/lib/dpkg/info/other.postinst", "#!/bin/sh\nrm -f /opt/made.old\n", mode=0o755)]
    scene.put("a.tar", archive(*system, member("opt/made", "one\n")))
    scene.build("a.tar")
    against = ("--against", scene.out, "--engine-root", world.stage)
    scene.run("repro", "a.tar", *against, says="same      root.erofs")
    scene.put("a.tar", archive(*system, member("opt/made", "two\n")))
    scene.run("repro", "a.tar", *against, status=1,
              says="first file that differs is /opt/made (of no package; the postinst of tool names it), by randomness: ")
    difference = json.loads(scene.run("repro", "a.tar", *against, "--json", status=1))["difference"]
    assert difference["scripts"] == [{"package": "tool", "kind": "postinst", "names": "/opt/made"}], difference


@test
def the_base_is_in_key_lock_and_provenance(world):
    scene = Scene(world)
    layout = scene.layout()
    first, second = archive(*SYSTEM), archive(member("etc"), member("etc/two", "2"))
    image = layout.image(first, second)
    layout.tag(image)
    assert scene.build("oci:layout")[0] == "base"
    assert scene.build("oci:layout") == []
    inputs = scene.inputs()
    assert inputs["layout"] == image["digest"], inputs
    manifest = json.load(open(layout.path(image["digest"]), encoding="ascii"))
    for part in [manifest["config"], *manifest["layers"]]:
        assert inputs["layout/blobs/sha256/" + part["digest"].partition(":")[2]] == part["digest"], inputs
    # A lock of a recipe that installs nothing fixes the base.
    scene.refuse("oci:layout", "--locked asks for one", 5, "--locked")
    scene.run("lock", "oci:layout")
    lock = json.load(open(scene.recipe + ".lock", encoding="ascii"))
    assert lock["packages"] == [] and "Base=" + image["digest"].partition(":")[2] in lock["request"], lock
    assert scene.build("oci:layout", "--locked") == ["tar"]
    other = layout.image(first)
    layout.entries = []
    layout.tag(other)
    scene.refuse("oci:layout", "the lock is stale: the recipe has Base=" + other["digest"].partition(":")[2], 5)
    scene.run("lock", "oci:layout", "--update")
    assert scene.build("oci:layout", "--locked")[0] == "base"
    assert "etc/two" not in scene.tree()


@test
def layers_hide_and_replace_what_lies_below(world):
    scene = Scene(world)
    layout = scene.layout()
    lower = archive(*SYSTEM, member("etc/gone", "x"), member("opt"), member("opt/gone/a", "x"), member("opt/full"),
                    member("opt/full/old", "x"), member("opt/file", "x"), member("opt/folder"), member("opt/folder/in", "x"),
                    member("opt/link", link="/etc", kind=tarfile.SYMTYPE))
    # Names of the same layer stay, whether they come before the whiteout or after it.
    upper = archive(member("etc/.wh.gone", ""), member("etc/.wh.never-there", ""), member("opt/.wh.gone", ""),
                    member("opt/full"), member("opt/full/new", "new"), member("opt/full/.wh..wh..opq", ""),
                    member("opt/full/later", "new"), member("opt/file"), member("opt/file/.wh..wh..opq", ""),
                    member("opt/file/now", "new"), member("opt/folder", "a file"), member("opt/link"),
                    member("opt/link/own", "new"), member("opt/.wh..wh.plnk", ""))
    layout.tag(layout.image(lower, upper))
    scene.build("oci:layout")
    tree = scene.tree()
    assert sorted(name for name in tree if name.startswith("opt/")) == [
        "opt/file", "opt/file/now", "opt/folder", "opt/full", "opt/full/later", "opt/full/new", "opt/link", "opt/link/own"], tree
    assert tree["opt/folder"].isfile() and "etc/gone" not in tree and "etc/own" not in tree


@test
def an_index_is_searched_by_tag_and_architecture(world):
    scene = Scene(world)
    layout = scene.layout()
    ours, theirs = layout.image(archive(*SYSTEM)), layout.image(archive(*SYSTEM), architecture="arm64")
    two = layout.index(dict(theirs, platform={"os": "linux", "architecture": "arm64"}),
                       dict(ours, platform={"os": "linux", "architecture": "amd64"}),
                       dict(ours, platform={"os": "unknown", "architecture": "unknown"}))
    layout.tag(layout.index(two), "both").tag(theirs, "arm").tag(layout.index(dict(theirs, platform={
        "os": "linux", "architecture": "arm64"})), "nested-arm")
    scene.build("oci:layout:both")
    assert scene.inputs()["layout"] == ours["digest"], scene.inputs()
    scene.refuse("oci:layout", "it has several images; name the one that is meant, Base=oci:PATH:TAG; its tags: both, arm", 3)
    scene.refuse("oci:layout:none", 'it has no image with the tag \\"none\\"; its tags: both, arm, nested-arm', 3)
    scene.refuse("oci:layout:nested-arm", "it has no image for amd64; it has them for: arm64", 3)
    scene.refuse("oci:layout:arm", "the image is for linux on arm64, and the recipe for linux on amd64", 12)


def _deep(layout, descriptor):
    for _ in range(6):
        descriptor = layout.index(descriptor)
    return descriptor


@test
def a_layout_of_umoci_is_read(world):
    if not shutil.which("umoci"):
        raise Skip("umoci is not installed")
    need_root("to let umoci make files of other owners")
    scene = Scene(world)
    image = scene.path("layout") + ":v1"
    _unpack(scene, archive(*SYSTEM, member("usr/bin/tool", "x"), member("opt"), member("opt/full"), member("opt/full/old", "x"), member("opt/gone", "x")), "root")
    os.mkdir(scene.path("empty"))

    def umoci(*words):
        subprocess.run(["umoci", *words], capture_output=True, check=True)
    umoci("init", "--layout", scene.path("layout"))
    umoci("new", "--image", image)
    umoci("insert", "--image", image, scene.path("root"), "/")
    umoci("insert", "--image", image, "--whiteout", "/opt/gone")
    umoci("insert", "--image", image, "--opaque", scene.path("empty"), "/opt/full")
    umoci("unpack", "--image", image, scene.path("bundle"))
    with open(scene.path("bundle/rootfs/etc/own"), "w", encoding="ascii") as file:
        file.write("own")
    os.chown(scene.path("bundle/rootfs/etc/own"), 7, 8)
    os.unlink(scene.path("bundle/rootfs/usr/bin/tool"))
    umoci("repack", "--image", image, scene.path("bundle"))
    assert scene.build("oci:layout")[0] == "base"
    tree = scene.tree()
    assert (tree["etc/own"].uid, tree["etc/own"].gid) == (7, 8) and tree["etc/shadow"].mode == 0o640
    assert sorted(name for name in tree if name.startswith("opt/")) == ["opt/full"] and "usr/bin/tool" not in tree, tree


@test
def what_skopeo_copied_is_the_same_image(world):
    if not shutil.which("skopeo"):
        raise Skip("skopeo is not installed")
    scene = Scene(world)
    layout = scene.layout()
    lower, upper = archive(*SYSTEM, member("opt"), member("opt/gone", "x")), archive(member("opt"), member("opt/.wh.gone", ""), member("opt/new", "x"))
    layout.tag(layout.image(lower, upper), "v1").tag(layout.image(lower, compression=""), "v2")
    scene.build("oci:layout:v1")
    expected = scene.root_hash()
    assert "opt/new" in scene.tree() and "opt/gone" not in scene.tree()
    for tag, places in (("v1", ("oci:copy", "oci-archive:copy.tar")), ("v2", ("oci:copy", "oci-archive:other.tar"))):
        for place in places:
            kind, _, name = place.partition(":")
            subprocess.run(["skopeo", "--insecure-policy", "copy", "--quiet", "oci:%s:%s" % (scene.path("layout"), tag),
                            "%s:%s:%s" % (kind, scene.path(name), tag)], capture_output=True, check=True)
    for base in ("oci:copy:v1", "oci:copy.tar:v1", "oci:copy.tar"):
        scene.build(base)
        assert scene.root_hash() == expected, base
    for base in ("oci:copy:v2", "oci:other.tar:v2"):
        scene.build(base)
        assert "opt/gone" in scene.tree() and scene.root_hash() != expected, base


@test
def a_profile_and_a_base_are_told_apart_in_key_and_provenance(world):
    scene = Scene(world)
    scene.put("a.tar", archive(*SYSTEM))
    os.mkdir(scene.path("host.conf.profiles"))
    for name, text in (("loud", "[Kernel]\nCommandLine=debug\n"), ("more", "[Content]\nDirectory=/opt/more\n")):
        scene.put("host.conf.profiles/%s.conf" % name, text.encode())
    scene.build("a.tar")
    assert scene.build("a.tar", "--profile", "loud") == ["uki", "tar"]
    with open(scene.path("host.conf.profiles/loud.conf"), "rb") as file:
        assert scene.inputs()["host.conf.profiles/loud.conf"] == digest(file.read()), scene.inputs()
    assert "root" in scene.build("a.tar", "--profile", "loud", "--profile", "more") and "opt/more" in scene.tree()
    assert "host.conf.profiles/more.conf" in scene.inputs()
    scene.build("a.tar")
    assert not [name for name in scene.inputs() if "profiles" in name] and "opt/more" not in scene.tree()


def _folder_hash(folder):
    """As docs/formats-release.md has it."""
    text = b""

    def walk(path):
        nonlocal text
        for name in sorted(os.listdir(os.path.join(folder, path)), key=os.fsencode):
            below = os.path.join(path, name)
            full = os.path.join(folder, below)
            if os.path.islink(full):
                text += b"l %s " % hashlib.sha256(os.fsencode(os.readlink(full))).hexdigest().encode()
            elif os.path.isfile(full):
                with open(full, "rb") as file:
                    text += b"%s %s " % (b"x" if os.access(full, os.X_OK) else b"f", hashlib.sha256(file.read()).hexdigest().encode())
            else:
                text += b"d "
            text += os.fsencode(below) + b"\0"
            if os.path.isdir(full) and not os.path.islink(full):
                walk(below)
    walk("")
    return digest(text)


def _rich_recipe(world):
    """With something of each kind that a statement must name; the same in another folder each time."""
    scene = Scene(world)
    scene.put("a.tar", archive(*SYSTEM))
    for name in ("host.conf.d", "parts", "parts/files", "parts/files/empty"):
        os.mkdir(scene.path(name))
    scene.put("host.conf.d/10-more.conf", b"[Recipe]\nInclude=../parts/part.conf\n")
    scene.put("parts/part.conf", b"[Content]\nFile=motd:/etc/motd\nTree=files:/opt/files\n")
    scene.put("parts/motd", b"hello\n")
    scene.put("parts/files/run", b"#!/bin/sh\n")
    os.chmod(scene.path("parts/files/run"), 0o755)
    os.symlink("run", scene.path("parts/files/link"))
    scene.put("extra", b"set\n")
    scene.options = ["--set", "Content.File=%s:/etc/extra" % scene.path("extra"), "--set", "Kernel.CommandLine=debug"]
    return scene


def _statement(scene):
    with open(os.path.join(scene.out, "provenance.json"), encoding="ascii") as file:
        return file.read()


@test
def the_provenance_names_all_that_went_in(world):
    scene = _rich_recipe(world)
    scene.build("a.tar", *scene.options)
    inputs = scene.inputs()
    for name in ("host.conf", "host.conf.d/10-more.conf", "parts/part.conf", "parts/motd", "extra"):
        with open(scene.path(name), "rb") as file:
            assert inputs[name] == digest(file.read()), (name, inputs)
    assert inputs["parts/files"] == _folder_hash(scene.path("parts/files")), inputs
    for name in ("usr/bin/bascule", "usr/lib/bascule/basculed", "usr/lib/bascule/bascule-init"):
        with open(os.path.join(world.stage, name), "rb") as file:
            assert inputs["engine/" + name] == digest(file.read()), name
    asked = json.loads(_statement(scene))["predicate"]["buildDefinition"]["externalParameters"]
    assert asked["settings"] == ["Content.File=extra:/etc/extra", "Kernel.CommandLine=debug"], asked
    # Nothing of the machine is in it, so that another folder gives the same bytes, and so does the cache.
    first = _statement(scene)
    assert scene.folder not in first and world.stage not in first, first
    assert scene.build("a.tar", *scene.options) == [] and _statement(scene) == first
    again = _rich_recipe(world)
    again.build("a.tar", *again.options)
    assert _statement(again) == first
    # The image that another is laid out after is one of its inputs, and what is not in it any more is none.
    os.rename(scene.out, scene.path("one"))
    scene.build("a.tar", "--previous", scene.path("one"), "--version", "2")
    with open(scene.path("one/root.erofs"), "rb") as file:
        assert scene.inputs()["previous/root.erofs"] == digest(file.read())
    assert "extra" not in scene.inputs() and "previous/root.erofs" not in inputs


@test
def a_release_that_does_not_fit_the_field_is_refused(world):
    scene = Scene(world)
    scene.put("a.tar", archive(*SYSTEM))
    scene.build("a.tar", "--set", "Budget.Layout=old:64M:64M")
    os.rename(scene.out, scene.path("one"))
    scene.refuse("a.tar", "the release does not fit the layout old: root image and reserve need a slot of", 7,
                 "--set", "Budget.Layout=old:4K:64M", "--previous", scene.path("one"))
    scene.put("a.tar", archive(*SYSTEM[:2], member("boot/vmlinuz-1.0", "a longer kernel"), *SYSTEM[3:]))
    small = ("--version", "2", "--set", "Budget.Layout=new:64M:64M old:64M:4K")
    scene.refuse("a.tar", "the release does not fit the layout old: two kernel images with the boot loader need an ESP of", 7, *small)
    scene.refuse("a.tar", "in each of them the kernel takes 15 B and the initrd ", 7, *small)
    grew = "since the previous release the kernel grew by 9 B and the initrd stayed as it was"
    scene.refuse("a.tar", grew, 7, *small, "--previous", scene.path("one"))
    # A repository tells the same; of a root image alone it is not known.
    bascule_image(world, "keys", "init", scene.path("keys"))
    bascule_image(world, "release", scene.path("one"), "--repo", scene.path("repo"), "--channel", "stable", "--keys",
                  scene.path("keys"), "--level", "1", "--cache", scene.cache)
    scene.refuse("a.tar", grew, 7, *small, "--previous", scene.path("repo"))
    scene.refuse("a.tar", "in each of them the kernel takes 15 B", 7, *small, "--previous", scene.path("one/root.erofs"))


@test
def a_layout_that_lies_is_refused(world):
    scene = Scene(world)
    good, zeros = archive(*SYSTEM), gzip.compress(bytes(4 << 20))

    def case(says, status, make, *options):
        layout = scene.layout()
        layout.tag(make(layout))
        scene.refuse("oci:layout", says, status, *options)

    def changed(change):
        return lambda layout: layout.image(good, change=change)

    def overwrite(part, data):
        def make(layout):
            image = layout.image(good)
            manifest = json.load(open(layout.path(image["digest"]), encoding="ascii"))
            victim = {"manifest": image, "config": manifest["config"], "layer": manifest["layers"][0]}[part]
            if data is None:
                os.unlink(layout.path(victim["digest"]))
            else:
                with open(layout.path(victim["digest"]), "r+b") as file:
                    data(file)
            return image
        return make

    def flip(file):
        file.seek(20)
        file.write(b"?")

    for part in ("manifest", "config", "layer"):
        case("is damaged or forged: its SHA-256 is another", 9, overwrite(part, flip))
        case("is missing", 9, overwrite(part, None))
        case("and its descriptor says", 9, overwrite(part, lambda file: file.truncate(30)))
    case("is not a SHA-256", 9,
         lambda layout: dict(layout.image(good), digest="sha256:../../../../etc/passwd"))
    case("only sha256 is", 9, lambda layout: dict(layout.image(good), digest="md5:00"))
    case("the size of a blob is impossible", 9, lambda layout: dict(layout.image(good), size=1 << 62))
    case("a document of the image is too large", 9, lambda layout: dict(layout.image(good), size=1 << 30))
    case("its manifest has 1 layers, and its config 0", 9, changed(lambda config, _: config["rootfs"].update(diff_ids=[])))
    case("it unpacks to other bytes than the image's config names", 9,
         changed(lambda config, _: config["rootfs"].update(diff_ids=[digest(b"x")])))
    case("or that lies elsewhere", 9, changed(lambda _, manifest: manifest["layers"][0].update(
        mediaType=TYPE + "layer.nondistributable.v1.tar+gzip")))
    case("layers, and 256 is the most", 9, changed(lambda _, manifest: manifest.update(layers=manifest["layers"] * 257)))
    case("its config is not that of a container image", 9, changed(lambda _, manifest: manifest.update(
        config=dict(mediaType=TYPE + "empty.v1+json", digest=digest(b"{}"), size=2))))
    case("its mediaType is that of something else", 9, changed(lambda _, manifest: manifest.update(mediaType=TYPE + "index.v1+json")))
    case("its indexes are nested more than 4 deep", 9, lambda layout: _deep(layout, layout.image(good)))
    case("its compressed bytes are damaged", 10, lambda layout: layout.image(good, change=lambda config, manifest: manifest.update(
        layers=[layout.blob(gzip.compress(good)[:-20], "layer.v1.tar+gzip")])))
    case("layer 1 of 1 (sha256:" + digest(zeros).partition(":")[2][:12] + "): it unpacks to more than 1.0 MiB", 5,
         lambda layout: layout.image(good, change=lambda config, manifest: manifest.update(
             layers=[layout.blob(zeros, "layer.v1.tar+gzip")])), "--set", "Content.BaseLimit=1M")
    layout = scene.layout().tag({})
    scene.refuse("oci:layout", "index.json: ", 9)
    layout.write("index.json", b"{" * 100000)
    scene.refuse("oci:layout", "index.json", 9)
    os.unlink(scene.path("layout/index.json"))
    scene.refuse("oci:layout", "it is no OCI image layout", 3)


HOSTILE = (
    ("absolute or empty", [member("/etc/x", "x")]),
    ('has \\".\\" or \\"..\\" in it', [member("../x", "x")]),
    ('has \\".\\" or \\"..\\" in it', [member("etc/../../x", "x")]),
    ("through something that is not a folder", [member("out", link="/tmp", kind=tarfile.SYMTYPE), member("out/x", "x")]),
    ("a hard link to what is not in the archive", [member("x", link="etc/none", kind=tarfile.LNKTYPE)]),
    ("absolute or empty", [member("x", link="/etc/passwd", kind=tarfile.LNKTYPE)]),
    ('has \\".\\" or \\"..\\" in it', [member("x", link="../../etc/passwd", kind=tarfile.LNKTYPE)]),
    ("through something that is not a folder", [member("out", link="/etc", kind=tarfile.SYMTYPE),
                                                member("x", link="out/passwd", kind=tarfile.LNKTYPE)]),
    ("device nodes are not allowed", [member("etc/disk", kind=tarfile.BLKTYPE, devmajor=8)]),
    ("device nodes are not allowed", [member("dev", link="etc", kind=tarfile.SYMTYPE), member("device", kind=tarfile.CHRTYPE)]),
)


@test
def members_that_would_leave_the_tree_are_refused(world):
    scene = Scene(world)
    for says, members in HOSTILE:
        scene.put("a.tar", archive(*SYSTEM, *members))
        scene.refuse("a.tar", says, 10)
        layout = scene.layout()
        layout.tag(layout.image(archive(*SYSTEM), archive(*members)))
        if "absolute" not in says:
            scene.refuse("oci:layout", says, 10)
    # Tools begin names of layers with a slash, which is the image's own root.
    layout = scene.layout()
    layout.tag(layout.image(archive(*SYSTEM), archive(member("/etc/own", "x"), member("/etc/same", link="/etc/passwd", kind=tarfile.LNKTYPE))))
    scene.build("oci:layout")
    assert scene.tree()["etc/own"].isfile() and not os.path.exists("/etc/own")
    # Some leave out the end mark; it is known by its hash that the layer is whole.
    layout = scene.layout()
    layout.tag(layout.image(archive(*SYSTEM), archive(member("etc/own", "x" * 600)).rstrip(b"\0")))
    scene.build("oci:layout")
    assert scene.tree()["etc/own"].size == 600
    # A link of a lower layer leads out as well.
    layout = scene.layout()
    layout.tag(layout.image(archive(*SYSTEM, member("out", link="/tmp", kind=tarfile.SYMTYPE)), archive(member("out/x", "x"))))
    scene.refuse("oci:layout", "layer 2 of 2", 10)
    layout = scene.layout()
    layout.tag(layout.image(archive(*SYSTEM), archive(member("etc/.wh...", ""))))
    scene.refuse("oci:layout", "a whiteout that names nothing", 10)
    assert not os.path.exists("/tmp/x")


@test
def archives_that_are_bombs_or_broken_are_refused(world):
    scene = Scene(world)
    limit = ("--set", "Content.BaseLimit=1M")
    for name, pack in (("a.tar.gz", gzip.compress), ("a.tar.xz", lzma.compress)):
        scene.put(name, pack(archive(*SYSTEM, member("big", bytes(3 << 20)))))
        scene.refuse(name, "it unpacks to more than 1.0 MiB", 5, *limit)
        scene.build(name)
        scene.put(name, pack(archive(*SYSTEM))[:-40])
        scene.refuse(name, "its compressed bytes are damaged, cut off", 10)
    with open(scene.path("big"), "wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["tar", "-C", scene.folder, "--sparse", "-cf", scene.path("a.tar"), "big"], check=True)
    scene.refuse("a.tar", "sparse files are not supported", 10)
    os.makedirs(scene.path("folder/etc"))
    shutil.copy(scene.path("big"), scene.path("folder/etc/big"))
    scene.refuse("folder", "its files are larger than 1.0 MiB together", 5, *limit)
    os.unlink(scene.path("folder/etc/big"))
    if os.geteuid() == 0:
        os.mknod(scene.path("folder/etc/null"), 0o020666, os.makedev(1, 3))
        scene.refuse("folder", "etc/null is a device node", 5)
    scene.put("a.tar", b"no archive at all" * 100)
    scene.refuse("a.tar", "this is not a tar archive", 10)
    scene.refuse("nothing.tar", "cannot find", 3)


@test
def what_a_recipe_may_ask_of_a_base_is_checked(world):
    scene = Scene(world)
    scene.put("a.tar", archive(*SYSTEM))
    scene.refuse("a.tar", "set [Image] Epoch=", 3, "--set", "Image.Epoch=")
    scene.refuse("oci:layout:", "cannot find", 3)
    scene.refuse("a.tar", "[Packages] Suites= is missing", 3, "--set", "Packages.Install=x")
    scene.refuse("oci:a.tar", "it is no OCI image layout", 3)


# ---- packages on top ----

EVIL = 'DPkg::Pre-Invoke { "touch %s"; };\nAPT::Update::Pre-Invoke { "touch %s"; };\n'


def _judge_bill(scene):
    judge = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tools/spdx_check.py")
    done = subprocess.run([judge, os.path.join(scene.out, "sbom.spdx.json")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@test
def packages_are_installed_on_what_the_base_has(world):
    scene = Packages(world)
    scene.put("a.tar", dpkg_system())
    assert scene.build("a.tar", *scene.options)[:2] == ["base", "packages"]
    assert scene.packages() == {"library": "1", "tool": "2"}, scene.packages()
    tree = scene.tree()
    assert "content-of-tool" in tree and "content-of-library" not in tree and "content-of-unasked" not in tree
    assert tree["etc/shadow"].gid == 42 and "usr/bin/env" in tree
    free = scene.root_hash()
    # A lock has what comes to the base, and gives the same.
    scene.run("lock", "a.tar", *scene.options)
    lock = json.load(open(scene.recipe + ".lock", encoding="ascii"))
    assert [package["name"] for package in lock["packages"]] == ["tool"], lock["packages"]
    _judge_bill(scene)
    scene.build("a.tar", "--locked", *scene.options)
    assert scene.root_hash() == free
    _judge_bill(scene)
    # Another base: the lock is stale, and renewed it upgrades what is too old.
    scene.put("a.tar", dpkg_system(version="0.5"))
    scene.refuse("a.tar", "the lock is stale: the recipe has Base=", 5, *scene.options)
    assert "+ library 1" in scene.run("lock", "a.tar", "--update", *scene.options)
    scene.build("a.tar", "--locked", *scene.options)
    assert scene.packages() == {"library": "1", "tool": "2"} and "content-of-library" in scene.tree()


ENTRY = "%s (%s) tiny; urgency=high\n\n  * %s\n\n -- nobody <nobody@test.example>  Mon, 02 Jan 2006 15:04:05 +0000\n\n"


def _papers_are_targets(repo, version, folder):
    """All four of a locked image are signed for, as they lie in the image's folder."""
    names = [name for name in os.listdir(repo + "/metadata") if name.endswith(".targets.json")]
    newest = max(names, key=lambda name: int(name.partition(".")[0]))
    with open(os.path.join(repo, "metadata", newest), encoding="utf-8") as file:
        targets = json.load(file)["signed"]["targets"]
    for name in ("packages.txt", "sbom.spdx.json", "provenance.json", "fixes.json"):
        path = "releases/%s/x86-64/%s" % (version, name)
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        wanted = {"length": len(data), "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}
        assert {key: targets[path][key] for key in wanted} == wanted, (path, targets.get(path))
        with open(os.path.join(repo, "targets", os.path.dirname(path), wanted["hashes"]["sha256"] + "." + name), "rb") as file:
            assert file.read() == data, path


@test
def what_an_update_mends_is_told_from_changelogs(world):
    scene = Packages(world)
    scene.put("a.tar", dpkg_system())
    log = ENTRY % ("source", "2", "New.") + ENTRY % ("source", "1", "CVE-2019-0001")
    scene.archive.add("tool", "2", changelog=log, Source="source")
    scene.archive.publish()
    scene.run("lock", "a.tar", *scene.options)
    scene.build("a.tar", "--locked", "--version", "1", *scene.options)
    os.rename(scene.out, scene.path("one"))
    log = ENTRY % ("source", "3.0~rebuilt", "Rebuild.") + \
        ENTRY % ("source", "3.0", "CVE-2020-22222 and CVE-2020-1111.") + ENTRY % ("source", "2.1", "CVE-2020-1111") + log
    scene.archive.remove("tool", "2")
    scene.archive.add("tool", "3.0+b1", changelog=log, Source="source (3.0~rebuilt)")
    scene.archive.publish()
    scene.run("lock", "a.tar", "--update", *scene.options)
    scene.build("a.tar", "--locked", "--version", "2", *scene.options)
    os.rename(scene.out, scene.path("two"))
    with open(scene.path("two/fixes.json"), encoding="ascii") as file:
        paper = json.load(file)
    assert paper == {"format": 2, "sources": {"source": {"entries": [
        "3.0~rebuilt", {"version": "3.0", "cves": ["CVE-2020-1111", "CVE-2020-22222"]},
        {"version": "2.1", "cves": ["CVE-2020-1111"]}, "2", {"version": "1", "cves": ["CVE-2019-0001"]}]}}}, paper
    fixes = [{"source": "source", "version": "2.1", "cve": "CVE-2020-1111"},
             {"source": "source", "version": "3.0", "cve": "CVE-2020-22222"}]
    report = json.loads(bascule_image(world, "diff", scene.path("one"), scene.path("two"), "--json"))
    assert report["fixes"] == fixes and "fixes-not-known" not in report, report
    assert "CVE-2020-22222" in bascule_image(world, "diff", scene.path("one"), scene.path("two"))
    report = json.loads(bascule_image(world, "diff", scene.path("two"), scene.path("one"), "--json"))
    assert "fixes" not in report and report["packages"], report
    # The same of releases, where the paper is signed with the rest.
    repo, keys = scene.path("repo"), scene.path("keys")
    bascule_image(world, "keys", "init", keys)
    for name in ("one", "two"):
        bascule_image(world, "release", scene.path(name), "--repo", repo, "--channel", "stable", "--keys", keys, "--level", "1",
                      "--cache", scene.cache)
    for name, version in (("one", "1"), ("two", "2")):
        _papers_are_targets(repo, version, scene.path(name))
    report = json.loads(bascule_image(world, "diff", "1", "2", "--repo", repo, "--json"))
    assert report["fixes"] == fixes, report
    # Of the older image it is not read, and of a format that is not known yet it says nothing.
    with open(scene.path("one/fixes.json"), "a", encoding="ascii") as file:
        file.write(" ")
    assert json.loads(bascule_image(world, "diff", scene.path("one"), scene.path("two"), "--json"))["fixes"] == fixes
    info = scene.path("two/image.json")
    with open(scene.path("two/fixes.json"), "rb") as file, open(info, encoding="ascii") as described:
        text, saved = file.read(), described.read()
    newer = text.replace(b'"format": 2', b'"format": 99')
    scene.put("two/fixes.json", newer)
    scene.put("two/image.json", saved.replace(hashlib.sha256(text).hexdigest(), hashlib.sha256(newer).hexdigest()).encode())
    report = json.loads(bascule_image(world, "diff", scene.path("one"), scene.path("two"), "--json"))
    assert "fixes" not in report and "format" in report["fixes-not-known"][0]["why"], report
    scene.put("two/fixes.json", text)
    scene.put("two/image.json", saved.encode())
    # A paper that was changed is not believed.
    with open(scene.path("two/fixes.json"), "a", encoding="ascii") as file:
        file.write(" ")
    try:
        bascule_image(world, "diff", scene.path("one"), scene.path("two"))
        raise AssertionError("a changed paper was believed")
    except RuntimeError as error:
        assert "is not the file that image.json describes" in str(error), error
    # What a build with a lock left is not taken for one of a build without.
    os.rename(scene.path("two"), scene.out)
    os.unlink(scene.recipe + ".lock")
    scene.build("a.tar", "--version", "3", *scene.options)
    assert not os.path.exists(os.path.join(scene.out, "fixes.json"))


@test
def settings_of_a_base_are_not_read(world):
    scene = Packages(world)
    mark = scene.path("run-by-the-base")
    evil = EVIL % (mark, mark)
    scene.put("a.tar", dpkg_system(member("etc/apt/apt.conf.d/99evil", evil), member("etc/apt/apt.conf", evil),
                                    member("etc/apt/sources.list.d/evil.list", "deb [trusted=yes] file:/nowhere x y\n"),
                                    member("etc/apt/preferences.d/evil", "Package: tool\nPin: release *\nPin-Priority: -1\n")))
    scene.build("a.tar", *scene.options)
    assert scene.packages()["tool"] == "2" and not os.path.exists(mark)
    scene.run("lock", "a.tar", *scene.options)
    assert not os.path.exists(mark)


@test
def links_of_a_base_lead_nothing_out_of_it(world):
    scene = Packages(world)
    os.mkdir(scene.path("victim"))
    for name in ("file", "x.deb", "pkgcache.bin"):
        scene.put("victim/" + name, b"ours")
    folder, links = scene.path("victim"), []
    for name, target in (("usr/sbin/policy-rc.d", "/file"), ("var/log/apt/history.log", "/file"), ("var/log/apt/term.log", "/new"),
                         ("var/lib/apt/extended_states", "/file"), ("var/lib/dpkg/lock-frontend", "/new"),
                         ("var/cache/apt/archives", ""), ("var/cache/apt/pkgcache.bin", "/pkgcache.bin"), ("var/lib/apt/lists", ""),
                         ("etc/apt/apt.conf.d", ""), ("etc/apt/preferences.d", ""), ("etc/apt/sources.list.d", "")):
        links.append(member(name, link=folder + target, kind=tarfile.SYMTYPE))
    before = os.stat(scene.path("victim/file")).st_mode
    scene.put("a.tar", dpkg_system(*links))
    scene.build("a.tar", *scene.options)
    assert scene.packages()["tool"] == "2"
    assert sorted(os.listdir(folder)) == ["file", "pkgcache.bin", "x.deb"], os.listdir(folder)
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            assert file.read() == b"ours", name
    assert os.stat(scene.path("victim/file")).st_mode == before


@test
def a_base_that_nothing_can_be_installed_on_says_why(world):
    scene = Packages(world)
    for data, says in ((archive(*SYSTEM), "packages cannot be installed on the base: it has no dpkg"),
                       (archive(*SYSTEM, member("var"), member("var/lib", link="/tmp", kind=tarfile.SYMTYPE)),
                        "one of its system folders is a link or a file"),
                       (dpkg_system(member("var/lib/dbus", link=scene.folder, kind=tarfile.SYMTYPE)),
                        "one of its system folders is a link or a file"),
                       (archive(*SYSTEM, member("sbin", link=scene.folder, kind=tarfile.SYMTYPE)),
                        "one of its system folders is a link or a file")):
        scene.put("a.tar", data)
        scene.refuse("a.tar", says, 3, *scene.options)
        scene.run("lock", "a.tar", *scene.options, status=3, says=says)


if __name__ == "__main__":
    run()
