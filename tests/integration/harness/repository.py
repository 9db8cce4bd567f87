# SPDX-License-Identifier: Apache-2.0
"""A release repository, made with the producer's own program."""
import os
import subprocess


def bascule_image(world, *arguments):
    done = subprocess.run([world.program("image-builder/bascule-image"), *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError("bascule-image %s: %s" % (" ".join(arguments), done.stderr.strip()))
    return done.stdout


def make_keys(world, folder):
    bascule_image(world, "keys", "init", folder)


class Repository:
    def __init__(self, world, folder, keys):
        self.world, self.folder, self.keys = world, folder, keys

    def release(self, image, *options, channel="stable"):
        bascule_image(self.world, "release", image.folder, "--repo", self.folder, "--channel", channel, "--keys",
                      self.keys, *options)

    def files(self, part):
        """Paths, relative to the repository, of files whose path contains `part`."""
        found = []
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self.folder)
                if part in path:
                    found.append(path)
        return sorted(found)
