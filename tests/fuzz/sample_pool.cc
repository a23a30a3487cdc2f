// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/sample_pool.h"

#include "tests/fuzz/image_editor.h"
#include "tests/support/pool_image.h"

namespace mirdax::fuzz {
namespace {

constexpr int kNames = 120;  // an index node and two leaves

SamplePool Make() {
  test::PoolImage image;
  image.AddSample(kNames);
  const Geometry geometry = image.geometry();
  std::vector<BlockNo> nodes;
  for (uint64_t i = 0; i < geometry.data_blocks; ++i) {
    const BlockNo block = geometry.first_data_block() + i;
    if (image.Block<BlockHeader>(block).magic == kBlockMagic) nodes.push_back(block);
  }
  return {BaseImage(image.region().memory()), geometry, std::move(nodes)};
}

}  // namespace

const SamplePool& TheSamplePool() {
  static const SamplePool pool = Make();
  return pool;
}

std::unique_ptr<GuardedView> SpoiltSample(const Recipe& recipe, const Grammar& grammar) {
  const SamplePool& sample = TheSamplePool();
  auto view = std::make_unique<GuardedView>(sample.image);
  ImageEditor(view->memory(), sample.geometry, sample.nodes).Apply(recipe, grammar);
  return view;
}

}  // namespace mirdax::fuzz
