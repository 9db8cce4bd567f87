#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Judges an OVA by what DSP0243 (Open Virtualization Format, version 1) asks of the archive and of the description in it.

    ova_check.py FILE.ova DISK-BYTES

Prints what is wrong and ends with 1 then. That the disk holds the right bytes is for those who read its format.
"""
import hashlib
import re
import sys
import tarfile
import xml.etree.ElementTree as ET

OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"
CIM = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_%s}"
RASD, VSSD = CIM % "ResourceAllocationSettingData", CIM % "VirtualSystemSettingData"
UNITS = re.compile(r"byte(?: \* (\d+)\^(\d+))?")


class Fault(Exception):
    """The rule that is broken."""


def need(condition, what):
    if not condition:
        raise Fault(what)


def unique(values, what):
    need(len(set(values)) == len(values) and all(values), "%s are not there, or not unique: %s" % (what, values))
    return values


# ---- the archive ----

def read_archive(path):
    """Members in their order, as name and bytes."""
    with open(path, "rb") as file:
        need(file.read(263)[257:] in (b"ustar\0", b"ustar "), "it is no archive in the USTAR format")
    with tarfile.open(path, "r:") as tar:
        members = tar.getmembers()
        need(all(member.isreg() and "/" not in member.name for member in members), "something in it is no plain file")
        unique([member.name for member in members], "names in the archive")
        return [(member.name, tar.extractfile(member).read()) for member in members]


def check_manifest(members):
    (description, _), (manifest, text) = members[:2]
    need(description.endswith(".ovf"), "the first member is not the description")
    need(manifest == description[:-4] + ".mf", "the second member is not the list of hashes of the description's name")
    found = {}
    for line in text.decode("ascii").splitlines():
        match = re.fullmatch(r"SHA256\(([^()]+)\)= ([0-9a-f]{64})", line)
        need(match, "%r is no line of a list of hashes" % line)
        found[match[1]] = match[2]
    wanted = {name: hashlib.sha256(data).hexdigest() for name, data in members if name != manifest}
    need(found == wanted, "the hashes are not those of the members")


# ---- the description ----

def check_files(envelope, members):
    files = envelope.findall(OVF + "References/" + OVF + "File")
    unique([file.get(OVF + "id") for file in files], "ids of files")
    need([file.get(OVF + "href") for file in files] == [name for name, _ in members[2:]],
         "files are not described in the order of the archive")
    sizes = {name: len(data) for name, data in members}
    for file in files:
        need(int(file.get(OVF + "size")) == sizes[file.get(OVF + "href")], "a file has another size than it is said to have")
    return {file.get(OVF + "id") for file in files}


def check_disks(envelope, files, disk_bytes):
    disks = envelope.findall(OVF + "DiskSection/" + OVF + "Disk")
    names = unique([disk.get(OVF + "diskId") for disk in disks], "ids of disks")
    for disk in disks:
        units = UNITS.fullmatch(disk.get(OVF + "capacityAllocationUnits", "byte"))
        need(units, "the capacity has no unit that is known")
        factor = int(units[1]) ** int(units[2]) if units[1] else 1
        need(int(disk.get(OVF + "capacity")) * factor == disk_bytes, "the disk is said to be of another size")
        need(disk.get(OVF + "fileRef") in files, "a disk is in a file that is not described")
        need(disk.get(OVF + "format", "").endswith("vmdk.html#streamOptimized"), "the format of a disk is not told")
    return set(names)


def check_sections(envelope):
    order = [child.tag for child in envelope]
    need(envelope.tag == OVF + "Envelope" and order[0] == OVF + "References" and order[-1] == OVF + "VirtualSystem",
         "references do not come first, or the machine does not come last")
    for section in envelope.iter():
        if section.tag.startswith(OVF) and section.tag.endswith("Section"):
            need(len(section) and section[0].tag == OVF + "Info", "%s does not begin with what it is about" % section.tag)


def check_hardware(system, disks, networks):
    items = system.findall("%sVirtualHardwareSection/%sItem" % (OVF, OVF))
    numbers = unique([item.findtext(RASD + "InstanceID") for item in items], "numbers of devices")
    used = set()
    for item in items:
        tags = [child.tag for child in item]
        need(tags == sorted(tags) and all(tag.startswith(RASD) for tag in tags), "what is told of a device is not in order")
        need(item.findtext(RASD + "ElementName") and item.findtext(RASD + "ResourceType", "").isdigit(), "a device has no name or type")
        need(item.findtext(RASD + "Parent", numbers[0]) in numbers, "a device is at another that is not there")
        need(item.findtext(RASD + "Connection", "") in networks | {""}, "a device is at a network that is not described")
        for resource in item.findall(RASD + "HostResource"):
            need(resource.text.startswith("ovf:/disk/") and resource.text[10:] in disks, "a device is a disk that is not described")
            used.add(resource.text[10:])
    need(used == disks, "a disk is at no device")
    of_machine = system.find("%sVirtualHardwareSection/%sSystem" % (OVF, OVF))
    need(of_machine is not None and of_machine.findtext(VSSD + "ElementName") and of_machine.findtext(VSSD + "InstanceID"),
         "the machine has no name or number")


def check(path, disk_bytes):
    members = read_archive(path)
    need(len(members) > 2, "there is no disk in it")
    check_manifest(members)
    envelope = ET.fromstring(members[0][1])
    check_sections(envelope)
    disks = check_disks(envelope, check_files(envelope, members), disk_bytes)
    networks = {network.get(OVF + "name") for network in envelope.findall("%sNetworkSection/%sNetwork" % (OVF, OVF))}
    system = envelope.find(OVF + "VirtualSystem")
    need(system.get(OVF + "id"), "the machine has no id")
    check_hardware(system, disks, networks)


def main(path, disk_bytes):
    try:
        check(path, int(disk_bytes))
    except (Fault, ValueError, TypeError, KeyError, tarfile.TarError, ET.ParseError) as error:
        print("%s: %s" % (path, error))
        return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: ova_check.py FILE.ova DISK-BYTES")
    sys.exit(main(*sys.argv[1:]))
