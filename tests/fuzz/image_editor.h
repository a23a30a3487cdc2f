// SPDX-License-Identifier: BSD-2-Clause
// Spoils a pool image as a recipe says: fields of every structure of docs/FORMAT.md, with the
// checksum made right again or not, directly or by way of a committed journal record.
#pragma once

#include <span>
#include <vector>

#include "fs/format/geometry.h"
#include "fs/format/layout.h"
#include "tests/fuzz/recipe.h"

namespace mirdax::fuzz {

// Steps (WHICH: 1 the A block, 2 the B block, else both; WIDTH: 1, 2, 4, 8 bytes of VALUE):
//   superblock WHICH OFFSET WIDTH VALUE     checksum repaired
//   private WHICH OFFSET WIDTH VALUE        checksum repaired
//   inode INO OFFSET WIDTH VALUE            checksum repaired
//   node N OFFSET WIDTH VALUE               the N-th metadata block; checksum repaired
//   commit OFFSET WIDTH VALUE               in the commit line
//   bits WHICH FIRST COUNT VALUE            of the block, inode or orphan bitmap (0, 1, 2)
//   raw AREA OFFSET WIDTH VALUE             no checksum is repaired
//   start LSN                               the journal is empty, and goes on at this LSN
//   record TRANSACTION EPOCH                ends the record before it and begins one; what follows
//                                           it goes into it, the last one is ended by the end
//     patch LINE LINES VALUE                  with what is there now, its first word VALUE
//     patch_inode INO OFFSET WIDTH VALUE      an inode changed and sealed
//     patch_node N OFFSET WIDTH VALUE         a metadata block changed and sealed
//     patch_field OFFSET WIDTH VALUE          of the last Patch, before the record is sealed
//     header OFFSET WIDTH VALUE               of the RecordHeader, before it is sealed
//     tear OFFSET WIDTH VALUE                 of the whole record, after it was sealed
class ImageEditor {
 public:
  // Stores into `memory`. REQUIRES: it holds a whole pool of this geometry; `nodes` are blocks of
  // it.
  ImageEditor(std::span<std::byte> memory, const Geometry& geometry, std::span<const BlockNo> nodes)
      : memory_(memory), geometry_(geometry), nodes_(nodes) {}

  static const Grammar& Steps();

  // Steps of other words are passed over.
  void Apply(const Recipe& recipe, const Grammar& grammar);

 private:
  struct Edit {
    uint64_t offset, width, value;
  };
  struct Record {
    RecordHeader header{};
    std::vector<Patch> patches;
    std::vector<std::byte> bytes;
    std::vector<Edit> header_edits;
    std::vector<Edit> tears;
  };

  void ApplyStep(std::string_view word, const std::array<uint64_t, kMostNumbers>& n);
  void ApplyToRecord(std::string_view word, const std::array<uint64_t, kMostNumbers>& n);
  // Changes a field of `object`; offset and width are brought into it.
  static void Change(std::span<std::byte> object, const Edit& edit);
  template <typename T>
  void ChangePair(uint64_t offset, uint64_t which, const Edit& edit);
  void AddPatch(uint64_t offset, std::span<const std::byte> bytes);
  void EndRecord();
  std::span<std::byte> Bytes(uint64_t offset, uint64_t length) {
    return memory_.subspan(offset, length);
  }
  template <typename T>
  T& At(uint64_t offset) {
    return *reinterpret_cast<T*>(Bytes(offset, sizeof(T)).data());
  }

  const std::span<std::byte> memory_;
  const Geometry geometry_;
  const std::span<const BlockNo> nodes_;
  Record record_;
  bool recording_ = false;
};

}  // namespace mirdax::fuzz
