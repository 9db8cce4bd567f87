#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every test that docs/security.md and docs/reliability.md name exists: a promise whose proof was renamed or dropped is
found here. So is every sentence that the latter quotes of a test, and every row of the tables of tests/crash. And what
README.md and docs tell people to type is what the programs take, recipes too."""
import functools
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

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


# ---- commands ----

BUILD = os.environ.get("BASCULE_BUILD") or os.path.join(TOP, "build")
PROGRAMS = {"bascule": "update-engine/bascule", "bascule-disk": "partition-tools/bascule-disk",
            "bascule-image": "image-builder/bascule-image"}
IN_A_LIST = re.compile(r"^\s*-? ?(?:run: )?(?=bascule)")  # of steps, in YAML
ENDS = {"|", "||", "&&", ";", ">", "<", "&"}


def _code(document):
    """Lines of code: fenced, indented, or within a sentence."""
    is_fenced, text = False, ""
    for line in document.splitlines():
        if line.startswith("```"):
            is_fenced = not is_fenced
        elif is_fenced or line.startswith("    "):
            yield IN_A_LIST.sub("", line)
        else:
            text += line + "\n"
    for span in re.findall(r"`([^`]+)`", text):
        yield span.replace("\n", " ")


def _commands(document):
    """Words of each command line of ours, up to where another begins."""
    for line in _code(document):
        if line.partition(" ")[0] not in PROGRAMS:
            continue
        words = []
        for word in shlex.split(line, comments=True):
            if word in ENDS:
                break
            words.append(word)
        yield words


@functools.cache
def _help(program, *verb):
    """What --help says, or None when there is no such verb."""
    done = subprocess.run([os.path.join(BUILD, PROGRAMS[program]), *verb, "--help"], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def _has_option(text, option):
    return re.search(r"(?<![\w-])%s(?![\w-])" % re.escape(option), text) is not None


def _missing_options(words):
    program, *rest = words
    verb = rest[:1] if rest and re.fullmatch(r"[a-z][a-z-]*", rest[0]) else []
    text = _help(program, *verb)
    if text is None:
        yield "%s %s" % (program, rest[0])
        return
    choice = re.match(r"Usage: \S+ \S+ (\w[\w-]*(?:\|[\w-]+)+)", text)
    if choice and len(rest) > 1 and rest[1] not in choice[1].split("|"):
        yield "%s %s %s" % (program, *rest[:2])
    for word in rest:
        option = word.partition("=")[0]
        if re.fullmatch(r"--[a-z][a-z-]*|-[a-z]", option) and not _has_option(text, option):
            yield "%s %s %s" % (program, " ".join(verb), option)


def _missing_commands(paths):
    for path in paths:
        for words in _commands(_read(path)):
            for problem in _missing_options(words):
                yield "%s, which %s says" % (problem, os.path.relpath(path, TOP))


def _help_of_verbs(program):
    verbs = re.findall(r"(?m)^  ([a-z-]+)", _help(program))
    return "\n".join(_help(program, verb) or "" for verb in verbs)


def _missing_bare_options(path):
    """Options that stand alone in a sentence belong to some verb."""
    text = "\n".join(_help_of_verbs(program) for program in PROGRAMS)
    for span in re.findall(r"`(--[a-z-]+)[^`]*`", _read(path)):
        if not _has_option(text, span):
            yield "%s, which %s says" % (span, os.path.relpath(path, TOP))


def _missing_in_manuals():
    for program in PROGRAMS:
        pages = glob.glob(os.path.join(TOP, "docs/man", program + ".[18].scd"))
        pages += glob.glob(os.path.join(TOP, "docs/man", program + "-[a-z]*.1.scd"))
        manual = "\n".join(_read(page) for page in pages).replace("\\", "")
        for option in sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", _help_of_verbs(program)))):
            if not _has_option(manual, option):
                yield "%s in the manual of %s, which takes it" % (option, program)


# ---- recipes ----

def _recipes(path):
    """Blocks of code that are whole recipes."""
    fenced = re.findall(r"^```\n(\[Recipe\]\n.*?)^```$", _read(path), re.M | re.S)
    indented = re.findall(r"^    \[Recipe\]\n(?:    .*\n)+", _read(path), re.M)
    return [re.sub(r"^    ", "", block, flags=re.M) for block in fenced + indented]


def _mistakes(recipe):
    """What `recipe check` says of it, in a folder with what its page lets people have there."""
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(os.path.join(folder, "bascule/usr/share/bascule"))
        os.symlink(os.path.join(TOP, "image-builder/recipes"), os.path.join(folder, "bascule/usr/share/bascule/recipes"))
        for name in ("keys/root.json", "files/motd", "id.pub", "ada.pub"):
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="ascii") as file:
                file.write("ssh-ed25519 AAAA a@test.example\n")
        with open(os.path.join(folder, "a.conf"), "w", encoding="utf-8") as file:
            file.write(recipe.replace("=/usr/share/bascule", "=bascule/usr/share/bascule"))
        done = subprocess.run([os.path.join(BUILD, PROGRAMS["bascule-image"]), "recipe", "check", file.name],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield "recipe without a mistake: " + done.stderr.strip()


def _missing_recipes():
    for path in ("README.md", "docs/man/bascule-recipe.5.scd"):
        recipes = _recipes(os.path.join(TOP, path))
        if not recipes:
            yield "recipe in " + path
        for recipe in recipes:
            yield from _mistakes(recipe)


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
    print("1..10")
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
    paths = [os.path.join(TOP, "README.md"), *sorted(glob.glob(os.path.join(TOP, "docs/*.md")))]
    problems = [*_missing_commands(paths), *_missing_bare_options(os.path.join(TOP, "docs/ci.md"))]
    good &= _report(7, "verbs and options that README.md and docs tell people to type", problems)
    counts = [len(list(_commands(_read(os.path.join(TOP, path))))) for path in ("README.md", "docs/ci.md")]
    good &= _report(8, "there are any", [] if min(counts) > 10 else ["command line"])
    good &= _report(9, "options in the manuals of the programs that take them", list(_missing_in_manuals()))
    good &= _report(10, "recipes that README.md and bascule-recipe(5) tell people to write", list(_missing_recipes()))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
