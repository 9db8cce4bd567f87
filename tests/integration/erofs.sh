#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Our EROFS images against judges that share no code with them: GNU tar makes the archives, mkfs.erofs makes an image of
# the same tree, fsck.erofs unpacks ours and the kernel mounts it. TAP on standard output. What needs root (owners,
# devices, capabilities, the mount) is left out or skipped without it.
# Usage: erofs.sh EROFS-TOOL
set -u
tool=$(readlink -f "${1:?the program erofs-tool}")
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
work=$(mktemp -d)
number=0
epoch=1700000000

cleanup() {
        mountpoint -q "$work/mnt" && umount "$work/mnt"
        rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit 1

check() { # DESCRIPTION COMMAND...
        local description=$1
        shift
        number=$((number + 1))
        if "$@" >out 2>&1; then
                echo "ok $number - $description"
        else
                echo "not ok $number - $description"
                sed 's/^/# /' out | tail -n 20
        fi
}
skip() { # DESCRIPTION REASON
        number=$((number + 1))
        echo "ok $number - $1 # SKIP $2"
}
is_root() { [ "$(id -u)" = 0 ]; }

make_tree() {
        mkdir -p tree/{files,links,empty,many,a/b/c/d/e/f/g}
        for size in 0 1 4063 4064 4065 4095 4096 4097 8192 70000; do
                head -c "$size" /dev/urandom >"tree/files/$size"
        done
        head -c 9000000 /dev/urandom >tree/files/large
        for ((i = 0; i < 3000; i++)); do : >"tree/many/file-$((i * 7919 % 3001))"; done
        for name in '!' '-' '..a' '.a' 'spaces and
newline' $'\xff\xfe not utf-8' '%41' '\x41'; do echo x >"tree/a/$name"; done
        ln tree/files/4097 tree/links/hard
        ln tree/files/4097 tree/a/hard
        ln -s ../files/1 tree/links/soft
        ln -s "$(printf 'x%.0s' {1..4000})" tree/links/long
        mkfifo tree/pipe
        chmod 4755 tree/files/1
        chmod 1777 tree/empty
        chmod 0400 tree/files/8192
        python3 - <<'EOT'
import os
os.setxattr('tree/files/4096', 'user.small', b'value')
os.setxattr('tree/files', 'user.on.folder', b'\0\n=binary' * 40)
if os.getuid() == 0:
    os.setxattr('tree/files/1', 'security.capability', bytes.fromhex('0100000200200000000000000000000000000000'))
    os.setxattr('tree/files/4065', 'trusted.long', b'x' * 3000)
    os.mknod('tree/null', 0o20666, os.makedev(1, 3))
    os.mknod('tree/large-device', 0o60640, os.makedev(2000, 700000))
    for i, name in enumerate(sorted(os.listdir('tree/many'))[:20]):
        os.chown('tree/many/' + name, 70000 * i, 3 * i)
EOT
        set_times
}
set_times() { find tree -exec touch -h -d "@$epoch" {} +; }
# What mkfs.erofs 1.5 cannot make: names of 255 bytes, xattrs without a value.
extend_tree() {
        for ((i = 0; i < 40; i++)); do echo "$i" >"tree/many/$(printf '%0255d' "$i")"; done
        python3 -c "import os; os.setxattr('tree/files/4095', 'user.empty', b'')"
        set_times
}

archive() { # FILE TAR-OPTIONS...
        local file=$1
        shift
        (cd tree && tar --xattrs --xattrs-include='*' --numeric-owner -cf "../$file" "$@" .)
}
same_files() { # contents and links; diff has no notion of pipes and devices
        diff -r --no-dereference "$1" "$2" | grep -v 'special file\|is a fifo' | { ! grep .; }
}
list() { "$tool" list "$1" >"$1.list"; }
same_list() { list "$1" && list "$2" && diff "$1.list" "$2.list"; }
unpacks() {
        fsck.erofs --extract=unpacked --force "$1" && same_files tree unpacked
}
# What the kernel shows of a folder; the size of folders is a filesystem's own.
view() {
        (cd "$1" && find . -printf '%P %y %m %U %G %n %T@ %l' \( -type d -printf ' -\n' -o -printf ' %s\n' \) | sort) | sed 's/ [0-9]* \([0-9.]*\)  -$/ \1 -/'
        python3 - "$1" <<'EOT'
import os, sys
for folder, folders, files in sorted(os.walk(os.fsencode(sys.argv[1]))):
    for name in sorted(folders + files):
        path = os.path.join(folder, name)
        try:
            names = sorted(os.listxattr(path, follow_symlinks=False))
        except OSError:
            continue
        for key in names:
            print(os.path.relpath(path, os.fsencode(sys.argv[1])), key, os.getxattr(path, key, follow_symlinks=False))
EOT
}
kernel_agrees() {
        mkdir -p mnt && mount -t erofs -o ro,loop ours.erofs mnt || return
        view tree >tree.view
        view mnt >mnt.view
        diff tree.view mnt.view && same_files tree mnt
        local status=$?
        umount mnt
        return $status
}

make_tree
archive pax.tar --format=posix
mkfs.erofs --quiet "-T$epoch" -U00000000-0000-4000-8000-000000000001 theirs.erofs tree >mkfs.log 2>&1 ||
        sed "s/^/# mkfs.erofs: /" mkfs.log
check "a pax archive becomes an image" "$tool" make pax.tar ours.erofs
check "it holds what the image of mkfs.erofs holds" same_list ours.erofs theirs.erofs

extend_tree
archive pax.tar --format=posix
archive gnu.tar --format=gnu --no-xattrs
archive ordered.tar --format=posix --sort=name
(cd tree && find . -print0 | sort -zr) >names
archive reversed.tar --format=posix --no-recursion --null -T ../names
archive plain.tar --format=posix --no-xattrs
check "names and xattrs may be as long and as short as can be" "$tool" make pax.tar ours.erofs
check "fsck.erofs finds nothing wrong with it" fsck.erofs ours.erofs
check "dump.erofs reads its superblock" dump.erofs -s ours.erofs
check "fsck.erofs unpacks the tree from it" unpacks ours.erofs
if is_root && grep -qw erofs /proc/filesystems || { is_root && modprobe -q erofs; }; then
        check "the kernel shows the same tree" kernel_agrees
else
        skip "the kernel shows the same tree" "needs root and erofs in the kernel"
fi
check "sorted names give the same image" eval '"$tool" make ordered.tar ordered.erofs && cmp ours.erofs ordered.erofs'
check "names in reverse give the same image" eval '"$tool" make reversed.tar reversed.erofs && cmp ours.erofs reversed.erofs'
check "gnu and pax archives give the same image" \
        eval '"$tool" make gnu.tar gnu.erofs && "$tool" make plain.tar plain.erofs && cmp gnu.erofs plain.erofs'

head -c 5000000 /dev/urandom >tree/added
archive next.tar --format=posix
check "an image laid out after another is sound" \
        eval '"$tool" make next.tar next.erofs ours.erofs && fsck.erofs next.erofs'
check "and keeps nearly all blocks in place" eval \
        '"$tool" same ours.erofs next.erofs | { read -r same _ all _; echo "$same of $all"; [ $((all - same)) -lt 1240 ]; }'

head -c 100000 pax.tar >cut.tar
check "an archive that is cut off is refused" eval '! "$tool" make cut.tar bad.erofs && "$tool" make cut.tar bad.erofs 2>&1 | grep "cut off\|past the end"'
gzip -c gnu.tar >gnu.tar.gz
check "a compressed archive is refused, and said to be one" \
        eval '"$tool" make gnu.tar.gz bad.erofs 2>&1 | grep compressed'
truncate -s 1G sparse && archive sparse.tar --sparse ../sparse 2>/dev/null
check "a sparse archive is refused, and the remedy named" eval '"$tool" make sparse.tar bad.erofs 2>&1 | grep -e --sparse'
echo "1..$number"
