/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Making the other release the one that boots next, and proving it first. */

#include "operation.h"

/* Lets the loader prefer `version` to the running release. It takes the highest version that has tries left,
 * so going up needs nothing but an entry with tries; going down also makes the running entry one without.
 * The running one stays as the way back in both cases. */
int prefer_release(const Host *host, Esp *esp, const char *version, Error *error);

/* The body of a rollback: reads the whole other slot, compares with what its boot entry demands, gives it
 * tries again if it had used them up, and prefers it. */
int rollback_run(Operation *operation, const HostFacts *facts, Error *error);
