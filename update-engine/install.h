/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Carrying out an install that check_run() found possible. It writes three places: the inactive slot, its
 * verity partition, and one boot entry. The order, each step safe to repeat from the start after any
 * interruption:
 *
 *     1. every boot entry but the running one goes, then the inactive slot's superblock: from here
 *        nothing leads to the slot
 *     2. the /etc of an earlier trial of this version goes
 *     3. the image is written (groups that are there already are kept), read back and hashed into the verity
 *        tree; the root hash must be the one in the manifest; tree, flush, superblock, flush; the tree is
 *        read back
 *     4. the UKI is staged, flushed, read back and hashed; under Secure Boot the firmware must trust its
 *        signature
 *     5. the entry appears; for an older release, the running entry is then made the second choice */

#include "check.h"

int install_run(Operation *operation, const HostFacts *facts, const CheckResult *check, Error *error);
