# SPDX-License-Identifier: Apache-2.0
"""States that are booted for real: firmware and loader start a release, which must be the one that the judge foretold; on
it the engine blesses what is on trial and installs the next release, after which the judge must find that one up."""
import os

from .judge import Phase
from .qemu import Stuck
from .small import IMAGE_ID
from .view import View

NEXT = "5"


def _boot(machine, judge_for, number, up):
    """Problems."""
    problems = []
    try:
        started = machine.firmware(up)
    except Stuck as stuck:
        return ["state %d does not boot release %s" % (number, up), *str(stuck).splitlines()[-12:]]
    if started[-1] != up or len(set(started)) > 2:
        problems.append("state %d: the loader started %s, the judge foretold %s" % (number, started, up))
    image = next(image for key, image in machine.world.images.items() if key[0] == up)
    try:
        machine.stage(image, "bascule-disk grow /dev/vda\nbascule-bless\nengine install %s\n" % NEXT, is_recorded=False, is_trial=True)
    except (RuntimeError, Stuck) as failure:
        return problems + ["state %d: no update on release %s" % (number, up), *str(failure).splitlines()[-12:]]
    judge = judge_for(machine.disk)
    phase = Phase("after running=%s blessed=1,2,4" % up)
    view = View(judge.disk)
    phase.entry = judge.entry_of(view, up)
    losses, _, now = judge.judge(view, phase)
    if losses or not now or now.version != NEXT:
        problems.append("state %d: after the update %s is up; %s" % (number, now.version if now else "nothing", losses))
    return problems


def boot_sample(tap, machine, done, count):
    if not count:
        return
    five = machine.world.image(NEXT, image_id=IMAGE_ID, is_startable=True)
    machine.repository.release(five)
    done.told["releases"].append(machine.release_of(five))
    wanted = done.sample(count)
    places = {number: os.path.join(machine.scratch, "state-%d.raw" % number) for number in wanted}
    done.extract(wanted, places.get)
    for number, ((phase, kind, damage), up) in sorted(wanted.items()):
        os.replace(places[number], machine.disk)
        problems = _boot(machine, done.judge_for, number, up) if up else ["nothing boots"]
        tap.ok(not problems, "a state of %s (%s%s) boots release %s, and updates" % (
            phase, kind, "".join(", " + what for what in damage), up), problems)
