// SPDX-License-Identifier: MIT
// lowbit verify gemm: counts, the first mismatch, where the sums begin to differ, and what would
// explain the difference.
#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <memory>

#include "commands.hpp"
#include "file_arguments.hpp"
#include "gemm_options.hpp"
#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/sim/diagnose.hpp"
#include "lowbit/sim/difference_text.hpp"
#include "lowbit/sim/schedule_search.hpp"
#include "lowbit/sim/word_compare.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit::cli {
namespace {

using sim::GemmModel;

struct Options {
  GemmOptions gemm;
  std::string output;
  std::string tensor;
  bool search = false;
  bool quick = false;
};

/// The words of D, checked against the shape of the product.
std::vector<std::uint32_t> read_output(const Options& o, std::size_t m, std::size_t n,
                                       const ElementFormat*& format) {
  const TensorFile file = TensorFile::open(o.output);
  const TensorInfo* d = nullptr;
  if (!o.tensor.empty()) {
    d = &file.at(o.tensor);
  } else if (file.tensors().size() == 1) {
    d = &file.tensors()[0];
  } else {
    d = file.find("D");
  }
  if (d == nullptr) {
    throw Error(ErrorKind::usage, fmt::format("{}: {} tensors in it and none is D; name one with "
                                              "--output-tensor",
                                              o.output, file.tensors().size()));
  }
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: tensor '{}': {}", o.output, printable(d->name), what));
  };
  const auto type = output_type_of_dtype(d->dtype->name);
  if (!type) fail(fmt::format("dtype {} where F32, F16 or BF16 is needed", d->dtype->name));
  if (d->shape.size() != 2 || d->shape[0] != m || d->shape[1] != n) {
    const bool transposed = d->shape.size() == 2 && d->shape[0] == n && d->shape[1] == m;
    fail(fmt::format("shape [{}] where D is [{}, {}]{}", fmt::join(d->shape, ", "), m, n,
                     transposed ? ": exchange --a and --b if it is meant as its transpose" : ""));
  }
  if (d->fortran_order) fail("is stored column by column; store it row by row");
  format = type->format;
  std::vector<std::uint32_t> words(m * n);
  const std::size_t width = static_cast<std::size_t>(format->bits) / 8;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::memcpy(&words[i], d->bytes.data() + i * width, width);
  }
  return words;
}

std::string k_range(const sim::TraceLine& line) {
  return fmt::format("chunk {}, k {} to {}", line.step, line.first_k, line.last_k - 1);
}

std::string float_text(float x) {
  return sim::word_text(f32, std::bit_cast<std::uint32_t>(x));
}

/// Where two schedules of one instruction part on one output.
void print_parting(const GemmOptions::Problem& p, const GemmModel& model,
                   const sim::Schedule& other, std::size_t row, std::size_t column) {
  GemmModel second = model;
  second.schedule = other;
  const auto mine = sim::trace_output(p.a, p.b, model, row, column);
  const auto theirs = sim::trace_output(p.a, p.b, second, row, column);
  for (std::size_t i = 0; i < mine.lines.size() && i < theirs.lines.size(); ++i) {
    const auto& x = mine.lines[i];
    const auto& y = theirs.lines[i];
    if (x.step == y.step &&
        std::bit_cast<std::uint32_t>(x.model) == std::bit_cast<std::uint32_t>(y.model)) {
      continue;
    }
    if (x.step != y.step) {
      fmt::print(
          "  the two orders part after {} chunks: {} next in the model, {} in that schedule\n", i,
          k_range(x), k_range(y));
    } else {
      fmt::print("  the two sums of ({}, {}) part at {}: model {}, that schedule {}\n", row, column,
                 k_range(x), float_text(x.model), float_text(y.model));
    }
    return;
  }
  fmt::print("  the two run alike on ({}, {}) up to reduction and epilogue\n", row, column);
}

/// \returns whether some schedule matches.
bool print_search(const GemmOptions::Problem& p, const GemmModel& model,
                  std::span<const std::uint32_t> output, std::size_t first, bool mismatch) {
  const std::size_t n = sim::rows_of(p.b);
  const auto search = sim::search_schedules(p.a, p.b, model, output, p.c);
  fmt::print("search        {} schedules on {} outputs, those that match on all outputs\n",
             search.tried, search.sampled);
  if (search.matches.empty()) {
    fmt::print(
        "              none matches; closest: {} with {} of {} words different, the first at ({}, "
        "{})\n",
        sim::describe(search.closest), search.closest_mismatches, output.size(),
        search.closest_first / n, search.closest_first % n);
    if (search.closest != model.schedule) {
      print_parting(p, model, search.closest, first / n, first % n);
    }
    return false;
  }
  if (search.matches.size() > 1) {
    fmt::print("              {} match every word; these operands cannot distinguish them:\n",
               search.matches.size());
  }
  constexpr std::size_t most = 20;
  for (std::size_t i = 0; i < search.matches.size() && i < most; ++i) {
    fmt::print("  match       {}\n", sim::describe(search.matches[i]));
  }
  if (search.matches.size() > most) fmt::print("  ... {} more\n", search.matches.size() - most);
  if (mismatch) {
    print_parting(p, model, search.matches[0], first / n, first % n);
    fmt::print("the first as --schedule FILE:\n{}\n", sim::schedule_to_json(search.matches[0]));
  }
  return true;
}

void run(const Options& o) {
  GemmOptions::Problem p = o.gemm.load();
  GemmModel& model = p.model;
  if (!p.exact) model.instruction = &p.instruction;
  if (p.exact && o.search) {
    throw Error(ErrorKind::usage, "--search is for instructions: the exact model has no order");
  }
  const std::size_t m = sim::rows_of(p.a);
  const std::size_t n = sim::rows_of(p.b);
  const ElementFormat* format = nullptr;
  const auto output = read_output(o, m, n, format);
  model.schedule.epilogue.output = format;
  const auto expected = sim::run_gemm(p.a, p.b, model, p.c);
  const auto result = sim::compare_words(*format, expected, output);

  fmt::print("model         {}\n", GemmOptions::describe(p));
  fmt::print("operands      A {}, B {}; {}\n", p.text_a, p.text_b, GemmOptions::describe_k(p));
  fmt::print("compared      {} words of {}\n", result.words, dtype_of_output(*format).name);
  fmt::print("{}", sim::mismatch_text(*format, result, expected, output, n));
  if (result.mismatches == 0) {
    if (o.search) (void)print_search(p, model, output, 0, false);
    return;
  }
  fmt::print("{}", sim::trace_text(p.a, p.b, model, result.first / n, result.first % n));
  const bool found = o.search && print_search(p, model, output, result.first, true);
  if (!found && !o.quick) {
    fmt::print("{}", sim::diagnosis_text(p.a, p.b, model, expected, output, p.c));
  }
  throw CLI::RuntimeError(static_cast<int>(ErrorKind::mismatch));
}

}  // namespace

void add_verify_gemm(CLI::App& verify) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = verify.add_subcommand(
      "gemm", "A GEMM's output against its model: equal word for word, or where and why not");
  FileArguments files(*command);
  o->gemm.add_to(*command, files);
  files
      .reads(command->add_option("--output", o->output,
                                 "The output to check: D [M, N] of F32, F16 or BF16"))
      ->type_name("FILE")
      ->required();
  command
      ->add_option("--output-tensor", o->tensor,
                   "Tensor of that file; D, or its only one, where absent")
      ->type_name("NAME");
  command->add_flag("--search", o->search, "Try plausible schedules and name those that match");
  command->add_flag("--no-diagnosis", o->quick, "Do not try layout, scale and arithmetic mistakes");
  command->footer("Exits 1 on any mismatch. NaN equals NaN whatever its payload.");
  command->callback([o] { run(*o); });
}

}  // namespace lowbit::cli
