// SPDX-License-Identifier: BSD-2-Clause
// Every structure that mirdax keeps on PM. docs/FORMAT.md is the specification; a golden test pins
// sizes and offsets. Little-endian, naturally aligned, never packed; enums are never renumbered and
// 0 is invalid.
//
//        0  superblock A      4 KiB  same bytes on every copy of the set
//     4096  superblock B      4 KiB
//     8192  private block A   4 KiB  this copy only; never written by a peer
//    12288  private block B   4 KiB
//    16384  commit line       4 KiB  (the first 64 bytes are used)
//    20480  reserved          up to 64 KiB
//    65536  out-of-sync maps, journal, block bitmap, inode bitmap, orphan bitmap, inode table,
//           data
//           (offsets and sizes are in the superblock, computed by format/geometry.h)
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace mirdax {

static_assert(std::endian::native == std::endian::little,
              "mirdax runs on little-endian machines only");

using Lsn = uint64_t;      // byte position in the endless journal stream; records are 64-aligned
using Ino = uint64_t;      // index into the inode table; 0 is "none", 1 the root directory
using BlockNo = uint64_t;  // pool offset / kBlockSize

inline constexpr uint64_t kBlockSize = 4096;
inline constexpr uint64_t kLineSize = 64;  // cache line: granularity of patches and flushes
inline constexpr uint64_t kLinesPerBlock = kBlockSize / kLineSize;

inline constexpr uint64_t kSuperblockOffset = 0;
inline constexpr uint64_t kPrivateBlockOffset = 2 * kBlockSize;
inline constexpr uint64_t kCommitLineOffset = 4 * kBlockSize;
inline constexpr uint64_t kDynamicAreaOffset = uint64_t{64} * 1024;

inline constexpr uint64_t kMaxMirrors = 8;
inline constexpr uint64_t kMaxNameLength = 255;
inline constexpr uint32_t kMaxLinks = 65000;  // of a file; subdirectories are not counted
inline constexpr uint64_t kMaxFileBlocks = uint64_t{1} << 40;  // 4 PiB files
inline constexpr uint64_t kMaxFileSize = kMaxFileBlocks * kBlockSize;
inline constexpr Ino kRootIno = 1;

// The shape shared by the A/B pairs: the valid copy with the higher `sequence` wins; updates go to
// the other one, so that a torn update leaves the old one whole.

inline constexpr uint64_t kSuperblockMagic = 0x534658414452494dU;  // "MIRDAXFS"
inline constexpr uint32_t kFormatVersion = 1;

// Feature masks. An unknown compat bit is ignored, an unknown ro_compat bit allows only read-only
// mounts, an unknown incompat bit refuses the pool.
inline constexpr uint64_t kKnownCompat = 0;
inline constexpr uint64_t kKnownRoCompat = 0;
inline constexpr uint64_t kIncompatBlank = 1;  // a mirror that was never filled: nothing to read
inline constexpr uint64_t kKnownIncompat = kIncompatBlank;

struct Superblock {
  uint64_t magic;     // kSuperblockMagic
  uint32_t version;   // kFormatVersion
  uint32_t crc;       // CRC32C of all 4096 bytes with crc = 0
  uint64_t sequence;  // A/B
  uint64_t compat;    // feature masks
  uint64_t ro_compat;
  uint64_t incompat;
  std::array<uint8_t, 16> set_uuid;  // nil on a blank mirror
  std::array<char, 64> label;        // UTF-8, NUL-padded
  uint64_t block_size;               // kBlockSize
  uint64_t pool_size;  // bytes that the geometry covers; the pool may be longer, never shorter
  uint64_t out_of_sync_offset;  // kMaxMirrors maps, one after another
  uint64_t out_of_sync_size;    // bytes of one map; a multiple of kBlockSize
  uint64_t out_of_sync_chunk;   // bytes of pool that one bit stands for; a power of two
  uint64_t journal_offset;
  uint64_t journal_size;         // a multiple of kBlockSize
  uint64_t block_bitmap_offset;  // bit i is block data_offset / kBlockSize + i; 1 = in use
  uint64_t block_bitmap_size;
  uint64_t inode_bitmap_offset;  // bit i is inode i; bit 0 is never free
  uint64_t inode_bitmap_size;
  uint64_t orphan_bitmap_offset;  // as long as the inode bitmap; bit i is 1 while inode i is an
                                  // orphan: to be freed or trimmed at the next mount
  uint64_t inode_table_offset;    // inode i at inode_table_offset + i * kInodeSize
  uint64_t inode_count;           // slots in the table, slot 0 included
  uint64_t data_offset;           // a multiple of kBlockSize
  uint64_t data_blocks;
  uint64_t blocks_per_group;          // allocation group: a slice of the data area; kBlocksPerGroup
  std::array<uint8_t, 16> hash_seed;  // key of the directory hash (SipHash-2-4)
  int64_t created_seconds;            // when mkfs ran, seconds since 1970
  std::array<uint8_t, 3808> zero;     // readers reject non-zero
};
static_assert(sizeof(Superblock) == kBlockSize);
static_assert(offsetof(Superblock, sequence) == 16);
static_assert(offsetof(Superblock, block_size) == 128);
static_assert(std::has_unique_object_representations_v<Superblock>);

// One bitmap block describes one allocation group: 128 MiB of data.
inline constexpr uint64_t kBlocksPerGroup = kBlockSize * 8;

inline constexpr uint32_t kPrivateMagic = 0x50584d44;

enum class Role : uint32_t { kPrimary = 1, kMirror = 2, kWitness = 3 };

// What this copy is worth. Only kConsistent copies can be promoted without force (R7).
enum class CopyState : uint32_t {
  kBlank = 1,       // formatted as a mirror, never filled
  kFilling = 2,     // a fill or a resync has begun and not ended
  kConsistent = 3,  // recovery makes a whole filesystem of it
};

struct EpochId {
  uint64_t number;  // bumped by every promotion and every change of the in-sync list
  uint64_t id;      // random, so that forked histories are told apart
  friend bool operator==(const EpochId&, const EpochId&) = default;
};

struct EpochEntry {  // one line of history
  EpochId epoch;
  Lsn start;              // commit word when the epoch began
  int64_t since_seconds;  // wall time
};
static_assert(sizeof(EpochEntry) == 32);

enum class MemberState : uint32_t {
  kNone = 0,       // free slot (all zero)
  kInSync = 1,     // holds everything acknowledged so far (R5)
  kOutOfSync = 2,  // was a member; lacks something
};

struct Member {
  std::array<uint8_t, 16> copy_uuid;
  MemberState state;
  uint32_t zero;
  uint64_t since_epoch;          // epoch number of the last change of state
  std::array<char, 96> address;  // "host:port", NUL-padded: where it was last reached
};
static_assert(sizeof(Member) == 128);

inline constexpr size_t kHistoryLength = 32;

struct PrivateBlock {
  uint32_t magic;     // kPrivateMagic
  uint32_t crc;       // CRC32C of all 4096 bytes with crc = 0
  uint64_t sequence;  // A/B
  std::array<uint8_t, 16> copy_uuid;
  std::array<uint8_t, 16> set_uuid;  // the set this copy was last part of; nil while blank
  Role role;
  CopyState state;
  uint32_t clean;          // 1: unmounted cleanly, tail == commit word, nothing in flight
  uint32_t history_count;  // entries in use, oldest first; the last one is the current epoch
  Lsn tail;                // every record below has been applied to home and is persistent there
  uint64_t mount_count;
  std::array<EpochEntry, kHistoryLength> history;
  std::array<Member, kMaxMirrors> members;  // slot i owns out-of-sync map i (primary only)
  std::array<uint8_t, 1968> zero;           // readers reject non-zero
};
static_assert(sizeof(PrivateBlock) == kBlockSize);
static_assert(offsetof(PrivateBlock, tail) == 64);
static_assert(offsetof(PrivateBlock, history) == 80);
static_assert(std::has_unique_object_representations_v<PrivateBlock>);

struct CommitLine {
  Lsn commit;  // everything below is committed on this copy; 8-byte atomic store
  std::array<uint64_t, 7> zero;
};
static_assert(sizeof(CommitLine) == kLineSize);

// Journal. Record at physical position journal_offset + lsn % journal_size; it wraps around the end
// of the journal byte by byte.
//
//   RecordHeader (64 bytes)
//   Patch[patch_count], zero-padded to 64 bytes
//   the bytes of the patches, one after another (each a multiple of 64 bytes)
//
// Commit point: the store of CommitLine::commit = lsn + length once the record is persistent. So a
// bad record below the commit word is media damage (kCorrupt), never a torn end.
inline constexpr uint32_t kRecordMagic = 0x52584d44;

struct RecordHeader {
  uint32_t magic;   // kRecordMagic
  uint32_t crc;     // CRC32C of the whole record with crc = 0
  Lsn lsn;          // its own position; a stale record of an earlier lap never matches
  uint64_t length;  // header, patches and bytes; a multiple of 64
  uint32_t patch_count;
  uint32_t zero0;
  uint64_t transaction;  // counter, for people
  uint64_t epoch;        // EpochId::number of the writer
  std::array<uint64_t, 2> zero;
};
static_assert(sizeof(RecordHeader) == kLineSize);
static_assert(std::has_unique_object_representations_v<RecordHeader>);

struct Patch {
  uint64_t offset;  // bytes from the start of the pool, 64-aligned; home metadata only
  uint32_t length;  // a multiple of 64
  uint32_t zero;
};
static_assert(sizeof(Patch) == 16);

// Inodes.
inline constexpr uint64_t kInodeSize = 256;
inline constexpr uint64_t kInodesPerBlock = kBlockSize / kInodeSize;
inline constexpr uint32_t kInodeMagic = 0x494d4458;
inline constexpr uint64_t kInodePayload = 128;
inline constexpr uint64_t kInlineSymlinkMax = kInodePayload;

inline constexpr uint32_t kInodeOrphan = 1;      // its bit in the orphan bitmap is 1
inline constexpr uint32_t kInodeInlineLink = 2;  // symlink target is in the payload

struct InodeDisk {
  uint32_t magic;       // kInodeMagic
  uint32_t crc;         // CRC32C of the 256 bytes with crc = 0
  uint64_t ino;         // its own number: a misplaced write never passes for the right one
  uint32_t generation;  // differs at each reuse of the slot
  uint32_t mode;        // st_mode: type and permissions
  uint32_t uid;
  uint32_t gid;
  uint32_t nlink;
  uint32_t flags;                       // kInode...
  uint64_t size;                        // bytes; for a directory, kBlockSize times its tree blocks
  uint64_t blocks;                      // 4 KiB blocks owned: data, tree nodes, xattr block
  BlockNo xattr_block;                  // 0 = none
  std::array<int64_t, 4> seconds;       // atime, mtime, ctime, btime; since 1970
  std::array<uint32_t, 4> nanoseconds;  // same order
  Ino parent;                           // directories: "..", else 0
  uint64_t zero;                        // readers reject non-zero
  std::array<uint8_t, kInodePayload> payload;  // ExtentRoot, DirRoot, symlink target or device
};
static_assert(sizeof(InodeDisk) == kInodeSize);
static_assert(offsetof(InodeDisk, size) == 40);
static_assert(offsetof(InodeDisk, seconds) == 64);
static_assert(offsetof(InodeDisk, parent) == 112);
static_assert(offsetof(InodeDisk, payload) == 128);
static_assert(std::has_unique_object_representations_v<InodeDisk>);

enum TimeIndex : size_t { kAtime = 0, kMtime = 1, kCtime = 2, kBtime = 3 };

// Slot 0 of the inode table is not an inode: all zero.

// Devices: the first 8 bytes of the payload are the kernel's 32-bit rdev, zero-extended.

// Extent B+tree (regular files, long symlinks). The root is the inode's payload; nodes are blocks.
// level 0 holds Extents, higher levels hold ExtentIndexes; both sorted by file_block. The child of
// an index entry covers [its file_block, the next entry's file_block); the first one covers what
// lies below it too, the last one everything up to the end of the node's own range. An extent never
// crosses the end of its leaf's range. An empty tree has level 0 and count 0; nodes are never
// empty.
struct Extent {
  uint64_t file_block;  // position in the file, in blocks
  BlockNo pool_block;
  uint32_t length;  // blocks, 1..kMaxExtentBlocks
  uint32_t flags;   // kExtentUnwritten
};
static_assert(sizeof(Extent) == 24);
inline constexpr uint32_t kExtentUnwritten = 1;  // allocated, reads as zeros (fallocate)
inline constexpr uint32_t kMaxExtentBlocks = 1U << 30;

struct ExtentIndex {
  uint64_t file_block;  // where the child's range begins
  BlockNo child;        // block of the node
  uint64_t zero;
};
static_assert(sizeof(ExtentIndex) == sizeof(Extent));

inline constexpr size_t kExtentsInRoot = 5;
struct ExtentRoot {
  uint16_t level;
  uint16_t count;
  uint32_t zero;
  std::array<Extent, kExtentsInRoot> entries;  // ExtentIndex when level > 0
};
static_assert(sizeof(ExtentRoot) == kInodePayload);
inline constexpr uint16_t kMaxTreeLevel = 8;

// Every metadata block in the data area begins with this header.
enum class BlockType : uint16_t { kExtentNode = 1, kDirIndex = 2, kDirLeaf = 3, kXattr = 4 };
inline constexpr uint32_t kBlockMagic = 0x424d4458;

struct BlockHeader {
  uint32_t magic;  // kBlockMagic
  uint32_t crc;    // CRC32C of the 4096 bytes with crc = 0; computed at commit
  Ino owner;       // inode the block belongs to
  BlockNo self;    // its own block number
  BlockType type;
  uint16_t level;       // height above the leaves; 0 for leaves and xattr blocks
  uint16_t count;       // entries in use
  uint16_t heap_start;  // kDirLeaf, kXattr: lowest byte used by the heap, else 0
};
static_assert(sizeof(BlockHeader) == 32);

inline constexpr size_t kExtentsPerNode =
    (kBlockSize - sizeof(BlockHeader)) / sizeof(Extent);  // 169
struct ExtentNode {
  BlockHeader header;
  std::array<Extent, kExtentsPerNode> entries;  // ExtentIndex when level > 0
  uint64_t zero;
};
static_assert(sizeof(ExtentNode) == kBlockSize);

// Directory B+tree, keyed by DirKey: unique in the directory, and the readdir cookie of the entry.
// key = (SipHash(name) truncated to 62 bits, low 8 bits cleared, at least 256) + n, where n in
// 0..255 is the lowest value free when the entry was made: names with equal hashes are told apart
// by n. Lookup tests the keys hash .. hash + 255. Keys 1 and 2 are the cookies of "." and "..",
// which are not stored.
using DirKey = uint64_t;
inline constexpr DirKey kDirKeyDot = 1;
inline constexpr DirKey kDirKeyDotDot = 2;
inline constexpr DirKey kDirKeyMin = 256;
inline constexpr DirKey kDirKeyMax = (uint64_t{1} << 62) - 1;
inline constexpr DirKey kDirCollisions = 256;

struct DirRoot {         // payload of a directory's inode
  BlockNo root;          // 0 = the directory is empty
  uint64_t entry_count;  // names, without "." and ".."
  std::array<uint64_t, 14> zero;
};
static_assert(sizeof(DirRoot) == kInodePayload);

struct DirIndexEntry {
  DirKey key;  // where the child's range begins; as with ExtentIndex
  BlockNo child;
};
inline constexpr size_t kDirIndexEntries =
    (kBlockSize - sizeof(BlockHeader)) / sizeof(DirIndexEntry);  // 254
struct DirIndexNode {
  BlockHeader header;
  std::array<DirIndexEntry, kDirIndexEntries> entries;
};
static_assert(sizeof(DirIndexNode) == kBlockSize);

// A leaf is a slotted page: after the header, header.count uint16_t slots (byte offset of each
// entry in the block), sorted by key; entries fill the heap from the end of the block downwards, in
// any order, 8-aligned. A removal leaves a gap, with what was in it; an insert that finds no room
// below the heap compacts it.
struct DirEntryHeader {
  DirKey key;
  Ino ino;
  uint8_t type;         // DT_*
  uint8_t name_length;  // 1..255; the name follows, not terminated
  std::array<uint8_t, 6> zero;
  // name, zero-padded to a multiple of 8
};
static_assert(sizeof(DirEntryHeader) == 24);

// Xattr block: entries from the end of the header upwards, one after another, in any order;
// header.heap_start is the first byte not used.
enum class XattrNamespace : uint8_t {
  kUser = 1,
  kTrusted = 2,
  kSecurity = 3,
  kAclAccess = 4,
  kAclDefault = 5,
};
struct XattrEntry {
  uint16_t value_length;
  XattrNamespace space;
  uint8_t name_length;  // of the part after the namespace's prefix; 0 for the ACLs
  uint32_t zero;
  // name, then value, zero-padded together to a multiple of 8
};
static_assert(sizeof(XattrEntry) == 8);

}  // namespace mirdax
