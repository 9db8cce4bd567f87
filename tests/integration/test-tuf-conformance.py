#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every MUST of section 5 of the TUF specification 1.0.34 as a case, run against tests/tuf-client, and against tuf-js
(npm) to prove the cases themselves. Where tuf-js is known to differ the case says why, and fails if it does not.

    test-tuf-conformance.py PROGRAM [--only WORD] [--no-second]

tuf-js is used from tests/.cache if it is there, else installed there with npm; without npm the cases run against our
client alone. Prints TAP."""
import argparse
import concurrent.futures
import os
import sys

try:
    import cryptography  # noqa: F401
except ImportError:
    print("1..0 # SKIP python3-cryptography is not installed")
    sys.exit(0)
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tuf_conformance import (  # noqa: E402,F401  (importing a module of cases registers them)
    cases_delegations, cases_download, cases_format, cases_root, cases_snapshot, cases_targets, cases_timestamp, harness,
    second as second_implementation)

AT_ONCE = 6


def judge(each, ours, second, server):
    """(passed, remarks)"""
    wrong = harness.run_case(each, ours, server)
    remarks = ["tuf-client: " + wrong] if wrong else []
    other = harness.run_case(each, second, server) if second else None
    if other and not each["second"]:
        remarks.append("tuf-js does not agree with the case: " + other)
    if second and each["second"] and not other:
        remarks.append("tuf-js agrees with the case, and should not: " + each["second"])
    return not remarks, remarks


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--only", default="")
    parser.add_argument("--no-second", action="store_true")
    arguments = parser.parse_args()

    cases = [each for each in harness.CASES if arguments.only in each["section"] + " " + each["title"]]
    modules = None if arguments.no_second else second_implementation.find_modules()
    ours, second = harness.Ours(arguments.program), harness.Second(modules) if modules else None
    server = harness.Server()
    print("1..%d" % (len(cases) + 1))
    failures = agreed = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for number, (each, (passed, remarks)) in enumerate(
                zip(cases, pool.map(lambda each: judge(each, ours, second, server), cases)), 1):
            for remark in remarks:
                print("# " + remark)
            if second and each["second"]:
                print("# tuf-js differs: " + each["second"])
            agreed += 1 if second and not each["second"] and passed else 0
            failures += 0 if passed else 1
            print("%s %d - %s: %s" % ("ok" if passed else "not ok", number, each["section"], each["title"]), flush=True)
    title = "ok %d - %s ran" % (len(cases) + 1, second_implementation.PACKAGE)
    if second:
        second.close()
        print("%s, and agrees with %d of %d cases" % (title, agreed, len(cases)))
    else:
        print(title + " # SKIP " + ("by request" if arguments.no_second else "there is no node, or npm cannot install it"))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
