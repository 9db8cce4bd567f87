#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests that meson knows, suite by suite, and counts their TAP lines.

Unit and corpus tests come from the sanitized build, those that drive whole programs or machines from the plain
one; a unit test that a sanitizer keeps from trying all is in the suites of both. A program that dies, times out, or runs fewer tests than it planned counts as a failure of its own. Programs run
side by side, one on each processor; what they say comes in their order all the same.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import time

SANITIZED = {"unit", "fuzz-corpus", "golden"}
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
}


def tests_of(build):
    listed = subprocess.run(["meson", "introspect", "--tests", build], check=True, capture_output=True, text=True)
    return json.loads(listed.stdout)


def in_suite(test, suite):
    return any(name.split(":")[-1] == suite for name in test["suite"])


def run_one(test, build, scratch, log_path):
    """Returns (passed, failed, skipped), seconds, remarks."""
    environment = dict(os.environ, **SANITIZER_OPTIONS, **test.get("env", {}), TMPDIR=scratch)
    begun = time.monotonic()
    passed = failed = skipped = planned = 0
    remarks = []
    with open(log_path, "w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(test["cmd"], stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                   cwd=test.get("workdir") or build, env=environment, start_new_session=True)
        try:
            status = process.wait(timeout=test["timeout"] or None)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            status = "no end within %d s" % test["timeout"]
        log.seek(0)
        for line in log:
            if re.match(r"ok\b.*# *SKIP", line, re.I):
                skipped += 1
            elif re.match(r"ok\b", line):
                passed += 1
            elif re.match(r"not ok\b", line):
                failed += 1
            elif re.match(r"1\.\.\d+", line):
                planned = int(line[3:].split()[0])
    ran = passed + failed + skipped
    if planned and ran != planned:
        failed += 1
        remarks.append("planned %d tests, ran %d" % (planned, ran))
    if status != 0 and failed == 0:
        failed += 1
        remarks.append("ended with %s" % status)
    if ran == 0 and failed == 0:
        passed += 1  # a plain program: its exit status is its verdict
    return (passed, failed, skipped), time.monotonic() - begun, remarks


def show_failure(log_path):
    with open(log_path, encoding="utf-8", errors="replace") as log:
        lines = log.read().splitlines()
    bad = [i for i, line in enumerate(lines) if line.startswith("not ok") or "ERROR: " in line]
    shown = set(range(max(0, len(lines) - 15), len(lines)))
    for i in bad[:10]:
        shown.update(range(max(0, i - 6), min(len(lines), i + 6)))
    for i in sorted(shown):
        print("    | " + lines[i])


def listed(options):
    for suite in filter(None, options.suites):
        build = options.sanitized if suite in SANITIZED else options.plain
        for test in tests_of(build):
            if in_suite(test, suite):
                yield suite, test, build, os.path.join(
                    options.scratch, "%s-%s.log" % (suite, test["name"].replace("/", "-")))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plain", required=True)
    parser.add_argument("--sanitized", required=True)
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="programs side by side")
    parser.add_argument("suites", nargs="+")
    options = parser.parse_args()
    for folder in ("plain", "sanitized", "scratch"):
        setattr(options, folder, os.path.abspath(getattr(options, folder)))
    os.makedirs(options.scratch, exist_ok=True)
    totals = [0, 0, 0]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = [(suite, test["name"], log, pool.submit(run_one, test, build, options.scratch, log))
                for suite, test, build, log in listed(options)]
        for suite, name, log, run in runs:
            counts, seconds, remarks = run.result()
            print("%-11s %-28s %4d passed, %d failed%s  %.1f s" % (
                suite, name, counts[0], counts[1], ", %d skipped" % counts[2] if counts[2] else "", seconds),
                flush=True)
            for remark in remarks:
                print("    " + remark)
            if counts[1]:
                show_failure(log)
            totals = [a + b for a, b in zip(totals, counts)]
    print("%d passed, %d failed%s" % (totals[0], totals[1], ", %d skipped" % totals[2] if totals[2] else ""))
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    sys.exit(main())
