/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A static web server for one connection that someone else has accepted: GET and HEAD of regular files below
 * one folder, whole or one range (RFC 9110, 9112), until the client is done. It is what a machine under test
 * gets as its repository. The client is a guest, thus hostile: requests are capped, and no path leads out of
 * the folder, not by a link either. */

#include "macro.h"

/* 0 at the end of the connection; a negative errno when it broke. */
int http_serve(int folder_fd, int input_fd, int output_fd);
