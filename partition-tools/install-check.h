/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What keeps an install from a disk that somebody still needs. The disk is hostile input as everywhere. */

#include "install.h"

/* For an install that nobody watches: refuses a disk that is laid out as a host's, whatever release is in
 * its slots, and one of which that cannot be told. ERROR_NOTHING_TO_DO for a host's disk, since a machine
 * that keeps starting from the medium comes here again and again; ERROR_REFUSED for one whose table is
 * damaged, be it by an install that was cut off; ERROR_IO and ERROR_REFUSED for what cannot be read. */
int install_refuse_host(const InstallTarget *target, Error *error);
