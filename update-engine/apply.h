/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Role apply: the only process that parses payloads. It holds the target, the sources and a pipe, and no
 * path or socket but its control socket. It gets one SETUP, and then asks for what it lacks:
 *
 *     NEED payload offset size    basculed lets fetch stream these bytes into ROLE_FD_DATA
 *     PROGRESS right written      now and then
 *     APPLIED written             everything is in the target, and flushed
 *     FAILED                      and the role ends
 *
 * What the target holds already is hashed first and not asked for, so an interrupted transfer goes on where
 * it stopped. */

int apply_main(void);
