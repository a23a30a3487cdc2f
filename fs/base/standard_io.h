// SPDX-License-Identifier: BSD-2-Clause
// What every program does about its standard input and output.
#pragma once

#include <functional>

namespace mirdax {

// Runs `body`, which returns the exit code, and passes that on; with the bits of `output_failed`
// set where what it printed could not be written, and says so on stderr: a script must not take a
// part for the whole.
//
// Where standard input, output or error is closed, /dev/null is opened in its place first: else the
// next file that is opened, a pool perhaps, would get what is printed.
//
// Threads: the main one, before there are others.
int RunProgram(const char* name, int output_failed, const std::function<int()>& body);

}  // namespace mirdax
