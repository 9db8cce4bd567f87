# SPDX-License-Identifier: Apache-2.0
"""Devices that fail in a part: tables of the kernel's device-mapper (its documentation: admin-guide/device-mapper). A flakey
device with the intervals "0 1" is never up, so that its features hold all the time."""

TARGETS = {
    "fails": "error",
    "fails writes": "flakey %(place)s 0 1 1 error_writes",
    "loses writes": "flakey %(place)s 0 1 1 drop_writes",
    "changes writes": "flakey %(place)s 0 1 5 corrupt_bio_byte 101 w 165 0",
    "fails every second second": "flakey %(place)s 1 1",
    "is slow": "delay %(place)s 30",
}


class Mapped:
    """A device `name` in the guest over the sectors `first` to `first` + `count` of `below`."""

    def __init__(self, guest, name, below, first, count):
        self.guest, self.name, self.below, self.first, self.count = guest, name, below, first, count
        guest.run("dmsetup create %s --table '%s'" % (name, self._table([])))

    def _line(self, at, count, target):
        """A line of the table; `at` counts on the device below."""
        place = "%s %d" % (self.below, at)
        return "%d %d %s" % (at - self.first, count, target % {"place": place})

    def _table(self, faults):
        lines, at, end = [], self.first, self.first + self.count
        for first, count, target in sorted(faults):
            if first > at:
                lines.append(self._line(at, first - at, "linear %(place)s"))
            lines.append(self._line(first, count, TARGETS[target]))
            at = first + count
        if at < end:
            lines.append(self._line(at, end - at, "linear %(place)s"))
        return "\\n".join(lines)

    def load(self, faults):
        """`faults`: [(first sector, sectors, name in TARGETS)], on the device below. What is under way is not waited for."""
        self.guest.run("printf '%s\\n' | dmsetup load %s && dmsetup suspend --nolockfs --noflush %s && "
                       "dmsetup resume --nolockfs --noflush %s" % (self._table(faults), self.name, self.name, self.name))
