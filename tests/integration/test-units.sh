#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How far systemd says that our units are confined: no more exposed than this (tenths; 0 is best).
# Usage: test-units.sh FOLDER-WITH-UNITS
set -u
units=(basculed.service:30 bascule-check.service:10)
echo "1..${#units[@]}"
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
