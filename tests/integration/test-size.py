#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `bascule-image size` says of an image: in words, in JSON, and as a picture."""
import json
import os
import subprocess
import xml.etree.ElementTree as ElementTree

from harness.repository import bascule_image
from harness.tap import run, test

SVG = "{http://www.w3.org/2000/svg}"
PACKAGES = {"large": {"usr/lib/large/data": 300000, "usr/bin/large": 5000}, "small": {"usr/bin/small": 7000},
            "hollow": {"usr/lib/hollow": 0}}
LOOSE = {"usr/lib/loose%02d" % number: 100 + number for number in range(25)}


def _image(world, name="root.erofs"):
    """A root image of three packages and some files that none owns; one file has two names."""
    folder = world.new_folder("size")
    tree = folder + "/tree"

    def put(path, data):
        os.makedirs(os.path.dirname(os.path.join(tree, path)), exist_ok=True)
        with open(os.path.join(tree, path), "wb") as file:
            file.write(data)
    status = b""
    for package, files in PACKAGES.items():
        status += b"Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n" % package.encode()
        listed = "/.\n" + "".join("/%s\n" % path for path in files)
        put("usr/share/bascule/dpkg/info/%s.list" % package, listed.encode())
        for path, size in files.items():
            put(path, os.urandom(size))
    put("usr/share/bascule/dpkg/status", status)
    for path, size in LOOSE.items():
        put(path, bytes(size))
    os.link(tree + "/usr/bin/small", tree + "/usr/bin/small-again")
    image = os.path.join(folder, name)
    subprocess.run(["mkfs.erofs", "-T1", "--all-root", image, tree], check=True, capture_output=True)
    return image


def _expected():
    """Sizes and counts by package; what lists and status take is nobody's."""
    return {name: (sum(files.values()), len(files)) for name, files in PACKAGES.items()}


@test
def sizes_are_those_of_the_files_and_sums_agree(world):
    image = _image(world)
    report = json.loads(bascule_image(world, "size", image, "--json"))
    assert report["image-size"] == os.path.getsize(image), report
    packages = {row["package"]: (row["size"], row["files"]) for row in report["packages"]}
    unowned = packages.pop("(no package)")
    assert packages == _expected(), packages
    files = {row["path"]: row["size"] for row in report["files"]}
    for path, size in [*LOOSE.items(), *((path, size) for listed in PACKAGES.values() for path, size in listed.items())]:
        assert files[path] == size, path
    assert "usr/bin/small-again" not in files  # it is the first of its names that counts
    assert report["content-size"] == sum(files.values()) == unowned[0] + sum(size for size, _ in packages.values()), report
    assert report["file-count"] == len(files) == unowned[1] + sum(count for _, count in packages.values()), report
    for rows in (report["packages"], report["files"]):
        assert [row["size"] for row in rows] == sorted((row["size"] for row in rows), reverse=True), rows
    owners = {row["path"]: row["package"] for row in report["files"]}
    assert (owners["usr/bin/large"], owners["usr/lib/loose00"]) == ("large", "(no package)"), owners


@test
def words_name_the_largest_and_with_all_the_rest(world):
    image = _image(world)
    words, everything = bascule_image(world, "size", image), bascule_image(world, "size", image, "--all")
    for name in ("large", "usr/lib/large/data", "(no package)"):
        assert name in words, words
    assert "usr/lib/hollow" not in words and "usr/lib/loose00" not in words, words
    for path in [*LOOSE, "usr/lib/hollow"]:
        assert path in everything, everything


@test
def a_picture_is_xml_and_its_areas_are_the_sizes(world):
    image = _image(world, name="a & <b>.erofs")
    picture = image + ".svg"
    bascule_image(world, "size", image, "--svg", picture)
    with open(picture, "rb") as file:
        data = file.read()
    root = ElementTree.fromstring(data)
    assert root.tag == SVG + "svg" and "a & <b>.erofs" in "".join(root.itertext())
    width, height = (int(number) for number in root.get("viewBox").split()[2:])
    report = json.loads(bascule_image(world, "size", image, "--json"))
    areas = {}
    for group in root.iter(SVG + "g"):
        box = {key: int(group.find(SVG + "rect").get(key)) for key in ("x", "y", "width", "height")}
        assert box["x"] + box["width"] <= width and box["y"] + box["height"] <= height, box
        name = group.find(SVG + "title").text
        areas[next(row["package"] for row in report["packages"] if name.startswith(row["package"] + " "))] = \
            box["width"] * box["height"]
    assert set(areas) == {row["package"] for row in report["packages"] if row["size"]}, areas
    whole = sum(areas.values())
    for row in report["packages"]:
        if row["size"]:
            assert abs(areas[row["package"]] / whole - row["size"] / report["content-size"]) < 0.001, (row, areas)
    # Drawn again, it is the same.
    bascule_image(world, "size", image, "--svg", picture)
    with open(picture, "rb") as file:
        assert file.read() == data


@test
def what_is_no_image_is_refused(world):
    image = _image(world)
    for arguments, says in (((world.folder + "/none",), "none"), ((__file__,), "test-size.py"), ((), "argument"),
                            ((image, "--svg", world.folder + "/none/x.svg"), "cannot write "),
                            (("1", "--repo", world.folder), "metadata")):
        try:
            bascule_image(world, "size", *arguments)
        except RuntimeError as error:
            assert says in str(error).partition(": ")[2], error
        else:
            raise AssertionError("size %s succeeded" % (arguments,))


if __name__ == "__main__":
    run()
