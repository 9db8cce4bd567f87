# SPDX-License-Identifier: Apache-2.0
"""Which entry systemd-boot would take, from its documentation (sd-boot(7), the Boot Loader Specification, Automatic Boot
Assessment). No variable of the loader names one, which is a rule of this house."""
import functools
import re

COUNTER = re.compile(r"^(.+?)\+(\d+)(?:-(\d+))?\.efi$", re.I)


def tries(name):
    """(left, done), or None for an entry that is not counted."""
    found = COUNTER.match(name)
    return (int(found.group(2)), int(found.group(3) or 0)) if found else None


def _parts(text):
    return re.findall(r"~|\d+|[A-Za-z]+|[-^.]", text)


def _rank(part):
    """Order of kinds (the specification's "Version Format"): ~ before the end, then - ^ . then letters, then numbers."""
    if part == "~":
        return (0,)
    if part is None:
        return (1,)
    if part in "-^.":
        return (2 + "-^.".index(part),)
    return (6, int(part)) if part.isdigit() else (5, part)


def compare_versions(one, two):
    left, right = _parts(one or ""), _parts(two or "")
    for number in range(max(len(left), len(right))):
        a = _rank(left[number] if number < len(left) else None)
        b = _rank(right[number] if number < len(right) else None)
        if a != b:
            return -1 if a < b else 1
    return 0


def _compare(one, two):
    a, b = tries(one.name), tries(two.name)
    spent = lambda counter: counter is not None and counter[0] == 0  # noqa: E731
    if spent(a) != spent(b):
        return 1 if spent(a) else -1
    if one.uki.sort_key != two.uki.sort_key:
        return -1 if one.uki.sort_key < two.uki.sort_key else 1
    order = -compare_versions(one.uki.version, two.uki.version) or -compare_versions(one.name.lower(), two.name.lower())
    if order or a is None or b is None:
        return order
    return b[0] - a[0] or a[1] - b[1]


def order(entries):
    """Entries have `name` and `uki`."""
    return sorted(entries, key=functools.cmp_to_key(_compare))


def counted_down(name):
    """What the loader renames an entry to before it starts it."""
    left, done = tries(name)
    base = COUNTER.match(name).group(1)
    return "%s+%d-%d.efi" % (base, max(left - 1, 0), done + 1) if left else name
