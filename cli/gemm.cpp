// SPDX-License-Identifier: MIT
// lowbit gemm: the product of two tensors under a model.
#include <fmt/format.h>

#include <memory>

#include "commands.hpp"
#include "file_arguments.hpp"
#include "gemm_options.hpp"
#include "lowbit/error.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit::cli {
namespace {

struct Options {
  GemmOptions gemm;
  std::string out;
  std::string output_type = "f32";
};

void run(const Options& o, bool type_given) {
  GemmOptions::Problem p = o.gemm.load();
  if (!p.exact) p.model.instruction = &p.instruction;
  // A schedule file may name the type too; the option wins.
  if (type_given) p.model.schedule.epilogue.output = find_element_format(o.output_type);
  const ElementFormat& output = *p.model.schedule.epilogue.output;
  const auto words = sim::run_gemm(p.a, p.b, p.model, p.c);

  OutputTensor d{"D", &dtype_of_output(output), {sim::rows_of(p.a), sim::rows_of(p.b)}, {}};
  std::vector<std::uint16_t> halves;
  if (output.bits == 16) {
    halves.assign(words.begin(), words.end());
    d.bytes = std::as_bytes(std::span(halves));
  } else {
    d.bytes = std::as_bytes(std::span(words));
  }
  std::map<std::string, std::string> metadata{{"model", p.exact ? "exact" : p.instruction.name}};
  if (!p.exact) metadata["schedule"] = sim::schedule_to_json(p.model.schedule);
  write_safetensors(o.out, std::span(&d, 1), metadata);
  fmt::print("D {} x {} {}: {}, {}\n", d.shape[0], d.shape[1], d.dtype->name,
             GemmOptions::describe(p), GemmOptions::describe_k(p));
}

}  // namespace

void add_gemm(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "gemm", "D = A * B^T of two tensors: exact, or word for word as an instruction computes it");
  FileArguments files(*command);
  o->gemm.add_to(*command, files);
  files.writes(command->add_option("--out", o->out, "safetensors to write D [M, N] to"))
      ->type_name("FILE")
      ->required();
  CLI::Option* type = command->add_option("--output-type", o->output_type, "Type of D")
                          ->type_name("f32|f16|bf16")
                          ->check(CLI::IsMember({"f32", "f16", "bf16"}))
                          ->capture_default_str();
  command->footer(
      "docs/exact.md defines the exact product, docs/schedules.md schedules and operands.");
  command->callback([o, type] { run(*o, type->count() != 0); });
}

}  // namespace lowbit::cli
