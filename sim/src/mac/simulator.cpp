// SPDX-License-Identifier: MIT
#include "lowbit/sim/mac_simulator.hpp"

#include <fmt/format.h>

#include <fstream>

#include "lowbit/error.hpp"
#include "mac/harness.hpp"

namespace lowbit::sim {
namespace {

std::uint64_t threshold(double probability, const char* what) {
  if (!(probability >= 0.0 && probability <= 0.99)) {
    throw Error(ErrorKind::usage,
                fmt::format("{} is a probability from 0 to 0.99, not {}", what, probability));
  }
  return static_cast<std::uint64_t>(probability * 4294967296.0);
}

std::string hex(Int128 value) {
  return fmt::format("{:x}{:016x}", static_cast<std::uint64_t>(value >> 64),
                     static_cast<std::uint64_t>(value));
}

std::string text(const MacResult& r) {
  return fmt::format("fp32 {:08x}, acc {}, flags {:02b}", r.fp32, hex(r.acc), r.flags);
}

}  // namespace

void MacRunStats::operator+=(const MacRunStats& other) {
  outputs += other.outputs;
  mismatches += other.mismatches;
  beats += other.beats;
  cycles += other.cycles;
  resets += other.resets;
  refused += other.refused;
  seconds += other.seconds;
  if (first_mismatch.empty()) first_mismatch = other.first_mismatch;
}

MacHarness::MacHarness(const BeatStream& stream, std::span<const MacResult> expected,
                       const MacRunOptions& options)
    : limit(stream.size()),
      stream_(stream),
      expected_(expected),
      state_(options.seed * 0x9E3779B97F4A7C15U | 1),
      in_limit_(threshold(options.input_stall, "the source's stall rate")),
      out_limit_(threshold(options.output_stall, "the sink's stall rate")),
      reset_limit_(threshold(options.reset, "the reset rate")) {
  if (expected.size() != stream.segments()) {
    throw Error(ErrorKind::usage, fmt::format("{} results expected of {} segments", expected.size(),
                                              stream.segments()));
  }
  if (reset_limit_ != 0) {
    bool open = false;
    for (std::size_t i = 0; i < stream.size(); ++i) {
      if (!open) segment_start_.push_back(i);
      // `first` inside a segment discards it: the segment starts there.
      if (open && stream.first(i)) segment_start_.back() = i;
      open = !stream.last(i);
    }
  }
  if (expected.empty()) idle_ = patience - 64;
}

void MacHarness::mismatch(const MacResult& result) {
  ++stats_.mismatches;
  if (!stats_.first_mismatch.empty()) return;
  stats_.first_mismatch =
      next_ < expected_.size()
          ? fmt::format("segment {}: {}; expected {}", next_, text(result), text(expected_[next_]))
          : fmt::format("surplus result after segment {}: {}", expected_.size(), text(result));
}

void MacHarness::restart() {
  ++stats_.resets;
  in_valid = false;
  idle_ = next_ >= expected_.size() ? patience - 64 : 0;
  beat = next_ < segment_start_.size() ? segment_start_[next_] : stream_.size();
}

void MacHarness::stop() {
  finished_ = true;
  if (next_ >= expected_.size()) return;
  stats_.mismatches += expected_.size() - next_;
  if (stats_.first_mismatch.empty()) {
    stats_.first_mismatch = fmt::format("segment {}: no result ({} missing); expected {}", next_,
                                        expected_.size() - next_, text(expected_[next_]));
  }
}

MacRunStats run_mac(const BeatStream& stream, std::span<const MacResult> expected,
                    const MacRunOptions& options, MacBackend backend) {
  const MacShape& shape = stream.shape();
  if (!options.fst.empty() || shape.pipeline || shape.accumulator_width != 0)
    throw Error(ErrorKind::unavailable,
                "FST waveforms, accumulator widths and pipelines are of units compiled on demand");
  std::string built;
  bool any_backend = false;
  for (const MacVariant& v : mac_variants()) {
    if (v.backend != backend) continue;
    any_backend = true;
    if (v.unit == shape.unit && v.format == shape.format->name && v.lanes == shape.lanes) {
      // Neither Verilator nor SystemC reports a waveform that it cannot write.
      if (!options.vcd.empty() && !std::ofstream(options.vcd)) {
        throw Error(ErrorKind::invalid_input,
                    options.vcd + ": cannot be written; check the folder and its rights");
      }
      return v.run(stream, expected, options);
    }
    built +=
        fmt::format("{}{}/{}/{}", built.empty() ? "" : ", ", name_of(v.unit), v.format, v.lanes);
  }
  if (!any_backend) {
    throw Error(ErrorKind::unavailable,
                backend == MacBackend::systemc
                    ? "this build has no MAC units on SystemC; scripts/demo.sh "
                      "--full makes one (Debian: verilator, libsystemc-dev)"
                    : "this build has no simulated MAC units; scripts/demo.sh "
                      "--full makes one that has (Debian: verilator)");
  }
  throw Error(
      ErrorKind::unavailable,
      fmt::format("no {0}/{1}/{2} (unit/format/lanes) in this build, which has {3}; configure with "
                  "-DLOWBIT_MAC_UNITS=\"{0}:{1}:{2}{4}\" and build again",
                  name_of(shape.unit), shape.format->name, shape.lanes, built,
                  backend == MacBackend::systemc ? ":systemc" : ""));
}

}  // namespace lowbit::sim
