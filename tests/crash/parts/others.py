# SPDX-License-Identifier: Apache-2.0
"""The parts of the full run that are programs of their own: failed calls, failing devices, lying servers, many cycles."""
import os
import subprocess
import sys

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = (("calls", ["--jobs", "2"]), ("devices", []), ("servers", []), ("soak", []))


def run_others(tap):
    """Each is one test; returns the line that each says last."""
    summaries = []
    for name, arguments in PROGRAMS:
        done = subprocess.run([sys.executable, os.path.join(FOLDER, name), *arguments], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True, check=False)
        lines = done.stdout.splitlines()
        remarks = [line[2:] for line in lines if line.startswith("# ")]
        summaries.append(remarks[-1] if remarks else name + ": nothing was said")
        # A complaint stands before the line of the test that it is about, or by itself.
        tap.ok(done.returncode == 0, summaries[-1], [] if done.returncode == 0 else lines[-60:])
    return summaries


def print_summary(done, booted, summaries):
    """The whole run in one table."""
    kinds = {kind: sum(counts[kind] for counts in done.counts.values()) for kind in ("prefix", "reordered", "torn")}
    print("# states of a disk: %d after each write in its order, %d reordered, %d torn; %d lost" % (
        kinds["prefix"], kinds["reordered"], kinds["torn"], len(done.losses)))
    print("# states booted: %d" % booted)
    for line in summaries:
        print("# " + line)
