// SPDX-License-Identifier: MIT
#include "gemm_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit::cli {
namespace {

using sim::AlphaRule;
using sim::NanScale;
using sim::TensorScale;

std::string read_text(const std::string& path) {
  std::error_code failure;
  const auto size = std::filesystem::file_size(path, failure);
  if (failure || size > 64U << 20U) {
    throw Error(
        ErrorKind::invalid_input,
        fmt::format("{}: {}", path, failure ? failure.message() : "too large for a schedule"));
  }
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

std::optional<OutputType> output_type_of_dtype(std::string_view dtype) {
  for (const ElementFormat* format : {&f32, &f16, &bf16}) {
    if (dtype_of_output(*format).name == dtype)
      return OutputType{format, &dtype_of_output(*format)};
  }
  return std::nullopt;
}

const Dtype& dtype_of_output(const ElementFormat& format) {
  return format == f16 ? dtype_f16 : format == bf16 ? dtype_bf16 : dtype_f32;
}

void GemmOptions::add_to(CLI::App& command, FileArguments& files) {
  a_.add_to(command, files,
            "A, M x K: a file of `lowbit quantize`, a weight of a quantized checkpoint, or a plain "
            "matrix: of the instruction's type, or, for the exact model, F32, F16 or BF16");
  b_.add_to(command, files, "B, N x K (the weight; blocks along K): D = A * B^T");
  command.add_option("--model", model_, "exact, or an instruction of `lowbit mma --list`")
      ->type_name("exact|INSTRUCTION")
      ->required();
  command
      .add_option("--alternative", alternatives_,
                  "Change a parameter of the instruction, NAME=VALUE")
      ->type_name("NAME=VALUE");
  CLI::Option* schedule =
      files.reads(command.add_option("--schedule", schedule_, "JSON schedule (docs/schedules.md)"))
          ->type_name("FILE");
  command
      .add_option("--split-k", split_k_, "Contiguous slices of K, each with its own accumulator")
      ->type_name("N")
      ->check(CLI::Range(1, 1000000))
      ->excludes(schedule);
  command
      .add_option("--promote", promote_, "Add the accumulator to an FP32 sum every N instructions")
      ->type_name("N")
      ->check(CLI::Range(0, 1000000))
      ->excludes(schedule);
  command
      .add_option("--nan-scale", nan_scale_,
                  "NaN scale bytes: error, nan, or 448 (read as the largest scale)")
      ->type_name("error|nan|448")
      ->check(CLI::IsMember({"error", "nan", "448"}))
      ->capture_default_str();
  command
      .add_option(
          "--tensor-scale", tensor_scale_,
          "The tensors' FP32 scales amax/C: exact (the rational product, one rounding), fp32 "
          "(the sum rounded to FP32 times fl(fl(amax_A/C_A) * fl(amax_B/C_B))), none. "
          "Where absent: the schedule's, else exact for --model exact and fp32 for instructions")
      ->type_name("exact|fp32|none")
      ->check(CLI::IsMember({"exact", "fp32", "none"}));
  files
      .reads(command.add_option(
          "--c", c_,
          "Source C, M x N of F32, F16 or BF16: alpha A B^T + beta C (instructions only)"))
      ->type_name("FILE");
  command.add_option("--c-tensor", c_tensor_, "Tensor of C's file")->type_name("NAME");
  command
      .add_option("--alpha", alpha_, "Multiplier of the accumulator in place of the tensor scales")
      ->type_name("V");
  command.add_option("--beta", beta_, "Weight of C (1 where absent)")->type_name("V");
  command.add_option("--threads", threads_, "0: all; the result is the same")
      ->capture_default_str();
}

GemmOptions::Problem GemmOptions::load() const {
  Problem p;
  p.exact = model_ == "exact";
  if (!p.exact) {
    p.instruction = sim::instruction(model_);
    for (const std::string& text : alternatives_)
      sim::select_alternative(p.instruction.parameters, text);
  }
  const bool scheduled = !schedule_.empty() || split_k_ || promote_;
  if (p.exact && (scheduled || !c_.empty() || alpha_ || !alternatives_.empty())) {
    throw Error(ErrorKind::usage,
                "--schedule, --split-k, --promote, --c, --alpha and --alternative are for "
                "instructions: the exact model has no order");
  }
  p.model.threads = threads_;
  p.model.nan_scale = nan_scale_ == "error" ? NanScale::error
                      : nan_scale_ == "nan" ? NanScale::nan
                                            : NanScale::largest;
  sim::Schedule& s = p.model.schedule;
  if (!schedule_.empty()) s = sim::schedule_from_json(read_text(schedule_), schedule_);
  if (split_k_) s.split_k = *split_k_;
  if (promote_) s.promote = *promote_;
  if (alpha_ && !std::isfinite(*alpha_)) throw Error(ErrorKind::usage, "--alpha is not finite");
  if (beta_ && !std::isfinite(*beta_)) throw Error(ErrorKind::usage, "--beta is not finite");

  const std::string scale = !tensor_scale_.empty() ? tensor_scale_ : p.exact ? "exact" : "fp32";
  p.model.tensor_scale = scale == "exact"  ? TensorScale::exact
                         : scale == "fp32" ? TensorScale::fp32
                                           : TensorScale::none;
  if (!tensor_scale_.empty() || schedule_.empty()) {
    s.epilogue.scale = scale == "exact"  ? AlphaRule::exact
                       : scale == "fp32" ? AlphaRule::product
                                         : AlphaRule::none;
  }
  if (alpha_) {
    s.epilogue.scale = AlphaRule::product;
    s.epilogue.alpha = alpha_;
  }
  const sim::Instruction* instruction = p.exact ? nullptr : &p.instruction;
  p.a = a_.load(instruction, p.exact ? nullptr : p.instruction.a, p.text_a);
  p.b = b_.load(instruction, p.exact ? nullptr : p.instruction.b, p.text_b);
  const std::size_t m = sim::rows_of(p.a);
  const std::size_t n = sim::rows_of(p.b);
  if (sim::columns_of(p.a) != sim::columns_of(p.b)) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("A is {} and B {}: D = A * B^T needs the same number of columns (K)",
                            p.text_a, p.text_b));
  }
  if (!schedule_.empty()) {
    // Steps listed in the file are compared with K here, where a message can name the file.
    const auto step = static_cast<std::size_t>(p.instruction.k);
    const std::size_t period = std::max<std::size_t>(1, s.column_order.size());
    const std::size_t length = (sim::columns_of(p.a) + period - 1) / period * period;
    try {
      (void)sim::plan(s, (length + step - 1) / step);
    } catch (const Error& error) {
      throw Error(ErrorKind::invalid_input, fmt::format("{}: {}", schedule_, error.what()));
    }
  }
  if (!c_.empty()) {
    const TensorFile file = TensorFile::open(c_);
    if (c_tensor_.empty() && file.tensors().size() != 1) {
      throw Error(ErrorKind::usage, fmt::format("{}: {} tensors in it; name one with --c-tensor",
                                                c_, file.tensors().size()));
    }
    const TensorInfo& c = c_tensor_.empty() ? file.tensors()[0] : file.at(c_tensor_);
    if (c.shape.size() != 2 || c.shape[0] != m || c.shape[1] != n ||
        !output_type_of_dtype(c.dtype->name)) {
      throw Error(ErrorKind::invalid_input,
                  fmt::format("{}: tensor '{}' is not a {} x {} matrix of F32, F16 or BF16", c_,
                              printable(c.name), m, n));
    }
    p.c = to_f32(c);
    if (beta_ || schedule_.empty()) s.epilogue.beta = beta_.value_or(1.0F);
  } else if (beta_) {
    throw Error(ErrorKind::usage, "--beta needs --c");
  }
  return p;
}

std::string GemmOptions::describe(const Problem& p) {
  if (p.exact) {
    const char* scales = p.model.tensor_scale == TensorScale::exact  ? "tensor scales exact"
                         : p.model.tensor_scale == TensorScale::fp32 ? "tensor scales in FP32"
                                                                     : "no tensor scales";
    return fmt::format("exact, {}", scales);
  }
  return fmt::format("{}: {}", p.instruction.name, sim::describe(p.model.schedule));
}

std::string GemmOptions::describe_k(const Problem& p) {
  const std::size_t k = sim::columns_of(p.a);
  if (p.exact) return fmt::format("K = {}", k);
  const auto step = static_cast<std::size_t>(p.instruction.k);
  return fmt::format("K = {} in {} instructions of {}{}", k, (k + step - 1) / step, step,
                     k % step != 0 ? ", the last one zero-padded" : "");
}

}  // namespace lowbit::cli
