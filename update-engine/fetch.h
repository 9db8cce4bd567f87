/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Role fetch: the only process that talks to the network. It gets its orders as frames on ROLE_FD_CONTROL:
 *
 *     SETUP, TRUSTED...             once
 *     REFRESH      -> METADATA / METADATA_ABSENT for every file that was asked for, then REFRESHED
 *     TARGET       -> METADATA... (delegations), then TARGET with verified bytes
 *     STREAM       -> bytes into ROLE_FD_DATA, then STREAMED
 *
 * and FETCHED now and then. Anything that goes wrong is FAILED, and ends the role, but for a PROBE. It runs
 * the TUF client so that garbage dies here; basculed verifies everything again. */

int fetch_main(void);
