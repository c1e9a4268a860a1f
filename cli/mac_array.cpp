// SPDX-License-Identifier: MIT
// lowbit mac array: cycles, utilisation and energy of an array of MAC units on GEMM layers.
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "array_page.hpp"
#include "array_report.hpp"
#include "commands.hpp"
#include "file_arguments.hpp"
#include "lowbit/block_tensor_file.hpp"
#include "lowbit/error.hpp"
#include "lowbit/names.hpp"
#include "lowbit/output_file.hpp"
#include "lowbit/sim/array.hpp"
#include "lowbit/sim/mac_figures.hpp"
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
  std::string json, trace, html, a, w, progress = "auto";
  bool step = false;
  std::optional<double> pj_per_mac, clock_mhz;
  std::optional<int> unit_latency;
  std::string report, recipe = "area", sram;
  std::vector<std::string> compare;
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

#ifdef LOWBIT_HAS_ARRAY
/// Multiplies two quantized tensors on the stepped array and compares with the exact GEMM.
sim::ArrayResult run_with_data(const Options& options, const sim::ArrayConfig& array,
                               const BlockTensor& a, const BlockTensor& w, sim::GemmShape& shape,
                               std::vector<sim::TileTiming>* trace) {
  if (a.columns != w.columns) {
    throw Error(ErrorKind::invalid_input, fmt::format("{} has K = {}, {} has K = {}", options.a,
                                                      a.columns, options.w, w.columns));
  }
  shape = {"layer", static_cast<std::int64_t>(a.rows), static_cast<std::int64_t>(w.rows),
           static_cast<std::int64_t>(a.columns), 1};
  sim::ArrayData data;
  data.a = &a;
  data.w = &w;
  const sim::ArrayResult result = step_layer(array, shape, &data, trace);
  const auto want = exact_gemm_values(a, w, sim::NanScale::largest);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < want.size(); ++i) wrong += !(want[i] == data.outputs[i]);
  if (!is_quiet())
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

/// "osu018" of "osu018_stdcells".
std::string short_name(const std::string& library) {
  const std::size_t at = library.find("_stdcell");
  return at == std::string::npos ? library : library.substr(0, at);
}

/// Energy, latency and clock of the format's unit: as given, else as measured; a format without a
/// row has none. \return where the energy is from, for people
std::string take_unit(const Options& options, const std::string& format, int lanes,
                      sim::ArrayConfig& array) {
  std::vector<sim::MacFigures> rows;
  if (!options.report.empty()) rows = sim::read_mac_figures(options.report);
  const auto measured = sim::exact_unit_figures(
      options.report.empty() ? sim::shipped_mac_figures() : rows, format, options.recipe, lanes);
  if (!measured && !options.pj_per_mac) {
    const std::string name = options.recipe.substr(0, options.recipe.find('+'));
    throw Error(
        ErrorKind::usage,
        fmt::format(
            "--format {0}: {1} has no exact {0} unit by recipe {2}; measure it with `lowbit mac "
            "report --units exact "
            "--recipes {3} --formats {0} --json FILE` and give --report FILE, or give --pj-per-mac",
            format,
            options.report.empty() ? "the table that ships with the command" : options.report,
            options.recipe, name));
  }
  if (measured) {
    array.clock_mhz = measured->fmax_mhz;
    array.unit_latency = measured->latency;
  }
  if (options.clock_mhz) array.clock_mhz = *options.clock_mhz;
  if (options.unit_latency) array.unit_latency = *options.unit_latency;
  if (options.pj_per_mac) {
    array.energy.pj_per_mac = *options.pj_per_mac;
    return fmt::format("unit energy {} pJ/MAC (given)", *options.pj_per_mac);
  }
  array.energy.pj_per_mac = measured->pj_per_mac;
  return fmt::format(
      "unit energy {:.4g} pJ/MAC ({} {}, {}, {}{})", measured->pj_per_mac, measured->unit, format,
      short_name(measured->library), measured->recipe,
      measured->lanes != lanes ? fmt::format(", measured on {} lanes", measured->lanes) : "");
}

/// --sram BYTES:PJ, the point through which the model goes.
sim::SramModel parse_sram(const std::string& text) {
  sim::SramModel sram;
  const char* end = text.data() + text.size();
  const auto [colon, first] = std::from_chars(text.data(), end, sram.bytes);
  if (first == std::errc{} && colon != end && *colon == ':') {
    const auto [last, second] = std::from_chars(colon + 1, end, sram.pj_per_byte);
    if (second == std::errc{} && last == end && sram.bytes > 0 && sram.pj_per_byte >= 0)
      return sram;
  }
  throw Error(
      ErrorKind::usage,
      fmt::format("--sram {}: wants BYTES:PJ, a capacity and its pJ per byte, as in 8192:1.25",
                  text));
}

/// The array in one format on all layers; the first layer's tiles go into `trace` where it is not
/// null.
ArrayRun simulate(const Options& options, const std::string& format_name,
                  std::vector<sim::GemmShape> shapes, [[maybe_unused]] const BlockTensor& a,
                  [[maybe_unused]] const BlockTensor& w, bool print) {
  ArrayRun run{options.array, format_name, options.quantizer, {}, {}, {}};
  sim::ArrayConfig& array = run.config;
  const BlockFormat* format = &block_format_named(format_name);
  run.unit = take_unit(options, format_name, format->block_size, array);
  array.lanes = format->block_size;
  array.beat_bytes = format->block_size * format->bits_per_element() / 8;
  if (!is_quiet()) fmt::print(stderr, "{}\n", array_heading(run));
  if (print) print_layer_heading();
  Progress progress(options.progress, shapes.size());
  std::vector<sim::TileTiming> trace;
  for (sim::GemmShape& shape : shapes) {
    auto* timings = options.trace.empty() || !trace.empty() ? nullptr : &trace;
    sim::ArrayResult r;
#ifdef LOWBIT_HAS_ARRAY
    if (!options.a.empty()) {
      r = run_with_data(options, array, a, w, shape, timings);
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
    if (print) print_layer(shape, r);
    run.add(shape, r);
    progress.advance(1);
  }
  return run;
}

void check_sources(const Options& options) {
  const bool with_data = !options.a.empty() || !options.w.empty();
  const int sources = !options.layer.empty() + !options.model.empty() + with_data;
  if (sources != 1 || options.a.empty() != options.w.empty()) {
    throw Error(ErrorKind::usage, "mac array: give --layer, --model, or --a and --w");
  }
  if (!options.compare.empty() &&
      (with_data || !options.format.empty() || !options.trace.empty() || options.pj_per_mac)) {
    throw Error(ErrorKind::usage,
                "--compare has formats of its own and one figure for each: leave out --format, "
                "--a, --w, --trace and --pj-per-mac");
  }
#ifndef LOWBIT_HAS_ARRAY
  if (with_data || options.step) {
    throw Error(ErrorKind::unavailable,
                "mac array: this build has no SystemC, which --step and --a need; install "
                "libsystemc-dev and build again");
  }
#endif
}

void run(Options options) {
  sim::ArrayConfig& array = options.array;
  check_sources(options);
  BlockTensor a, w;
  if (!options.a.empty()) {
    a = read_block_tensor(options.a).tensor;
    w = read_block_tensor(options.w).tensor;
    take_format(options, a, w);
  }
  if (options.format.empty()) options.format = "if4";
  if (!options.sram.empty()) array.energy.sram = parse_sram(options.sram);
  array.dataflow =
      options.flow == "os" ? sim::Dataflow::output_stationary : sim::Dataflow::weight_stationary;
  array.quantizer = options.quantizer == "none"    ? sim::QuantizerMode::none
                    : options.quantizer == "given" ? sim::QuantizerMode::given_amax
                                                   : sim::QuantizerMode::measured_amax;
  std::vector<sim::GemmShape> shapes(1);
  if (!options.model.empty()) shapes = sim::read_model_shapes(options.model, options.tokens);
  if (!options.layer.empty()) shapes = {parse_layer(options.layer)};

  const auto begun = std::chrono::steady_clock::now();
  const bool json_out = options.json == "-";
  const bool compare = !options.compare.empty();
  std::vector<ArrayRun> runs;
  for (const std::string& format :
       compare ? options.compare : std::vector<std::string>{options.format}) {
    runs.push_back(simulate(options, format, shapes, a, w, !json_out && !compare));
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begun;
  if (!json_out) {
    compare ? print_comparison(runs) : print_total(runs.front());
    if (!is_quiet()) fmt::print(stderr, "simulated in {:.2f} s\n", wall.count());
  }
  if (!options.html.empty()) {
    OutputFile file(options.html);
    file.write(array_page(runs));
    file.commit();
  }
  if (options.json.empty()) return;
  nlohmann::ordered_json document =
      compare ? nlohmann::ordered_json::array() : to_json(runs.front());
  if (compare) {
    for (const ArrayRun& r : runs) document.push_back(to_json(r));
  }
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
  app->add_option("--clock", options->clock_mhz, "MHz (default: the highest of the measured unit)")
      ->check(CLI::PositiveNumber);
  app->add_option("--latency", array.memory_latency, "Memory latency, cycles")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  app->add_option("--unit-latency", options->unit_latency,
                  "Cycles from a beat to its result (default: of the measured unit)")
      ->check(CLI::Range(1, 64));
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
  files.reads(app->add_option(
      "--report", options->report,
      "Figures of the units: JSON of `lowbit mac report` (default: what ships with the command)"));
  app->add_option("--recipe", options->recipe, "Of the unit in those figures")
      ->capture_default_str();
  app->add_option("--compare", options->compare,
                  "Formats, comma separated: one table instead of the layers")
      ->delimiter(',');
  app->add_option("--sram", options->sram,
                  "BYTES:PJ, a bank's capacity and its pJ per byte; other banks by the square root "
                  "of their capacity (default: 8192:1.25)");
  app->add_option("--buffer-pj", array.energy.buffer_pj_per_byte,
                  "pJ per buffer byte, instead of --sram")
      ->check(CLI::NonNegativeNumber);
  app->add_option("--memory-pj", array.energy.memory_pj_per_byte, "pJ per memory byte (assumed)")
      ->capture_default_str();
  app->add_flag("--step", options->step, "Step every cycle on SystemC instead of replaying tiles");
  files.writes(app->add_option("--json", options->json,
                               "Write the result as JSON to PATH, or - for stdout"));
  files.writes(app->add_option("--html", options->html,
                               "Write a page to PATH: roofline, utilisation, where cycles and "
                               "energy go"));
  files.writes(app->add_option("--trace", options->trace,
                               "Write the first layer's tiles as Chrome-trace JSON"));
  app->add_option("--progress", options->progress, "auto or never")
      ->check(CLI::IsMember({"auto", "never"}))
      ->capture_default_str();
  add_quiet(*app);
  app->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
