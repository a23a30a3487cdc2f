// SPDX-License-Identifier: BSD-2-Clause
#include "fs/format/layout.h"
