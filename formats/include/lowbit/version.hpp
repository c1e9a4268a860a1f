// SPDX-License-Identifier: MIT
#pragma once

/// The one home of the version; CMake reads it from here.
#define LOWBIT_VERSION "0.1.0"
