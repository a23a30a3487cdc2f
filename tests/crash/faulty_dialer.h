// SPDX-License-Identifier: BSD-2-Clause
// The way to the mirrors, on which messages get lost when a fault strikes.
#pragma once

#include <memory>

#include "replicator/dialer.h"
#include "tests/crash/faults.h"

namespace mirdax::crash {

// Chances: kPush: each post to a data connection; kAnswer, kCut: each answer that comes on one;
// kRequest, kHangUp: each control message sent; kRefusal: each control answer. What is behind
// `real` is not the primary: it has all the memory it wants.
//
// REQUIRES: `faults` outlives the dialer and what it has dialled.
std::unique_ptr<MirrorDialer> MakeFaultyDialer(std::unique_ptr<MirrorDialer> real, Faults& faults);

}  // namespace mirdax::crash
