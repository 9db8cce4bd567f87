# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the demo and the machine scenario have in common: building releases, and looking at a guest that runs them.
# Sourced after vm.sh and serve.sh. WORK is the scratch folder: WORK/stage holds the installed programs, WORK/keys
# and WORK/repo the repository (served on SERVE_PORT), WORK/machine the machine, WORK/key its ssh key. TOP is the
# source tree.

MACHINE=$WORK/machine

say() {
        if [ -t 1 ]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n%s\n' "$*"; fi
}

note() {
        printf '   %s\n' "$*"
}

free_port() {
        python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# ---- building ----

# Installs everything below WORK/stage: what BASCULE_BUILD names as compiled already, or compiled here.
story_compile() {
        if [ -n "${BASCULE_BUILD:-}" ]; then
                DESTDIR=$WORK/stage meson install -C "$BASCULE_BUILD" --no-rebuild >"$WORK/compile.log" 2>&1
                return
        fi
        meson setup --prefix=/usr -Dbuildtype=debugoptimized -Dtests=false "$WORK/build" "$TOP" >"$WORK/compile.log" 2>&1 &&
                ninja -C "$WORK/build" >>"$WORK/compile.log" 2>&1 &&
                DESTDIR=$WORK/stage meson install -C "$WORK/build" --no-rebuild >>"$WORK/compile.log" 2>&1 ||
                { tail -n 40 "$WORK/compile.log" >&2 && return 1; }
}

image_tool() {
        "$WORK/stage/usr/bin/bascule-image" "$@"
}

# Keys and an ssh identity, once.
story_keys() {
        [ -f "$WORK/key" ] || ssh-keygen -q -t ed25519 -N '' -C demo -f "$WORK/key"
        [ -d "$WORK/keys" ] || image_tool keys init "$WORK/keys" >"$WORK/keys.log"
}

# story_build VERSION RECIPE OPTION...: makes WORK/out-VERSION. Its transcript goes to WORK/build-VERSION.log.
story_build() {
        local version=$1 recipe=$2 previous=()
        shift 2
        # Files keep their places from release to release, so that deltas are small.
        [ ! -d "$WORK/repo/metadata" ] || previous=(--previous "$WORK/repo")
        image_tool build "$recipe" -o "$WORK/out-$version" --version "$version" --cache "$WORK/cache" \
                --engine-root "$WORK/stage" "${previous[@]}" "$@" >"$WORK/build-$version.log" 2>&1 ||
                { tail -n 30 "$WORK/build-$version.log" >&2 && return 1; }
}

# story_release VERSION OPTION...: with a delta from the release before, unless the options say otherwise.
story_release() {
        local version=$1
        shift
        image_tool release "$WORK/out-$version" --repo "$WORK/repo" --keys "$WORK/keys" --channel stable --level 3 --deltas 1 --no-pieces \
                --cache "$WORK/cache" "$@" >"$WORK/release-$version.log" 2>&1 ||
                { tail -n 30 "$WORK/release-$version.log" >&2 && return 1; }
}

# story_recipe: lines that make a machine which can be looked at of a recipe with parts/ssh.conf, on standard output. A login gets no session of
# systemd's, which would start a manager of root's own services in each boot; the console is not redrawn while units wait.
story_recipe() {
        printf 'UsePAM no\n' >"$WORK/sshd.conf"
        cat <<EOT

[Content]
File=$WORK/sshd.conf:/etc/ssh/sshd_config.d/no-sessions.conf

[Kernel]
CommandLine=console=ttyS0 loglevel=6 no_timer_check systemd.show_status=error

[Users]
SshKeyFile=root $WORK/key.pub

[Update]
Repository=http://10.0.2.2:$SERVE_PORT
TrustedRoot=$WORK/keys/root.json
EOT
}

# ---- the guest ----

guest() {
        vm_ssh "$MACHINE" "$@"
}

# Shows a command that a person would type on the guest, and what it prints.
show() {
        printf '   host# %s\n' "$*"
        guest "$@" 2>&1 | sed 's/^/   | /' || true
}

guest_version() {
        # shellcheck disable=SC2016
        guest '. /usr/lib/os-release; echo $IMAGE_VERSION' 2>/dev/null
}

# status_field NAME...: members of `bascule status --json`, a space between them; empty when it cannot be had.
status_field() {
        guest bascule status --json 2>/dev/null |
                python3 -c 'import json, sys; s = json.load(sys.stdin); print(*(s.get(name, "") for name in sys.argv[1:]))' "$@" \
                        2>/dev/null || true
}

# What `bascule history --json` says of the last install of VERSION: fetched and written bytes, seconds, and the bytes
# that the full payloads have.
install_figures() {
        guest bascule history --json 2>/dev/null | python3 -c "
import json, sys
h = json.load(sys.stdin)
h = h.get('history', h) if isinstance(h, dict) else h
e = [x for x in h if x['kind'] == 'installed' and x['version'] == '$1'][-1]
print(e['fetched_bytes'], e['written_bytes'], e['seconds'], e['full_bytes'])" 2>/dev/null || echo "0 0 0 0"
}

runs_version() {
        [ "$(guest_version)" = "$1" ]
}

is_blessed() {
        [ "$(status_field running_state)" = blessed ]
}

# The release VERSION waits in the other slot for a reboot.
waits_for_reboot() {
        [ "$(status_field pending_reboot other_version)" = "True $1" ]
}

ledger_names() {
        guest bascule ledger --json 2>/dev/null | grep -q "\"$1\""
}

# Boots so far, those that never reached user space too: the kernel's first line on the console.
boots_so_far() {
        grep -ac 'Linux version [0-9]' "$MACHINE/serial.log" || true
}

wait_for() {
        vm_wait "$MACHINE" "$@"
}

# wait_healthy VERSION [SECONDS]: the guest runs that release and has blessed it.
wait_healthy() {
        vm_forget_ssh "$MACHINE"
        wait_for "${2:-600}" "release $1 to run" runs_version "$1" &&
                wait_for 300 "release $1 to be blessed" is_blessed
}
