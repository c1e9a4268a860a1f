// SPDX-License-Identifier: MIT
/// \file
/// MAC units of any parameters, compiled by Verilator when they are asked for and kept in a folder
/// (library lowbit::mac). Verilator and a C++20 compiler must be on the path then, not when lowbit
/// is built.
#pragma once

#include <filesystem>
#include <span>

#include "lowbit/sim/mac_simulator.hpp"

namespace lowbit::sim {

/// Where units are compiled from and kept.
struct MacCompiler {
  std::filesystem::path rtl;    ///< mac_rtl, of the sources or as installed
  std::filesystem::path cache;  ///< created where missing; a unit is kept under a hash of its
                                ///< sources, parameters and tools
};

/// Whether run_mac has this unit: its unit, format and lanes are in mac_variants() of the backend,
/// with the default accumulator and pipeline.
[[nodiscard]] bool mac_compiled_in(const MacShape& shape,
                                   MacBackend backend = MacBackend::verilator);

/// Runs a unit as run_mac does, on one that is compiled here unless the cache has it: 10 to 30 s of
/// processor time. options.vcd and options.fst name waveforms with all levels of the hierarchy; at
/// most one of them is given. Thread-safe; processes with one cache do not disturb each other.
/// \param stream    the beats; its shape names the unit
/// \param expected  one result per segment, as mac_model gives them
/// \param options   stalls, resets, waveform
/// \param compiler  where the sources are, and where compiled units are kept
/// \throws Error(usage) for a shape that is no unit (check_mac_shape); Error(unavailable) where
///         Verilator or the compiler is missing or fails, naming its log; Error(invalid_input)
///         where the cache or the waveform cannot be written.
[[nodiscard]] MacRunStats run_mac_compiled(const BeatStream& stream,
                                           std::span<const MacResult> expected,
                                           const MacRunOptions& options,
                                           const MacCompiler& compiler);

}  // namespace lowbit::sim
