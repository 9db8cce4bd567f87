#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bascule-health and bascule-bless on folders that stand for the ESP, /run/bascule and /var/lib/bascule (TAP).
# Usage: trial.sh BASCULE-HEALTH BASCULE-BLESS
set -uo pipefail
health=$(readlink -f "$1") bless=$(readlink -f "$2")
work=$(mktemp -d "${TMPDIR:-/tmp}/trial.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
number=0

# start ENTRY...: on trial, with these entries and one check that fails if there is a file "ill".
start() {
        rm -rf ./*
        mkdir -p run state esp/EFI/Linux etc checks
        printf 'IMAGE_ID=host\nVERSION=2\nROOT_HASH=%064d\nDISK=/dev/vda\nSLOT=b\nVAR=persistent\nETC=persistent\n' 1 >run/booted
        echo 2 >run/trial
        local entry
        for entry in "$@"; do
                echo x >"esp/EFI/Linux/$entry"
        done
        # shellcheck disable=SC2016
        printf '#!/bin/sh\necho asked as $BASCULE_TRIAL\n[ ! -e %s/ill ] || { echo "out of order"; exit 1; }\n' "$work" >checks/10-test
        chmod +x checks/10-test
}

folders=(--runtime-folder run --state-folder state --esp-folder esp --no-reboot)

run_health() {
        "$health" "${folders[@]}" --folder checks "$@" >log 2>&1
}

run_bless() {
        "$bless" "${folders[@]}" --config-folder etc >log 2>&1
}

# ok WHAT CONDITION...: each is a command line.
ok() {
        local what=$1 condition
        shift
        number=$((number + 1))
        for condition in "$@"; do
                if ! eval "$condition"; then
                        echo "not ok $number - $what"
                        echo "# not so: $condition"
                        sed 's/^/# /' log
                        return
                fi
        done
        echo "ok $number - $what"
}

start host_2+2-1.efi host_1.efi
run_health
ok "a healthy host is reported" "[ $? = 0 ]" "grep -q '\"healthy\": true' run/health.json" "grep -q 'asked as yes' run/health.json" \
        "[ ! -e state/trial-failure.json ]"
run_bless
ok "and blessed" "[ $? = 0 ]" "[ -e esp/EFI/Linux/host_2.efi ]" "[ ! -e run/trial ]"
run_bless
ok "and that is all" "[ $? = 0 ]" "grep -q 'not on trial' log"

touch ill
run_health
ok "on a blessed release a failure is only told" "[ $? = 1 ]" "[ ! -e state/trial-failure.json ]" "grep -q 'asked as no' run/health.json"

start host_2+2-1.efi host_1.efi
touch ill
run_health
ok "on trial it is noted and the release given up" "[ $? = 1 ]" "grep -q 'is given up' log" \
        "grep -q 'out of order' state/trial-failure.json" "grep -q '\"version\": \"2\"' state/trial-failure.json"

start host_2+0-3.efi host_1+0-3.efi
touch ill
run_health
ok "with nothing else to boot the host stays up" "[ $? = 1 ]" "grep -q 'nothing but release 2 can be booted' log" \
        "grep -q 'out of order' state/trial-failure.json"

start host_2+0-3.efi host_1+0-3.efi
touch ill
rm -r esp
run_health
ok "where that cannot be seen, the release is given up" "[ $? = 1 ]" "grep -q 'is given up' log" "[ -e state/trial-failure.json ]"

start host_2+2-1.efi host_1.efi
run_health --deadline
ok "the deadline gives up a host that was not found healthy" "[ $? = 0 ]" "grep -q 'in time' state/trial-failure.json"
start host_2+2-1.efi host_1.efi
run_health
run_health --deadline
ok "and one that was, but whose boot hangs" "[ $? = 0 ]" "grep -q 'in time' state/trial-failure.json"
start host_2+2-1.efi host_1.efi
run_health
touch run/confirm-until
run_health --deadline
ok "and not one that waits to be confirmed" "[ $? = 0 ]" "[ ! -e state/trial-failure.json ]"
rm run/confirm-until

printf '[Boot]\nConfirmSeconds=1\n[Other]\nKey=x\n' >etc/engine.conf
run_bless
ok "nobody confirms" "[ $? = 0 ]" "grep -q 'Nobody confirmed' state/trial-failure.json" "[ -e esp/EFI/Linux/host_2+2-1.efi ]"
start host_2+0-3.efi
printf '[Boot]\nConfirmSeconds=1\n' >etc/engine.conf
run_bless
ok "with nothing else to boot the host stays up" "[ $? = 0 ]" "grep -q 'nothing but release 2' log" "grep -q 'Nobody confirmed' state/trial-failure.json"
start host_2+2-1.efi host_1.efi
printf '[Boot]\nConfirmSeconds=20\n' >etc/engine.conf
(sleep 1 && rm run/trial) &
run_bless
ok "someone confirms" "[ $? = 0 ]" "[ ! -e state/trial-failure.json ]" "[ ! -e run/confirm-until ]"
start host_2+2-1.efi host_1.efi
printf 'nonsense\n' >etc/engine.conf
run_bless
ok "a mistake in the configuration does not cost the release its trial" "[ $? = 0 ]" "[ -e esp/EFI/Linux/host_2.efi ]"

start host_1.efi
run_bless
ok "without an entry there is nothing to bless" "[ $? = 1 ]" "[ -e run/trial ]"
rm run/booted
run_health
ok "a machine that is not ours is told apart" "[ $? = 12 ]"
echo "1..$number"
