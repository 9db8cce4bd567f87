#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bascule-disk against judges that share no code with its tables and trees: sfdisk, veritysetup, e2fsck. TAP on standard
# output. What needs root (loop devices) is skipped without it.
# Usage: disk.sh BASCULE-DISK
set -u
program=$(readlink -f "${1:?the program bascule-disk}")
PATH=$PATH:/usr/sbin:/sbin
work=$(mktemp -d)
loops=()
number=0

cleanup() {
        mountpoint -q "$work/mnt" && umount "$work/mnt"
        for loop in "${loops[@]}"; do detach "$loop"; done
        rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit 1

ok() { # STATUS DESCRIPTION
        number=$((number + 1))
        if [ "$1" = 0 ]; then
                echo "ok $number - $2"
        else
                echo "not ok $number - $2"
                sed 's/^/# /' out err 2>/dev/null | tail -n 20
        fi
}
skip() { # COUNT REASON
        for ((i = 0; i < $1; i++)); do
                number=$((number + 1))
                echo "ok $number - # SKIP $2"
        done
}
run() { "$program" "$@" >out 2>err </dev/null; }
is_status() { # STATUS DESCRIPTION COMMAND...
        local wanted=$1 description=$2 status
        shift 2
        run "$@"
        status=$?
        [ $status = "$wanted" ]
        ok $? "$description (status $wanted)"
}
member() { # FILE PYTHON-EXPRESSION-OF-j
        python3 -c 'import json, sys; j = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"
}
part() { # IMAGE ROLE FIELD
        "$program" show --json "$1" >show.json && member show.json "[p for p in j['partitions'] if p['role'] == '$2'][0]['$3']"
}

# converse ARGUMENTS ANSWER...: runs it on a terminal, and types each answer when it is asked for.
converse() {
        local arguments=$1 asked=0 answer i pid
        shift
        rm -f typed out && mkfifo typed
        script -qefc "'$program' $arguments" /dev/null <typed >out 2>&1 &
        pid=$!
        exec 9>typed
        for answer; do
                asked=$((asked + 1))
                for ((i = 0; i < 600; i++)); do
                        [ "$(grep -aoE 'switch off\): |overwrite it: ' out | wc -l)" -ge $asked ] && break
                        sleep 0.05
                done
                if [ "$answer" = $'\004' ]; then printf '%s' "$answer" >&9; else printf '%s\n' "$answer" >&9; fi
        done
        wait $pid
        i=$?
        exec 9>&-
        return $i
}

# A disk as another tool would make it: sfdisk's table, veritysetup's tree in slot a, ext4 in var.
make_image() {
        truncate -s 200M "$1"
        sfdisk -q "$1" <<'TABLE'
label: gpt
start=1MiB, size=16MiB, type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b, name=esp
size=64MiB, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, name=root-a
size=2MiB, type=2c7357ed-ebd2-46d9-aec1-23d437ec2bf5, name=root-a-verity
size=64MiB, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, name=root-b
size=2MiB, type=2c7357ed-ebd2-46d9-aec1-23d437ec2bf5, name=root-b-verity
size=32MiB, type=4d21b016-b534-45c2-a9fb-5c16e091fd2d, name=var
TABLE
        head -c 20M /dev/urandom >data
        veritysetup format --salt="$(printf '%064d' 7)" data tree >formatted || return
        root_hash=$(sed -n 's/^Root hash:[[:space:]]*//p' formatted)
        uuid=${root_hash:0:8}-${root_hash:8:4}-${root_hash:12:4}-${root_hash:16:4}-${root_hash:20:12}
        veritysetup format --salt="$(printf '%064d' 7)" --uuid="$uuid" data tree >/dev/null || return
        dd status=none conv=notrunc bs=1M if=data of="$1" seek=17
        dd status=none conv=notrunc bs=1M if=tree of="$1" seek=81
        truncate -s 32M var
        mkfs.ext4 -q -F var
        dd status=none conv=notrunc,sparse bs=1M if=var of="$1" seek=149
}

make_image image
ok $? "an image is made by sfdisk, veritysetup and mkfs.ext4"

# --- show
run show --json image
cp out show.json
sfdisk --json image >sfdisk.json
python3 - <<'EOT' >out 2>&1
import json
ours = json.load(open("show.json"))
theirs = json.load(open("sfdisk.json"))["partitiontable"]
assert ours["uuid"] == theirs["id"].lower()
assert len(ours["partitions"]) == len(theirs["partitions"]) == 6
for a, b in zip(ours["partitions"], theirs["partitions"]):
    assert a["role"] == b["name"], (a, b)
    assert a["offset_bytes"] == b["start"] * 512 and a["size_bytes"] == b["size"] * 512, (a, b)
    assert a["uuid"] == b["uuid"].lower(), (a, b)
EOT
ok $? "show and sfdisk agree on every partition"
[ "$(member show.json "j['slots'][0]['root_hash_prefix']")" = "${root_hash:0:32}" ] &&
        [ "$(member show.json "j['slots'][1]['valid']")" = False ]
ok $? "slot a is seen by its root hash, slot b is empty"
[ "$(member show.json "j['partitions'][5]['content']")" = ext4 ]
ok $? "the filesystem of var is named"

# --- verify
is_status 0 "verify accepts what veritysetup made" verify image
grep -q "Slot a: good, root hash $root_hash" out
ok $? "verify prints the root hash that veritysetup computed"
is_status 0 "verify accepts the right --root-hash" verify --root-hash="$root_hash" image
is_status 10 "verify refuses a --root-hash that no slot holds" verify --root-hash="${root_hash//[0-7]/8}" image
is_status 10 "verify refuses a hash with the right first half" verify --root-hash="${root_hash:0:62}$(
        [ "${root_hash:62}" = 00 ] && echo 01 || echo 00)" image
is_status 2 "verify refuses half a hash" verify --root-hash="${root_hash:0:32}" image
cp --sparse=always image damaged
printf x | dd status=none conv=notrunc bs=1 of=damaged seek=$((17 * 1048576 + 4096 * 1000 + 17))
is_status 10 "verify finds one damaged byte of data" verify --json damaged
grep -q 'data block 1000 ' out
ok $? "and names its block"

# --- repair
for wound in "512 8 primary-gone" "1024 300 primary-entries-damaged" "$((200 * 1048576 - 512)) 92 backup-gone" \
        "446 66 protective-mbr-gone"; do
        read -r offset size name <<<"$wound"
        cp --sparse=always image damaged
        dd status=none conv=notrunc bs=1 count="$size" if=/dev/zero of=damaged seek="$offset"
        cp --sparse=always damaged untouched
        is_status 0 "repair --dry-run of $name" repair --dry-run damaged
        cmp -s damaged untouched
        ok $? "changes nothing"
        is_status 0 "repair of $name" repair damaged
        cmp damaged image >>out 2>&1
        ok $? "gives back every byte"
done
dd status=none conv=notrunc bs=1M count=1 if=/dev/zero of=damaged
dd status=none conv=notrunc bs=1M count=1 if=/dev/zero of=damaged seek=199
is_status 10 "repair gives up when both copies are gone" repair damaged

# --- grow
cp --sparse=always image grown
truncate -s 321M grown
is_status 0 "grow of an image file" grow --json grown
[ "$(member out "j['var_after_bytes']")" = $((171 * 1048576)) ]
ok $? "var takes the rest"
sfdisk --verify grown >out 2>err && [ ! -s err ] && grep -q "No errors detected" out
ok $? "sfdisk finds nothing wrong with the grown table"
cp --sparse=always grown before
is_status 0 "grow again" grow grown
cmp -s grown before
ok $? "changes nothing"

# --- install
truncate -s 300M target
head -c 300M /dev/urandom | dd status=none conv=notrunc bs=1M of=target
is_status 2 "install without terminal and --yes" install image target
is_status 2 "install --yes with nothing that names the disk" install --yes image target
is_status 2 "install --yes with an empty serial number" install --yes --disk-serial= image target
is_status 5 "install with another --disk-size" install --yes --disk-size=299M image target
is_status 5 "install with another --disk-serial" install --yes --disk-serial=X image target
truncate -s 180M small
is_status 7 "install onto a disk that is too small" install --yes --disk-size=180M image small
qemu-img convert -O qcow2 image image.qcow2 2>/dev/null || printf 'QFI\xfb' >image.qcow2
is_status 12 "install of a qcow2 image" install --yes --disk-size=300M image.qcow2 target
head -c 100M image >./cut-off
is_status 10 "install of an image that was cut off" install --yes --disk-size=300M cut-off target
if command -v script >/dev/null; then
        converse "install image target" traget
        [ $? = 13 ]
        ok $? "a wrong name at the prompt stops it"
        converse "install image target" target
        ok $? "the right name at the prompt installs"
else
        skip 2 "no script(1)"
fi
is_status 0 "install with --yes and the size" install --json --yes --disk-size=300M image target
sfdisk --verify target >out 2>err && [ ! -s err ] && grep -q "No errors detected" out
ok $? "sfdisk finds nothing wrong with the installed table"
[ "$(part target var size_bytes)" = $((150 * 1048576)) ]
ok $? "var takes the rest of the disk"
for role in esp var; do
        [ "$(part target $role uuid)" != "$(part image $role uuid)" ]
        ok $? "$role has a UUID of its own"
done
[ "$(part target root-a uuid)" = "$(part image root-a uuid)" ]
ok $? "the slots keep theirs"
is_status 0 "the installed slot verifies" verify --root-hash="$root_hash" target
dd status=none bs=1M skip=17 count=20 if=target of=data2
dd status=none bs=1M skip=81 count=2 if=target of=tree2
veritysetup verify data2 tree2 "$root_hash" >out 2>&1
ok $? "veritysetup agrees"
dd status=none bs=1M skip=149 count=32 if=target of=var2
cmp -s var var2 && e2fsck -fn var2 >out 2>&1
ok $? "var arrived whole"
[ "$(dd status=none bs=1M skip=83 count=66 if=target | tr -d '\0' | wc -c)" = 0 ]
ok $? "nothing of the old content is left in the empty slot"
is_status 0 "grow finds nothing to do" grow target

# --- installer: what sfdisk makes of the layout that is documented, with another ESP for other sectors
make_medium() {
        cp --sparse=always image medium && truncate -s 250M medium
        sfdisk -q -w never -W never medium <<'TABLE'
label: gpt
start=1MiB, size=16MiB, type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b, name=esp, attrs=NoBlockIOProtocol
size=64MiB, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, name=root-a
size=2MiB, type=2c7357ed-ebd2-46d9-aec1-23d437ec2bf5, name=root-a-verity
size=64MiB, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, name=root-b
size=2MiB, type=2c7357ed-ebd2-46d9-aec1-23d437ec2bf5, name=root-b-verity
size=32MiB, type=4d21b016-b534-45c2-a9fb-5c16e091fd2d, name=var
size=16MiB, type=0fc63daf-8483-4772-8e79-3d69d8477de4, name=esp-4096
size=40MiB, type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b, name=installer
TABLE
        printf 'for 512' | dd status=none conv=notrunc bs=1M seek=1 of=medium
        printf 'for 4096' | dd status=none conv=notrunc bs=1M seek=181 of=medium
}
make_medium
is_status 12 "an image that is no installer fits one size of sectors" install --yes --disk-size=300M --sector-size=4096 image target
for size in 512 4096; do
        is_status 0 "install of an installer onto sectors of $size bytes" install --yes --disk-size=300M --sector-size=$size medium target
        fdisk -b $size -l target >out 2>err && ! grep -q . err && [ "$(grep -c '^target' out)" = 6 ] &&
                [ "$(dd status=none bs=1M skip=1 count=1 if=target | tr -d '\0')" = "for $size" ]
        ok $? "fdisk finds six partitions, and its ESP is that for $size bytes"
        is_status 0 "the slot verifies" verify --root-hash="$root_hash" target
        [ "$(part target var size_bytes)" = $((150 * 1048576)) ]
        ok $? "var takes the rest of the disk"
done
odd=$'no\xffutf-8'
truncate -s 300M "$odd"
is_status 0 "install onto a file whose name is no text" install --json --yes --disk-size=300M image "$odd"
[ "$(member out "j['path']")" = "no?utf-8" ]
ok $? "its name is told as far as it is"
for verb in show grow repair; do
        run $verb --json "$odd"
        [ "$(member out "j['path']")" = "no?utf-8" ]
        ok $? "$verb tells it so too"
done
rm target "$odd" && truncate -s 300M target
exec 7<>target
printf '[Install]\nDisk=/dev/fd/7\nErase=yes\n' >answers
is_status 2 "an image that is no installer does not ask" installer --answers answers image
is_status 2 "an installer without answers needs a terminal" installer medium
is_status 0 "an installer does what it is told in a file" installer --answers answers medium
is_status 0 "the slot verifies" verify --root-hash="$root_hash" target
is_status 4 "it does not do it again" installer --answers answers medium
printf 'Reinstall=yes\n' >>answers
is_status 0 "unless it is told to" installer --answers answers medium
printf '[Install]\nDisk=/dev/fd/7\nSerial=X\nErase=yes\n' >answers
cp --sparse=always medium copy
printf '[Install]\nDisk=/dev/fd/8\nErase=yes\nReinstall=yes\n' >copied
exec 8<>copy
is_status 5 "a copy of the medium is refused" installer --answers copied medium
exec 8>&-
is_status 5 "a medium is not repaired" repair medium
printf '[Install]\nDisk=/dev/sda\nErase=yes\n' >copied
is_status 3 "a name that can mean another disk needs a serial number" installer --answers copied medium
is_status 5 "a disk with another serial number is refused" installer --answers answers medium
printf '[Install]\nDisk=/dev/fd/7\n' >answers
is_status 3 "answers that do not allow to erase are refused" installer --answers answers medium
exec 7>&-
if command -v script >/dev/null; then
        rm target && truncate -s 300M target
        # Ctrl-D and a line that is too long are no answers.
        converse "installer medium" 9999 "$work/small" $'\004' "$(printf '%0600d' 1)" "$work/target" wrong "$work/target" target
        status=$?
        [ $status = 0 ] && grep -q 'no number of a disk' out && grep -q 'small has 180.0 MiB' out && grep -q 'that was not' out
        ok $? "an installer asks until a disk that will do is named twice"
        is_status 0 "the slot verifies" verify --root-hash="$root_hash" target
        converse "installer medium" $'\004'{,,,,,,,,,}
        [ $? = 13 ] && grep -q 'nothing was chosen' out
        ok $? "from a shell it can be left"
else
        skip 3 "no script(1)"
fi

# --- real block devices
attach() { # FILE [OPTION...]: leaves the device in $loop
        loop=$(losetup "${@:2}" -f --show "$1" 2>err) && loops+=("$loop")
}
forget_partitions() { # without partition scanning they outlive the file that was attached
        for ((i = 1; i <= 6; i++)); do delpart "$1" "$i" 2>/dev/null; done
}
detach() {
        forget_partitions "$1"
        losetup -d "$1"
        loops=("${loops[@]/$1/}")
        mapfile -t loops < <(printf '%s\n' "${loops[@]}" | grep .)
}
add_partitions() {
        local i=0 offset size
        forget_partitions "$1"
        i=0
        "$program" show --json "$1" >show.json || return
        while read -r offset size; do
                i=$((i + 1))
                addpart "$1" $i $((offset / 512)) $((size / 512)) || return
        done < <(member show.json "'\n'.join('%d %d' % (p['offset_bytes'], p['size_bytes']) for p in j['partitions'])")
        [ -b "$1p6" ]
}
may_resize() { # CAP_SYS_RESOURCE
        (((16#$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status) >> 24) & 1))
}
block_tests=21
if [ "$(id -u)" != 0 ] || ! attach image; then
        skip $block_tests "needs root and loop devices"
elif ! add_partitions "$loop"; then
        skip $block_tests "partitions of loop devices have no nodes here"
else
        mkdir -p mnt
        mount "$loop"p6 mnt && echo kept >mnt/file
        ok $? "var of a loop device is mounted"
        is_status 6 "install refuses a disk that is in use" install --yes --disk-size=200M grown "$loop"
        is_status 2 "install refuses a partition" install --yes --disk-size=32M image "$loop"p6
        is_status 0 "verify of a block device" verify --root-hash="$root_hash" "$loop"
        cp --sparse=always image original
        truncate -s 400M image
        losetup -c "$loop"
        blocks=$(stat -fc %b mnt)
        if may_resize; then
                is_status 0 "grow with var mounted" grow --json "$loop"
                [ "$(member out "j['filesystem']")" = grown ] && [ "$(stat -fc %b mnt)" -gt $((blocks * 6)) ]
                ok $? "the mounted filesystem has grown"
                is_status 0 "grow again" grow --json "$loop"
                [ "$(member out "j['filesystem']")" = full-size ] && [ "$(member out "j['table_written']")" = False ]
                ok $? "changes nothing"
        else
                is_status 14 "grow without the right to resize filesystems" grow --json "$loop"
                skip 3 "no CAP_SYS_RESOURCE"
        fi
        [ "$(cat mnt/file)" = kept ] && [ "$(blockdev --getsize64 "$loop"p6)" = $((250 * 1048576)) ]
        ok $? "files are there, and the kernel knows the new size"
        umount mnt
        e2fsck -fn "$loop"p6 >out 2>&1
        ok $? "e2fsck finds nothing wrong"
        sfdisk --verify "$loop" >out 2>err && [ ! -s err ]
        ok $? "sfdisk finds nothing wrong"
        resizepart "$loop" 2 $((10 * 2048))
        is_status 6 "a slot that the kernel sees otherwise than the table is not trusted" verify "$loop"
        grep -q "older partition table" out
        ok $? "and the reason is given"
        detach "$loop"

        head -c 300M /dev/urandom >target
        attach target
        is_status 0 "install onto a block device" install --yes --disk-size=300M original "$loop"
        is_status 0 "what was installed verifies" verify --root-hash="$root_hash" "$loop"
        detach "$loop"
        truncate -s 300M target4k
        attach target4k --sector-size 4096
        is_status 12 "install refuses a disk with other sectors" install --yes --disk-size=300M original "$loop"
        detach "$loop"
        truncate -s 520M outer
        dd status=none conv=notrunc,sparse bs=1M seek=1 if=original of=outer
        attach outer
        forget_partitions "$loop"
        addpart "$loop" 1 2048 $((200 * 2048))
        is_status 2 "install refuses the disk that the image lies on" install --yes --disk-size=520M "$loop"p1 "$loop"
        [ "$(dd status=none bs=1M skip=1 count=200 if=outer | cmp - original 2>&1)" = "" ]
        ok $? "which stays as it was"
        detach "$loop"
        # A stick that is larger than what is on it, and one on which the last writing was broken off.
        cp --sparse=always medium stick && truncate -s 300M stick
        attach stick
        is_status 0 "install from a device that is larger than the installer" install --yes --disk-size=300M "$loop" target
        detach "$loop"
        cp --sparse=always medium broken-off && truncate -s 300M broken-off
        sfdisk -q --disk-id medium 11111111-2222-3333-4444-555555555555
        dd status=none conv=notrunc bs=1M count=100 if=medium of=broken-off
        attach broken-off
        is_status 10 "install refuses an installer that is half an older one" install --yes --disk-size=300M "$loop" target
        detach "$loop"
        # As an adapter shows it that makes sectors of its own.
        cp --sparse=always original host512
        attach host512 --sector-size 4096
        exec 7<>"$loop"
        printf '[Install]\nDisk=/dev/fd/7\nErase=yes\n' >answers
        is_status 4 "a host's disk is one also behind other sectors" installer --answers answers medium
        exec 7>&-
        detach "$loop"
fi
echo "1..$number"
