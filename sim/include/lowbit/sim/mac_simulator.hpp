// SPDX-License-Identifier: MIT
/// \file
/// Runs the SystemVerilog units, compiled by Verilator, on streams of beats and compares every
/// result with what is expected (library lowbit::mac). Which units, formats and lane counts are
/// compiled in is decided in mac_rtl/CMakeLists.txt.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "lowbit/sim/mac_stream.hpp"

namespace lowbit::sim {

enum class MacBackend : std::uint8_t {
  verilator,  ///< the C++ model, one eval pair a cycle
  systemc,    ///< Verilator's SystemC module behind a TLM-2.0 transactor, in a child process
};

struct MacRunOptions {
  double input_stall = 0.0;   ///< probability, below 1, that the source pauses before a beat
  double output_stall = 0.0;  ///< that the sink is not ready in a cycle
  double reset = 0.0;         ///< that a cycle is a reset; the source resumes with the oldest
                              ///< segment whose result is not out
  std::uint64_t seed = 1;
  std::string vcd{};  ///< path of a waveform to write, or empty
};

struct MacRunStats {
  std::uint64_t outputs = 0;     ///< results that came out and were compared
  std::uint64_t mismatches = 0;  ///< of them, plus results that never came and surplus ones
  std::uint64_t beats = 0;       ///< taken by the unit, repetitions after a reset included
  std::uint64_t cycles = 0;
  std::uint64_t resets = 0;
  std::uint64_t refused = 0;     ///< cycles in which the source offered a beat and was held back
  double seconds = 0.0;          ///< processor time of the simulation, without model and stimulus
  std::string first_mismatch{};  ///< one line, or empty

  void operator+=(const MacRunStats& other);
};

/// One compiled unit.
struct MacVariant {
  MacUnit unit;
  const char* format;
  int lanes;
  MacBackend backend;
  MacRunStats (*run)(const BeatStream&, std::span<const MacResult>, const MacRunOptions&);
};
[[nodiscard]] std::span<const MacVariant> mac_variants();

/// Runs the compiled unit of the stream's shape. Each call starts from reset; calls may run at the
/// same time, but for SystemC.
/// \param expected  one result a segment, as mac_model gives them.
/// \throws Error(unavailable) where that unit is not compiled in, naming those that are, or
///         Verilator or SystemC was missing at build time; Error(usage) for options out of range.
[[nodiscard]] MacRunStats run_mac(const BeatStream& stream, std::span<const MacResult> expected,
                                  const MacRunOptions& options = {},
                                  MacBackend backend = MacBackend::verilator);

}  // namespace lowbit::sim
