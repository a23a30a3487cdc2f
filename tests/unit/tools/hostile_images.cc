// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/tools/hostile_images.h"

#include <dirent.h>
#include <sys/stat.h>

#include <bit>

namespace mirdax::test {

using enum fsck::FindingCode;
using Sample = PoolImage::Sample;

BlockNo FirstLeaf(PoolImage& image, Ino dir) {
  BlockNo block = image.Dir(dir).root;
  while (image.Block<BlockHeader>(block).level > 0) {
    block = image.Block<DirIndexNode>(block).entries[0].child;
  }
  return block;
}

namespace {

DirEntryHeader& EntryOf(PoolImage& image, Ino dir, Ino target) {
  const BlockNo leaf = FirstLeaf(image, dir);
  for (unsigned i = 0; i < image.Block<BlockHeader>(leaf).count; ++i) {
    const auto slot = image.At<uint16_t>(leaf * kBlockSize + sizeof(BlockHeader) + i * 2);
    auto& entry = image.At<DirEntryHeader>(leaf * kBlockSize + slot);
    if (entry.ino == target) return entry;
  }
  CheckFailed("the sample has an entry for this inode", __FILE__, __LINE__);
}

std::function<void(PoolImage&, const Sample&)> OnInode(Ino Sample::*which,
                                                       void (*change)(InodeDisk&)) {
  return [=](PoolImage& image, const Sample& sample) {
    change(image.Inode(sample.*which));
    image.SealInode(sample.*which);
  };
}

std::function<void(PoolImage&, const Sample&)> OnExtent(void (*change)(Extent&, PoolImage&)) {
  return [=](PoolImage& image, const Sample& sample) {
    change(image.Root(sample.file).entries[0], image);
    image.SealInode(sample.file);
  };
}

std::function<void(PoolImage&, const Sample&)> OnEntry(Ino Sample::*dir, Ino Sample::*target,
                                                       void (*change)(DirEntryHeader&,
                                                                      const Sample&)) {
  return [=](PoolImage& image, const Sample& sample) {
    const Ino in = dir == nullptr ? kRootIno : sample.*dir;
    change(EntryOf(image, in, sample.*target), sample);
    image.SealNode(FirstLeaf(image, in));
  };
}

}  // namespace

std::string NameOf(const Hostile& hostile) {
  std::string name;
  for (const char* c = hostile.name; *c != '\0'; ++c) {
    if (std::isalnum(static_cast<unsigned char>(*c)) != 0) {
      name += *c;
    } else if (!name.empty() && name.back() != '_') {
      name += '_';
    }
  }
  return name;
}

const std::vector<Hostile>& HostileImages() {
  static const std::vector<Hostile> images = {
    {"an extent past the end of the pool", kExtentOutsideData,
     OnExtent([](Extent& e, PoolImage&) { e.pool_block = uint64_t{1} << 40; })},
    {"an extent whose end wraps around", kExtentOutsideData,
     OnExtent([](Extent& e, PoolImage&) { e.pool_block = ~uint64_t{0} - 1; })},
    {"an extent in the inode table", kExtentOutsideData,
     OnExtent([](Extent& e, PoolImage& i) {
       e.pool_block = i.geometry().inode_table.offset / kBlockSize;
     })},
    {"an extent of no blocks", kExtentBad, OnExtent([](Extent& e, PoolImage&) { e.length = 0; })},
    {"an extent longer than allowed", kExtentBad,
     OnExtent([](Extent& e, PoolImage&) { e.length = ~0U; })},
    {"unknown extent flags", kExtentBad, OnExtent([](Extent& e, PoolImage&) { e.flags = 8; })},
    {"extents that overlap in the file", kExtentOrderWrong,
     [](PoolImage& image, const Sample& sample) {
       image.Root(sample.file).entries[1].file_block = 2;
       image.SealInode(sample.file);
     }},
    {"an extent past the largest file", kExtentOrderWrong,
     [](PoolImage& image, const Sample& sample) {
       image.Root(sample.file).entries[1].file_block = ~uint64_t{0} - 1;
       image.SealInode(sample.file);
     }},
    {"written blocks beyond the size", kExtentBeyondSize,
     OnInode(&Sample::file, [](InodeDisk& i) { i.size = 1; })},
    {"a block with two owners", kBlockOwnedTwice,
     [](PoolImage& image, const Sample& sample) {
       image.Root(sample.file).entries[0].pool_block =
           image.Block<ExtentNode>(std::bit_cast<ExtentIndex>(image.Root(sample.big).entries[0]).child)
               .entries[1]
               .pool_block;
       image.SealInode(sample.file);
     }},
    {"an extent tree that contains itself", kNodeBad,
     [](PoolImage& image, const Sample& sample) {
       const BlockNo node = std::bit_cast<ExtentIndex>(image.Root(sample.big).entries[0]).child;
       image.Block<ExtentNode>(node).header.level = 1;
       image.Block<ExtentNode>(node).entries[0] = std::bit_cast<Extent>(ExtentIndex{0, node, 0});
       image.SealNode(node);
     }},
    {"an extent tree that is a cycle of right levels", kBlockOwnedTwice,
     [](PoolImage& image, const Sample& sample) {
       ExtentRoot& root = image.Root(sample.big);
       auto second = std::bit_cast<ExtentIndex>(root.entries[1]);
       second.child = std::bit_cast<ExtentIndex>(root.entries[0]).child;
       root.entries[1] = std::bit_cast<Extent>(second);
       image.SealInode(sample.big);
     }},
    {"an extent tree of impossible height", kNodeBad,
     [](PoolImage& image, const Sample& sample) {
       image.Root(sample.big).level = 60000;
       image.SealInode(sample.big);
     }},
    {"a root with more extents than fit", kNodeBad,
     [](PoolImage& image, const Sample& sample) {
       image.Root(sample.big).count = 65535;
       image.SealInode(sample.big);
     }},
    {"a node with more extents than fit", kNodeBad,
     [](PoolImage& image, const Sample& sample) {
       const BlockNo node = std::bit_cast<ExtentIndex>(image.Root(sample.big).entries[0]).child;
       image.Block<ExtentNode>(node).header.count = 65535;
       image.SealNode(node);
     }},
    {"a node outside the data area", kNodeOutsideData,
     [](PoolImage& image, const Sample& sample) {
       image.Root(sample.big).entries[0] = std::bit_cast<Extent>(ExtentIndex{0, ~uint64_t{0}, 0});
       image.SealInode(sample.big);
     }},
    {"a node of another inode", kNodeBad,
     [](PoolImage& image, const Sample& sample) {
       const BlockNo node = std::bit_cast<ExtentIndex>(image.Root(sample.big).entries[0]).child;
       image.Block<ExtentNode>(node).header.owner = sample.file;
       image.SealNode(node);
     }},
    {"a wrong count of blocks", kBlockCountWrong,
     OnInode(&Sample::sparse, [](InodeDisk& i) { i.blocks = 12; })},
    {"a size beyond the largest file", kInodeFieldBad,
     OnInode(&Sample::sparse, [](InodeDisk& i) { i.size = ~uint64_t{0}; })},
    {"nanoseconds beyond a second", kInodeFieldBad,
     OnInode(&Sample::sparse, [](InodeDisk& i) { i.nanoseconds[1] = 2'000'000'000; })},
    {"link count 0 of a file with a name", kInodeLinksZero,
     OnInode(&Sample::big, [](InodeDisk& i) { i.nlink = 0; })},
    {"a link count that is too high", kLinkCountWrong,
     OnInode(&Sample::file, [](InodeDisk& i) { i.nlink = 60000; })},
    {"a directory's link count that is too low", kLinkCountWrong,
     OnInode(&Sample::dir, [](InodeDisk& i) { i.nlink = 2; })},
    {"an inode of no type", kInodeModeBad,
     OnInode(&Sample::file, [](InodeDisk& i) { i.mode = 0644; })},
    {"an inode that is another one", kInodeNumberWrong,
     OnInode(&Sample::file, [](InodeDisk& i) { i.ino = kRootIno; })},
    {"an inode in use without magic", kInodeMissing,
     OnInode(&Sample::file, [](InodeDisk& i) { i.magic = 0; })},
    {"a file that says it is a directory", kDirTypeWrong,
     OnInode(&Sample::sparse, [](InodeDisk& i) {
       i.mode = S_IFDIR | 0755;
       i.size = 0;
       i.parent = kRootIno;
     })},
    {"a symbolic link longer than its inode", kSymlinkBad,
     OnInode(&Sample::link, [](InodeDisk& i) { i.size = 4000; })},
    {"a symbolic link with a NUL", kSymlinkBad,
     OnInode(&Sample::link, [](InodeDisk& i) { i.payload[2] = 0; })},
    {"a long symbolic link without blocks", kSymlinkBad,
     OnInode(&Sample::long_link, [](InodeDisk& i) {
       i.payload = {};
       i.blocks = 0;
     })},
    {"a fifo with contents", kPayloadBad,
     OnInode(&Sample::fifo, [](InodeDisk& i) { i.payload[100] = 1; })},
    {"a fifo with a size", kInodeFieldBad,
     OnInode(&Sample::fifo, [](InodeDisk& i) { i.size = 100; })},
    {"an orphan that the bitmap does not know", kOrphanWrong,
     [](PoolImage& image, const Sample& sample) { image.MarkOrphan(sample.orphan, false); }},
    {"an orphan by the bitmap alone", kOrphanWrong,
     [](PoolImage& image, const Sample& sample) { image.MarkOrphan(sample.file, true); }},
    {"an orphan that is not in use", kOrphanWrong,
     [](PoolImage& image, const Sample&) { image.MarkOrphan(1000, true); }},
    {"an orphan bit beyond the table", kOrphanWrong,
     [](PoolImage& image, const Sample&) { image.MarkOrphan(image.geometry().inode_count + 5, true); }},
    {"an inode without a name", kInodeUnattached,
     [](PoolImage& image, const Sample&) { image.NewInode(S_IFREG | 0644); }},
    {"a name with the wrong hash", kDirHashWrong,
     OnEntry(&Sample::inner, &Sample::file,
             [](DirEntryHeader& e, const Sample&) { reinterpret_cast<char*>(&e + 1)[0] = 'H'; })},
    {"a name with a slash", kNodeBad,
     OnEntry(&Sample::inner, &Sample::file,
             [](DirEntryHeader& e, const Sample&) { reinterpret_cast<char*>(&e + 1)[0] = '/'; })},
    {"a name that leaves its block", kNodeBad,
     OnEntry(&Sample::inner, &Sample::file,
             [](DirEntryHeader& e, const Sample&) { e.name_length = 255; })},
    {"a name for a free inode", kDirDangling,
     OnEntry(&Sample::inner, &Sample::file,
             [](DirEntryHeader& e, const Sample&) { e.ino = 1000; })},
    {"a name for an inode beyond the table", kNodeBad,
     OnEntry(&Sample::inner, &Sample::file,
             [](DirEntryHeader& e, const Sample&) { e.ino = ~uint64_t{0}; })},
    {"a name of another type than its inode", kDirTypeWrong,
     OnEntry(&Sample::inner, &Sample::file,
             [](DirEntryHeader& e, const Sample&) { e.type = DT_SOCK; })},
    {"a directory that contains the root", kDirLoop,
     OnEntry(&Sample::inner, &Sample::empty,
             [](DirEntryHeader& e, const Sample&) { e.ino = kRootIno; })},
    {"two directories that contain each other", kDirLoop,
     [](PoolImage& image, const Sample& sample) {
       EntryOf(image, sample.inner, sample.empty).ino = sample.dir;
       image.SealNode(FirstLeaf(image, sample.inner));
       image.Inode(sample.dir).parent = sample.inner;
       image.SealInode(sample.dir);
     }},
    {"a directory with two names", kDirTwoNames,
     [](PoolImage& image, const Sample& sample) {
       DirEntryHeader& entry = EntryOf(image, sample.inner, sample.file);
       entry.ino = sample.many;
       entry.type = DT_DIR;
       image.SealNode(FirstLeaf(image, sample.inner));
     }},
    {"a directory whose .. is another", kDirParentWrong,
     OnInode(&Sample::many, [](InodeDisk& i) { i.parent = i.ino; })},
    {"a directory without a name", kDirUnreachable,
     [](PoolImage& image, const Sample&) { image.NewDirectory(kRootIno); }},
    {"a directory that counts too many names", kDirCountWrong,
     [](PoolImage& image, const Sample& sample) {
       image.Dir(sample.many).entry_count = ~uint64_t{0};
       image.SealInode(sample.many);
     }},
    {"a directory of the wrong size", kDirSizeWrong,
     OnInode(&Sample::many, [](InodeDisk& i) { i.size += kBlockSize; })},
    {"a directory tree that contains itself", kBlockOwnedTwice,
     [](PoolImage& image, const Sample& sample) {
       const BlockNo root = image.Dir(sample.many).root;
       image.Block<DirIndexNode>(root).header.level = 8;
       for (DirIndexEntry& entry : image.Block<DirIndexNode>(root).entries) entry.child = root;
       image.SealNode(root);
     }},
    {"a directory that uses a leaf twice", kBlockOwnedTwice,
     [](PoolImage& image, const Sample& sample) {
       const BlockNo root = image.Dir(sample.many).root;
       auto& node = image.Block<DirIndexNode>(root);
       node.entries[1].child = node.entries[0].child;
       image.SealNode(root);
     }},
    {"a directory whose tree is outside the data area", kNodeOutsideData,
     [](PoolImage& image, const Sample& sample) {
       image.Dir(sample.many).root = 1;
       image.SealInode(sample.many);
     }},
    {"leaves in the wrong order", kNodeBad,
     [](PoolImage& image, const Sample& sample) {
       const BlockNo root = image.Dir(sample.many).root;
       auto& node = image.Block<DirIndexNode>(root);
       std::swap(node.entries[0].child, node.entries[1].child);
       image.SealNode(root);
     }},
    {"slots that lie outside their leaf", kNodeBad,
     [](PoolImage& image, const Sample& sample) {
       const BlockNo leaf = FirstLeaf(image, sample.dir);
       image.At<uint16_t>(leaf * kBlockSize + sizeof(BlockHeader)) = 4090;
       image.SealNode(leaf);
     }},
    {"an attribute block that claims too much", kXattrBad,
     [](PoolImage& image, const Sample& sample) {
       const BlockNo block = image.Inode(sample.file).xattr_block;
       image.At<XattrEntry>(block * kBlockSize + sizeof(BlockHeader)).value_length = 65535;
       image.SealNode(block);
     }},
    {"an attribute block that is the root's directory leaf", kBlockOwnedTwice,
     [](PoolImage& image, const Sample& sample) {
       image.Inode(sample.big).xattr_block = image.Dir(kRootIno).root;
       image.SealInode(sample.big);
     }},
    {"an attribute block outside the data area", kNodeOutsideData,
     OnInode(&Sample::file, [](InodeDisk& i) { i.xattr_block = 3; })},
    {"blocks in use that nobody owns", kBlockLeaked,
     [](PoolImage& image, const Sample&) { image.Allocate(100); }},
    {"blocks that are owned, but free", kBlockNotMarked,
     [](PoolImage& image, const Sample& sample) {
       image.MarkBlock(image.Root(sample.file).entries[0].pool_block + 1, false);
     }},
    {"bits behind the end of the block bitmap that are 0", kBitmapBad,
     [](PoolImage& image, const Sample&) {
       image.At<uint8_t>(image.geometry().block_bitmap.end() - 1) = 0;
     }},
    {"bit 0 of the inode bitmap that is 0", kBitmapBad,
     [](PoolImage& image, const Sample&) { image.MarkInode(0, false); }},
    {"a free slot that holds an inode", kInodeSlotNotEmpty,
     [](PoolImage& image, const Sample& sample) { image.MarkInode(sample.orphan, false); }},
    {"no root", kRootBad,
     [](PoolImage& image, const Sample&) {
       image.Inode(kRootIno).mode = S_IFREG | 0644;
       image.SealInode(kRootIno);
     }},
    {"a commit word far ahead", kCommitLineBad,
     [](PoolImage& image, const Sample&) { image.At<CommitLine>(kCommitLineOffset).commit = 1ULL << 60; }},
    {"a commit word behind the tail", kCommitLineBad,
     [](PoolImage& image, const Sample&) {
       image.At<PrivateBlock>(kPrivateBlockOffset).tail = 4096;
       image.SealPrivateBlocks();
     }},
    {"a record below the commit word that is not there", kJournalBad,
     [](PoolImage& image, const Sample&) { image.At<CommitLine>(kCommitLineOffset).commit = 128; }},
    {"a clean mark with records to apply", kCleanMarkWrong,
     [](PoolImage& image, const Sample&) {
       image.Append(std::array{PoolImage::Change{image.geometry().InodeOffset(4),
                                                 std::vector<std::byte>(64)}});
       image.At<PrivateBlock>(kPrivateBlockOffset).clean = 1;
       image.SealPrivateBlocks();
     }},
    {"a record that stores into the superblock", kJournalBad,
     [](PoolImage& image, const Sample&) {
       image.Append(std::array{PoolImage::Change{0, std::vector<std::byte>(64)}});
     }},
    {"a record that stores beyond the pool", kJournalBad,
     [](PoolImage& image, const Sample&) {
       image.Append(std::array{PoolImage::Change{1ULL << 62, std::vector<std::byte>(64)}});
     }},
};
  return images;
}

}  // namespace mirdax::test
