#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How far systemd says that our units are confined: no more exposed than this (tenths; 0 is best); and that the timer still
# has its triggers when the generator has given it the intervals of engine.conf.
# Usage: test-units.sh FOLDER-WITH-UNITS GENERATOR
set -u
units=(basculed.service:24 bascule-fetch@.service:14 bascule-check.service:10)
echo "1..$((${#units[@]} + 1))"
number=0
for pair in "${units[@]}"; do
        number=$((number + 1))
        unit=${pair%:*} most=${pair#*:}
        if ! command -v systemd-analyze >/dev/null; then
                echo "ok $number - $unit # SKIP no systemd-analyze"
        elif systemd-analyze security --no-pager --offline=true --threshold="$most" "$1/$unit" >/dev/null; then
                echo "ok $number - $unit"
        else
                systemd-analyze security --no-pager --offline=true "$1/$unit" | sed 's/^/# /'
                echo "not ok $number - $unit"
        fi
done

number=$((number + 1))
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$2" "$scratch" "$scratch" "$scratch"
# What counts is what stands after the last empty assignment, which forgets every trigger.
triggers=$(awk '/^On[A-Za-z]*Sec=$/ { delete seen } /^On[A-Za-z]*Sec=./ { sub("=.*", ""); seen[$0] = 1 }
        END { for (name in seen) print name }' "$scratch/bascule-check.timer.d/50-engine.conf" | sort | tr '\n' ' ')
if [ "$triggers" = "OnBootSec OnUnitInactiveSec " ]; then
        echo "ok $number - triggers of the timer"
else
        echo "# triggers: $triggers"
        echo "not ok $number - triggers of the timer"
fi
