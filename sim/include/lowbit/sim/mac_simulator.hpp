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

/// What simulates the compiled unit.
enum class MacBackend : std::uint8_t {
  verilator,  ///< the C++ model, one eval pair a cycle
  systemc,    ///< Verilator's SystemC module behind a TLM-2.0 transactor, in a child process
};

/// Stalls, resets and waveform of a run.
struct MacRunOptions {
  double input_stall = 0.0;   ///< probability, below 1, that the source pauses before a beat
  double output_stall = 0.0;  ///< that the sink is not ready in a cycle
  double reset = 0.0;         ///< that a cycle is a reset; the source resumes with the oldest
                              ///< segment whose result is not out
  std::uint64_t seed = 1;     ///< of stalls and resets; the same seed gives the same run
  std::string vcd{};          ///< path of a waveform to write, or empty
  std::string fst{};  ///< the same as FST with FST.gtkw, a saved view: run_mac_compiled only
};

/// Counts of a run.
struct MacRunStats {
  std::uint64_t outputs = 0;     ///< results that came out and were compared
  std::uint64_t mismatches = 0;  ///< of them, plus results that never came and surplus ones
  std::uint64_t beats = 0;       ///< taken by the unit, repetitions after a reset included
  std::uint64_t cycles = 0;      ///< rising edges of the clock
  std::uint64_t resets = 0;      ///< cycles in which reset was active
  std::uint64_t refused = 0;     ///< cycles in which the source offered a beat and was held back
  double seconds = 0.0;          ///< processor time of the simulation, without model and stimulus
  std::string first_mismatch{};  ///< one line, or empty

  /// Adds the counts of another run; keeps the first mismatch.
  void operator+=(const MacRunStats& other);
};

/// One compiled unit.
struct MacVariant {
  MacUnit unit;        ///< its arithmetic
  const char* format;  ///< name of its block format
  int lanes;           ///< products per beat
  MacBackend backend;  ///< what simulates it
  /// Runs it; used by run_mac
  MacRunStats (*run)(const BeatStream&, std::span<const MacResult>, const MacRunOptions&);
};
/// Every unit in this build; empty where Verilator was missing.
[[nodiscard]] std::span<const MacVariant> mac_variants();

/// Runs the compiled unit of the stream's shape, in its default accumulator and pipeline
/// (mac_compiler.hpp has the others). Each call starts from reset; calls may run at the
/// same time, but for SystemC.
/// \param stream  the beats; its shape names the unit
/// \param options  stalls, resets, waveform
/// \param backend  what simulates the unit
/// \param expected  one result per segment, as mac_model gives them.
/// \throws Error(unavailable) where that unit is not compiled in, naming those that are, or
///         Verilator or SystemC was missing at build time; Error(usage) for options out of range.
[[nodiscard]] MacRunStats run_mac(const BeatStream& stream, std::span<const MacResult> expected,
                                  const MacRunOptions& options = {},
                                  MacBackend backend = MacBackend::verilator);

}  // namespace lowbit::sim
