// SPDX-License-Identifier: BSD-2-Clause
// MirrorCopy::StatusDocument(), apart so that the JSON library is compiled in one small file.
#include <nlohmann/json.hpp>

#include "fs/base/text.h"
#include "fs/format/names.h"
#include "fs/format/superblock.h"
#include "replicator/epochs.h"
#include "replicator/mirror_copy.h"

namespace mirdax {
std::string MirrorCopy::StatusDocument(const std::string& pm) const {
  const MutexLock state(state_mutex_);
  const PrivateBlock block = private_store_.Get();
  const Superblock superblock = pool_.superblock();
  nlohmann::ordered_json document = {
      {"kind", "mirror"},
      {"pool", pool_.path()},
      {"label", LabelOf(superblock)},
      {"set_uuid", Uuid{block.set_uuid}.ToString()},
      {"copy_uuid", Uuid{block.copy_uuid}.ToString()},
      {"role", "mirror"},
      {"state", StateName(block.state)},
      {"epoch", {{"number", CurrentEpoch(block).number}, {"id", IdText(CurrentEpoch(block).id)}}},
      {"commit_lsn", commit_},
      {"tail_lsn", tail_},
      {"applied_lsn", tail_},
      {"granularity", GranularityName(region_.granularity())},
      {"pm", pm},
      {"clean", block.clean != 0},
      {"read_only", false},
      {"shut_down", !error_.empty()},
      {"error", error_},
      {"bad_ranges", nlohmann::ordered_json::array()},
      {"mirrors", nlohmann::ordered_json::array()},
      {"peers", nlohmann::ordered_json::array()}};
  for (const BadRange& bad : region_.bad().List())
    document["bad_ranges"].push_back(
        {{"offset", bad.range.offset}, {"length", bad.range.length}, {"holds", "-"}});
  if (attached_.session != 0)
    document["peers"].push_back({{"address", attached_.peer},
                                 {"copy_uuid", attached_.primary.ToString()},
                                 {"epoch", fence_.number},
                                 {"since", TimeText(attached_.since.seconds)}});
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace mirdax
