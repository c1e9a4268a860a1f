// SPDX-License-Identifier: MIT
// lowbit formats: the registry of formats, rules and dialects.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "lowbit/bench.hpp"
#include "lowbit/block_format.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/dialect_formats.hpp"
#include "lowbit/error.hpp"
#include "lowbit/names.hpp"
#include "lowbit/printable.hpp"
#include "tensor_options.hpp"

namespace lowbit::cli {
namespace {

using nlohmann::ordered_json;

std::string_view name_of(Coding coding) {
  switch (coding) {
    case Coding::floating:
      return "floating";
    case Coding::twos_complement:
      return "two's complement";
    case Coding::sign_magnitude:
      return "sign and magnitude";
  }
  return "unknown";
}

std::string_view name_of(Specials specials) {
  switch (specials) {
    case Specials::none:
      return "none";
    case Specials::nan_all_ones:
      return "NaN";
    case Specials::ieee:
      return "infinity, NaN";
  }
  return "unknown";
}

std::vector<std::string> rules_of(const BlockFormat& format) {
  std::vector<std::string> rules;
  for (const ScaleRule rule : scale_rules()) {
    if (is_valid_rule(format, rule)) rules.emplace_back(lowbit::name_of(rule));
  }
  return rules;
}

/// What the dialect's program has and no vector kernel serves, as FORMAT:RULE,RULE.
std::vector<std::string> scalar_formats_of(const Dialect& dialect) {
  std::vector<std::string> formats;
  for (const BlockFormat& format : block_formats()) {
    std::vector<std::string_view> rules;
    for (const ScaleRule rule : lowbit::rules_of(dialect, format)) {
      QuantizeOptions options;
      options.format = &format;
      options.rule = rule;
      options.dialect = &dialect;
      if (!has_vector_kernel(options)) rules.push_back(lowbit::name_of(rule));
    }
    if (!rules.empty()) formats.push_back(fmt::format("{}:{}", format.name, fmt::join(rules, ",")));
  }
  return formats;
}

/// Numbers as JSON numbers, the others as strings: JSON has no NaN and no infinity.
ordered_json json_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

ordered_json to_json(const ElementFormat& f) {
  return {{"name", f.name},
          {"bits", f.bits},
          {"exponent_bits", f.exponent_bits},
          {"mantissa_bits", f.mantissa_bits},
          {"bias", f.bias},
          {"signed", f.is_signed},
          {"coding", name_of(f.coding)},
          {"specials", name_of(f.specials)},
          {"largest", to_double(f, f.max_code())}};
}

ordered_json to_json(const BlockFormat& f) {
  ordered_json record{{"name", f.name},
                      {"element", f.element->name},
                      {"integer_element", f.integer == nullptr ? ordered_json(nullptr)
                                                               : ordered_json(f.integer->name)},
                      {"scale", f.scale->name},
                      {"tensor_scale", f.family() == ScaleFamily::nv},
                      {"block_size", f.block_size},
                      {"largest_element", f.largest_element()},
                      {"bits_per_element", f.bits_per_element()},
                      {"rules", rules_of(f)},
                      {"default_rule", lowbit::name_of(default_rule(f))}};
  if (f.has_levels()) record["levels"] = {f.levels.second, f.levels.third};
  return record;
}

ordered_json codes_of(const ElementFormat& f) {
  ordered_json codes = ordered_json::array();
  for (std::uint32_t code = 0; code < f.code_count(); ++code) {
    codes.push_back({{"code", code}, {"value", json_number(to_double(f, code))}});
  }
  return codes;
}

void print_codes(const ElementFormat& f) {
  fmt::print("{:>6}  {:>{}}  {:<24}{}\n", "code", "bits", std::max(f.bits, 4), "value", "exactly");
  for (std::uint32_t code = 0; code < f.code_count(); ++code) {
    const double value = to_double(f, code);
    fmt::print("{:#06x}  {:>{}}  {:<24}{}\n", code, fmt::format("{:0{}b}", code, f.bits),
               std::max(f.bits, 4), fmt::format("{}", value),
               std::isfinite(value) ? fmt::format("{:a}", value) : "");
  }
}

/// A code table has 2^bits lines; the widest formats are beyond what anybody reads.
void require_listable(const ElementFormat& f) {
  if (f.bits > 20) {
    throw Error(ErrorKind::usage,
                fmt::format("{} has 2^{} codes; name a narrower format", f.name, f.bits));
  }
}

void show_all() {
  fmt::print("{:<14}{:<7}{:<9}{:<7}{:<8}{:<9}{:<9}{}\n", "block format", "block", "element",
             "scale", "tensor", "largest", "bits/el", "rules (default first)");
  for (const BlockFormat& f : block_formats()) {
    std::vector<std::string> rules = rules_of(f);
    const std::string first(lowbit::name_of(default_rule(f)));
    std::erase(rules, first);
    rules.insert(rules.begin(), first);
    const std::string element = f.integer == nullptr
                                    ? std::string(f.element->name)
                                    : fmt::format("{}|{}", f.element->name, f.integer->name);
    fmt::print("{:<14}{:<7}{:<9} {:<6}{:<8}{:<9}{:<9}{}\n", f.name, f.block_size, element,
               f.scale->name, f.family() == ScaleFamily::nv ? "f32" : "-", f.largest_element(),
               f.bits_per_element(), fmt::join(rules, " "));
  }
  fmt::print("\n{:<10}{:<6}{:<10}{:<10}{:<6}{:<24}{}\n", "element", "bits", "exponent", "mantissa",
             "bias", "largest", "special codes");
  for (const ElementFormat* f : element_formats()) {
    fmt::print("{:<10}{:<6}{:<10}{:<10}{:<6}{:<24}{}\n", f->name, f->bits, f->exponent_bits,
               f->mantissa_bits, f->bias, to_double(*f, f->max_code()), name_of(f->specials));
  }
  fmt::print("\nno vector kernel, so quantized and evaluated at the scalar engine's speed:\n");
  for (const Dialect& d : dialects()) {
    const std::vector<std::string> formats = scalar_formats_of(d);
    if (!formats.empty()) fmt::print("  {:<36}{}\n", d.name, fmt::join(formats, " "));
  }
  fmt::print(
      "  (optimal and search:K, in every format, look at sixteen scale bytes at once instead)\n");
  fmt::print("\ndialects\n");
  for (const Dialect& d : dialects()) fmt::print("  {:<36}{}\n", d.name, d.summary);
  fmt::print("\n`lowbit formats NAME` prints every code of a format and its value.\n");
}

void show(const ElementFormat& f) {
  require_listable(f);
  fmt::print("{}: {} bits, {}", f.name, f.bits, name_of(f.coding));
  if (!f.is_integer()) {
    fmt::print(", {} exponent bits, {} mantissa bits, bias {}", f.exponent_bits, f.mantissa_bits,
               f.bias);
  }
  fmt::print(", special codes: {}\n", name_of(f.specials));
  print_codes(f);
}

void show(const BlockFormat& f) {
  fmt::print("{}: blocks of {} {} elements{}, one {} scale byte per block{}\n", f.name,
             f.block_size, f.element->name,
             f.integer == nullptr ? "" : fmt::format(" or {} elements", f.integer->name),
             f.scale->name, f.family() == ScaleFamily::nv ? ", one FP32 scale per tensor" : "");
  if (f.is_adaptive()) {
    fmt::print("bit 7 of the scale byte set: integer block, each unit worth {}/{}\n",
               f.integer_unit().numerator, f.integer_unit().denominator);
  }
  if (f.has_levels()) {
    fmt::print(
        "below it {} and {} exponents of one bit, one for each {} and {} elements: each that "
        "is set doubles them\n",
        f.levels.second, f.levels.third, f.block_size / f.levels.second,
        f.block_size / f.levels.third);
  }
  if (f.element_exponent != 0) fmt::print("elements count in units of 2^{}\n", f.element_exponent);
  fmt::print("{} bits per element; rules: {} (default {})\n\n", f.bits_per_element(),
             fmt::join(rules_of(f), " "), lowbit::name_of(default_rule(f)));
  show(*f.element);
  if (f.integer != nullptr) {
    fmt::print("\n");
    show(*f.integer);
  }
}

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

void run(const std::string& name, bool as_json) {
  if (name.empty()) {
    if (!as_json) return show_all();
    ordered_json all;
    for (const BlockFormat& f : block_formats()) all["block_formats"].push_back(to_json(f));
    for (const ElementFormat* f : element_formats()) all["element_formats"].push_back(to_json(*f));
    for (const Dialect& d : dialects()) {
      all["dialects"].push_back({{"name", d.name}, {"summary", d.summary}});
    }
    fmt::print("{}\n", all.dump(2));
    return;
  }
  if (const ElementFormat* f = find_element_format(lowered(name))) {
    if (!as_json) return show(*f);
    require_listable(*f);
    ordered_json record = to_json(*f);
    record["codes"] = codes_of(*f);
    fmt::print("{}\n", record.dump(2));
  } else if (const BlockFormat* b = find_block_format(lowered(name))) {
    if (!as_json) return show(*b);
    ordered_json record = to_json(*b);
    record["codes"] = codes_of(*b->element);
    if (b->is_adaptive()) record["integer_codes"] = codes_of(*b->integer);
    fmt::print("{}\n", record.dump(2));
  } else {
    std::vector<std::string_view> known;
    for (const BlockFormat& each : block_formats()) known.push_back(each.name);
    for (const ElementFormat* each : element_formats()) known.push_back(each->name);
    throw Error(ErrorKind::usage,
                fmt::format("unknown format '{}'; nearest: {}; `lowbit formats` lists all",
                            printable(name), fmt::join(nearest_names(name, known), ", ")));
  }
}

}  // namespace

void add_formats(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("formats", "List the formats; with NAME, its codes and values");
  const auto name = std::make_shared<std::string>();
  const auto as_json = std::make_shared<bool>(false);
  command->add_option("NAME", *name, "A block format or an element format");
  command->add_flag("--json", *as_json, "As JSON");
  command->callback([=] { run(*name, *as_json); });
}

}  // namespace lowbit::cli
