// SPDX-License-Identifier: MIT
// lowbit mac array: cycles, utilisation and energy of an array of MAC units on GEMM layers.
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "commands.hpp"
#include "file_arguments.hpp"
#include "lowbit/block_tensor_file.hpp"
#include "lowbit/error.hpp"
#include "lowbit/output_file.hpp"
#include "lowbit/sim/array.hpp"
#include "lowbit/sim/mac_energy.hpp"
#include "progress.hpp"
#ifdef LOWBIT_HAS_ARRAY
#include "lowbit/sim/array_systemc.hpp"
#endif

namespace lowbit::cli {
namespace {

struct Options {
  sim::ArrayConfig array;
  std::string layer, model, format, flow = "os", quantizer = "none";
  std::int64_t tokens = 2048;
  std::string json, trace, a, w, progress = "auto";
  bool step = false;
  std::optional<double> pj_per_mac;
};

sim::GemmShape parse_layer(const std::string& text) {
  std::int64_t sizes[3];
  const char* at = text.data();
  const char* end = at + text.size();
  for (int i = 0; i < 3; ++i) {
    const auto [next, error] = std::from_chars(at, end, sizes[i]);
    const bool separated = i == 2 ? next == end : next != end && *next == ',';
    if (error != std::errc{} || !separated) {
      throw Error(ErrorKind::usage,
                  fmt::format("--layer {}: expected M,N,K, three integers", text));
    }
    at = next + 1;
  }
  return {"layer", sizes[0], sizes[1], sizes[2], 1};
}

nlohmann::ordered_json to_json(const sim::GemmShape& shape, const sim::ArrayResult& r) {
  return {{"name", shape.name},
          {"m", shape.m},
          {"n", shape.n},
          {"k", shape.k},
          {"count", shape.count},
          {"cycles", r.cycles},
          {"utilisation", r.utilisation},
          {"bound", name_of(r.bound)},
          {"tiles", r.tiles},
          {"beats", r.beats},
          {"wait_memory", r.wait_memory},
          {"wait_interval", r.wait_interval},
          {"quantizer_cycles", r.quantizer_cycles},
          {"macs", r.macs},
          {"bytes_read", r.bytes_read},
          {"bytes_written", r.bytes_written},
          {"energy_pj",
           {{"total", r.energy_pj},
            {"units", r.energy_units_pj},
            {"buffers", r.energy_buffers_pj},
            {"memory", r.energy_memory_pj}}}};
}

#ifdef LOWBIT_HAS_ARRAY
/// Multiplies two quantized tensors on the stepped array and compares with the exact GEMM.
sim::ArrayResult run_with_data(const Options& options, const BlockTensor& a, const BlockTensor& w,
                               sim::GemmShape& shape, std::vector<sim::TileTiming>* trace) {
  if (a.columns != w.columns) {
    throw Error(ErrorKind::invalid_input, fmt::format("{} has K = {}, {} has K = {}", options.a,
                                                      a.columns, options.w, w.columns));
  }
  shape = {"layer", static_cast<std::int64_t>(a.rows), static_cast<std::int64_t>(w.rows),
           static_cast<std::int64_t>(a.columns), 1};
  sim::ArrayData data;
  data.a = &a;
  data.w = &w;
  const sim::ArrayResult result = step_layer(options.array, shape, &data, trace);
  const auto want = exact_gemm_values(a, w, sim::NanScale::largest);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < want.size(); ++i) wrong += !(want[i] == data.outputs[i]);
  fmt::print(stderr, "{} outputs against the exact product, {} mismatches\n", want.size(), wrong);
  if (wrong != 0) throw Error(ErrorKind::mismatch, "the array's outputs are not the exact product");
  return result;
}
#endif

/// The units' format is the operands'; --format can only agree.
void take_format(Options& options, const BlockTensor& a, const BlockTensor& w) {
  if (a.format != w.format) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{} is {}, {} is {}: a unit has one format", options.a, a.format->name,
                            options.w, w.format->name));
  }
  if (!options.format.empty() && options.format != a.format->name) {
    throw Error(ErrorKind::usage,
                fmt::format("--format {}: {} is {}", options.format, options.a, a.format->name));
  }
  options.format = a.format->name;
}

/// Energy per MAC: as given, or as measured for the format; a format that was never measured has
/// none. \return where the figure is from, for people
std::string take_unit_energy(Options& options) {
  if (options.pj_per_mac) {
    options.array.energy.pj_per_mac = *options.pj_per_mac;
    return fmt::format("{} pJ per MAC", *options.pj_per_mac);
  }
  const auto measured = sim::measured_mac_energy(options.format);
  if (!measured) {
    throw Error(
        ErrorKind::usage,
        fmt::format(
            "--format {0}: no energy of a {0} unit has been measured; measure it with `lowbit mac "
            "report --units exact --recipes area --formats {0}` and give its pj_per_mac as "
            "--pj-per-mac",
            options.format));
  }
  options.array.energy.pj_per_mac = measured->pj_per_mac;
  return fmt::format("{} pJ per MAC (measured: exact {} unit of {} lanes, {})",
                     measured->pj_per_mac, options.format, measured->lanes, measured->library);
}

void run(Options options) {
  sim::ArrayConfig& array = options.array;
  const bool with_data = !options.a.empty() || !options.w.empty();
  const int sources = !options.layer.empty() + !options.model.empty() + with_data;
  if (sources != 1 || options.a.empty() != options.w.empty()) {
    throw Error(ErrorKind::usage, "mac array: give --layer, --model, or --a and --w");
  }
  BlockTensor a, w;
  if (with_data) {
    a = read_block_tensor(options.a).tensor;
    w = read_block_tensor(options.w).tensor;
    take_format(options, a, w);
  }
  if (options.format.empty()) options.format = "if4";
  const BlockFormat* format = find_block_format(options.format);
  if (format == nullptr) {
    throw Error(
        ErrorKind::usage,
        fmt::format("--format {}: no such format; `lowbit formats` lists them", options.format));
  }
  const std::string unit_energy = take_unit_energy(options);
  array.lanes = format->block_size;
  array.beat_bytes = format->block_size * format->bits_per_element() / 8;
  array.dataflow =
      options.flow == "os" ? sim::Dataflow::output_stationary : sim::Dataflow::weight_stationary;
  array.quantizer = options.quantizer == "none"    ? sim::QuantizerMode::none
                    : options.quantizer == "given" ? sim::QuantizerMode::given_amax
                                                   : sim::QuantizerMode::measured_amax;
  std::vector<sim::GemmShape> shapes;
  if (!options.model.empty()) shapes = sim::read_model_shapes(options.model, options.tokens);
  if (!options.layer.empty()) shapes = {parse_layer(options.layer)};
  if (with_data) shapes.resize(1);
#ifndef LOWBIT_HAS_ARRAY
  if (with_data || options.step) {
    throw Error(ErrorKind::unavailable,
                "mac array: this build has no SystemC, which --step and --a need; install "
                "libsystemc-dev and build again");
  }
#endif

  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  sim::ArrayResult total;
  const auto begun = std::chrono::steady_clock::now();
  fmt::print(stderr,
             "{}x{} {} units, {} lanes, {}, {} MHz, {} GB/s, memory latency {} cycles, {}\n",
             array.rows, array.columns, options.format, array.lanes,
             options.flow == "os" ? "output stationary" : "weight stationary", array.clock_mhz,
             array.bandwidth_gb_s, array.memory_latency, unit_energy);
  const bool json_out = options.json == "-";
  if (!json_out) {
    fmt::print("{:<12} {:>7} {:>7} {:>7} {:>5} {:>14} {:>7} {:<9} {:>12}\n", "layer", "M", "N", "K",
               "count", "cycles each", "util %", "bound", "energy mJ");
  }
  Progress progress(options.progress, shapes.size());
  std::vector<sim::TileTiming> trace;
  for (sim::GemmShape& shape : shapes) {
    auto* timings = options.trace.empty() || !trace.empty() ? nullptr : &trace;
    sim::ArrayResult r;
#ifdef LOWBIT_HAS_ARRAY
    if (with_data) {
      r = run_with_data(options, a, w, shape, timings);
    } else if (options.step) {
      r = step_layer(array, shape, nullptr, timings);
    } else
#endif
      r = replay_layer(array, shape, timings);
    if (timings != nullptr) {
      OutputFile file(options.trace);
      file.write(chrome_trace(sim::TilePlan(array, shape), trace));
      file.commit();
    }
    const auto count = static_cast<double>(shape.count);
    if (!json_out) {
      fmt::print("{:<12} {:>7} {:>7} {:>7} {:>5} {:>14} {:>7.2f} {:<9} {:>12.4g}\n", shape.name,
                 shape.m, shape.n, shape.k, shape.count, r.cycles, 100 * r.utilisation,
                 name_of(r.bound), r.energy_pj * count * 1e-9);
    }
    layers.push_back(to_json(shape, r));
    std::int64_t cycles = 0;
    if (__builtin_mul_overflow(r.cycles, shape.count, &cycles) ||
        __builtin_add_overflow(total.cycles, cycles, &total.cycles)) {
      throw Error(ErrorKind::invalid_input,
                  fmt::format("layer {}: the total of cycles leaves 63 bits; give smaller "
                              "layers or counts",
                              shape.name));
    }
    total.macs += r.macs * count;
    total.bytes_read += r.bytes_read * count;
    total.bytes_written += r.bytes_written * count;
    total.energy_pj += r.energy_pj * count;
    total.energy_units_pj += r.energy_units_pj * count;
    total.energy_buffers_pj += r.energy_buffers_pj * count;
    total.energy_memory_pj += r.energy_memory_pj * count;
    progress.advance(1);
  }
  const double peak = static_cast<double>(array.rows) * array.columns * array.lanes;
  total.utilisation = total.macs / (peak * static_cast<double>(total.cycles));
  const double seconds = static_cast<double>(total.cycles) / (array.clock_mhz * 1e6);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begun;
  if (!json_out) {
    fmt::print(
        "total: {} cycles, {:.4g} s at {} MHz, utilisation {:.2f} %, {:.4g} GMAC/s, {:.4g} GB "
        "moved, {:.4g} mJ (units {:.4g}, buffers {:.4g}, memory {:.4g})\n",
        total.cycles, seconds, array.clock_mhz, 100 * total.utilisation,
        total.macs / seconds * 1e-9, (total.bytes_read + total.bytes_written) * 1e-9,
        total.energy_pj * 1e-9, total.energy_units_pj * 1e-9, total.energy_buffers_pj * 1e-9,
        total.energy_memory_pj * 1e-9);
    fmt::print(stderr, "simulated in {:.2f} s\n", wall.count());
  }
  if (options.json.empty()) return;
  const nlohmann::ordered_json document{{"array",
                                         {{"rows", array.rows},
                                          {"columns", array.columns},
                                          {"format", options.format},
                                          {"lanes", array.lanes},
                                          {"dataflow", options.flow},
                                          {"clock_mhz", array.clock_mhz},
                                          {"bandwidth_gb_s", array.bandwidth_gb_s},
                                          {"memory_latency", array.memory_latency},
                                          {"buffer_bytes", array.buffer_bytes},
                                          {"quantizer", options.quantizer},
                                          {"pj_per_mac", array.energy.pj_per_mac},
                                          {"buffer_pj_per_byte", array.energy.buffer_pj_per_byte},
                                          {"memory_pj_per_byte", array.energy.memory_pj_per_byte}}},
                                        {"layers", layers},
                                        {"total",
                                         {{"cycles", total.cycles},
                                          {"seconds", seconds},
                                          {"utilisation", total.utilisation},
                                          {"macs", total.macs},
                                          {"bytes_read", total.bytes_read},
                                          {"bytes_written", total.bytes_written},
                                          {"energy_pj",
                                           {{"total", total.energy_pj},
                                            {"units", total.energy_units_pj},
                                            {"buffers", total.energy_buffers_pj},
                                            {"memory", total.energy_memory_pj}}}}}};
  if (json_out) {
    fmt::print("{}\n", document.dump(2));
  } else {
    OutputFile file(options.json);
    file.write(document.dump(2) + "\n");
    file.commit();
  }
}

}  // namespace

void add_mac_array(CLI::App& mac) {
  CLI::App* app = mac.add_subcommand(
      "array", "Cycles, utilisation, bound and energy of an R x C array on GEMM layers");
  auto options = std::make_shared<Options>();
  sim::ArrayConfig& array = options->array;
  app->add_option("--rows", array.rows, "R")->check(CLI::Range(1, 1024))->capture_default_str();
  app->add_option("--cols", array.columns, "C")->check(CLI::Range(1, 1024))->capture_default_str();
  app->add_option("--layer", options->layer, "One GEMM: M,N,K");
  FileArguments files(*app);
  files.reads(app->add_option("--model", options->model, "JSON list of GEMMs (sim/models)"));
  app->add_option("--tokens", options->tokens, "M of the model's GEMMs")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
  files.reads(
      app->add_option("--a", options->a, "Quantized A [M, K]: steps the array with its data"));
  files.reads(app->add_option("--w", options->w, "Quantized W [N, K]"));
  app->add_option("--format", options->format,
                  "Block format: lanes and bytes per beat (default: if4, or that of --a and --w)");
  app->add_option("--dataflow", options->flow, "os or ws: output or weight stationary")
      ->check(CLI::IsMember({"os", "ws"}))
      ->capture_default_str();
  app->add_option("--bandwidth", array.bandwidth_gb_s, "Memory, GB/s, reads and writes together")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_option("--clock", array.clock_mhz, "MHz")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_option("--latency", array.memory_latency, "Memory latency, cycles")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  app->add_option("--unit-latency", array.unit_latency, "Cycles from a beat to its result")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app->add_option("--buffer", array.buffer_bytes,
                  "Bytes of each operand buffer; 0: two panels of each layer's K")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app->add_option("--output-bytes", array.output_bytes, "Bytes of an output in memory")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_option("--quantizer", options->quantizer,
                  "none, given (amax known: one pass over BF16) or measured (an amax pass first)")
      ->check(CLI::IsMember({"none", "given", "measured"}))
      ->capture_default_str();
  app->add_option("--quantizer-rate", array.quantizer_rate, "Elements per cycle, one candidate")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app->add_option("--candidates", array.candidates,
                  "Candidates per block: 2 for 4/6 and IF formats")
      ->check(CLI::Range(1, 2))
      ->capture_default_str();
  app->add_option(
         "--pj-per-mac", options->pj_per_mac,
         "Energy of a unit, pJ (default: as `lowbit mac report` measured it for the format)")
      ->check(CLI::NonNegativeNumber);
  app->add_option("--buffer-pj", array.energy.buffer_pj_per_byte, "pJ per buffer byte (assumed)")
      ->capture_default_str();
  app->add_option("--memory-pj", array.energy.memory_pj_per_byte, "pJ per memory byte (assumed)")
      ->capture_default_str();
  app->add_flag("--step", options->step, "Step every cycle on SystemC instead of replaying tiles");
  files.writes(app->add_option("--json", options->json,
                               "Write the result as JSON to PATH, or - for stdout"));
  files.writes(app->add_option("--trace", options->trace,
                               "Write the first layer's tiles as Chrome-trace JSON"));
  app->add_option("--progress", options->progress, "auto or never")
      ->check(CLI::IsMember({"auto", "never"}))
      ->capture_default_str();
  app->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
