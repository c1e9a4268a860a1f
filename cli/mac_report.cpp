// SPDX-License-Identifier: MIT
// lowbit mac report: area, frequency, energy and accuracy of units and formats side by side. The
// formats' accuracy and operand streams are computed here; scripts/synth/report.py synthesizes,
// times, simulates, caches and prints.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <thread>

#include "commands.hpp"
#include "file_arguments.hpp"
#include "installed_files.hpp"
#include "lowbit/error.hpp"
#include "lowbit/metrics.hpp"
#include "lowbit/output_file.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/sim/mac_accuracy.hpp"
#include "lowbit/sim/mac_operands.hpp"
#include "lowbit/tensor_file.hpp"
#include "mac_format.hpp"
#include "progress.hpp"

namespace lowbit::cli {
namespace {

namespace fs = std::filesystem;

/// Baselines last.
const std::vector<std::string> all_units{"exact",   "block_fp32", "gst",      "published",
                                         "integer", "bf16_fma",   "fp8_fp32", "lut"};

/// Rows of the activation tensor in the product that accumulators are judged on: 6,144 outputs with
/// the shipped weight.
constexpr std::size_t accumulator_rows = 16;

struct Options {
  std::vector<std::string> units, formats, liberty, dont_use, rows;
  std::string lef, models, sample, input, weight, cache, recipes, output, plots;
  std::string progress = "auto", simulator;
  std::map<std::string, std::string>
      forms;  ///< json, csv, markdown or html: path, or - for standard output
  bool glitches = false, no_energy = false, no_stored = false, sweep = false;
  double clock_mhz = 0, wire_ff = 0, period_ns = 20;
  int lanes = 0, accumulator_width = 0;
  std::optional<int> pipeline;
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  std::size_t beats = 1040;
};

BlockTensor quantized(const TensorInfo& tensor, const BlockFormat& format,
                      std::vector<float>& values) {
  if (tensor.shape.size() != 2)
    throw Error(ErrorKind::invalid_input,
                "mac report: the sample tensors must have two dimensions");
  values = to_f32(tensor);
  QuantizeOptions options;
  options.format = &format;
  return quantize(values, tensor.shape[0], tensor.shape[1], options);
}

template <typename Value>
double sqnr_db(std::span<const Value> back, std::span<const float> values) {
  double signal = 0, noise = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = values[i], d = static_cast<double>(back[i]) - x;
    signal += x * x;
    noise += d * d;
  }
  return 10 * std::log10(signal / noise);
}

/// lowbit_gate_sim beside this command, or Icarus where it is not there.
std::string gate_simulator() {
  const fs::path beside = command_folder() / "lowbit_gate_sim";
  return fs::exists(beside) ? beside.string() : "icarus";
}

/// Where each form goes: several may be written at once, one of them to standard output or to -o.
nlohmann::ordered_json outputs(const Options& o) {
  auto forms = o.forms;
  if (forms.empty()) forms["json"] = "-";
  std::string open;
  for (auto& [form, path] : forms) {
    if (path != "-") continue;
    if (!open.empty()) {
      throw Error(ErrorKind::usage,
                  "--" + open + " and --" + form +
                      ": only one may go to standard output; give the other a path");
    }
    open = form;
    if (!o.output.empty()) path = o.output;
  }
  if (open.empty() && !o.output.empty()) {
    throw Error(ErrorKind::usage, "-o " + o.output + ": every form has a path already");
  }
  return forms;
}

/// --lanes, --acc-width and --pipeline against a unit and format, before anything is synthesized.
void check_parameters(const Options& o, const std::string& unit, const BlockFormat& format) {
  const sim::MacUnit found = *sim::find_mac_unit(unit);
  if (!sim::supports(found, format)) return;
  const int lanes = o.lanes != 0 ? o.lanes : sim::default_lanes(found);
  sim::check_mac_shape({found, &format, lanes, o.accumulator_width, o.pipeline.value_or(0) != 0});
  if (found != sim::MacUnit::gst && lanes > format.block_size && o.lanes != 0) {
    throw Error(
        ErrorKind::usage,
        fmt::format("--lanes {}: a beat has one pair of scale bytes, and a block of {} has {} "
                    "elements; give at most that",
                    lanes, format.name, format.block_size));
  }
}

double sqnr_db(const BlockTensor& tensor, std::span<const float> values) {
  std::vector<float> back(values.size());
  dequantize(tensor, back);
  return sqnr_db<float>(back, values);
}

/// Writes beats into the cache, as the entry's "beatsLANES".
void write_beats(nlohmann::ordered_json& entry, const fs::path& cache, int lanes,
                 const std::string& text) {
  const fs::path path = cache / fmt::format("beats_{}_{}_{}.txt", entry["name"].get<std::string>(),
                                            lanes, ::getpid());
  std::ofstream(path) << text;
  entry[fmt::format("beats{}", lanes)] = fs::absolute(path).string();
}

/// What report.py is told of a block format: its number, accuracy, operands.
nlohmann::ordered_json block_entry(const Options& o, const BlockFormat& format,
                                   const TensorInfo& input, const TensorInfo& weight,
                                   const fs::path& cache) {
  std::vector<float> x, w;
  const BlockTensor a = quantized(input, format, x), b = quantized(weight, format, w);
  nlohmann::ordered_json entry{{"name", format.name},
                               {"id", &format - block_formats().data()},
                               {"integers", format.is_adaptive()},
                               {"block_size", format.block_size},
                               {"sqnr_db", sqnr_db(b, w)},
                               {"input_sqnr_db", sqnr_db(a, x)}};
  for (const std::string& unit : o.units) {
    const sim::MacUnit found = *sim::find_mac_unit(unit);
    if (!sim::supports(found, format)) continue;
    entry["accumulator_rel_rmse"][unit] =
        sim::accumulator_error({found, &format, sim::default_lanes(found)}, a, b, accumulator_rows)
            .relative_rmse;
  }
  std::set<int> lane_counts{16, format.block_size, 64};
  if (o.lanes != 0) lane_counts.insert(o.lanes);
  for (const int lanes : lane_counts) {
    // What one scale byte per operand serves, or whole blocks.
    if (lanes % format.block_size != 0 && format.block_size % lanes != 0) continue;
    write_beats(entry, cache, lanes, sim::operand_beats(a, b, lanes, o.beats));
  }
  return entry;
}

/// The same of a baseline's format.
nlohmann::ordered_json plain_entry(const Options& o, const BlockFormat& format,
                                   const TensorInfo& input, const TensorInfo& weight,
                                   const fs::path& cache) {
  const auto encoded = [&](const TensorInfo& tensor, std::vector<float>& values, bool weights) {
    values = to_f32(tensor);
    return sim::encode_plain(values, tensor.shape[0], tensor.shape[1], format, weights);
  };
  std::vector<float> x, w;
  const sim::PlainTensor a = encoded(input, x, false), b = encoded(weight, w, true);
  nlohmann::ordered_json entry{{"name", format.name},
                               {"plain", true},
                               {"integers", false},
                               {"block_size", format.block_size},
                               {"sqnr_db", sqnr_db<double>(b.values, w)},
                               {"input_sqnr_db", sqnr_db<double>(a.values, x)}};
  std::set<int> lane_counts;
  if (o.lanes != 0) lane_counts.insert(o.lanes);
  for (const std::string& unit : o.units) {
    const sim::MacUnit found = *sim::find_mac_unit(unit);
    if (!sim::supports(found, format)) continue;
    const sim::MacShape shape{found, &format, sim::default_lanes(found)};
    lane_counts.insert(shape.lanes);
    entry["accumulator_rel_rmse"][unit] =
        sim::accumulator_error(shape, a, b, accumulator_rows).relative_rmse;
  }
  for (const int lanes : lane_counts)
    write_beats(entry, cache, lanes, sim::operand_beats(a, b, lanes, o.beats));
  return entry;
}

void report(Options o) {
  // Without units named, these parameters are of exact.
  const bool only_exact = o.sweep || o.accumulator_width != 0 || o.pipeline.has_value();
  if (o.units.empty()) {
    // Without formats named either, the baselines are left out: they take as long as all others.
    const auto first = all_units.begin(), baselines = first + 4;
    o.units = only_exact          ? std::vector<std::string>{"exact"}
              : o.formats.empty() ? std::vector<std::string>(first, baselines)
                                  : all_units;
  }
  if (o.formats.empty()) {
    o.formats = {"if4", "nvfp4"};
    if (!o.sweep) {
      o.formats.insert(o.formats.end(),
                       {"nvint4", "if3", "if6_e2m3", "if6_e3m2", "mxfp4", "mxfp8_e4m3", "int8",
                        "int4", "bf16", "fp8_e4m3", "int8_int4"});
    }
  }
  const fs::path files = installed_files();
  const fs::path script = files / "scripts" / "synth" / "report.py";
  const fs::path sample = o.sample.empty() ? files / "tests" / "data" / "minilm_sample.safetensors"
                                           : fs::path(o.sample);
  const nlohmann::ordered_json forms = outputs(o);
  for (const auto& [form, path] : forms.items()) {
    if (path != "-")
      refuse_same_file({{"--" + form, path.get<std::string>()}}, {{"--sample", sample}});
  }
  const TensorFile file = TensorFile::open(sample);
  const TensorInfo& input = file.at(o.input);
  const TensorInfo& weight = file.at(o.weight);
  const fs::path cache = cache_folder(o.cache);
  fs::create_directories(cache);

  nlohmann::ordered_json spec;
  spec["units"] = o.units;
  spec["liberty"] = o.liberty;
  spec["dont_use"] = o.dont_use;
  spec["wire_ff"] = o.wire_ff;
  spec["period_ns"] = o.period_ns;
  spec["lef"] = o.lef;
  spec["models"] = o.models;
  spec["cache"] = fs::absolute(cache).string();
  spec["recipes"] = o.recipes;
  spec["glitches"] = o.glitches;
  spec["energy"] = !o.no_energy;
  spec["beats"] = o.beats;
  spec["outputs"] = forms;
  spec["plots"] = o.plots;
  spec["rows"] = o.rows;
  spec["stored"] = !o.no_stored;
  spec["sweep"] = o.sweep;
  spec["clock_mhz"] = o.clock_mhz;
  spec["lanes"] = o.lanes;
  spec["acc_width"] = o.accumulator_width;
  spec["pipeline"] = o.pipeline ? nlohmann::ordered_json(*o.pipeline) : nlohmann::ordered_json();
  spec["jobs"] = o.jobs;
  spec["progress"] = is_quiet() ? "never" : o.progress;
  spec["simulator"] = o.simulator.empty() ? gate_simulator() : o.simulator;
  spec["sample"] = sample.filename().string();
  spec["input"] = o.input;
  spec["weight"] = o.weight;
  spec["accumulator_rows"] = accumulator_rows;
  for (const std::string& name : o.formats) {
    const BlockFormat* format = &mac_format_named("--formats", name);
    for (const std::string& unit : o.units) check_parameters(o, unit, *format);
    spec["formats"].push_back(find_block_format(name) == format
                                  ? block_entry(o, *format, input, weight, cache)
                                  : plain_entry(o, *format, input, weight, cache));
  }
  const std::string text = (cache / ("spec_" + std::to_string(::getpid()) + ".json")).string();
  std::ofstream(text) << spec.dump(1) << '\n';
  ::execlp("python3", "python3", script.c_str(), text.c_str(), static_cast<char*>(nullptr));
  throw Error(ErrorKind::unavailable,
              "python3 not found: the synthesis flow needs it (Debian package python3)");
}

}  // namespace

void add_mac_report(CLI::App& mac) {
  auto o = std::make_shared<Options>();
  CLI::App* app = mac.add_subcommand(
      "report", "Area, frequency, energy and accuracy of MAC units (yosys, OpenSTA, Icarus)");
  app->add_option(
         "--units,--unit", o->units,
         "exact, block_fp32, gst, published, and baselines: integer, bf16_fma, fp8_fp32, lut "
         "(default: the first four; all that have the --formats)")
      ->delimiter(',')
      ->check(CLI::IsMember(all_units));
  app->add_option("--formats,--format", o->formats,
                  "Block formats, as lowbit formats lists them; of baselines int8, int4, bf16, "
                  "fp8_e4m3, int8_int4")
      ->delimiter(',');
  FileArguments files(*app);
  files.reads(
      app->add_option("--liberty", o->liberty,
                      "Liberty file, also .gz; several are one library (default: OSU 0.18 um)"));
  app->add_option("--dont-use", o->dont_use, "Cells not to use; * and ? as in file names");
  files.reads(app->add_option("--lef", o->lef, "LEF file: the NAND2's area comes from it"));
  files.reads(app->add_option("--models", o->models,
                              "Verilog models of the cells for --simulator icarus (default: beside "
                              "the Liberty file, else made from it)"));
  app->add_option(
      "--recipes", o->recipes,
      "area, default, speed, balanced, compact, fastest, or NAME@PICOSECONDS; comma separated "
      "(default: area, and speed for exact IF4 and NVFP4)");
  app->add_option("--lanes", o->lanes,
                  "Products per beat (default: 16, MX also 32; 64 for gst); at most the block size")
      ->check(CLI::Range(1, 64));
  app->add_option("--acc-width", o->accumulator_width,
                  "Bits of the accumulator of exact, integer and lut (default: the format's; 32)")
      ->check(CLI::Range(1, 1024));
  app->add_option(
         "--pipeline", o->pipeline,
         "0 or 1: exact without or with its deeper pipeline (default: as the recipe has it)")
      ->check(CLI::Range(0, 1));
  app->add_option("--wire", o->wire_ff,
                  "fF of wire at every input pin: its energy stands beside the others")
      ->check(CLI::Range(0.0, 1e6));
  app->add_option("--period", o->period_ns, "Clock period of the energy simulation, ns")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 1000.0));
  app->add_flag(
      "--sweep", o->sweep,
      "Search for the best recipe: smallest area (at --clock), highest clock, most GMAC/s/mm2 and "
      "least pJ/MAC, with the Pareto front");
  app->add_option("--clock", o->clock_mhz,
                  "MHz that every design should reach, or any of a --sweep; exit code 1 where one "
                  "does not")
      ->check(CLI::Range(0.001, 1e6));
  files.reads(app->add_option("--sample", o->sample,
                              "Tensor file with the operands (default: the shipped sample)"));
  app->add_option("--input", o->input, "Activation tensor")
      ->default_val("encoder.layer.3.attention.self.query.input");
  app->add_option("--weight", o->weight, "Weight tensor")
      ->default_val("encoder.layer.3.attention.self.query.weight");
  app->add_option("--beats", o->beats, "Beats of the energy simulation")
      ->capture_default_str()
      ->check(CLI::Range(64, 1000000));
  app->add_flag("--glitches", o->glitches, "Energy with cell delays as well (slower)");
  app->add_flag("--no-energy", o->no_energy, "Area and timing only");
  files.reads(app->add_option(
      "--rows", o->rows,
      "Rows of an earlier report (--json): what is of the same RTL, recipe, library, operands, "
      "--wire and --period is taken from there instead of measured"));
  app->add_flag("--no-stored", o->no_stored,
                "Synthesize and simulate the published unit too, instead of its stored result (a "
                "quarter of an hour), and take nothing from --rows");
  app->add_option("--simulator", o->simulator,
                  "Of the netlist: lowbit_gate_sim beside this command (default), or icarus: the "
                  "same counts, slower")
      ->check(CLI::IsMember({"icarus"}) | CLI::ExistingFile);
  app->add_option("--jobs", o->jobs, "Designs at a time (default: one per processor)")
      ->check(CLI::Range(1, 1024));
  app->add_option("--progress", o->progress, "auto or never")
      ->check(CLI::IsMember({"auto", "never"}))
      ->capture_default_str();
  add_quiet(*app);
  app->add_option("--plots", o->plots, "Folder for the plots as SVG files");
  app->add_option("--cache", o->cache,
                  "Folder of finished results (default: $XDG_CACHE_HOME/lowbit)");
  files.writes(app->add_option("-o,--output", o->output, "File to write; default standard output"));
  // As in `lowbit eval` a path may follow, - for standard output; here it may also be left out.
  const auto style = [&](const char* name, const char* text) {
    files
        .writes(app->add_option_function<std::vector<std::string>>(
            std::string("--") + name,
            [o, name](const std::vector<std::string>& path) {
              o->forms[name] = path.empty() || path[0].empty() ? "-" : path[0];
            },
            text))
        ->type_name("[PATH|-]")
        ->expected(0, 1);
  };
  style("json", "A list of objects (the default)");
  style("csv", "One line per result");
  style("markdown", "A table");
  style("html", "A self-contained page with plots");
  app->callback([o] { report(*o); });
}

}  // namespace lowbit::cli
