// SPDX-License-Identifier: BSD-2-Clause
// JSON for people: "key: value" lines, indented; lists of records as one line each.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace mirdax::dump {

std::string RenderText(const nlohmann::ordered_json& json, unsigned indent = 0);
// Names in a pool may hold any bytes: what is not UTF-8 is replaced.
std::string RenderJson(const nlohmann::ordered_json& json);

}  // namespace mirdax::dump
