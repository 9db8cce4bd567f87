# SPDX-License-Identifier: Apache-2.0
"""The table of what fails below a host, when, and how an update may end then."""
from .faulty_host import GROUP

START, ROOT, UKI = "from the beginning", "while the root image comes", "while the UKI comes"
HOLDS = {ROOT: "root", UKI: "uki"}
DONE, FAILED, NO_SPACE, NETWORK, UNTRUSTED, CORRUPT, IO, UNAVAILABLE = 0, 1, 7, 8, 9, 10, 11, 16
READ_BACK = "read back as it was written"
KILLED = FAILED, NETWORK, IO, UNAVAILABLE  # the daemon, or one of its roles


class Fails:
    """A part of a device of mapper.py behaves as `target` says."""

    def __init__(self, target, *regions):
        self.target, self.regions = target, regions

    def _faults(self, host):
        found = {"disk": [], "var": []}
        for name in self.regions:
            for device, place in REGIONS[name](host):
                found[device].append((*place, self.target))
        return found

    def begin(self, host):
        for device, faults in self._faults(host).items():
            if faults:
                host.mapped[device].load(faults)

    def end(self, host):
        for device, faults in self._faults(host).items():
            if faults:
                host.mapped[device].load([])

    @property
    def hits_var(self):
        return "/var" in self.regions


class Does:
    """Orders for the guest."""
    hits_var = False

    def __init__(self, begin, end="true"):
        self.orders = begin, end

    def begin(self, host):
        host.guest.run(self.orders[0])

    def end(self, host):
        host.guest.run(self.orders[1])


def _slot(host):
    first, _ = host.places["root-b"]
    last, count = host.places["root-b-verity"]
    return [("disk", (first, last + count - first))]


def _free_of_esp(host):
    """Behind all that is on it at first."""
    first, count = host.places["esp"]
    with open(host.pristine, "rb") as file:
        file.seek(first * 512)
        used = len(file.read(count * 512).rstrip(b"\0")) // 512 + 8
    return [("disk", (first + used, count - used))]


REGIONS = {
    "the slot": _slot,
    "16 sectors of the slot": lambda host: [("disk", (host.places["root-b"][0] + 1000, 16))],
    "the slot's tree": lambda host: [("disk", host.places["root-b-verity"])],
    "the ESP": lambda host: [("disk", host.places["esp"])],
    "the free part of the ESP": _free_of_esp,
    "the disk": lambda host: [("disk", (0, host.mapped["disk"].count))],
    "/var": lambda host: [("var", host.places["var"])],
}


class Row:
    """`ends`: statuses that an update may end with; `says`: what its sentence has. `kills`: the daemon may be gone after it.
    `is_fast`: of the fast cut."""

    def __init__(self, name, fault, when, ends, says="", kills=False, is_fast=False):
        self.name = "%s, %s" % (name, when)
        self.fault, self.when, self.ends, self.says, self.kills, self.is_fast = fault, when, set(ends), says, kills, is_fast


def _mapped(target, region, when, *ends, **options):
    return Row("%s %s" % (region, target), Fails(target, region), when, ends, **options)


def _shell(name, begin, end, when, *ends, **options):
    return Row(name, Does(begin, end), when, ends, **options)


ALL = "$(cat %s/cgroup.procs)" % GROUP
FILL_VAR = "dd if=/dev/zero of=/var/filler bs=1k 2>/dev/null; sync", "rm /var/filler"
MOUNT_ESP = "mkdir -p /tmp/esp && mount -t vfat /dev/loop0p1 /tmp/esp && "
FILL_ESP = MOUNT_ESP + "{ dd if=/dev/zero of=/tmp/esp/filler bs=64k 2>/dev/null; umount /tmp/esp; }", \
    MOUNT_ESP + "rm /tmp/esp/filler && umount /tmp/esp"
STILL_SECONDS = 150  # servers, and whoever else waits, have long given up
CLOCK = "date +%%s >/run/now; date -s %s", "date -s @$(cat /run/now)"

ROWS = [
    _mapped("fails", "the slot", START, IO),
    _mapped("fails", "the slot", ROOT, IO),
    _mapped("fails", "16 sectors of the slot", START, IO, is_fast=True),
    _mapped("fails", "the slot's tree", START, IO),
    _mapped("fails writes", "the slot", START, IO),
    _mapped("loses writes", "the slot", START, CORRUPT, says=READ_BACK),
    _mapped("loses writes", "the slot", ROOT, CORRUPT, says=READ_BACK),
    _mapped("loses writes", "the slot's tree", START, CORRUPT, says=READ_BACK),
    _mapped("changes writes", "the slot", START, CORRUPT, says=READ_BACK),
    _mapped("fails writes", "the ESP", UKI, IO),
    _mapped("loses writes", "the ESP", START, CORRUPT, says=READ_BACK),
    _mapped("changes writes", "the free part of the ESP", START, CORRUPT, says=READ_BACK),
    _mapped("fails every second second", "the ESP", START, DONE, CORRUPT, IO),
    _mapped("fails", "/var", ROOT, DONE, NO_SPACE, IO),
    _mapped("changes writes", "/var", ROOT, DONE, CORRUPT, IO),
    Row("the disk and /var are gone", Fails("fails", "the disk", "/var"), ROOT, {IO}),
    Row("the disk and /var are gone", Fails("fails", "the disk", "/var"), UKI, {IO}, is_fast=True),
    Row("the disk and /var are slow", Fails("is slow", "the disk", "/var"), START, {DONE}),
    _shell("/var is full", *FILL_VAR, START, NO_SPACE, says="/var"),
    _shell("the ESP is full", *FILL_ESP, START, NO_SPACE, says="ESP"),
    _shell("the ESP is read-only", "blockdev --setro /dev/loop0p1", "blockdev --setrw /dev/loop0p1", START, IO, says="Read-only"),
    _shell("the clock says 1970", CLOCK[0] % "1970-01-02", CLOCK[1], START, DONE),
    _shell("the clock says 2100", CLOCK[0] % "2100-01-02", CLOCK[1], START, UNTRUSTED, says="expired"),
    _shell("there are 4M of memory", "echo 4M >%s/memory.max" % GROUP, "echo max >%s/memory.max" % GROUP, START, *KILLED, kills=True),
    _shell("all processes stand still for minutes", "kill -STOP %s; sleep %d; kill -CONT %s" % (ALL, STILL_SECONDS, ALL), "true",
           ROOT, DONE, NETWORK),
    _shell("the daemon hangs and is killed, as its watchdog does", "kill -STOP %s; usleep 300000; kill -KILL %s" % (ALL, ALL), "true",
           ROOT, UNAVAILABLE, kills=True),
]
