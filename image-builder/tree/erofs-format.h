/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* EROFS on disk, as far as an uncompressed image on one device needs it (Linux:
 * Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h describe the whole). All integers are
 * little-endian. Offsets are within the structure; bytes that are not named are zero. Documented for people
 * in docs/formats.md. */

#include "bytes.h"

#define EROFS_BLOCK_BITS 12
#define EROFS_BLOCK_SIZE 4096
#define EROFS_SLOT_SIZE 32 /* an inode's number (nid) is its byte offset, from meta_blkaddr on, in these */

/* Superblock: 128 bytes at byte 1024. The checksum is CRC-32C (seed all ones, no final inversion) from there
 * to the end of the block, with the checksum's own field as zero. */
#define EROFS_SUPER_OFFSET 1024
#define EROFS_SUPER_SIZE 128
#define EROFS_SUPER_MAGIC_AT 0        /* u32 */
#define EROFS_SUPER_CHECKSUM_AT 4     /* u32 */
#define EROFS_SUPER_COMPAT_AT 8       /* u32 */
#define EROFS_SUPER_BLOCK_BITS_AT 12  /* u8 */
#define EROFS_SUPER_EXTRA_SLOTS_AT 13 /* u8: superblock is this many 16 bytes longer */
#define EROFS_SUPER_ROOT_NID_AT 14    /* u16 */
#define EROFS_SUPER_INODES_AT 16      /* u64 */
#define EROFS_SUPER_TIME_AT 24        /* u64 seconds, the mtime of compact inodes */
#define EROFS_SUPER_TIME_NSEC_AT 32   /* u32 */
#define EROFS_SUPER_BLOCKS_AT 36      /* u32 */
#define EROFS_SUPER_META_BLOCK_AT 40  /* u32 */
#define EROFS_SUPER_XATTR_BLOCK_AT 44 /* u32: shared xattrs */
#define EROFS_SUPER_UUID_AT 48        /* 16 bytes */
#define EROFS_SUPER_LABEL_AT 64       /* 16 bytes */
#define EROFS_SUPER_LABEL_SIZE 16
#define EROFS_SUPER_INCOMPAT_AT 80      /* u32 */
#define EROFS_SUPER_EXTRA_DEVICES_AT 86 /* u16 */

#define EROFS_MAGIC UINT32_C(0xe0f5e1e2)
#define EROFS_COMPAT_CHECKSUM UINT32_C(1)
#define EROFS_COMPAT_MTIME UINT32_C(2) /* the times are mtimes */

/* Inode: 32 bytes (compact) or 64 (extended), then xattrs, then the tail of the content if the layout says
 * so, which must not cross a block. */
#define EROFS_INODE_COMPACT_SIZE 32
#define EROFS_INODE_EXTENDED_SIZE 64
#define EROFS_INODE_FORMAT_AT 0         /* u16: bit 0 extended, bits 1-3 layout */
#define EROFS_INODE_XATTR_COUNT_AT 2    /* u16: 0, or 1 + (bytes of xattrs - 12) / 4 */
#define EROFS_INODE_MODE_AT 4           /* u16 */
#define EROFS_INODE_PLACE_AT 16         /* u32: first block of the content, or the device number */
#define EROFS_INODE_NUMBER_AT 20        /* u32: for stat(2) on 32-bit machines */
#define EROFS_COMPACT_LINKS_AT 6        /* u16 */
#define EROFS_COMPACT_SIZE_AT 8         /* u32 */
#define EROFS_COMPACT_UID_AT 24         /* u16 */
#define EROFS_COMPACT_GID_AT 26         /* u16 */
#define EROFS_EXTENDED_SIZE_AT 8        /* u64 */
#define EROFS_EXTENDED_UID_AT 24        /* u32 */
#define EROFS_EXTENDED_GID_AT 28        /* u32 */
#define EROFS_EXTENDED_MTIME_AT 32      /* u64 seconds */
#define EROFS_EXTENDED_MTIME_NSEC_AT 40 /* u32 */
#define EROFS_EXTENDED_LINKS_AT 44      /* u32 */

#define EROFS_LAYOUT_FLAT_PLAIN 0  /* all content in consecutive blocks */
#define EROFS_LAYOUT_FLAT_INLINE 2 /* the last, partial block stands after the inode */
#define EROFS_NO_BLOCK UINT32_MAX

/* Xattrs of an inode: 12-byte header, ids of shared xattrs (u32 each), then entries, each padded to 4 bytes.
 */
#define EROFS_XATTR_HEADER_SIZE 12
#define EROFS_XATTR_HEADER_SHARED_AT 4 /* u8 */
#define EROFS_XATTR_ENTRY_SIZE 4       /* u8 name length, u8 prefix, u16 value size; then name, value */
#define EROFS_XATTR_PREFIX_USER 1
#define EROFS_XATTR_PREFIX_ACL_ACCESS 2
#define EROFS_XATTR_PREFIX_ACL_DEFAULT 3
#define EROFS_XATTR_PREFIX_TRUSTED 4
#define EROFS_XATTR_PREFIX_SECURITY 6

/* Directory content: each block has its 12-byte entries first and then their names. The first entry's name
 * offset tells how many there are. Names, "." and ".." among them, are in byte order within and over blocks.
 */
#define EROFS_DIRENT_SIZE 12
#define EROFS_DIRENT_NID_AT 0   /* u64 */
#define EROFS_DIRENT_NAME_AT 8  /* u16: offset in the block */
#define EROFS_DIRENT_TYPE_AT 10 /* u8 */

/* Types of directory entries, as include/uapi/linux/fs_types.h counts them. */
#define EROFS_TYPE_REGULAR 1
#define EROFS_TYPE_DIRECTORY 2
#define EROFS_TYPE_CHARACTER 3
#define EROFS_TYPE_BLOCK 4
#define EROFS_TYPE_FIFO 5
#define EROFS_TYPE_SOCKET 6
#define EROFS_TYPE_SYMLINK 7

/* The prefix number of a whole xattr name, and where its rest begins; 0 when EROFS has no prefix for it. */
uint8_t erofs_xattr_prefix(const char *name, const char **ret_rest);
/* "security." for 6; NULL for an unknown number. */
const char *erofs_xattr_prefix_text(uint8_t prefix);

/* Checksum of the superblock: `block` is the whole first block. */
uint32_t erofs_checksum(const uint8_t block[static EROFS_BLOCK_SIZE]);
