// SPDX-License-Identifier: MIT
#include "gemm_operand.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "gemm_options.hpp"
#include "lowbit/block_tensor_file.hpp"
#include "lowbit/error.hpp"
#include "lowbit/names.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/stored_blocks.hpp"

namespace lowbit::cli {
namespace {

using sim::DenseMatrix;
using sim::GemmOperand;

/// The format of a dense matrix of that file type for an instruction that takes `wanted`.
const ElementFormat* dense_format(const Dtype& dtype, const ElementFormat& wanted) {
  if (dtype.name == "F16") return &f16;
  if (dtype.name == "BF16") return &bf16;
  if (dtype.name == "F32") return &tf32;
  if (dtype.name == "F8_E4M3") return &e4m3;
  if (dtype.name == "F8_E5M2") return &e5m2;
  // Codes: packed two per byte for E2M1, one byte each for FP8 and FP6.
  if (dtype.name == "U8") return &wanted;
  return nullptr;
}

std::string text_of(std::size_t rows, std::size_t columns, std::string_view format,
                    const std::string& path, const std::string& name, const std::string& more) {
  return fmt::format("{} x {} {} ({}, {}{}{})", rows, columns, format, printable(path),
                     printable(name), more.empty() ? "" : ", ", more);
}

DenseMatrix read_dense(const TensorInfo& tensor, const sim::Instruction* instruction,
                       const ElementFormat* wanted, char side) {
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: tensor '{}': {}", tensor.file, printable(tensor.name), what));
  };
  if (tensor.shape.size() != 2)
    fail(fmt::format("has {} dimensions where 2 are needed", tensor.shape.size()));
  const auto plain = output_type_of_dtype(tensor.dtype->name);
  const ElementFormat* format = wanted != nullptr ? dense_format(*tensor.dtype, *wanted)
                                : plain           ? plain->format
                                                  : nullptr;
  if (instruction == nullptr && format == nullptr) {
    fail(
        fmt::format("dtype {} where the exact model takes F32, F16 and BF16 matrices, and "
                    "tensors in blocks (--{}-values names codes)",
                    tensor.dtype->name, side));
  }
  if (instruction != nullptr && (format == nullptr || *format != *wanted)) {
    fail(fmt::format("dtype {} where {} takes {} for {}", tensor.dtype->name, instruction->name,
                     wanted->name, side == 'a' ? 'A' : 'B'));
  }
  if (tensor.fortran_order) fail("is stored column by column; store it row by row");
  DenseMatrix m;
  m.format = format;
  m.rows = tensor.shape[0];
  m.columns = tensor.shape[1];
  if (sim::container_bits(*format) == 4) m.columns *= 2;
  m.bytes.resize(tensor.bytes.size());
  if (!m.bytes.empty()) std::memcpy(m.bytes.data(), tensor.bytes.data(), m.bytes.size());
  return m;
}

/// The weight in blocks that is meant, or null.
const QuantizedTensor* find_blocks(const Checkpoint& checkpoint, const std::string& name,
                                   char side) {
  const std::span<const QuantizedTensor> all = checkpoint.quantized();
  if (!name.empty()) {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const QuantizedTensor& q) { return q.name == name; });
    return found == all.end() ? nullptr : &*found;
  }
  if (all.size() > 1) {
    throw Error(ErrorKind::usage, fmt::format("{}: {} tensors in blocks in it; name one with "
                                              "--{}-tensor",
                                              printable(checkpoint.path()), all.size(), side));
  }
  return all.empty() ? nullptr : &all[0];
}

const TensorInfo& find_plain(const Checkpoint& checkpoint, const std::string& name, char side) {
  const bool is_damaged =
      !checkpoint.faults().empty() &&
      std::none_of(checkpoint.plain().begin(), checkpoint.plain().end(),
                   [&](const TensorInfo* tensor) { return tensor->name == name; });
  if (is_damaged) require_no_faults(checkpoint);
  if (!name.empty()) {
    const TensorInfo* const found = checkpoint.find(name);
    if (found != nullptr) return *found;
    throw Error(ErrorKind::usage,
                fmt::format("{}: no tensor \"{}\" in it; `lowbit inspect` lists the names",
                            printable(checkpoint.path()), printable(name)));
  }
  std::size_t count = 0;
  for (const TensorFile& file : checkpoint.files()) count += file.tensors().size();
  if (count != 1) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: {} tensors in it; name operand {} with "
                            "--{}-tensor",
                            printable(checkpoint.path()), count, side == 'a' ? 'A' : 'B', side));
  }
  return checkpoint.files()[0].tensors()[0];
}

}  // namespace

void GemmOperandOptions::add_to(CLI::App& command, FileArguments& files, const char* help) {
  const auto option = [&](const char* ending, std::string& value, const std::string& text,
                          const char* type) {
    return command.add_option(fmt::format("--{}{}", side_, ending), value, text)->type_name(type);
  };
  files.reads(option("", path_, help, "PATH"))->required();
  option("-tensor", tensor_, "Its tensor, where it has several", "NAME");
  const std::string codes = fmt::format("--{}-values", side_);
  option("-layout", layout_,
         "How it is stored, where the file says otherwise: words such as high_first, 128x4, "
         "divisor (docs/verify_quantize.md)",
         "L");
  option("-values", names_.values,
         "Of a dump in no known convention, the tensor that holds the codes", "N");
  option("-scales", names_.scales, fmt::format("With {}: the scale bytes", codes), "N");
  option("-tensor-scale", names_.tensor_scale,
         fmt::format("With {}: the number beside the blocks", codes), "N");
  option(
      "-format", format_,
      fmt::format("With {}: the block format, and the rule whose C an amax is divided by", codes),
      "F[:RULE]");
}

BlockTensor GemmOperandOptions::described_blocks(std::string& more) const {
  BlockDescription d;
  d.names = names_;
  std::string missing;
  if (names_.values.empty()) missing = fmt::format("--{}-values", side_);
  if (format_.empty())
    missing += fmt::format("{}--{}-format", missing.empty() ? "" : " and ", side_);
  if (!names_.tensor_scale.empty() && !says_tensor_scale(layout_)) {
    missing += fmt::format("{}--{}-layout with amax, multiplier or divisor",
                           missing.empty() ? "" : " and ", side_);
  }
  if (!missing.empty()) {
    throw Error(ErrorKind::usage, fmt::format("{}: parts of a dump are named; {} must be given too",
                                              printable(path_), missing));
  }
  const FormatChoice choice = format_choice_named(format_);
  d.format = choice.format;
  d.rule = choice.rule;
  d.layout = parse_layout(layout_);
  more = describe(d.layout);
  return read_blocks(Checkpoint::open(path_), d);
}

GemmOperand GemmOperandOptions::load(const sim::Instruction* instruction,
                                     const ElementFormat* wanted, std::string& text) const {
  std::string more;
  if (!names_.values.empty() || !names_.scales.empty() || !names_.tensor_scale.empty() ||
      !format_.empty()) {
    BlockTensor t = described_blocks(more);
    text = text_of(t.rows, t.columns, t.format->name, path_, names_.values, more);
    return t;
  }
  const Checkpoint checkpoint = Checkpoint::open(path_);
  const QuantizedTensor* const q = find_blocks(checkpoint, tensor_, side_);
  if (q == nullptr) {
    if (!layout_.empty()) {
      throw Error(ErrorKind::usage,
                  fmt::format("{}: --{}-layout is for tensors in blocks", printable(path_), side_));
    }
    const TensorInfo& tensor = find_plain(checkpoint, tensor_, side_);
    DenseMatrix m = read_dense(tensor, instruction, wanted, side_);
    text = text_of(m.rows, m.columns, m.format->name, path_, tensor.name, {});
    return m;
  }
  if (q->parts() > 1) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: tensor \"{}\": {} matrices with a tensor scale each; `lowbit "
                            "convert --to lowbit` writes them as tensors of their own",
                            printable(path_), printable(q->name), q->parts()));
  }
  BlockTensor t;
  if (q->convention->name == "lowbit") {
    if (!layout_.empty()) {
      throw Error(ErrorKind::usage,
                  fmt::format("{}: the metadata of tensor \"{}\" say its layout; to read it "
                              "otherwise, name its parts with --{}-values",
                              printable(path_), printable(q->name), side_));
    }
    t = checkpoint.read(*q);
    if (q->is_hadamard) more = "Hadamard-transformed";
  } else {
    QuantizedTensor as_said = *q;
    as_said.layout = parse_layout(layout_, q->layout);
    try {
      t = checkpoint.read(as_said);
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}: tensor \"{}\": {}", printable(path_),
                                            printable(q->name), error.what()));
    }
    more = fmt::format("{}, {}", q->convention->name, describe(as_said.layout));
  }
  text = text_of(t.rows, t.columns, t.format->name, path_, q->name, more);
  return t;
}

}  // namespace lowbit::cli
