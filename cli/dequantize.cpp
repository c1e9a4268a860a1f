// SPDX-License-Identifier: MIT
// lowbit dequantize: what `lowbit quantize` wrote, back to floating point.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <set>

#include "commands.hpp"
#include "file_arguments.hpp"
#include "lowbit/dequantize_as.hpp"
#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/stream_files.hpp"
#include "lowbit/tensor_matrix.hpp"
#include "processes.hpp"
#include "progress.hpp"
#include "tensor_options.hpp"

namespace lowbit::cli {
namespace {

struct Options {
  std::string input;
  std::string output;
  std::string dtype = "F32";
  std::vector<std::string> tensors;
  bool as_quantized = false;
  unsigned threads = 0;
};

void run(const Options& options) {
  const Dtype& dtype = dtype_named(options.dtype);
  if (!(dtype == dtype_f32 || dtype == dtype_f16 || dtype == dtype_bf16)) {
    throw Error(ErrorKind::usage,
                fmt::format("--dtype {}: dequantize writes F32, F16 or BF16", options.dtype));
  }
  const TensorFile file = TensorFile::open(options.input);
  const std::vector<std::string> names =
      options.tensors.empty() ? block_tensor_names(file) : options.tensors;
  if (names.empty()) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: no block-quantized tensor in it; write one with `lowbit quantize`",
                            printable(options.input)));
  }
  std::vector<TensorToDequantize> wanted;
  std::set<std::string> parts;
  for (const std::string& name : names) {
    wanted.push_back({find_block_tensor(file, options.input, name), options.as_quantized});
    const NamedBlockTensor& named = wanted.back().stored.head;
    try {
      if (!options.as_quantized) (void)order_of(named);
    } catch (const Error& error) {
      throw Error(ErrorKind::invalid_input,
                  fmt::format("{}: tensor \"{}\": {}", printable(options.input), printable(name),
                              error.what()));
    }
    if (named.record.transforms == std::vector<std::string>{"hadamard"}) {
      note(fmt::format("tensor \"{}\" stays Hadamard-transformed, as it was quantized",
                       printable(name)));
    } else if (!named.record.transforms.empty()) {
      note(fmt::format("tensor \"{}\" stays as it was quantized, after {}", printable(name),
                       fmt::join(named.record.transforms, ",")));
    }
    for (const char* part : {".values", ".scales", ".amax"}) parts.insert(name + part);
  }
  std::vector<OutputTensor> others;
  if (options.tensors.empty()) {
    for (const TensorInfo& tensor : file.tensors()) {
      if (!parts.contains(tensor.name))
        others.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
    }
  }
  dequantize_to_file(options.output, wanted, dtype, others, options.threads, processes());
}

}  // namespace

void add_dequantize(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("dequantize", "What quantize wrote, back to floating point");
  const auto options = std::make_shared<Options>();
  FileArguments files(*command);
  files.reads(command->add_option("IN", options->input, "A file written by `lowbit quantize`"))
      ->required();
  files.writes(command->add_option("-o,--output", options->output, "A safetensors file"))
      ->type_name("OUT")
      ->required();
  command->add_option("--tensor", options->tensors, "Only this tensor (repeatable)")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command->add_option("--dtype", options->dtype, "F32, F16 or BF16")
      ->type_name("TYPE")
      ->capture_default_str();
  command->add_flag(
      "--as-quantized", options->as_quantized,
      "Leave the matrix as it was quantized: rows along the blocks, transposed if it was");
  add_quiet(*command);
  command
      ->add_option("--threads", options->threads,
                   "Threads, 0: one per core; the file does not depend on it")
      ->capture_default_str();
  command->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
