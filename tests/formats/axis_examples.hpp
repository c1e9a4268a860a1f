// SPDX-License-Identifier: MIT
// One block per value of a dialect's axis on which the value shows: tests/data/axis_examples.json.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lowbit/dialect.hpp"
#include "lowbit/quantize.hpp"

namespace axis_examples {

/// A block, or a square of blocks, with what a dialect that has `value` makes of it and what the
/// same dialect with `other` makes of it.
struct Example {
  std::string axis;
  std::string value;
  std::string other;
  std::string dialect;
  std::string format;
  std::string rule;
  std::string type;             ///< f32, f16 or bf16
  float scale_max = 0.0F;       ///< 0: the default
  std::optional<float> amax{};  ///< A, where it is not measured
  bool is_square = false;
  bool is_stochastic = false;  ///< with the numbers random()
  std::vector<float> x;
  std::string result;  ///< scale bytes, codes, and for the axes of dequantization the values
  std::string other_result;
  std::string source;        ///< library, configuration, input and block that the elements are from
  bool is_captured = false;  ///< whether `result` is what that library returned
};

/// What the dialect makes of the example's elements, in hexadecimal digits.
[[nodiscard]] std::string code(const Example& example, const lowbit::Dialect& dialect);
/// Whether the axis shows in the values that codes become.
[[nodiscard]] bool is_of_dequantization(const std::string& axis);
[[nodiscard]] std::vector<float> random_numbers(std::size_t count);

[[nodiscard]] std::vector<Example> read(const std::string& path);
[[nodiscard]] nlohmann::ordered_json to_json(const Example& example);
/// The Markdown table of one example per axis, for docs/dialects.md.
[[nodiscard]] std::string table(const std::vector<Example>& examples);

}  // namespace axis_examples
