// SPDX-License-Identifier: MIT
// lowbit mac run: a MAC unit simulated on tensors, vectors or random beats, every result checked.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>

#include "commands.hpp"
#include "file_arguments.hpp"
#include "installed_files.hpp"
#include "lowbit/block_tensor_file.hpp"
#include "lowbit/error.hpp"
#include "lowbit/names.hpp"
#include "lowbit/sim/exact.hpp"
#include "lowbit/sim/mac_compiler.hpp"
#include "lowbit/sim/mac_model.hpp"
#include "lowbit/sim/mac_simulator.hpp"
#include "lowbit/sim/mac_stimulus.hpp"
#include "lowbit/sim/mac_vectors.hpp"
#include "mac_format.hpp"

namespace lowbit::cli {
namespace {

using namespace sim;

struct Options {
  std::string unit = "exact";
  std::string format;
  int lanes = 0;
  int accumulator_width = 0;
  int pipeline = 0;
  std::string cache;
  std::string backend = "verilator";
  std::string a;
  std::string w;
  std::string vectors;
  std::string write_vectors;
  std::string write_readmemh;
  std::size_t beats = 100000;
  MacRunOptions run;
  double stalls = 0.0;
  bool count_defects = false;
};

MacShape shape_of(const Options& o, const BlockFormat* found) {
  const auto unit = find_mac_unit(o.unit);
  if (!unit) {
    throw Error(ErrorKind::usage,
                "--unit " + o.unit +
                    ": one of published, exact, block_fp32, gst, integer, bf16_fma, "
                    "fp8_fp32, lut");
  }
  if (found == nullptr) {
    const std::string name(o.format.empty() ? default_format(*unit) : o.format);
    found = &mac_format_named("--format", name);
  } else if (!o.format.empty() && in_lower_case(o.format) != found->name) {
    throw Error(ErrorKind::usage,
                fmt::format("--format {}, but the tensors are {}", o.format, found->name));
  }
  const int lanes = o.lanes != 0 ? o.lanes : default_lanes(*unit);
  const MacShape shape{*unit, found, lanes, o.accumulator_width, o.pipeline != 0};
  check_mac_shape(shape);
  return shape;
}

/// On the unit of this build, or on one compiled now where the build has not its parameters or the
/// waveform is an FST.
MacRunStats simulate(const Options& o, const BeatStream& stream,
                     std::span<const MacResult> expected, const MacRunOptions& run,
                     MacBackend backend) {
  if (backend == MacBackend::verilator &&
      (!run.fst.empty() || !mac_compiled_in(stream.shape(), backend))) {
    return run_mac_compiled(stream, expected, run,
                            {installed_files() / "mac_rtl", cache_folder(o.cache) / "units"});
  }
  return run_mac(stream, expected, run, backend);
}

/// Results that differ from the exact GEMM's, which only `exact` can be held to; the other units
/// round, as their models do. Results out of range, and with E8M0 scales all that the unit flags,
/// are left out.
std::uint64_t compare_with_gemm(const MacShape& shape, const BlockTensor& a, const BlockTensor& w,
                                std::size_t first_row, std::span<const MacResult> results) {
  if (shape.unit != MacUnit::exact) return 0;
  const bool window = shape.format->family() == ScaleFamily::mx;
  // What bit 0 of the accumulator counts, in units of the exact value.
  const int places = window ? mac_unit_scale(shape.unit, *shape.format).accumulator_exponent -
                                  exact_unit(*shape.format, *shape.format).exponent
                            : 0;
  std::uint64_t wrong = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if ((window && results[i].flags != 0) || (results[i].flags & 2) != 0) continue;
    WideInteger acc;
    acc.add_shifted(results[i].acc, places);
    wrong += exact_dot(a, first_row + i / w.rows, w, i % w.rows, NanScale::largest).integer == acc
                 ? 0
                 : 1;
  }
  return wrong;
}

int report(const MacShape& shape, const std::string& what, const MacRunStats& s) {
  const std::string more =
      fmt::format("{}{}",
                  shape.accumulator_width != 0
                      ? fmt::format(", accumulator of {} bits", shape.accumulator_width)
                      : "",
                  shape.pipeline ? ", deeper pipeline" : "");
  fmt::print("unit {}, format {}, {} lanes{}, {}\n", name_of(shape.unit), shape.format->name,
             shape.lanes, more, what);
  fmt::print("outputs checked   {}\n", s.outputs);
  fmt::print("mismatches        {}\n", s.mismatches);
  fmt::print("beats             {}\n", s.beats);
  fmt::print("cycles            {}\n", s.cycles);
  fmt::print("beats per cycle   {:.4f}\n",
             s.cycles == 0 ? 0.0 : static_cast<double>(s.beats) / static_cast<double>(s.cycles));
  fmt::print("simulated cycles per second of processor time {:.3g}\n",
             s.seconds > 0 ? static_cast<double>(s.cycles) / s.seconds : 0.0);
  if (s.mismatches == 0) return 0;
  fmt::print("first mismatch: {}\n", s.first_mismatch);
  return static_cast<int>(ErrorKind::mismatch);
}

void write_vectors(const Options& o, const BeatStream& stream, std::span<const MacResult> results) {
  if (o.write_vectors.empty() && o.write_readmemh.empty()) return;
  MacVectors v{stream, {}};
  for (const MacResult& r : results) v.expected.push_back(r.fp32);
  if (!o.write_vectors.empty()) write_mac_vectors(o.write_vectors, v);
  if (!o.write_readmemh.empty()) write_readmemh(o.write_readmemh, v);
}

int run_tensors(const Options& o, MacBackend backend) {
  const BlockTensor a = read_block_tensor(std::filesystem::path(o.a)).tensor;
  const BlockTensor w = read_block_tensor(std::filesystem::path(o.w)).tensor;
  const MacShape shape = shape_of(o, a.format);
  if (a.format != w.format) {
    throw Error(ErrorKind::usage, fmt::format("{} is {} and {} is {}: quantize both to one format",
                                              o.a, a.format->name, o.w, w.format->name));
  }
  if (a.columns == 0 || w.rows == 0 || a.rows == 0)
    throw Error(ErrorKind::usage, "a tensor is empty");
  // Rows of A at a time, so that a long product needs little memory.
  const std::size_t beats_a_row = std::max<std::size_t>(
      1, w.rows * a.padded_columns() / static_cast<std::size_t>(shape.lanes_used()));
  const std::size_t rows = std::max<std::size_t>(1, 1000000 / beats_a_row);
  MacRunStats total;
  for (std::size_t m = 0; m < a.rows; m += rows) {
    const BeatStream stream = product_stream(shape, a, w, m, std::min(a.rows, m + rows));
    const std::vector<MacResult> expected = mac_model(stream);
    MacRunStats s = simulate(o, stream, expected, o.run, backend);
    if (const std::uint64_t wrong = compare_with_gemm(shape, a, w, m, expected); wrong != 0) {
      s.mismatches += wrong;
      if (s.first_mismatch.empty()) s.first_mismatch = "the unit's model and the exact GEMM differ";
    }
    if (m == 0) write_vectors(o, stream, expected);
    total += s;
  }
  return report(shape, fmt::format("{}x{}x{} product", a.rows, w.rows, a.columns), total);
}

int run_vectors(const Options& o, MacBackend backend) {
  const MacVectors v = read_mac_vectors(o.vectors, shape_of(o, nullptr));
  const MacShape& shape = v.stream.shape();
  if (o.lanes != 0 && o.lanes != shape.lanes) {
    throw Error(ErrorKind::usage,
                fmt::format("--lanes {}, but {} has {}", o.lanes, o.vectors, shape.lanes));
  }
  // The file's word is the result; accumulator and flags are the model's.
  std::vector<MacResult> expected = mac_model(v.stream);
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i].fp32 = v.expected[i];
  const MacRunStats s = simulate(o, v.stream, expected, o.run, backend);
  write_vectors(o, v.stream, expected);
  return report(shape, o.vectors, s);
}

/// How many segments of a campaign would show each planted bug (mac_model.hpp).
class DefectCount {
 public:
  explicit DefectCount(const MacShape& shape)
      : defects_(defects_of(shape.unit, *shape.format)), seen_(defects_.size()) {}

  void add(const BeatStream& stream, std::span<const MacResult> right) {
    segments_ += right.size();
    for (std::size_t d = 0; d < defects_.size(); ++d) {
      const std::vector<MacResult> wrong = mac_model(stream, defects_[d]);
      for (std::size_t i = 0; i < right.size(); ++i) seen_[d] += wrong[i] == right[i] ? 0 : 1;
    }
  }
  /// Whether every bug would have been seen.
  bool print() const {
    fmt::print("segments that would show a planted bug, of {} examined:\n", segments_);
    for (std::size_t d = 0; d < defects_.size(); ++d)
      fmt::print("  {:<24} {}\n", name_of(defects_[d]), seen_[d]);
    return std::ranges::find(seen_, 0U) == seen_.end();
  }

 private:
  std::vector<MacDefect> defects_;
  std::vector<std::uint64_t> seen_;
  std::uint64_t segments_ = 0;
};

int run_random(const Options& o, MacBackend backend) {
  if (o.beats == 0) throw Error(ErrorKind::usage, "--beats 0: nothing would be checked; 1 or more");
  const MacShape shape = shape_of(o, nullptr);
  DefectCount defects(shape);
  constexpr std::size_t chunk = 1 << 18;
  MacRunStats total;
  MacRunOptions options = o.run;
  for (std::size_t done = 0; done < o.beats; options.seed += 1) {
    const BeatStream stream = random_stream(shape, std::min(chunk, o.beats - done), options.seed);
    const std::vector<MacResult> expected = mac_model(stream);
    total += simulate(o, stream, expected, options, backend);
    if (done == 0) write_vectors(o, stream, expected);
    // A model run a bug: the first stretch of every 32 is enough to tell.
    if (o.count_defects && (options.seed - o.run.seed) % 32 == 0) defects.add(stream, expected);
    // One waveform: of the first stretch.
    options.vcd.clear();
    options.fst.clear();
    done += stream.size();
  }
  const int code = report(shape, fmt::format("random beats, seed {}", o.run.seed), total);
  // A campaign that could not have seen a bug has failed.
  return o.count_defects && !defects.print() && code == 0 ? static_cast<int>(ErrorKind::mismatch)
                                                          : code;
}

int run(Options o) {
  if (o.a.empty() != o.w.empty()) throw Error(ErrorKind::usage, "--a and --w go together");
  if (!o.a.empty() && !o.vectors.empty())
    throw Error(ErrorKind::usage, "give tensors or --vectors, not both");
  if (!o.run.vcd.empty() && !o.run.fst.empty())
    throw Error(ErrorKind::usage, "--vcd and --fst: one waveform of a run; leave one out");
  if (o.backend != "verilator" && o.backend != "systemc") {
    throw Error(ErrorKind::usage, "--backend " + o.backend + ": verilator or systemc");
  }
  if (o.backend == "systemc" &&
      (!o.run.fst.empty() || o.accumulator_width != 0 || o.pipeline != 0)) {
    throw Error(ErrorKind::usage,
                "--backend systemc runs the units of this build: leave --fst, --acc-width and "
                "--pipeline out");
  }
  const MacBackend backend = o.backend == "systemc" ? MacBackend::systemc : MacBackend::verilator;
  o.run.input_stall = o.run.output_stall = o.stalls;
  if (!o.a.empty()) return run_tensors(o, backend);
  if (!o.vectors.empty()) return run_vectors(o, backend);
  return run_random(o, backend);
}

}  // namespace

void add_mac_run(CLI::App& mac) {
  auto options = std::make_shared<Options>();
  CLI::App* command = mac.add_subcommand(
      "run",
      "Simulate a unit and compare every result: on two quantized tensors (A times W transposed),\n"
      "on vectors, or on random beats");
  command
      ->add_option("--unit,--units", options->unit,
                   "published, exact, block_fp32, gst, or a baseline: integer, bf16_fma, "
                   "fp8_fp32, lut")
      ->capture_default_str();
  command->add_option("--format,--formats", options->format,
                      "block format (default: the tensors'; if4; nvfp4 for gst); of baselines "
                      "int8, int4, bf16, fp8_e4m3, int8_int4");
  command->add_option("--lanes", options->lanes,
                      "products per beat (default 16; 64 for gst, 4 for bf16_fma)");
  command
      ->add_option("--acc-width", options->accumulator_width,
                   "bits of the accumulator of exact, integer and lut (default: the format's; 32)")
      ->check(CLI::Range(1, 1024));
  command
      ->add_option("--pipeline", options->pipeline,
                   "1: exact with its deeper pipeline; the results are the same")
      ->check(CLI::Range(0, 1))
      ->capture_default_str();
  command->add_option("--cache", options->cache,
                      "folder of units that are compiled on demand, for parameters that this build "
                      "has not (default: $XDG_CACHE_HOME/lowbit)");
  FileArguments files(*command);
  files.reads(command->add_option("--a", options->a, "quantized tensor A; one output row per row"));
  files.reads(
      command->add_option("--w", options->w, "quantized tensor W; one output column per row"));
  files.reads(command->add_option("--vectors", options->vectors,
                                  "JSON vectors with expected FP32 results (docs/mac.md)"));
  command->add_option("--beats", options->beats, "random beats")->capture_default_str();
  command->add_option("--seed", options->run.seed, "of random beats and stalls")
      ->capture_default_str();
  command
      ->add_option("--stalls", options->stalls, "probability of a pause on either side, 0 to 0.99")
      ->capture_default_str();
  command->add_option("--resets", options->run.reset, "probability of a reset per cycle")
      ->capture_default_str();
  command->add_flag("--count-defects", options->count_defects,
                    "also count the random segments that would show each of a list of bugs; exit 1 "
                    "if one would not");
  command->add_option("--backend", options->backend, "verilator or systemc")->capture_default_str();
  files.writes(command->add_option("--vcd", options->run.vcd, "write a waveform"));
  files.writes(command->add_option("--fst", options->run.fst,
                                   "write a waveform as FST with all levels of the unit, and "
                                   "PATH.gtkw, a saved view for GTKWave"),
               {"", ".gtkw"});
  files.writes(command->add_option("--write-vectors", options->write_vectors,
                                   "write beats and results as JSON"));
  files.writes(command->add_option("--write-readmemh", options->write_readmemh,
                                   "write PREFIX.beats.hex and PREFIX.expected.hex"),
               {".beats.hex", ".expected.hex"});
  command->callback([options] {
    if (const int code = run(*options); code != 0) throw CLI::RuntimeError(code);
  });
}

}  // namespace lowbit::cli
