#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every test that docs/security.md and docs/reliability.md name exists: a promise whose proof was renamed or dropped is
found here. So is every sentence that the latter quotes of a test, and every row of the tables of tests/crash."""
import os
import re
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(TESTS)
FILE = re.compile(r"`((?:unit|fuzz|golden|integration|crash|qemu-scripts)/[^`]+)`(?::([^|;`]*))?")
QUOTES = r'"[^"]+"(?:, "[^"]+")*'
SAID = re.compile(r"`([a-z-]+)`: (%s)" % QUOTES)  # `TEST`: "sentence", "sentence"
ROWS = re.compile(r"\brows? (%s)" % QUOTES)
CRASH = ["crash/parts", "crash/spoil"]
SCRIPTS = {  # name of a test: what its sentences stand in
    "calls": ["crash/calls", *CRASH], "devices": ["crash/devices", *CRASH], "init-vm": ["integration/init-vm.sh"],
    "lying-servers": ["crash/servers", *CRASH], "power-cuts": ["crash/run", *CRASH]}


def _read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def _find(name):
    """The file that is meant, or None."""
    if name.startswith("qemu-scripts/"):
        path = os.path.join(TOP, name)
        return path if os.path.exists(path) else None
    for ending in ("", ".c", ".py", ".sh"):
        path = os.path.join(TESTS, name + ending)
        if os.path.isfile(path):
            return path
    return None


def _has(path, text, name):
    if path.endswith(".c"):
        return "TEST(%s)" % name in text
    if path.endswith("behaviours.py"):
        return '"%s"' % name in text
    if path.endswith(".py"):
        return "\ndef %s(" % name in text
    return name in text


def _names(path, words):
    """Scripts name their cases in sentences, programs in words."""
    words = re.sub(r"\s+", " ", words.split(").")[0]).strip(" .")
    if path.endswith((".sh", "behaviours.py")):
        return [name.strip() for name in words.split(",") if name.strip()]
    return [name for name in re.split(r"[\s,]+", words) if re.fullmatch(r"\w+", name)]


def _missing(document):
    for match in FILE.finditer(document):
        path = _find(match.group(1))
        if not path:
            yield match.group(1)
            continue
        text = _read(path)
        for name in _names(path, match.group(2) or ""):
            if not _has(path, text, name):
                yield "%s: %s" % (match.group(1), name)
    for path in re.findall(r"`(tests/[\w./-]+)`", document):
        if not os.path.exists(os.path.join(TOP, path)):
            yield path


def _texts(paths):
    """Of these files, and of the programs in these folders."""
    for path in (os.path.join(TESTS, path) for path in paths):
        files = [path] if os.path.isfile(path) else [os.path.join(path, name) for name in sorted(os.listdir(path))]
        yield from (_read(file) for file in files if os.path.isfile(file))


def _stands_in(text, sentence):
    """Where a sentence says "..." anything may stand."""
    return all(part.strip() in text for part in sentence.split("..."))


def _missing_sentences(document):
    for name, quoted in SAID.findall(document):
        text = "\n".join(_texts(SCRIPTS[name])) if name in SCRIPTS else ""
        for sentence in re.findall(r'"([^"]+)"', quoted):
            if not _stands_in(text, sentence):
                yield "%s: %s" % (name, sentence)


def _missing_rows(document):
    sys.path.insert(0, os.path.join(TESTS, "crash"))
    import spoil  # noqa: F401 pylint: disable=import-outside-toplevel,unused-import
    from parts.device_rows import ROWS as devices  # pylint: disable=import-outside-toplevel
    behaviours = _read(os.path.join(TESTS, "crash/spoil/behaviours.py"))
    for row in (row for quoted in ROWS.findall(document) for row in re.findall(r'"([^"]+)"', quoted)):
        start = row.removesuffix("...").strip()
        if '"' + start not in behaviours and not any(device.name.startswith(start) for device in devices):
            yield "row " + row


def _sections(document):
    for listed in re.findall(r"conformance ((?:[\d.]*\d(?:, )?)+)", document):
        yield from listed.split(", ")


def _cases():
    sys.path.insert(0, os.path.join(TESTS, "integration"))
    try:
        from tuf_conformance import (  # noqa: F401
            cases_delegations, cases_download, cases_format, cases_root, cases_snapshot, cases_targets, cases_timestamp,
            harness)
    except ImportError:
        return None
    return {case["section"] for case in harness.CASES}


def _report(number, what, problems):
    for problem in problems:
        print("# there is no " + problem)
    print("%sok %d - %s" % ("not " if problems else "", number, what))
    return not problems


def main():
    document = _read(os.path.join(TOP, "docs/security.md"))
    other = _read(os.path.join(TOP, "docs/reliability.md"))
    count = len(FILE.findall(document))
    sections = set(_sections(document))
    cases = _cases()
    print("1..6")
    good = _report(1, "tests that the table of attacks names", sorted(set(_missing(document))))
    if cases is None:
        print("ok 2 - sections of the conformance cases # SKIP python3-cryptography is not installed")
    else:
        good &= _report(2, "sections of the conformance cases", sorted(sections - cases))
    good &= _report(3, "the table names tests at all", [] if count > 80 and len(sections) > 20 else ["table"])
    good &= _report(4, "tests that docs/reliability.md names", sorted(set(_missing(other))))
    good &= _report(5, "sentences and rows that it quotes", [*_missing_sentences(other), *_missing_rows(other)])
    quotes = len(SAID.findall(other)), len(ROWS.findall(other))
    good &= _report(6, "it quotes any at all", [] if min(quotes) > 8 else ["quotation"])
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
