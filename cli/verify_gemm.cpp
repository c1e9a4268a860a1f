// SPDX-License-Identifier: MIT
// lowbit verify gemm: counts, the first mismatch, where the sums begin to differ, and what would
// explain the difference.
#include <fmt/format.h>

#include <bit>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>

#include "commands.hpp"
#include "file_arguments.hpp"
#include "gemm_options.hpp"
#include "lowbit/block_tensor_file.hpp"
#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/sim/diagnose.hpp"
#include "lowbit/sim/difference_text.hpp"
#include "lowbit/sim/distinguishing.hpp"
#include "lowbit/sim/schedule_search.hpp"
#include "lowbit/sim/word_compare.hpp"
#include "lowbit/tensor_file.hpp"
#include "stop_signals.hpp"

namespace lowbit::cli {
namespace {

using sim::GemmModel;

struct Options {
  GemmOptions gemm;
  std::string output;
  std::string tensor;
  std::string operands;
  std::string progress = "auto";
  bool search = false;
  bool quick = false;
};

/// Lines on stderr while a phase lasts: the first after half a second, then one every two seconds.
/// Ctrl-C ends the phase; what it has found is printed.
sim::Watch watch_of(const Options& o) {
  sim::Watch watch;
  watch.stop = [] { return interrupted(); };
  if (o.progress == "never") return watch;
  using Clock = std::chrono::steady_clock;
  const auto begun = std::make_shared<Clock::time_point>(Clock::now());
  const auto next = std::make_shared<Clock::time_point>(*begun + std::chrono::milliseconds(500));
  watch.report = [begun, next](std::string_view phase, std::uint64_t done, std::uint64_t total) {
    const auto now = Clock::now();
    if (now < *next) return;
    *next = now + std::chrono::seconds(2);
    fmt::print(stderr, "{:6.1f} s  {}: {}{}\n", std::chrono::duration<double>(now - *begun).count(),
               phase, done, total == 0 ? std::string() : fmt::format(" of {}", total));
  };
  return watch;
}

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

/// Operands on which the schedules that are left differ.
void write_operands(const Options& o, const GemmOptions::Problem& p, const GemmModel& model,
                    std::span<const sim::Schedule> schedules, const sim::Watch& watch) {
  const auto operands = sim::distinguishing_operands(p.a, p.b, model, schedules, watch);
  if (operands.group_count == 0) return;
  const auto named = [](const char* name, const sim::GemmOperand& operand) {
    NamedBlockTensor t{name, std::get<BlockTensor>(operand), {}, {}};
    t.record.format = t.tensor.format;
    return t;
  };
  if (std::holds_alternative<BlockTensor>(operands.a) !=
      std::holds_alternative<BlockTensor>(operands.b)) {
    throw Error(ErrorKind::usage, "--operands-out: both operands block-quantized, or both plain");
  }
  if (std::holds_alternative<BlockTensor>(operands.a)) {
    const NamedBlockTensor both[] = {named("A", operands.a), named("B", operands.b)};
    write_block_tensors(o.operands, both);
  } else {
    std::vector<OutputTensor> both;
    for (const auto* operand : {&operands.a, &operands.b}) {
      const auto& m = std::get<sim::DenseMatrix>(*operand);
      const ElementFormat& format = *m.format;
      const Dtype& dtype = format == f16    ? dtype_f16
                           : format == bf16 ? dtype_bf16
                           : format == tf32 ? dtype_f32
                                            : dtype_u8;
      const std::uint64_t items =
          m.rows == 0
              ? 0
              : m.bytes.size() / m.rows * 8 / static_cast<std::uint64_t>(8 * dtype.block_bytes);
      both.push_back({operand == &operands.a ? "A" : "B",
                      &dtype,
                      {m.rows, items},
                      std::as_bytes(std::span(m.bytes))});
    }
    write_safetensors(o.operands, both, {});
  }
  fmt::print(
      "operands      {}: A {} x {}, B {} x {}; the {} schedules give {} different outputs on "
      "them.\n"
      "              Run the kernel on these operands and verify its D with --search.\n",
      o.operands, sim::rows_of(operands.a), sim::columns_of(operands.a), sim::rows_of(operands.b),
      sim::columns_of(operands.b), schedules.size(), operands.group_count);
}

/// \returns whether some schedule matches.
bool print_search(const Options& o, const GemmOptions::Problem& p, const GemmModel& model,
                  std::span<const std::uint32_t> expected, std::span<const std::uint32_t> output,
                  std::size_t first, bool mismatch, const sim::Watch& watch) {
  const std::size_t n = sim::rows_of(p.b);
  sim::ScheduleSearchOptions options;
  options.watch = watch;
  const auto search = sim::search_schedules(p.a, p.b, model, output, p.c, expected, options);
  fmt::print("search        {} schedules on {} outputs, those that match on all outputs{}\n",
             search.tried, search.sampled,
             search.complete
                 ? ""
                 : fmt::format("; interrupted, {} not tried", search.candidates - search.tried));
  const bool found = !search.matches.empty();
  if (!found && search.likely.empty()) {
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
  const auto print_list = [&](const std::vector<sim::Schedule>& schedules, const char* heading) {
    for (std::size_t i = 0; i < schedules.size() && i < most; ++i) {
      fmt::print("  {}{}\n", heading, sim::describe(schedules[i]));
    }
    if (schedules.size() > most) fmt::print("  ... {} more\n", schedules.size() - most);
  };
  print_list(search.matches, "match       ");
  if (!search.likely.empty()) {
    fmt::print("              {}{} match each of {} sampled words of {}:\n", search.likely.size(),
               found ? " more" : "", search.likely_words, output.size());
    print_list(search.likely, "also fits   ");
  }
  std::vector<sim::Schedule> left = search.matches;
  left.insert(left.end(), search.likely.begin(), search.likely.end());
  if (left.size() > 1) {
    if (!o.operands.empty()) {
      write_operands(o, p, model, left, watch);
    } else {
      fmt::print("              --operands-out FILE writes operands that tell them apart\n");
    }
  }
  if (mismatch) {
    print_parting(p, model, left[0], first / n, first % n);
    fmt::print("the first as --schedule FILE:\n{}\n", sim::schedule_to_json(left[0]));
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

  fmt::print("model         {}\n", GemmOptions::describe(p));
  fmt::print("operands      A {}, B {}; {}\n", p.text_a, p.text_b, GemmOptions::describe_k(p));
  std::fflush(stdout);
  finish_on_interrupt();
  const sim::Watch watch = watch_of(o);
  const sim::GemmRun replayed = sim::run_gemm(p.a, p.b, model, p.c, watch);
  const auto& expected = replayed.words;
  const auto compared = std::span(output).first(expected.size());
  const auto result = sim::compare_words(*format, expected, compared);
  fmt::print("compared      {} words of {}\n", result.words, dtype_of_output(*format).name);
  if (result.words != 0) {
    fmt::print("{}", sim::mismatch_text(*format, result, expected, compared, n));
  }
  if (replayed.rows < m) {
    fmt::print("interrupted   after {} of {} rows\n", replayed.rows, m);
    std::fflush(stdout);
    die_of_interrupt();
  }
  std::fflush(stdout);
  if (result.mismatches == 0) {
    if (o.search) (void)print_search(o, p, model, expected, output, 0, false, watch);
    std::fflush(stdout);
    if (interrupted()) die_of_interrupt();
    return;
  }
  fmt::print("{}", sim::trace_text(p.a, p.b, model, result.first / n, result.first % n));
  std::fflush(stdout);
  const bool found =
      o.search && print_search(o, p, model, expected, output, result.first, true, watch);
  std::fflush(stdout);
  if (!found && !o.quick && !interrupted()) {
    fmt::print("{}", sim::diagnosis_text(p.a, p.b, model, expected, output, p.c, watch));
  }
  std::fflush(stdout);
  if (interrupted()) die_of_interrupt();
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
  files
      .writes(command->add_option(
          "--operands-out", o->operands,
          "With --search: operands A and B on which the schedules that fit differ"))
      ->type_name("FILE");
  command->add_option("--progress", o->progress, "Lines on stderr while it runs: auto or never")
      ->check(CLI::IsMember({"auto", "never"}))
      ->capture_default_str();
  command->add_flag("--no-diagnosis", o->quick, "Do not try layout, scale and arithmetic mistakes");
  command->footer(
      "Exits 1 on any mismatch. NaN equals NaN whatever its payload. Ctrl-C prints what was "
      "found.");
  command->callback([o] { run(*o); });
}

}  // namespace lowbit::cli
