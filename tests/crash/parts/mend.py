# SPDX-License-Identifier: Apache-2.0
"""What the engine does first after a cut: it mends the ESP. That must never cost anything, leave nothing for fsck.fat, and,
done twice, do nothing the second time."""
import os
import subprocess
import tempfile

from .writelog import SECTOR, Write

CHUNK = 1 << 20


def _differences(before, after, first_sector):
    """Sectors that the second file has otherwise, as pieces of a View."""
    pieces, at = [], 0
    with open(before, "rb") as one, open(after, "rb") as two:
        while True:
            old, new = one.read(CHUNK), two.read(CHUNK)
            if not new:
                return pieces
            for offset in range(0, len(new), SECTOR) if old != new else ():
                data = new[offset:offset + SECTOR]
                if data != old[offset:offset + SECTOR]:
                    pieces.append((Write(-1 - len(pieces), first_sector + (at + offset) // SECTOR, 1, 0, data, 0), None))
            at += len(new)


def _mend(tool, view, judge, phase, scratch):
    """Problems."""
    first, count = judge.table(view).partitions["esp"]
    before, after = os.path.join(scratch, "before"), os.path.join(scratch, "after")
    view.put_into(before, first, count)
    subprocess.run(["cp", "--sparse=always", before, after], check=True)
    told = subprocess.run([tool, "repair", after], capture_output=True, text=True, check=False)
    if told.returncode:
        return ["the engine does not mend it: " + told.stdout + told.stderr]
    judge.esps.clear()  # what is written now has numbers that were there before
    judge.files.clear()
    mended = view
    for piece in _differences(before, after, first):
        mended = mended.plus(piece)
    losses, damage, up = judge.judge(mended, phase)
    was = judge.judge(view, phase)[2]
    if up is not was:
        losses = losses + ["it boots %s instead of %s" % (up and up.version, was and was.version)]
    left = [what for what in +damage if not what.startswith("partition table") and what != "orphaned name slots"]
    judge.esps.clear()
    judge.files.clear()
    again = subprocess.run([tool, "repair", after], capture_output=True, text=True, check=False).stdout
    if again.split() != ["sound"]:
        losses = losses + ["mended twice: " + again.strip()]
    return losses + ["%s is left after mending" % what for what in left]


def mend_sample(tap, tool, replay, count):
    problems, seen, mended = [], 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        for number, phase, judge, view in replay.visit(replay.sample(count)):
            found = _mend(tool, view, judge, phase, scratch)
            problems += ["state %d of %s: %s" % (number, phase.name, what) for what in found]
            seen += 1
            mended += not found
    tap.ok(seen > 0 and not problems, "the engine mends the boot partition of %d states, and all boot as before" % seen,
           problems[:30])
