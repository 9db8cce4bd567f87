/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How long who found no mirror that answers waits before it asks them all again: pure. */

#include "macro.h"

#define HTTP_PAUSE_MIN_MS UINT64_C(20)
#define HTTP_PAUSE_MAX_MS UINT64_C(60000) /* before chance */

/* The base is `retry_seconds`, doubles with each round that brought nothing, and goes up to
 * HTTP_PAUSE_MAX_MS. Many hosts that lost the same server shall not come back in step: `chance`, any number,
 * makes between a half and one and a half of it. Never below HTTP_PAUSE_MIN_MS. */
uint64_t http_pause_ms(uint64_t retry_seconds, unsigned round, uint64_t chance);
