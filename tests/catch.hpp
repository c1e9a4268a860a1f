// SPDX-License-Identifier: MIT
// Catch2 2.13 (Debian 12) or 3.x (Debian 13 and later) behind one header.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;  // 2.13 has it in the global namespace
#else
#include <catch2/catch.hpp>
#endif
