#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether a signed policy holds for what a TPM's register 11 holds. Usage: pcr-policy.py SIGNATURE-JSON REGISTER-HEX-FILE"""
import hashlib
import json
import sys

with open(sys.argv[1], encoding="ascii") as file:
    signed = [item["pol"] for item in json.load(file)["sha256"] if item["pcrs"] == [11]]
with open(sys.argv[2], encoding="ascii") as file:
    register = bytes.fromhex(file.read().strip())
# TPM 2.0 Library, part 3, PolicyPCR: the command's code, the selection as it is marshalled, the hash of the registers.
selection = bytes.fromhex("00000001" "000b" "03" "000800")
policy = hashlib.sha256(bytes(32) + bytes.fromhex("0000017f") + selection + hashlib.sha256(register).digest()).hexdigest()
print("# register 11 is %s, phase %d of %d" % (register.hex(), signed.index(policy) + 1 if policy in signed else 0, len(signed)))
sys.exit(0 if policy in signed else 1)
