// SPDX-License-Identifier: BSD-2-Clause
// The mirror's end of the wire: control messages, data messages and one-sided writes of a primary
// that keeps to nothing. Steps and violations: hostile_primary.h.
#include "tests/fuzz/hostile_primary.h"
#include "tests/fuzz/target.h"

namespace mirdax::fuzz {

const Grammar* InputGrammar() { return &HostilePrimary::Steps(); }

void RunInput(std::string_view input) {
  HostilePrimary().Run(ParseRecipe(input, HostilePrimary::Steps()));
}

}  // namespace mirdax::fuzz
