# SPDX-License-Identifier: Apache-2.0
"""Tests as functions, results as TAP (the Test Anything Protocol).

    @test
    def update_installs_the_newest(world): ...

    if __name__ == "__main__":
        run()

Each test gets the World of the program (made once: images and keys) and makes the hosts and servers it needs; they
are stopped when it ends. A test that raises Skip is skipped, any other exception fails it.
"""
import os
import sys
import time
import traceback

from .world import World

_tests = []


class Skip(Exception):
    """Raised with the reason why a test cannot run on this machine."""


def test(function):
    _tests.append(function)
    return function


def need_root(why):
    if os.geteuid() != 0:
        raise Skip("needs root " + why)


def _run_one(number, function, world):
    begun = time.monotonic()
    verdict, remark = "ok", ""
    try:
        function(world)
    except Skip as reason:
        remark = " # SKIP %s" % reason
    except Exception:  # pylint: disable=broad-except
        verdict = "not ok"
        for line in traceback.format_exc().splitlines() + world.explain():
            print("# " + line)
    finally:
        world.clean()
    print("# %.1f s" % (time.monotonic() - begun))
    print("%s %d - %s%s" % (verdict, number, function.__name__, remark), flush=True)
    return verdict == "ok"


def run():
    wanted = [name for name in sys.argv[1:] if not name.startswith("-")]
    chosen = [t for t in _tests if not wanted or any(word in t.__name__ for word in wanted)]
    print("1..%d" % len(chosen), flush=True)
    with World() as world:
        results = [_run_one(number, function, world) for number, function in enumerate(chosen, 1)]
    sys.exit(0 if all(results) else 1)
