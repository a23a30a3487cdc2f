// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/open_targets.h"

#include "tests/fuzz/target.h"

namespace mirdax::fuzz {

class OpenTargets::Target final : public DataTarget {
 public:
  Target(OpenTargets& all, const Cookie& cookie) : all_(all) {
    endpoint_.provider = "fuzz";
    endpoint_.address.resize(4);
    endpoint_.cookie = cookie;
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  ~Target() override { Close(); }

  const DataEndpoint& endpoint() const override { return endpoint_; }
  Result<std::vector<RemoteWindow>> Register(std::span<const PoolRange> ranges, Deadline) override {
    if (all_.owner_ != this) return Fail(ErrorCode::kPeerLost, "closed");
    std::vector<RemoteWindow> windows;
    for (const PoolRange& range : ranges) windows.push_back({range, windows.size(), 0});
    all_.live_.windows.assign(ranges.begin(), ranges.end());
    return windows;
  }
  void Close() override {
    if (all_.owner_ != this) return;
    all_.owner_ = nullptr;
    all_.live_ = {};
  }

 private:
  OpenTargets& all_;
  DataEndpoint endpoint_;
};

Result<std::unique_ptr<DataTarget>> OpenTargets::Listen(const std::string&, const Cookie& cookie,
                                                        std::span<std::byte>,
                                                        std::shared_ptr<DataHandler> handler) {
  auto target = std::make_unique<Target>(*this, cookie);
  owner_ = target.get();
  live_ = {{}, std::move(handler)};
  return target;
}

}  // namespace mirdax::fuzz
