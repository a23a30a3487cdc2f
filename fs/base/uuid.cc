// SPDX-License-Identifier: BSD-2-Clause
#include "fs/base/uuid.h"

#include <uuid/uuid.h>

namespace mirdax {

Uuid Uuid::Generate(Random& random) {
  Uuid uuid;
  random.Fill(std::as_writable_bytes(std::span(uuid.bytes)));
  uuid.bytes[6] = static_cast<uint8_t>((uuid.bytes[6] & 0x0fU) | 0x40U);
  uuid.bytes[8] = static_cast<uint8_t>((uuid.bytes[8] & 0x3fU) | 0x80U);
  return uuid;
}

Result<Uuid> Uuid::Parse(std::string_view text) {
  Uuid uuid;
  const std::string terminated(text);
  if (uuid_parse(terminated.c_str(), uuid.bytes.data()) != 0)
    return Fail(ErrorCode::kInvalid, "'{}' is not a UUID", text);
  return uuid;
}

std::string Uuid::ToString() const {
  std::array<char, UUID_STR_LEN> text{};
  uuid_unparse_lower(bytes.data(), text.data());
  return text.data();
}

}  // namespace mirdax
