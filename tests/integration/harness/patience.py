# SPDX-License-Identifier: Apache-2.0
"""How long a test waits for what must come: far longer than it takes on the slowest machine, so that only a hang fails."""
import time

PATIENCE = 300  # seconds


def wait_until(what, why="it does not come"):
    """Until what() is true. `why` may be a function, of which the answer is taken at the end."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, why() if callable(why) else why
        time.sleep(0.02)
