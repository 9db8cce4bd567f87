# SPDX-License-Identifier: Apache-2.0
"""A UKI as the loader and the initrd look at it: sections of a PE file (PE format, revision 11)."""
import re
import struct


def sections(data):
    """Name to content; {} for what is no PE file."""
    if data[:2] != b"MZ" or len(data) < 64:
        return {}
    at, = struct.unpack_from("<I", data, 60)
    if data[at:at + 4] != b"PE\0\0":
        return {}
    count, = struct.unpack_from("<H", data, at + 6)
    optional, = struct.unpack_from("<H", data, at + 20)
    found = {}
    for number in range(min(count, 96)):
        place = at + 24 + optional + 40 * number
        if place + 40 > len(data):
            return {}
        name, size, _, stored, offset = struct.unpack_from("<8sIIII", data, place)
        found[name.rstrip(b"\0").decode("latin-1")] = data[offset:offset + min(size, stored)]
    return found


class Uki:
    """What an entry says of itself. `is_listed`: the loader shows it."""

    def __init__(self, data):
        parts = sections(data)
        release = dict(line.split("=", 1) for line in
                       parts.get(".osrel", b"").decode("utf-8", "replace").splitlines() if "=" in line)
        release = {key: value.strip("\"'") for key, value in release.items()}
        self.sort_key = release.get("IMAGE_ID") or release.get("ID")
        self.version = release.get("IMAGE_VERSION") or release.get("VERSION_ID") or release.get("BUILD_ID")
        self.is_listed = bool(self.sort_key) and ".osrel" in parts
        hashed = re.search(rb"(?:^|\s)bascule\.roothash=([0-9a-f]{64})(?:\s|\0|$)", parts.get(".cmdline", b""))
        self.root_hash = bytes.fromhex(hashed.group(1).decode()) if hashed else None
