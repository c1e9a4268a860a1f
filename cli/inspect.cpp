// SPDX-License-Identifier: MIT
// lowbit inspect: what a tensor file holds.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "faults.hpp"
#include "lowbit/checkpoint.hpp"
#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"
#include "tensor_options.hpp"

namespace lowbit::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::vector<std::string> files;
  RawOptions raw;
  NameFilter filter;
  bool as_json = false;
};

ordered_json to_json(const TensorInfo& tensor) {
  return {{"name", tensor.name},          {"dtype", tensor.dtype->name}, {"shape", tensor.shape},
          {"bytes", tensor.bytes.size()}, {"offset", tensor.offset},     {"file", tensor.file}};
}

/// One line per weight in blocks: what is stored, and in which layout.
ordered_json to_json(const QuantizedTensor& tensor) {
  ordered_json entries = ordered_json::array();
  for (const TensorInfo* part :
       {tensor.codes, tensor.scales, tensor.tensor_scale, tensor.input_scale, tensor.extra}) {
    if (part != nullptr) entries.push_back(part->name);
  }
  ordered_json entry{{"name", tensor.name},
                     {"convention", tensor.convention->name},
                     {"format", tensor.format->name},
                     {"shape", tensor.shape},
                     {"layout", describe(tensor.layout)},
                     {"bytes", tensor.stored_bytes()},
                     {"entries", std::move(entries)}};
  if (tensor.layout.tensor_scale != TensorScaleKind::none) {
    entry["tensor_scales"] = tensor.tensor_scales;
  }
  return entry;
}

/// Quantized weights of a file or folder, before its tensors. \return whether there are any.
bool show_quantized(const Checkpoint& checkpoint, const NameFilter& filter, ordered_json* json) {
  std::vector<const QuantizedTensor*> shown;
  for (const QuantizedTensor& tensor : checkpoint.quantized()) {
    if (filter.accepts(tensor.name)) shown.push_back(&tensor);
  }
  if (json != nullptr) {
    for (const QuantizedTensor* tensor : shown) json->push_back(to_json(*tensor));
    return !shown.empty();
  }
  if (shown.empty()) return false;
  std::size_t widest = 4;
  for (const QuantizedTensor* tensor : shown) {
    widest = std::max(widest, printable(tensor->name).size());
  }
  fmt::print("{}: {} weights in blocks\n", printable(checkpoint.path()), shown.size());
  for (const QuantizedTensor* tensor : shown) {
    std::string scale;
    if (tensor->parts() > 1) {
      scale = fmt::format("  {} tensor scales", tensor->parts());
    } else if (tensor->layout.tensor_scale != TensorScaleKind::none) {
      scale =
          fmt::format("  {} {}", name_of(tensor->layout.tensor_scale), tensor->tensor_scales[0]);
    }
    fmt::print("  {:<{}}  {:<10} {:<14} {}, {}{}\n", printable(tensor->name), widest,
               tensor->format->name, shape_text(tensor->shape), tensor->convention->name,
               describe(tensor->layout), scale);
  }
  for (const ForeignTensor& foreign : checkpoint.foreign()) {
    if (!filter.accepts(foreign.tensor->name)) continue;
    fmt::print("  {}: {}\n", printable(foreign.tensor->name), foreign.reason);
  }
  return true;
}

/// Of a folder, the tensors that belong to no weight in blocks. \return them, for JSON
ordered_json show_others(const Checkpoint& checkpoint, const Options& options) {
  ordered_json others = ordered_json::array();
  std::size_t widest = 4;
  for (const TensorInfo* tensor : checkpoint.plain()) {
    if (!options.filter.accepts(tensor->name)) continue;
    others.push_back(to_json(*tensor));
    widest = std::max(widest, printable(tensor->name).size());
  }
  if (options.as_json) return others;
  fmt::print("{}: {} other tensors\n", printable(checkpoint.path()), others.size());
  for (const TensorInfo* tensor : checkpoint.plain()) {
    if (!options.filter.accepts(tensor->name)) continue;
    fmt::print("  {:<{}}  {:<11} {:<18} {:>12} bytes\n", printable(tensor->name), widest,
               tensor->dtype->name, shape_text(tensor->shape), tensor->bytes.size());
  }
  return others;
}

void run(Options& options) {
  options.filter.compile();
  bool has_faults = false;
  ordered_json all = ordered_json::array();
  for (const std::string& path : options.files) {
    ordered_json quantized = ordered_json::array();
    if (!options.raw.layout()) {
      const Checkpoint checkpoint = Checkpoint::open(path);
      has_faults = print_faults(checkpoint) || has_faults;
      show_quantized(checkpoint, options.filter, options.as_json ? &quantized : nullptr);
      std::error_code ignored;
      if (std::filesystem::is_directory(path, ignored)) {
        ordered_json others = show_others(checkpoint, options);
        if (!options.as_json) continue;
        all.push_back({{"file", path},
                       {"kind", "folder"},
                       {"quantized", std::move(quantized)},
                       {"tensors", std::move(others)}});
        continue;
      }
      if (!checkpoint.faults().empty()) continue;
    }
    const TensorFile file = TensorFile::open(path, options.raw.layout());
    std::vector<const TensorInfo*> shown;
    for (const TensorInfo& tensor : file.tensors()) {
      if (options.filter.accepts(tensor.name)) shown.push_back(&tensor);
    }
    if (options.as_json) {
      ordered_json entry{
          {"file", path}, {"kind", name_of(file.kind())}, {"metadata", file.metadata()}};
      if (!quantized.empty()) entry["quantized"] = std::move(quantized);
      entry["tensors"] = ordered_json::array();
      for (const TensorInfo* tensor : shown) entry["tensors"].push_back(to_json(*tensor));
      all.push_back(std::move(entry));
      continue;
    }
    std::size_t widest = 4;
    std::uint64_t elements = 0;
    std::uint64_t bytes = 0;
    for (const TensorInfo* tensor : shown) {
      widest = std::max(widest, printable(tensor->name).size());
      elements += tensor->elements();
      bytes += tensor->bytes.size();
    }
    fmt::print("{}: {}, {} tensors, {} elements, {} bytes\n", printable(path), name_of(file.kind()),
               shown.size(), elements, bytes);
    for (const auto& [key, value] : file.metadata()) {
      fmt::print("  # {} = {}\n", printable(key), printable(value));
    }
    for (const TensorInfo* tensor : shown) {
      fmt::print("  {:<{}}  {:<11} {:<18} {:>12} bytes at {}\n", printable(tensor->name), widest,
                 tensor->dtype->name, shape_text(tensor->shape), tensor->bytes.size(),
                 tensor->offset);
    }
  }
  // Names may hold anything that the readers let through; JSON output replaces what is not UTF-8.
  if (options.as_json) {
    fmt::print("{}\n", all.dump(2, ' ', false, ordered_json::error_handler_t::replace));
  }
  if (has_faults) throw CLI::RuntimeError(static_cast<int>(ErrorKind::invalid_input));
}

}  // namespace

void add_inspect(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("inspect", "List the tensors of files: names, types, shapes");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("FILE", options->files,
                   "safetensors (or *.index.json, or a folder of them), .npy, .npz, GGUF, raw")
      ->required();
  options->filter.add_to(*command);
  options->raw.add_to(*command);
  command->add_flag("--json", options->as_json, "As JSON");
  command->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
