// SPDX-License-Identifier: MIT
// lowbit inspect: what a tensor file holds.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
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

void run(Options& options) {
  options.filter.compile();
  ordered_json all = ordered_json::array();
  for (const std::string& path : options.files) {
    const TensorFile file = TensorFile::open(path, options.raw.layout());
    std::vector<const TensorInfo*> shown;
    for (const TensorInfo& tensor : file.tensors()) {
      if (options.filter.accepts(tensor.name)) shown.push_back(&tensor);
    }
    if (options.as_json) {
      ordered_json entry{
          {"file", path}, {"kind", name_of(file.kind())}, {"metadata", file.metadata()}};
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
}

}  // namespace

void add_inspect(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("inspect", "List the tensors of files: names, types, shapes");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("FILE", options->files, "safetensors (or *.index.json), .npy, .npz, GGUF, raw")
      ->required();
  options->filter.add_to(*command);
  options->raw.add_to(*command);
  command->add_flag("--json", options->as_json, "As JSON");
  command->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
