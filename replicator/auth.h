// SPDX-License-Identifier: BSD-2-Clause
// The shared secret of a set, and what is proved with it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fs/base/result.h"
#include "replicator/control_wire.h"

namespace mirdax {

inline constexpr size_t kMinKeyBytes = 32;
inline constexpr size_t kMaxKeyBytes = 4096;

// A secret that wipes itself. Never logged, never in an error message.
class Key {
 public:
  explicit Key(std::vector<std::byte> secret) : secret_(std::move(secret)) {}
  Key(Key&&) = default;
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
  Key& operator=(Key&&) = delete;
  ~Key();

  // Reads a key file. kInvalid when it is shorter than kMinKeyBytes, readable by others than its
  // owner, or not a regular file; each message says what to do.
  static Result<std::shared_ptr<const Key>> Load(const std::string& path);

  // HMAC-SHA-256 over a label that names the prover's side, then the transcript: so that neither
  // side's proof can be played back as the other's, nor for another purpose, nonce or version.
  Mac ProofOfClient(std::span<const std::byte> hello, std::span<const std::byte> challenge) const;
  Mac ProofOfServer(std::span<const std::byte> hello, std::span<const std::byte> challenge) const;

 private:
  Mac Prove(std::string_view label, std::span<const std::byte> hello,
            std::span<const std::byte> challenge) const;

  std::vector<std::byte> secret_;
};

// In constant time.
bool SameMac(const Mac& a, const Mac& b) noexcept;

}  // namespace mirdax
