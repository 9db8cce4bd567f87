# SPDX-License-Identifier: Apache-2.0
"""What a command costs, as a whole process with its children."""
import collections
import json
import os
import resource
import subprocess
import time


class Failed(Exception):
    """A tool that did not do its part."""


# CPU seconds of user and system together, the largest resident memory of any one process, wall seconds.
Cost = collections.namedtuple("Cost", "cpu_seconds mebibytes seconds")


def measured(*command, statuses=(0,), **options):
    """Runs it, and says what it cost. Another status than these is a failure."""
    options.setdefault("stdout", subprocess.DEVNULL)
    options.setdefault("stderr", subprocess.DEVNULL)
    reader, writer = os.pipe()
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        # What a process's children cost is known of all of them together, so this one has no other.
        status = 1
        try:
            status = subprocess.run(command, check=False, **options).returncode
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            os.write(writer, json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]).encode())
        finally:
            os._exit(min(abs(status), 125))  # pylint: disable=protected-access
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) not in statuses or not text:
        raise Failed("`%s` failed" % " ".join(command[:3]))
    return Cost(*json.loads(text), time.monotonic() - begun)
