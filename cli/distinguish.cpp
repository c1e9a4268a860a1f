// SPDX-License-Identifier: MIT
// lowbit distinguish: an input on which two dialects differ.
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <memory>

#include "commands.hpp"
#include "file_arguments.hpp"
#include "lowbit/distinguish.hpp"
#include "lowbit/names.hpp"
#include "lowbit/tensor_file.hpp"
#include "stop_signals.hpp"

namespace lowbit::cli {
namespace {

struct Options {
  std::string a, b, out;
  std::string format = "nvfp4";
};

void run(const Options& o) {
  const Dialect& a = dialect_named(o.a);
  const Dialect& b = dialect_named(o.b);
  const FormatChoice choice = format_choice_named(o.format, {}, &a);
  DistinguishOptions options;
  options.format = choice.format;
  options.rule = choice.rule.value_or(default_rule(*choice.format, &a));
  // Without a rule: the first dialect's, or the second's where only that one is both's.
  if (!choice.rule && !is_valid_rule(*choice.format, options.rule, &b)) {
    options.rule = default_rule(*choice.format, &b);
  }
  options.stop = [] { return interrupted(); };
  finish_on_interrupt();
  const Distinction d = distinguish(a, b, options);
  const std::string what = fmt::format("{} {}", choice.format->name, name_of(options.rule));
  if (!d.found) {
    fmt::print(
        "{}: {} and {}: none found in {} scale bytes and codes{}\n", what, a.name, b.name, d.tried,
        d.exhausted ? " (all BF16 amaxes, block amaxes and elements up to powers of two)" : "");
    if (interrupted()) die_of_interrupt();
    return;
  }
  fmt::print("{}: {} and {} differ in block {} of 1 x {}: {}\n", what, a.name, b.name, d.block,
             d.columns, d.what);
  for (std::size_t i = 0; i < d.values.size(); ++i) {
    if (d.values[i] == 0 && !std::signbit(d.values[i])) continue;
    fmt::print("  column {}: {} (0x{:04x})\n", i, d.values[i],
               std::bit_cast<std::uint32_t>(d.values[i]) >> 16);
  }
  if (o.out.empty()) return;
  const std::vector<std::byte> bytes = from_f32(dtype_bf16, d.values);
  const OutputTensor x{"x", &dtype_bf16, {1, d.columns}, bytes};
  write_safetensors(o.out, std::span(&x, 1),
                    {{"dialects", fmt::format("{} {}", a.name, b.name)},
                     {"format", std::string(choice.format->name)},
                     {"rule", std::string(name_of(options.rule))},
                     {"difference", d.what}});
}

}  // namespace

void add_distinguish(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "distinguish", "The smallest BF16 tensor found on which two dialects differ");
  const auto o = std::make_shared<Options>();
  FileArguments files(*command);
  command->add_option("A", o->a, "One dialect, NAME[+axis=value]")->required();
  command->add_option("B", o->b, "The other")->required();
  command->add_option("--format", o->format, "Block format and rule")
      ->type_name("F[:RULE]")
      ->capture_default_str();
  files.writes(command->add_option("-o,--out", o->out, "safetensors to write the tensor to"))
      ->type_name("FILE");
  command->footer(
      "Prints 'none found in N' where the search found none; that is no proof of equality.");
  command->callback([o] { run(*o); });
}

}  // namespace lowbit::cli
