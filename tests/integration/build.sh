#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds minimal.conf from real packages twice, as root and as an ordinary user, and lets tools that share no code with
# ours judge the result. Then the builds that must fail. TAP on standard output.
# Usage: build.sh BUILD-FOLDER
set -u
build=$(readlink -f "${1:?the build folder}")
top=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
program=$build/image-builder/bascule-image
PATH=$PATH:/usr/sbin:/sbin
# Everything below is readable for the ordinary user that the second build runs as.
work=$(mktemp -d "${TMPDIR:-/tmp}/bascule-build-XXXXXX")
chmod 755 "$work"
number=0

cleanup() {
        rm -rf "$work"
        [ "${user_is_ours:-0}" = 0 ] || userdel "$user" 2>/dev/null
}
trap cleanup EXIT

ok() { # STATUS DESCRIPTION [LOG]
        number=$((number + 1))
        if [ "$1" = 0 ]; then
                echo "ok $number - $2"
        else
                echo "not ok $number - $2"
                [ -z "${3:-}" ] || tail -n 20 "$3" | sed 's/^/# /'
        fi
}
skip() { # COUNT REASON
        for ((i = 0; i < $1; i++)); do
                number=$((number + 1))
                echo "ok $number - # SKIP $2"
        done
}
judge() { # DESCRIPTION COMMAND...
        local description=$1
        shift
        "$@" >"$work/log" 2>&1
        ok $? "$description" "$work/log"
}
image_build() { # OPTION...
        "$program" build --cache "$work/cache" --engine-root "$work/stage" "$@"
}
# says DESCRIPTION STATUS TEXT COMMAND...: the command ends with the status and says the text.
says() {
        local description=$1 status=$2 text=$3
        shift 3
        "$@" >"$work/log" 2>&1
        [ $? = "$status" ] && grep -qF -- "$text" "$work/log"
        ok $? "$description" "$work/log"
}
member() { # FILE EXPRESSION-OF-j
        python3 -c 'import json, sys; j = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"
}

DESTDIR=$work/stage meson install -C "$build" --no-rebuild --strip >"$work/log" 2>&1
ok $? "the engine is staged" "$work/log"
cat >"$work/recipe.conf" <<EOT
[Recipe]
Include=$top/image-builder/recipes/minimal.conf
[Disk]
Formats=raw qcow2
EOT

for recipe in "$top"/image-builder/recipes/*.conf; do
        judge "$(basename "$recipe") has no mistakes" "$program" recipe check "$recipe"
done

# ---- as root, or whoever runs this ----

judge "a build from real packages" image_build "$work/recipe.conf" -o "$work/one" --version 1.0
[ -f "$work/one/disk.raw" ] || { echo "1..$number" && exit 1; }
root_hash=$(member "$work/one/image.json" 'j["verity"]["root-hash"]')
salt=$(member "$work/one/image.json" 'j["verity"]["salt"]')

judge "fsck.erofs finds nothing wrong" fsck.erofs "$work/one/root.erofs"
judge "veritysetup verifies the tree" veritysetup verify "$work/one/root.erofs" "$work/one/root.verity" "$root_hash"
veritysetup format --salt="$salt" --uuid="$(veritysetup dump "$work/one/root.verity" | awk '/^UUID:/ { print $2 }')" \
        "$work/one/root.erofs" "$work/theirs" >"$work/log" 2>&1
[ "$(awk '/^Root hash:/ { print $3 }' "$work/log")" = "$root_hash" ]
ok $? "veritysetup format gives the same root hash" "$work/log"
cmp -s "$work/theirs" "$work/one/root.verity"
ok $? "and the same bytes"
judge "sfdisk finds nothing wrong" sfdisk --verify "$work/one/disk.raw"
judge "qemu-img finds nothing wrong with the qcow2" qemu-img check "$work/one/disk.qcow2"
judge "the qcow2 holds what the raw disk holds" qemu-img compare "$work/one/disk.raw" "$work/one/disk.qcow2"
judge "the bill of materials is SPDX 2.3" "$top/tests/tools/spdx_check.py" "$work/one/sbom.spdx.json"

esp_start=$(sfdisk -J "$work/one/disk.raw" | python3 -c '
import json, sys
parts = json.load(sys.stdin)["partitiontable"]["partitions"]
print(*[p[k] for n in ("esp", "var") for p in parts if p["name"] == n for k in ("start", "size")])')
read -r esp_start esp_size var_start var_size <<<"$esp_start"
dd if="$work/one/disk.raw" of="$work/esp" bs=512 skip="$esp_start" count="$esp_size" status=none
dd if="$work/one/disk.raw" of="$work/var" bs=512 skip="$var_start" count="$var_size" conv=sparse status=none
judge "fsck.fat finds nothing wrong" fsck.fat -n "$work/esp"
judge "e2fsck finds nothing wrong" e2fsck -fn "$work/var"
mcopy -n -i "$work/esp" "::/EFI/Linux/minimal_1.0+3.efi" "$work/uki" >"$work/log" 2>&1
cmp "$work/uki" "$work/one/uki.efi" >>"$work/log" 2>&1
ok $? "the counted boot entry is the kernel image" "$work/log"
objdump -h "$work/one/uki.efi" >"$work/sections" 2>"$work/log"
[ ! -s "$work/log" ] && [ "$(awk '/\.osrel|\.cmdline|\.uname|\.initrd|\.linux/ { printf "%s ", $2 }' "$work/sections")" = \
        ".osrel .cmdline .uname .initrd .linux " ]
ok $? "objdump reads the sections, the kernel last" "$work/sections"
objcopy --dump-section .cmdline="$work/cmdline" --dump-section .initrd="$work/initrd" "$work/one/uki.efi" /dev/null 2>"$work/log"
grep -q "bascule.roothash=$root_hash" "$work/cmdline"
ok $? "the command line carries the root hash" "$work/cmdline"
cpio -it --quiet <"$work/initrd" >"$work/listed" 2>"$work/log"
grep -qx init "$work/listed" && grep -q 'dm-verity\.ko' "$work/listed" && grep -qx etc/bascule-initrd/modules "$work/listed"
ok $? "cpio reads the initrd" "$work/log"
if command -v sbverify >/dev/null && command -v sbsign >/dev/null; then
        openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/sb.key" -out "$work/sb.crt" -subj /CN=test -days 2 2>"$work/log"
        sbsign --key "$work/sb.key" --cert "$work/sb.crt" --output "$work/signed.efi" "$work/one/uki.efi" >>"$work/log" 2>&1 &&
                ! grep -qi warning "$work/log" &&
                sbverify --cert "$work/sb.crt" "$work/signed.efi" >>"$work/log" 2>&1
        ok $? "the kernel image can be signed for Secure Boot, without a warning" "$work/log"
else
        skip 1 "sbsigntool is not installed"
fi

# ---- again ----

image_build "$work/recipe.conf" -o "$work/one" --version 1.0 --json >"$work/again.json" 2>"$work/log"
[ "$(member "$work/again.json" 'all(s["cached"] for s in j["steps"]) and len(j["steps"])')" = 7 ]
ok $? "an unchanged build does no step again" "$work/again.json"
image_build "$work/recipe.conf" -o "$work/one" --version 1.0 --set Kernel.CommandLine=quiet --json >"$work/again.json" 2>"$work/log"
[ "$(member "$work/again.json" '[s["step"] for s in j["steps"] if not s["cached"]]')" = "['uki', 'disk', 'qcow2']" ]
ok $? "a kernel argument changes the kernel image and the disks" "$work/again.json"
image_build "$work/recipe.conf" -o "$work/one" --version 1.0 >"$work/log" 2>&1
rm -rf "$work/cache"/{root,verity,initrd,uki}
judge "a second build with nothing but the packages cached" image_build "$work/recipe.conf" -o "$work/two" --version 1.0
for file in root.erofs root.verity uki.efi disk.raw disk.qcow2 packages.txt sbom.spdx.json provenance.json image.json; do
        cmp "$work/one/$file" "$work/two/$file" >"$work/log" 2>&1
        ok $? "built twice, $file is the same" "$work/log"
done

# ---- signed for Secure Boot ----

esp_of() { # DISK FILE
        dd if="$1" of="$2" bs=512 skip="$esp_start" count="$esp_size" status=none
}
judge "keys for Secure Boot are made" "$program" keys secure-boot "$work/keys"
sign=(--secure-boot-key "$work/keys/db.pem" --secure-boot-certificate "$work/keys/db.crt" --secure-boot-enroll "$work/keys"
        --pcr-key "$work/keys/pcr.pem" --set "Disk.Formats=raw installer")
judge "a signed build" image_build "$work/recipe.conf" -o "$work/signed" --version 1.0 "${sign[@]}"
esp_of "$work/signed/disk.raw" "$work/esp"
mcopy -n -i "$work/esp" ::/EFI/BOOT/BOOTX64.EFI "$work/loader.efi" >"$work/log" 2>&1
installer_start=$(sfdisk -d "$work/signed/installer.raw" | sed -n 's/.*start= *\([0-9]*\),.*name="installer".*/\1/p')
mcopy -n -i "$work/signed/installer.raw@@$((installer_start * 512))" ::/EFI/Linux/bascule-installer.efi "$work/installer.efi" >"$work/log" 2>&1
objcopy --dump-section .cmdline="$work/cmdline" "$work/installer.efi" /dev/null 2>>"$work/log"
objdump -h "$work/installer.efi" >"$work/sections" 2>>"$work/log" && ! grep -q '\.pcr' "$work/sections" &&
        grep -q ' bascule\.var=volatile systemd\.unit=bascule-installer\.target' "$work/cmdline"
ok $? "the installer's kernel image asks for the installer, and carries no policy" "$work/log"
if command -v sbverify >/dev/null; then
        judge "sbverify verifies the kernel image" sbverify --cert "$work/keys/db.crt" "$work/signed/uki.efi"
        judge "sbverify verifies the boot loader" sbverify --cert "$work/keys/db.crt" "$work/loader.efi"
        judge "sbverify verifies the installer" sbverify --cert "$work/keys/db.crt" "$work/installer.efi"
else
        skip 3 "sbsigntool is not installed"
fi
mdir -b -i "$work/esp" ::/loader/keys/auto >"$work/log" 2>&1
[ "$(grep -c '/\(db\|KEK\|PK\)\.auth$' "$work/log")" = 3 ] && mtype -i "$work/esp" ::/loader/loader.conf | grep -q "^secure-boot-enroll force"
ok $? "the keys wait for firmware in setup mode" "$work/log"
objcopy --dump-section .pcrsig="$work/pcrsig" --dump-section .pcrpkey="$work/pcrpkey" "$work/signed/uki.efi" /dev/null 2>"$work/log"
cmp "$work/keys/pcr.pub" "$work/pcrpkey" >>"$work/log" 2>&1 && [ "$(member "$work/pcrsig" 'len(j["sha256"])')" = 3 ]
ok $? "the kernel image carries the signed policy" "$work/log"
if [ -x /lib/systemd/systemd-measure ]; then
        for section in linux osrel cmdline initrd; do
                objcopy --dump-section ".$section=$work/part.$section" "$work/signed/uki.efi" /dev/null 2>>"$work/log"
        done
        /lib/systemd/systemd-measure calculate --bank=sha256 --phase=sysinit --linux="$work/part.linux" --osrel="$work/part.osrel" \
                --cmdline="$work/part.cmdline" --initrd="$work/part.initrd" --pcrpkey="$work/pcrpkey" 2>>"$work/log" |
                sed -n 's/^11:sha256=//p' >"$work/register"
        judge "systemd-measure foretells the same register" "$top/qemu-scripts/pcr-policy.py" "$work/pcrsig" "$work/register"
else
        skip 1 "systemd-measure is not installed"
fi
cp "$work/signed/uki.efi" "$work/uki.first"
mv "$work/signed/installer.raw" "$work/installer.first"
rm -rf "$work/cache/uki"
image_build "$work/recipe.conf" -o "$work/signed" --version 1.0 "${sign[@]}" >"$work/log" 2>&1 && cmp "$work/uki.first" "$work/signed/uki.efi" >>"$work/log" 2>&1 &&
        cmp "$work/installer.first" "$work/signed/installer.raw" >>"$work/log" 2>&1
ok $? "signed twice, it is the same" "$work/log"
rm -rf "$work/signed" "$work/installer.first" "$work/cache/uki"

# ---- interrupted, and at once ----

forget() { rm -rf "$work/cache"/{root,verity,initrd,uki}; }
forget
"$program" build "$work/recipe.conf" -o "$work/cut" --version 1.0 --cache "$work/cache" --engine-root "$work/stage" \
        >"$work/log" 2>&1 &
pid=$!
while kill -0 $pid 2>/dev/null && [ ! -e "$work/cut/.disk.raw.partial" ]; do sleep 0.05; done
kill -KILL $pid 2>/dev/null
wait $pid 2>/dev/null
[ -z "$(ls "$work/cut")" ]
ok $? "a build that is killed leaves nothing that looks finished" "$work/log"
judge "the next one goes on" image_build "$work/recipe.conf" -o "$work/cut" --version 1.0
cmp "$work/one/disk.raw" "$work/cut/disk.raw" >"$work/log" 2>&1 && [ "$(find "$work/cut" -type f | wc -l)" = 9 ]
ok $? "with the same result, and nothing left over" "$work/log"
forget
image_build "$work/recipe.conf" -o "$work/left" --version 1.0 >"$work/log-left" 2>&1 &
pid=$!
judge "two builds on one cache at once: one" image_build "$work/recipe.conf" -o "$work/right" --version 1.0
wait $pid
ok $? "and the other" "$work/log-left"
cmp "$work/left/disk.raw" "$work/right/disk.raw" >"$work/log" 2>&1 && cmp "$work/one/disk.raw" "$work/left/disk.raw" >>"$work/log" 2>&1
ok $? "make the same" "$work/log"
rm -rf "$work"/{cut,left,right}
mkdir "$work/busy"
says "two builds into one folder: the second is refused" 6 "another build writes to" \
        flock "$work/busy" "$program" build "$work/recipe.conf" -o "$work/busy" --cache "$work/cache" --engine-root "$work/stage"

# ---- as an ordinary user ----

# This one goes by a lock: what is in it must be what was chosen above without one, and no mirror is there to ask.
user=bascule-build
if [ "$(id -u)" = 0 ]; then
        id "$user" >/dev/null 2>&1 || { useradd --system --home-dir /nonexistent --shell /bin/bash "$user" && user_is_ours=1; }
        grep -q "^$user:" /etc/subuid || usermod --add-subuids 524288-589823 --add-subgids 524288-589823 "$user"
        install -d -o "$user" -m 755 "$work/home"
fi
if [ "$(id -u)" = 0 ] && runuser -u "$user" -- unshare --user --map-root-user true 2>/dev/null; then
        as_user() {
                runuser -u "$user" -- env HOME="$work/home" TMPDIR=/tmp bash -c 'umask 077; exec "$@"' - "$@"
        }
        install -d -o "$user" -m 755 "$work/locked"
        cp "$work/recipe.conf" "$work/locked/recipe.conf"
        judge "an ordinary user makes a lock, and fetches what it names" as_user "$program" lock "$work/locked/recipe.conf" --fetch
        as_user "$program" build "$work/locked/recipe.conf" -o "$work/home/out" --version 1.0 --locked \
                --mirror http://127.0.0.1:9/nothing --engine-root "$work/stage" >"$work/log" 2>&1
        ok $? "and builds it of that, without a network" "$work/log"
        for file in root.erofs root.verity uki.efi disk.raw disk.qcow2; do
                cmp "$work/one/$file" "$work/home/out/$file" >"$work/log" 2>&1
                ok $? "built by an ordinary user, $file is the same" "$work/log"
        done
else
        skip 7 "this machine has no user namespaces for ordinary users, or this is not root"
fi

# ---- builds that must fail ----

fails() { # DESCRIPTION STATUS TEXT OPTION...
        local description=$1 status=$2 text=$3
        shift 3
        says "$description" "$status" "$text" image_build "$work/recipe.conf" -o "$work/bad" --version 1.0 "$@"
        [ -z "$(ls -A "$work/bad" 2>/dev/null)" ]
        ok $? "... and leaves nothing" "$work/log"
}
fails "a package that does not exist" 1 "Unable to locate package no-such-package" --set Packages.Install=no-such-package
fails "a slot that is too small" 7 "the biggest packages are linux-image" --set Disk.SlotSize=64M --set Image.Hostname=other
says "a slot that is too small for a root that is in the cache" 7 "the biggest packages are" \
        image_build "$work/recipe.conf" -o "$work/bad" --version 1.0 --set Disk.SlotSize=64M
dd if=/dev/zero of="$work/large" bs=1M count=8 status=none
says "a budget that is broken by what grew" 7 "/usr/share/large by 8.0 MiB" \
        image_build "$work/recipe.conf" -o "$work/bad" --version 1.0 --set Disk.SlotSize=64M --previous "$work/one" \
        --set "Content.File=$work/large:/usr/share/large"
fails "an unknown kernel module" 3 "has no module \"virtio_blq\", did you mean \"virtio_blk\"?" --set Kernel.Modules=virtio_blq
fails "an unknown unit" 3 "no-such.service" --set Services.Enable=no-such.service
fails "a suite that the mirror does not have" 8 "does it have the suite nosuchsuite" --set Packages.Suites=nosuchsuite
fails "an engine that is not there" 15 "--engine-root" --engine-root "$work/nothing"
openssl genpkey -algorithm ed25519 -out "$work/private.pem" 2>/dev/null
fails "a key without its certificate" 3 "the certificate is not given" --secure-boot-key "$work/keys/db.pem"
fails "keys to enrol and nothing signed" 3 "nothing is signed" --secure-boot-enroll "$work/keys"
fails "a certificate of another key" 3 "is not that of the key" --secure-boot-key "$work/keys/KEK.pem" \
        --secure-boot-certificate "$work/keys/db.crt"
printf '[Socket]\nListenStream=8080\n[Install]\nWantedBy=sockets.target\n' >"$work/ours.socket"
printf '[Service]\nExecStart=/usr/bin/true\n' >"$work/ours.service"
echo 'root:$6$salt$hash:19000:0:99999:7:::' >"$work/shadow"
echo "machine example.com login ada password secret" >"$work/netrc"
fails "a file that gives more rights" 5 "Setuid=/usr/bin/ours" --set "Content.File=$work/netrc:/usr/bin/ours:4755"
fails "a port that is not named" 5 "Listen=ours.socket" --set "Content.File=$work/ours.socket:/usr/lib/systemd/system/ours.socket" \
        --set "Content.File=$work/ours.service:/usr/lib/systemd/system/ours.service" --set Services.Enable=ours.socket
fails "a login among the files" 5 "AllowSecret=etc/skel/.netrc" --set "Content.File=$work/netrc:/etc/skel/.netrc"
fails "a password that is not declared" 5 "the recipe does not declare" --set "Content.File=$work/shadow:/etc/shadow:0640:root:shadow"
fails "lists of another apt" 5 "is apt's" --set "Content.File=$work/netrc:/var/lib/apt/lists/list"
fails "a library that is needed" 3 "needs the library libzstd.so.1, which Remove=/usr/lib/*/libzstd.so.1* removes" \
        --set "Content.Remove=/usr/lib/*/libzstd.so.1*"
fails "a unit that is enabled and left out" 3 "Enable=systemd-networkd.service needs" \
        --set Content.Remove=/usr/lib/systemd/system/systemd-networkd.service
fails "a pattern that matches nothing" 3 "Remove=/usr/share/none matches nothing" --set Content.Remove=/usr/share/none
fails "a private key among the files" 5 "/etc/ours.pem" --set "Content.File=$work/private.pem:/etc/ours.pem"

echo "1..$number"
