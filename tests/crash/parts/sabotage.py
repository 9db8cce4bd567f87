# SPDX-License-Identifier: Apache-2.0
"""Damage that the judge must not overlook, done to the disk that a recording ends with."""
import itertools

from . import fat, view, writelog

PHASE = "sabotaged running=2 blessed=2,4"


class Saboteur:
    """`replay` has a recording whose last state is on `judge.disk`. Each sabotage gives pieces of a View."""

    def __init__(self, judge):
        self.judge, self.disk = judge, judge.disk
        self.plain = view.View(self.disk)
        self.places = judge.table(self.plain).partitions
        self.volume = fat.Fat(self.plain, self.places["esp"][0])
        self.numbers = itertools.count(-1, -1)  # of writes that nobody recorded
        self.files = {file.path.lower(): file for file in self.volume.walk()}

    def _write(self, sector, data):
        return writelog.Write(next(self.numbers), sector, len(data) // writelog.SECTOR, 0, data, 0), None

    def _flip(self, sector, at=0):
        data = bytearray(self.plain.read(sector, 1))
        data[at] ^= 0x20
        return [self._write(sector, bytes(data))]

    def _content(self, path):
        extents, _ = self.volume.extents(self.files[path].first)
        return self.volume.sectors_of(extents)[0]

    def _entry_path(self, version):
        return "/efi/linux/" + self.judge.entry_of(self.plain, version).lower()

    def _folder_slots(self):
        """(sector, bytes) of the sectors of EFI/Linux that hold names."""
        efi = next(f for is_folder, f in self.volume.folder("", self.volume.root) if is_folder and f.name.lower() == "efi")
        linux = next(f for is_folder, f in self.volume.folder("", efi.first) if is_folder and f.name.lower() == "linux")
        at, count = self.volume.sectors_of(self.volume.extents(linux.first)[0])[0]
        return [(at + number, self.plain.read(at + number, 1)) for number in range(count)]

    def _names(self, change):
        """Every slot of EFI/Linux through `change`."""
        pieces = []
        for sector, data in self._folder_slots():
            slots = [change(data[at:at + 32]) for at in range(0, len(data), 32)]
            if b"".join(slots) != data:
                pieces.append(self._write(sector, b"".join(slots)))
        return pieces

    # ---- What is done ----

    def both_partition_tables_are_lost(self):
        return [self._write(1, bytes(512)), self._write(self.disk.sectors - 1, bytes(512))]

    def the_protective_mbr_is_lost(self):
        return [self._write(0, bytes(512))]

    def the_boot_sector_of_the_esp_is_lost(self):
        return [self._write(self.places["esp"][0], bytes(512))]

    def the_boot_loader_is_damaged(self):
        return self._flip(self._content("/efi/boot/bootx64.efi")[0] + 9)

    def one_bit_of_the_running_kernel_image_is_wrong(self):
        at, count = self._content(self._entry_path("2"))
        return self._flip(at + count - 5, 77)

    def all_kernel_images_are_damaged(self):
        return self._flip(self._content(self._entry_path("2"))[0] + 3) + self._flip(self._content(self._entry_path("4"))[0] + 3)

    def all_entries_are_gone(self):
        return self._names(lambda slot: b"\xe5" + slot[1:] if slot[0] not in (0, 0x2E) else slot)

    def long_names_are_lost(self):
        return self._names(lambda slot: b"\xe5" + slot[1:] if slot[11] == 0x0F else slot)

    def the_running_entry_is_cut_short(self):
        first = self.files[self._entry_path("2")].first
        sector, at = self.volume.table_at + first * 4 // 512, first * 4 % 512
        data = bytearray(self.plain.read(sector, 1))
        data[at:at + 4] = b"\xff\xff\xff\x0f"
        return [self._write(sector, bytes(data))]

    def one_bit_of_the_running_slot_is_wrong(self):
        return self._flip(self._slot_of("2")[0] + 4321, 100)

    def one_bit_of_the_running_tree_is_wrong(self):
        return self._flip(self._slot_of("2")[1] + 8, 40)

    def the_running_superblock_is_lost(self):
        return [self._write(self._slot_of("2")[1], bytes(512))]

    def _slot_of(self, version):
        half = self.judge.releases[version].root_hash[:16]
        for slot in ("root-a", "root-b"):
            if self.plain.read(self.places[slot + "-verity"][0], 1)[16:32] == half:
                return self.places[slot][0], self.places[slot + "-verity"][0]
        raise ValueError("no slot holds release " + version)

    def all(self):
        """[(name, pieces)]"""
        names = [name for name in vars(Saboteur) if not name.startswith("_") and name != "all"]
        return [(name, getattr(self, name)()) for name in names]
