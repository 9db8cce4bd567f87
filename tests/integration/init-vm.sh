#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bascule-init on a Debian kernel in a virtual machine, with releases of one small program (TAP). No firmware: what depends on
# the loader is the business of qemu-scripts/scenario-update.
# Usage: init-vm.sh BASCULE-INIT GUEST-PROGRAM
# BASCULE_TEST_KERNEL: a folder with boot/vmlinuz* and lib/modules; without it the kernel is fetched from the archive.
set -uo pipefail
init=$(readlink -f "$1") guest=$(readlink -f "$2")
work=$(mktemp -d "${TMPDIR:-/tmp}/init-vm.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
number=0

# In the order in which they are inserted; those that are built in are not there.
modules=(virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk dm-mod reed_solomon dm-bufio
        dm-verity libcrc32c erofs overlay watchdog softdog)

skip() {
        echo "1..0 # SKIP $1"
        exit 0
}

fetch_kernel() {
        kernel=${BASCULE_TEST_KERNEL:-}
        [ -z "$kernel" ] || return 0
        local package
        package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ { print $2; exit }')
        apt-get -q download "$package" >fetch.log 2>&1 && dpkg-deb -x "$package"*.deb kernel && kernel=$work/kernel
}

make_initrd() {
        local list=etc/bascule-initrd/modules module path
        mkdir -p initrd/etc/bascule-initrd initrd/modules
        cp "$init" initrd/init
        for module in "${modules[@]}"; do
                path=$(find "$kernel/lib/modules" "$kernel/usr/lib/modules" -name "$module.ko" 2>/dev/null | head -n 1)
                [ -n "$path" ] || continue
                cp "$path" initrd/modules/
                echo "/modules/$module.ko" >>"initrd/$list"
        done
        (cd initrd && find . | LC_ALL=C sort | cpio -o -H newc --quiet) >initrd.img
}

# put_e2fsck FOLDER: it, and the libraries that it needs.
put_e2fsck() {
        local program path
        program=$(PATH=$PATH:/usr/sbin:/sbin command -v e2fsck) || return 1
        install -D "$program" "$1/sbin/e2fsck"
        for path in $(ldd "$program" | grep -o '/[^ ]*'); do
                install -D "$path" "$1$path"
        done
}

# make_release VERSION: root-VERSION.img, hash-VERSION.img and root_hash[VERSION].
declare -A root_hash
make_release() {
        local version=$1 salt hash
        rm -rf root
        mkdir -p root/{dev,etc/folder,proc,run,sbin,sys,tmp,usr/lib,var}
        cp "$guest" root/sbin/init
        put_e2fsck root || return 1
        printf 'IMAGE_ID=tiny\nIMAGE_VERSION=%s\n' "$version" >root/usr/lib/os-release
        : >root/etc/machine-id
        echo "of $version" | tee root/etc/{changed,removed,release,folder/old} >/dev/null
        echo seed >root/var/seed
        head -c 4M /dev/urandom >root/usr/large
        salt=$(printf %064d "$version")
        mkfs.erofs "root-$version.img" root >/dev/null 2>&1 || return 1
        truncate -s %4096 "root-$version.img"
        hash=$(veritysetup format "root-$version.img" "hash-$version.img" --salt="$salt" | awk '/Root hash/ { print $3 }')
        veritysetup format "root-$version.img" "hash-$version.img" --salt="$salt" \
                --uuid="${hash:0:8}-${hash:8:4}-${hash:12:4}-${hash:16:4}-${hash:20:12}" >/dev/null
        root_hash[$version]=$hash
}

# Start of a partition in sectors.
start_of() {
        sfdisk -d disk.raw | awk -v name="name=\"$1\"" 'index($0, name) { sub(/.*start= */, ""); sub(/,.*/, ""); print }'
}

put() { # FILE PARTITION
        dd if="$1" of=disk.raw bs=512 seek="$(start_of "$2")" conv=notrunc,sparse status=none
}

damage() { # PARTITION SECTOR COUNT
        dd if=/dev/urandom of=disk.raw bs=512 seek=$(($(start_of "$1") + $2)) count="$3" conv=notrunc status=none
}

# As the kernel leaves it when it has found something wrong, and never looks again.
mark_var_wrong() {
        dd if=disk.raw of=var.img bs=512 skip="$(start_of var)" count=49152 status=none
        /usr/sbin/debugfs -w -R "set_super_value state 2" var.img 2>/dev/null
        put var.img var
}

make_disk() {
        truncate -s 100M disk.raw
        sfdisk -q disk.raw <<'EOT'
label: gpt
size=24M, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, name=root-a
size=1M, type=2c7357ed-ebd2-46d9-aec1-23d437ec2bf5, name=root-a-verity
size=24M, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, name=root-b
size=1M, type=2c7357ed-ebd2-46d9-aec1-23d437ec2bf5, name=root-b-verity
size=24M, type=4d21b016-b534-45c2-a9fb-5c16e091fd2d, name=var
EOT
        truncate -s 24M var.img
        mkfs.ext4 -q -F var.img
        put root-1.img root-a && put hash-1.img root-a-verity && put root-2.img root-b && put hash-2.img root-b-verity &&
                put var.img var && cp --sparse=always disk.raw disk.good
}

# boot VERSION WORD...: what the console showed is in console.
boot() {
        local version=$1
        shift
        timeout 240 qemu-system-x86_64 -accel tcg,thread=multi,tb-size=256 -cpu qemu64 -smp 2 -m 384 -nographic -nodefaults \
                -no-reboot -serial stdio -kernel "$(find "$kernel/boot" -name 'vmlinuz*' | head -n 1)" -initrd initrd.img \
                -drive file=disk.raw,format=raw,if=virtio,cache=unsafe -append "console=ttyS0 quiet no_timer_check panic=2 \
                gpt bascule.roothash=${root_hash[$version]} $*" </dev/null 2>&1 | tr -d '\r' >console
}

told() {
        grep -aqF "TELL $1" console
}

said() {
        grep -aqF "$1" console
}

ok() { # WHAT CHECK...: each check is a command line of one word and a text, such as "told up"
        local what=$1 check
        shift
        number=$((number + 1))
        for check in "$@"; do
                if ! ${check%% *} "${check#* }"; then
                        echo "not ok $number - $what"
                        echo "# not so: $check"
                        tail -n 40 console | sed 's/^/# /'
                        return
                fi
        done
        echo "ok $number - $what"
}

untold() {
        ! told "$1"
}

fetch_kernel || skip "no kernel can be fetched from the package archive"
make_initrd
if ! make_release 1 || ! make_release 2 || ! make_disk; then
        echo "Bail out! the disk could not be made"
        exit 1
fi

boot 1 test.change
ok "a release boots" "told up" "told mount / is erofs ro" "told mount /var is ext4 rw,nosuid,nodev" "told mount /etc is overlay rw" \
        "told /etc/changed = of 1" "told /run/bascule/var-volatile = (none)" "told /run/bascule/etc-volatile = (none)"
ok "a new /var is filled" "told /var/seed = seed"

boot 2
ok "the next release takes over the changed /etc" "told /etc/release = of 2" "told /etc/changed = by the host" \
        "told /etc/removed = (none)" "told /etc/folder has new" "untold /etc/folder has old" "told link of 12:34, one file"
ok "both layers of /etc are kept" "told /var/lib/bascule/etc has 1" "told /var/lib/bascule/etc has 2"

boot 1
ok "the first release finds the /etc that it left" "told /etc/release = of 1" "told /etc/changed = by the host"

mark_var_wrong
boot 1
ok "a /var with errors is checked before it is used" "told up" "said checking /dev/vda5" "told mount /var is ext4 rw,nosuid,nodev" \
        "told /etc/changed = by the host"

damage var 3 1
boot 1
ok "a torn superblock of /var is mended, and all is there" "told up" "said e2fsck -p of /dev/vda5 ended with 8" \
        "said e2fsck -fy of /dev/vda5 ended with 1" "told mount /var is ext4 rw,nosuid,nodev" "told /etc/changed = by the host" \
        "told /var/seed = seed" "told /run/bascule/var-volatile = (none)"

cp --sparse=always disk.good disk.raw
damage var 0 49152
boot 1
ok "without /var a host boots on memory" "told up" "told mount /var is tmpfs rw" "told /run/bascule/var-volatile = cannot mount" \
        "said IN MEMORY ONLY"

cp --sparse=always disk.good disk.raw
damage root-a-verity 0 1
boot 1 bascule.wait=1
ok "a slot without its superblock is no release" "untold up" "said no slot holds this release" "said rebooting in"

cp --sparse=always disk.good disk.raw
damage root-a 4000 8000
boot 1 test.read
ok "damaged data panics" "untold all was read" "said Kernel panic - not syncing: dm-verity"

cp --sparse=always disk.good disk.raw
damage root-a 2 8
put root-1.img root-b && put hash-1.img root-b-verity
damage root-a-verity 0 1
boot 1
ok "the release is found in the other slot" "told up" "told /etc/release = of 1"

cp --sparse=always disk.good disk.raw
dd if=/dev/zero of=disk.raw bs=512 seek=1 count=33 conv=notrunc status=none
boot 1
ok "a damaged partition table is read from its backup" "told up"

boot 1 bascule.unknown=1
ok "a word that means nothing is refused" "untold up" "said means nothing to bascule-init"
echo "1..$number"
