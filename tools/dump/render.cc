// SPDX-License-Identifier: BSD-2-Clause
#include "tools/dump/render.h"

#include <nlohmann/json.hpp>

namespace mirdax::dump {
namespace {

using Json = nlohmann::ordered_json;

std::string Scalar(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  return RenderJson(value);
}

bool IsFlat(const Json& value) {
  if (!value.is_structured()) return true;
  return std::none_of(value.begin(), value.end(),
                      [](const Json& item) { return item.is_structured(); });
}

// "a 1, b 2"
std::string OneLine(const Json& value) {
  if (!value.is_structured()) return Scalar(value);
  std::string text;
  for (const auto& [key, item] : value.items()) {
    text += (text.empty() ? "" : ", ") + (value.is_object() ? key + " " : "") + Scalar(item);
  }
  return text;
}

}  // namespace

std::string RenderText(const Json& json, unsigned indent) {
  const std::string pad(indent, ' ');
  if (IsFlat(json) && !json.is_object()) return pad + OneLine(json) + "\n";
  std::string text;
  if (json.is_array()) {
    for (const Json& item : json) {
      if (IsFlat(item) && item.size() < 8) {
        text += pad + "- " + OneLine(item) + "\n";
        continue;
      }
      std::string block = RenderText(item, indent + 2);
      block[indent] = '-';
      text += block;
    }
    return text;
  }
  for (const auto& [key, value] : json.items()) {
    if (!value.is_structured()) {
      text += pad + key + ": " + Scalar(value) + "\n";
    } else if (value.empty()) {
      text += pad + key + ": none\n";
    } else if (value.is_object() && IsFlat(value)) {
      text += pad + key + ": " + OneLine(value) + "\n";
    } else {
      text += pad + key + ":\n" + RenderText(value, indent + 2);
    }
  }
  return text;
}

std::string RenderJson(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace mirdax::dump
