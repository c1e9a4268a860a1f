// SPDX-License-Identifier: MIT
// From a unit's shape to a library that can be loaded: RTL parameters, Verilator, the C++ compiler.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lowbit/sim/mac_compiler.hpp"

namespace lowbit::sim {

enum class MacTrace { none, vcd, fst };

/// "-GNAME=VALUE" of every parameter that the shape decides.
[[nodiscard]] std::vector<std::string> rtl_parameters(const MacShape& shape);

/// Path of the unit's library in the cache, made if it is not there.
[[nodiscard]] std::filesystem::path compiled_unit(const MacShape& shape, MacTrace trace,
                                                  const MacCompiler& compiler);

/// Where SURFER or GTKWave looks first: the pins, the core's inputs and outputs, in that order, for
/// the waveform at `wave`.
void write_wave_view(const std::filesystem::path& view, const std::filesystem::path& wave,
                     const MacShape& shape);

}  // namespace lowbit::sim
