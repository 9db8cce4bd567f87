/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The header block of a tar archive (POSIX.1-2017, pax, "ustar Interchange Format"), as offsets and lengths.
 * Numbers are octal text, or big-endian base-256 when the first byte has its top bit set (a GNU extension).
 */

#define TAR_BLOCK_SIZE 512

#define TAR_NAME_AT 0
#define TAR_NAME_SIZE 100
#define TAR_MODE_AT 100
#define TAR_MODE_SIZE 8
#define TAR_UID_AT 108
#define TAR_UID_SIZE 8
#define TAR_GID_AT 116
#define TAR_GID_SIZE 8
#define TAR_SIZE_AT 124
#define TAR_SIZE_SIZE 12
#define TAR_MTIME_AT 136
#define TAR_MTIME_SIZE 12
#define TAR_CHECKSUM_AT 148
#define TAR_CHECKSUM_SIZE 8
#define TAR_TYPE_AT 156
#define TAR_LINK_AT 157
#define TAR_LINK_SIZE 100
#define TAR_MAGIC_AT 257 /* "ustar\0" "00" in POSIX, "ustar  \0" in GNU archives */
#define TAR_MAGIC_SIZE 8
#define TAR_MAJOR_AT 329
#define TAR_MAJOR_SIZE 8
#define TAR_MINOR_AT 337
#define TAR_MINOR_SIZE 8
#define TAR_PREFIX_AT 345 /* POSIX only: goes before the name */
#define TAR_PREFIX_SIZE 155

#define TAR_TYPE_FILE '0'
#define TAR_TYPE_FILE_OLD '\0'
#define TAR_TYPE_HARDLINK '1'
#define TAR_TYPE_SYMLINK '2'
#define TAR_TYPE_CHARACTER '3'
#define TAR_TYPE_BLOCK '4'
#define TAR_TYPE_DIRECTORY '5'
#define TAR_TYPE_FIFO '6'
#define TAR_TYPE_CONTIGUOUS '7' /* a regular file to everyone today */
#define TAR_TYPE_PAX 'x'
#define TAR_TYPE_PAX_GLOBAL 'g'
#define TAR_TYPE_GNU_LONG_NAME 'L'
#define TAR_TYPE_GNU_LONG_LINK 'K'
#define TAR_TYPE_GNU_SPARSE 'S'
