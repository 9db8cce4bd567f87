/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A start of a machine as a picture: its phases along the time that they took (SVG 1.1). */

#include "boot-watch.h"
#include "buffer.h"

/* Appends the document. The title may be anything. Same times, same bytes. */
int boot_picture(const BootTimes *times, const char *title, Buffer *ret);
