// SPDX-License-Identifier: MIT
// lowbit mac report: area, frequency, energy and accuracy of units and formats side by side. The
// formats' accuracy and operand streams are computed here; scripts/synth/report.py synthesizes,
// times, simulates, caches and prints.
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "lowbit/error.hpp"
#include "lowbit/metrics.hpp"
#include "lowbit/output_file.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/sim/mac_operands.hpp"
#include "lowbit/tensor_file.hpp"

#ifndef LOWBIT_SOURCE_DIR
#define LOWBIT_SOURCE_DIR "."
#endif

namespace lowbit::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> units{"exact", "block_fp32", "gst", "published"};
  std::vector<std::string> formats{"if4", "nvfp4", "nvint4", "if3", "if6_e2m3", "if6_e3m2"};
  std::string liberty, lef, models, sample, input, weight, cache, recipes = "area,speed", output;
  std::string style = "json", given;
  bool glitches = false, no_energy = false;
  std::size_t beats = 1040;
};

BlockTensor quantized(const TensorInfo& tensor, const BlockFormat& format, std::vector<float>& values) {
  if (tensor.shape.size() != 2) throw Error(ErrorKind::invalid_input, "mac report: the sample tensors must have two dimensions");
  values = to_f32(tensor);
  QuantizeOptions options;
  options.format = &format;
  return quantize(values, tensor.shape[0], tensor.shape[1], options);
}

double sqnr_db(const BlockTensor& tensor, std::span<const float> values) {
  std::vector<float> back(values.size());
  dequantize(tensor, back);
  double signal = 0, noise = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = values[i], d = static_cast<double>(back[i]) - x;
    signal += x * x;
    noise += d * d;
  }
  return 10 * std::log10(signal / noise);
}

fs::path cache_folder(const std::string& chosen) {
  if (!chosen.empty()) return chosen;
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg != nullptr && *xdg != 0) return fs::path(xdg) / "lowbit";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != 0) return fs::path(home) / ".cache" / "lowbit";
  return fs::temp_directory_path() / "lowbit-cache";
}

void report(const Options& o) {
  const char* moved = std::getenv("LOWBIT_SOURCE_DIR");
  const fs::path source = moved != nullptr ? moved : LOWBIT_SOURCE_DIR;
  const fs::path script = source / "scripts" / "synth" / "report.py";
  if (!fs::exists(script)) {
    throw Error(ErrorKind::unavailable, script.string() + ": not found; set LOWBIT_SOURCE_DIR to lowbit's sources");
  }
  const fs::path sample = o.sample.empty() ? source / "tests" / "data" / "minilm_sample.safetensors" : fs::path(o.sample);
  const TensorFile file = TensorFile::open(sample);
  const TensorInfo& input = file.at(o.input);
  const TensorInfo& weight = file.at(o.weight);
  const fs::path cache = cache_folder(o.cache);
  fs::create_directories(cache);

  nlohmann::ordered_json spec;
  spec["units"] = o.units;
  spec["liberty"] = o.liberty;
  spec["lef"] = o.lef;
  spec["models"] = o.models;
  spec["cache"] = fs::absolute(cache).string();
  spec["recipes"] = o.recipes;
  spec["glitches"] = o.glitches;
  spec["energy"] = !o.no_energy;
  spec["beats"] = o.beats;
  spec["style"] = o.style;
  spec["output"] = o.output;
  spec["sample"] = sample.filename().string();
  for (const std::string& name : o.formats) {
    const BlockFormat* format = find_block_format(name);
    if (format == nullptr) throw Error(ErrorKind::usage, "--formats: no format " + name + "; see lowbit formats");
    std::vector<float> x, w;
    const BlockTensor a = quantized(input, *format, x), b = quantized(weight, *format, w);
    nlohmann::ordered_json entry{{"name", name}, {"id", format - block_formats().data()}, {"integers", format->is_adaptive()},
                         {"sqnr_db", sqnr_db(b, w)}, {"input_sqnr_db", sqnr_db(a, x)}};
    for (const int lanes : {16, 64}) {
      const fs::path beats = cache / ("beats_" + name + "_" + std::to_string(lanes) + "_" + std::to_string(::getpid()) + ".txt");
      std::ofstream(beats) << sim::operand_beats(a, b, lanes, o.beats);
      entry["beats" + std::to_string(lanes)] = fs::absolute(beats).string();
    }
    spec["formats"].push_back(entry);
  }
  const std::string text = (cache / ("spec_" + std::to_string(::getpid()) + ".json")).string();
  std::ofstream(text) << spec.dump(1) << '\n';
  ::execlp("python3", "python3", script.c_str(), text.c_str(), static_cast<char*>(nullptr));
  throw Error(ErrorKind::unavailable, "python3 not found: the synthesis flow needs it (Debian package python3)");
}

}  // namespace

void add_mac_report(CLI::App& mac) {
  auto o = std::make_shared<Options>();
  CLI::App* app = mac.add_subcommand("report", "Area, frequency, energy and accuracy of MAC units (yosys, OpenSTA, Icarus)");
  app->add_option("--units", o->units, "exact, block_fp32, gst, published")->delimiter(',')->capture_default_str()
      ->check(CLI::IsMember({"exact", "block_fp32", "gst", "published"}));
  app->add_option("--formats", o->formats, "Block formats, as lowbit formats lists them")->delimiter(',')->capture_default_str();
  app->add_option("--liberty", o->liberty, "Liberty file (default: OSU 0.18 um)");
  app->add_option("--lef", o->lef, "LEF file: the NAND2's area comes from it");
  app->add_option("--models", o->models, "Verilog models of the cells (default: beside the Liberty file)");
  app->add_option("--recipes", o->recipes, "area, speed, default; comma separated")->capture_default_str();
  app->add_option("--sample", o->sample, "Tensor file with the operands (default: the shipped sample)");
  app->add_option("--input", o->input, "Activation tensor")->default_val("encoder.layer.3.attention.self.query.input");
  app->add_option("--weight", o->weight, "Weight tensor")->default_val("encoder.layer.3.attention.self.query.weight");
  app->add_option("--beats", o->beats, "Beats of the energy simulation")->capture_default_str()->check(CLI::Range(64, 1000000));
  app->add_flag("--glitches", o->glitches, "Energy with cell delays as well (slower)");
  app->add_flag("--no-energy", o->no_energy, "Area and timing only");
  app->add_option("--cache", o->cache, "Folder of finished results (default: $XDG_CACHE_HOME/lowbit)");
  app->add_option("-o,--output", o->output, "File to write; default standard output");
  // As in `lowbit eval` a path may follow, - for standard output; here it may also be left out.
  const auto style = [&](const char* name, const char* text) {
    app->add_option_function<std::vector<std::string>>(
           std::string("--") + name,
           [o, name](const std::vector<std::string>& path) {
             if (!o->given.empty()) {
               throw Error(ErrorKind::usage, "--" + o->given + " and --" + name + ": one form at a time");
             }
             o->style = o->given = name;
             if (!path.empty() && !path[0].empty() && path[0] != "-") o->output = path[0];
           },
           text)
        ->type_name("[PATH|-]")
        ->expected(0, 1);
  };
  style("json", "A list of objects (the default)");
  style("csv", "One line a result");
  style("markdown", "A table");
  style("html", "A self-contained page with plots");
  app->callback([o] { report(*o); });
}

}  // namespace lowbit::cli
