/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What keeps an install from a disk that somebody still needs. The disk is hostile input as everywhere. */

#include "install.h"

/* For an install that nobody watches: refuses a disk with any partition that only a host has
 * (partition-role.h; an ESP is not one), whatever release is in its slots, for sectors of 512 or of 4096
 * bytes, and one of which that cannot be told. ERROR_NOTHING_TO_DO for a host's disk, since a machine that
 * keeps starting from the medium comes here again and again; ERROR_REFUSED for one whose table is damaged or
 * breaks a rule, be it by an install that was cut off, and for another disk than the one that was looked at;
 * ERROR_IO. */
int install_refuse_host(const InstallTarget *target, Error *error);

/* Refuses a target that is what the image is, when that is a medium: its second name, or its copy.
 * ERROR_REFUSED. */
int install_refuse_copy(const Gpt *image, int target_fd, const char *path, Error *error);

/* Checks what was copied, before it has a table: every slot that holds something has the data that its hash
 * tree stands for, and there is one. A medium that reads badly is found by this. `gpt` is the table that the
 * target will have. ERROR_CORRUPT for the medium, ERROR_IO when the target cannot be read. */
int install_verify(const Gpt *gpt, int target_fd, Progress *progress, Error *error);
