// SPDX-License-Identifier: MIT
#include "axis_examples.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cmath>
#include <fstream>

#include "dequantize/value_table.hpp"
#include "lowbit/dialect_axis.hpp"
#include "lowbit/names.hpp"

namespace axis_examples {

using namespace lowbit;

namespace {

InputType type_of(const std::string& name) {
  if (name == "f16") return InputType::float16;
  return name == "bf16" ? InputType::bfloat16 : InputType::float32;
}

std::string bits(float v) {
  return fmt::format("{:08x}", std::bit_cast<std::uint32_t>(v));
}

float from_bits(const std::string& text) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(std::stoul(text, nullptr, 16)));
}

}  // namespace

bool is_of_dequantization(const std::string& axis) {
  return axis.starts_with("dequant") || axis == "constant_division" || axis == "int3_coding";
}

std::vector<float> random_numbers(std::size_t count) {
  std::vector<float> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>((i * 2654435761U >> 8) & 0xFFFFU) * 0x1p-16F;
  }
  return out;
}

std::string code(const Example& e, const Dialect& dialect) {
  QuantizeOptions o;
  o.format = &block_format_named(e.format);
  o.rule = scale_rule_named(e.rule, *o.format, &dialect);
  o.dialect = &dialect;
  if (e.scale_max != 0.0F) o.scale_max = e.scale_max;
  o.amax = e.amax;
  o.block_2d = e.is_square;
  o.nonfinite = NonFinite::propagate;
  o.input_type = type_of(e.type);
  const auto size = static_cast<std::size_t>(o.format->block_size);
  const std::vector<float> random = random_numbers(e.x.size());
  if (e.is_stochastic) {
    o.rounding = ElementRounding::stochastic;
    o.random0 = random;
    o.random1 = random;
  }
  const BlockTensor t = quantize(e.x, e.x.size() / size, size, o);
  std::string out;
  for (std::size_t r = 0; r < (e.is_square ? 1 : t.rows); ++r) {
    out += fmt::format("{:02x}", t.scale(r, 0));
  }
  out += ' ';
  for (std::size_t r = 0; r < t.rows; ++r) {
    for (std::size_t c = 0; c < size; ++c) {
      out += fmt::format("{:0{}x}", t.code(r, c), o.format->element->bits > 4 ? 2 : 1);
    }
  }
  if (!is_of_dequantization(e.axis)) return out;
  detail::ValueTable values(*t.format, t.amax, t.encode_constant, dialect, o.input_type);
  std::vector<std::string> words;
  for (std::size_t c = 0; c < size; ++c) {
    const float v = values.row(t.scale(0, 0))[t.code(0, c)];
    words.push_back(std::isnan(v) ? "nan" : bits(v));
  }
  return fmt::format("{} {}", out, fmt::join(words, " "));
}

nlohmann::ordered_json to_json(const Example& e) {
  std::vector<std::string> x;
  for (const float v : e.x) x.push_back(bits(v));
  nlohmann::ordered_json out{{"axis", e.axis},       {"value", e.value},   {"other", e.other},
                             {"dialect", e.dialect}, {"format", e.format}, {"rule", e.rule},
                             {"type", e.type}};
  if (e.scale_max != 0.0F) out["scale_max"] = e.scale_max;
  if (e.amax) out["amax"] = bits(*e.amax);
  if (e.is_square) out["square"] = true;
  if (e.is_stochastic) out["stochastic"] = true;
  out["x"] = fmt::format("{}", fmt::join(x, " "));
  out["result"] = e.result;
  out["other_result"] = e.other_result;
  out["source"] = e.source;
  if (e.is_captured) out["captured"] = true;
  return out;
}

std::vector<Example> read(const std::string& path) {
  std::ifstream file(path);
  std::vector<Example> out;
  for (const auto& j : nlohmann::json::parse(file)) {
    Example e;
    e.axis = j["axis"];
    e.value = j["value"];
    e.other = j["other"];
    e.dialect = j["dialect"];
    e.format = j["format"];
    e.rule = j["rule"];
    e.type = j["type"];
    e.scale_max = j.value("scale_max", 0.0F);
    if (j.contains("amax")) e.amax = from_bits(j["amax"]);
    e.is_square = j.value("square", false);
    e.is_stochastic = j.value("stochastic", false);
    const std::string x = j["x"];
    for (std::size_t at = 0; at < x.size(); at += 9) e.x.push_back(from_bits(x.substr(at, 8)));
    e.result = j["result"];
    e.other_result = j["other_result"];
    e.source = j["source"];
    e.is_captured = j.value("captured", false);
    out.push_back(std::move(e));
  }
  return out;
}

std::string table(const std::vector<Example>& examples) {
  std::string out =
      "| axis | value, and another | dialect, format and rule | A | elements | result | with the "
      "other |\n|---|---|---|---|---|---|---|\n";
  for (const DialectAxis& axis : dialect_axes()) {
    // The first that is not the default's, and small.
    const Example* best = nullptr;
    for (const Example& e : examples) {
      if (e.axis != axis.name || e.is_square) continue;
      if (best == nullptr || (best->value == axis.values[0].name && e.value != best->value)) {
        best = &e;
      }
    }
    for (const Example& e : examples) {
      if (best == nullptr && e.axis == axis.name) best = &e;
    }
    if (best == nullptr) continue;
    std::vector<std::string> x;
    for (const float v : best->x) x.push_back(fmt::format("{:.9g}", v));
    if (x.size() > 32) x = {"a square of 16 x 16"};
    const auto shorten = [](const std::string& s) {
      return s.size() > 80 ? s.substr(0, 77) + "..." : s;
    };
    out += fmt::format("| `{}` | `{}`, `{}` | `{}`, {}:{}, {} | {} | {} | {} | {} |\n", axis.name,
                       best->value, best->other, best->dialect, best->format, best->rule,
                       best->type, best->amax ? fmt::format("{:.9g}", *best->amax) : "",
                       fmt::join(x, " "), shorten(best->result), shorten(best->other_result));
  }
  return out;
}

}  // namespace axis_examples
