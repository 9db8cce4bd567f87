/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a key folder holds, for a person or in JSON. */

#include "error.h"

/* Prints the present root, who may sign for each role, which of these keys are here, and how far a draft of
 * the next root is. */
int key_folder_show(const char *folder, bool json, Error *error);
