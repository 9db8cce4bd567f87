# SPDX-License-Identifier: Apache-2.0
"""The parts of the full run that are programs of their own: a whole machine's recording, failed calls, failing devices, lying
servers, many cycles. They are done while power cuts are judged, so that no processor waits for the other."""
import collections
import os
import re
import subprocess
import threading

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = (("calls", ["--jobs", "4"]), ("devices", []), ("servers", []), ("soak", []))


class Others:
    """Programs in a queue, for as many threads as call work()."""

    def __init__(self, programs):
        self.left = collections.deque(programs)
        self.done = {name: threading.Event() for name, _ in programs}
        self.results = {}
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        while self.left:
            try:
                name, arguments = self.left.popleft()
            except IndexError:
                return
            # What is judged beside them takes longest, and is done one after the other.
            self.results[name] = subprocess.run(["nice", os.path.join(FOLDER, name), *arguments], stdin=subprocess.DEVNULL,
                                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                                errors="replace", check=False)
            self.done[name].set()

    def wait(self, name):
        """(whether it ended well, its lines)"""
        self.done[name].wait()
        result = self.results[name]
        return result.returncode == 0, result.stdout.splitlines()

    def finish(self, tap):
        """Each of PROGRAMS is one test; returns the line that each says last."""
        summaries = []
        for name, _ in PROGRAMS:
            is_good, lines = self.wait(name)
            remarks = [line[2:] for line in lines if line.startswith("# ")]
            summaries.append(remarks[-1] if remarks else name + ": nothing was said")
            # A complaint stands before the line of the test that it is about, or by itself.
            lost = re.search(r"(?:lost|failed): (\d+)", summaries[-1])
            tap.ok(is_good, summaries[-1], [] if is_good else lines[-60:], int(lost[1]) if lost else 1)
        return summaries


def print_states(whose, done):
    """A recording that was judged, in a line."""
    print("# states of %s's disk: %d after each write in its order, %d reordered, %d torn; %d lost; other tools were asked %d times" % (
        whose, *map(done.total, ("prefix", "reordered", "torn", "lost", "tools"))))
