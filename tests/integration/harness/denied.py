# SPDX-License-Identifier: Apache-2.0
"""Runs a command that the kernel gives no namespaces, as in many containers: denied.py user|mounts|all COMMAND [ARGUMENT...]

`user`: no user namespace. `mounts`: no mounts in one. `all`: neither, nor any other namespace."""
import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JSET|K, BPF_RET|K
ALLOWED, DENIED = 0x7fff0000, 0x00050001  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO with EPERM
UNSHARE, MOUNT = 272, 165  # of x86-64
NUMBER_AT, FIRST_ARGUMENT_AT = 0, 16  # in struct seccomp_data
NEW_USER, NEW_ANYTHING = 0x10000000, 0x7e020080


def deny(what):
    flags, mounts = {"user": (NEW_USER, ALLOWED), "mounts": (0, DENIED), "all": (NEW_ANYTHING, DENIED)}[what]
    program = [(LOAD, 0, 0, NUMBER_AT), (EQUAL, 4, 0, MOUNT), (EQUAL, 0, 4, UNSHARE), (LOAD, 0, 0, FIRST_ARGUMENT_AT),
               (ANY_BIT, 0, 2, flags), (RETURN, 0, 0, DENIED), (RETURN, 0, 0, mounts), (RETURN, 0, 0, ALLOWED)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    header = struct.pack("=HxxxxxxQ", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0):
        raise OSError(ctypes.get_errno(), "no filter for system calls")


if __name__ == "__main__":
    deny(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])
