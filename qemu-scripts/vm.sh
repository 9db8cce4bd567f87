# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Virtual machines under software emulation, driven over a serial log and ssh. Sourced by the scripts here.
#
# A machine lives in a folder: disk.raw (or .qcow2), serial.log (all boots, one after the other), vars.fd, ssh key.
# VM_PORT is the loopback port that leads to its ssh; the guest reaches this machine's loopback as 10.0.2.2.
# VM_SECURE: firmware that can enforce Secure Boot, without keys at first. VM_TPM: a TPM, which is swtpm.

vm_accelerator() {
        # A kvm node that cannot run a stock kernel is common inside other machines: emulation is asked for by default.
        case ${BASCULE_ACCEL:-tcg} in
        kvm) echo "-accel kvm -cpu host" ;;
        *) echo "-accel tcg,thread=multi,tb-size=512 -cpu qemu64" ;;
        esac
}

# vm_create FOLDER IMAGE: a machine whose disk starts as IMAGE and grows to 6 GiB.
vm_create() {
        mkdir -p "$1"
        cp --sparse=always "$2" "$1/disk.raw"
        truncate -s "${VM_DISK_SIZE:-6G}" "$1/disk.raw"
        cp /usr/share/OVMF/OVMF_VARS_4M.fd "$1/vars.fd"
        : >"$1/serial.log"
}

# The machine's kind and the firmware that belongs to it. Only in system management mode can firmware keep its variables
# from the kernel, and without that it does not offer Secure Boot.
vm_firmware() {
        local code=/usr/share/OVMF/OVMF_CODE_4M.fd
        if [ -n "${VM_SECURE:-}" ]; then
                echo "-M q35,smm=on -global driver=cfi.pflash01,property=secure,value=on"
                code=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd
        else
                echo "-M q35"
        fi
        echo "-drive if=pflash,format=raw,readonly=on,file=$code"
}

# vm_tpm FOLDER: starts the machine's TPM, whose state stays in the folder, and prints what QEMU must be told.
vm_tpm() {
        [ -n "${VM_TPM:-}" ] || return 0
        mkdir -p "$1/tpm"
        swtpm socket --tpm2 --tpmstate "dir=$1/tpm" --ctrl "type=unixio,path=$1/tpm.socket" --terminate --daemon \
                --pid "file=$1/tpm.pid" >"$1/tpm.log" 2>&1
        echo "-chardev socket,id=tpm,path=$1/tpm.socket -tpmdev emulator,id=tpm0,chardev=tpm -device tpm-crb,tpmdev=tpm0"
}

# It ends by itself with the machine; this is for one that never started.
vm_tpm_stop() {
        [ ! -s "$1/tpm.pid" ] || kill "$(cat "$1/tpm.pid")" 2>/dev/null || true
}

vm_sectors() {
        echo "logical_block_size=$1,physical_block_size=4096"
}

# What QEMU must be told of the machine's disk. VM_SECTOR: the size of its sectors, 512 or 4096 bytes. VM_WRITE_LOG: a file, all writes of this run are logged there in the
# format of dm-log-writes.
vm_disk() {
        if [ -n "${VM_SECTOR:-}" ]; then
                echo "-drive if=none,id=disk,format=raw,cache=unsafe,discard=unmap,file=$1/disk.raw"
                echo "-device virtio-blk-pci,drive=disk,serial=target,bootindex=2,$(vm_sectors "$VM_SECTOR")"
                return
        fi
        if [ -z "${VM_WRITE_LOG:-}" ]; then
                echo "-drive if=virtio,format=raw,cache=unsafe,discard=unmap,file=$1/disk.raw"
                return
        fi
        rm -f "$VM_WRITE_LOG"
        truncate -s 16G "$VM_WRITE_LOG"
        echo "-blockdev driver=file,filename=$1/disk.raw,node-name=base,discard=unmap,cache.no-flush=on"
        echo "-blockdev driver=file,filename=$VM_WRITE_LOG,node-name=log,cache.no-flush=on"
        echo "-blockdev driver=blklogwrites,file=base,log=log,log-sector-size=512,log-super-update-interval=1,node-name=disk"
        echo "-device virtio-blk-pci,drive=disk"
}

# vm_start FOLDER: switches it on. VM_PORT must be set; VM_EXTRA may hold further qemu arguments.
vm_start() {
        local folder=$1
        # shellcheck disable=SC2046,SC2086
        qemu-system-x86_64 -name "$(basename "$folder")" $(vm_firmware) $(vm_accelerator) -smp 2 -m "${VM_MEMORY:-1024}" \
                -drive if=pflash,format=raw,file="$folder/vars.fd" $(vm_tpm "$folder") \
                $(vm_disk "$folder") \
                -netdev "user,id=n0,hostfwd=tcp:127.0.0.1:$VM_PORT-:22" -device virtio-net-pci,netdev=n0,romfile= \
                -device i6300esb -action watchdog=reset \
                -device virtio-rng-pci -display none -monitor none \
                -chardev "file,id=serial,path=$folder/serial.log,append=on" -serial chardev:serial \
                ${VM_EXTRA:-} </dev/null >"$folder/qemu.log" 2>&1 &
        VM_PID=$!
        echo "$VM_PID" >"$folder/pid"
}

# vm_cut: pulls the plug.
vm_cut() {
        [ -n "${VM_PID:-}" ] || return 0
        # What was killed says so in its status, which is no failure of whoever asked for it.
        kill -KILL "$VM_PID" 2>/dev/null || true
        wait "$VM_PID" 2>/dev/null || true
        VM_PID=
}

vm_alive() {
        [ -n "${VM_PID:-}" ] && kill -0 "$VM_PID" 2>/dev/null
}

# vm_ssh FOLDER COMMAND...: runs a command in the guest as root.
vm_ssh() {
        local folder=$1
        shift
        timeout "${VM_SSH_TIMEOUT:-900}" ssh -q -i "$folder/../key" -p "$VM_PORT" \
                -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=20 \
                -o ServerAliveInterval=15 -o ControlMaster=auto -o ControlPath="$folder/ssh-%p" -o ControlPersist=60 \
                root@127.0.0.1 "$@" </dev/null
}

# Forgets the connection of a boot that is over.
vm_forget_ssh() {
        rm -f "$1"/ssh-*
}

# Boots that reached user space leave their kernel's boot id: it tells one boot from the next.
vm_boot_id() {
        vm_ssh "$1" cat /proc/sys/kernel/random/boot_id 2>/dev/null
}

# vm_wait FOLDER SECONDS WHAT CHECK...: repeats CHECK until it is true; false, and the end of the serial log, if the
# machine goes away or the time is up. A check is a program of the guest's, which may take it seconds when all it does is emulated:
# asked more often, the guest does little else.
vm_wait() {
        local folder=$1 seconds=$2 what=$3 end
        shift 3
        end=$((SECONDS + seconds))
        while ! "$@"; do
                if ! vm_alive; then
                        echo "The machine stopped while waiting for: $what" >&2
                        tail -n 30 "$folder/serial.log" "$folder/qemu.log" >&2
                        return 1
                fi
                if [ "$SECONDS" -ge "$end" ]; then
                        echo "Waited $seconds s in vain for: $what" >&2
                        tail -n 30 "$folder/serial.log" >&2
                        return 1
                fi
                sleep 4
        done
}
