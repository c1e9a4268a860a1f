// SPDX-License-Identifier: MIT
// A file of captured quantizer outputs: which configurations it holds, and what each one asks for.
// The layout of the files is described in tests/data/golden/README.md.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "capture/sha256.hpp"
#include "lowbit/axis_view.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/hadamard.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/tensor_file.hpp"

namespace golden {

/// One captured configuration, FORMAT.RULE.VARIANT, and who computed it.
struct Configuration {
  std::string key;     ///< as in the file, without @BACKEND
  std::string prefix;  ///< of the tensors: key, or key@BACKEND for a second opinion
  std::string backend;
  std::string format;
  std::string rule;
  std::string variant;
};

inline const lowbit::Dialect* dialect_of(const std::string& backend) {
  if (backend == "pytorch.cpu") return &lowbit::fos_pytorch;
  if (backend == "pytorch.cuda") return &lowbit::fos_pytorch_cuda;
  if (backend == "triton.cuda") return &lowbit::fos_triton;
  return nullptr;
}

/// A matrix to quantize, and the options.
struct Problem {
  std::vector<float> values;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<float> random0;
  std::vector<float> random1;
  lowbit::QuantizeOptions options;
};

/// What differs between a capture and what the library computes.
struct Comparison {
  std::size_t blocks = 0;
  std::size_t different_blocks = 0;  ///< in a code or the scale byte
  std::size_t different_scales = 0;
  std::optional<std::size_t> first{};  ///< index of the first different block
  bool amax_differs = false;
  bool has_dequantization = false;
  bool dequantization_differs = false;
};

class File {
 public:
  explicit File(const std::filesystem::path& path) : file_(lowbit::TensorFile::open(path)) {
    const auto backends = nlohmann::json::parse(file_.metadata().at("backend"));
    for (const auto& [key, backend] : backends.items()) add(key, key, backend.get<std::string>());
    for (const lowbit::TensorInfo& tensor : file_.tensors()) {
      const auto at = tensor.name.find('@');
      if (at == std::string::npos || !tensor.name.ends_with(".scales")) continue;
      const std::string prefix = tensor.name.substr(0, tensor.name.size() - 7);
      add(prefix.substr(0, at), prefix, prefix.substr(at + 1));
    }
  }

  [[nodiscard]] const std::vector<Configuration>& configurations() const { return configurations_; }
  [[nodiscard]] const lowbit::TensorInfo* find(const std::string& name) const {
    return file_.find(name);
  }
  [[nodiscard]] std::span<const std::uint8_t> bytes(const std::string& name) const {
    const auto raw = file_.at(name).bytes;
    return {reinterpret_cast<const std::uint8_t*>(raw.data()), raw.size()};
  }
  [[nodiscard]] std::vector<float> floats(const std::string& name) const {
    return lowbit::to_f32(file_.at(name));
  }

  /// What the configuration asks for. The spans of the options point into the problem.
  [[nodiscard]] Problem problem(const Configuration& c, const lowbit::Dialect& dialect) const {
    Problem p;
    const lowbit::TensorInfo& input = file_.at("input");
    p.values = lowbit::to_f32(input);
    p.rows = input.rows();
    p.columns = input.columns();
    if (c.variant == "t") {
      std::vector<float> transposed(p.values.size());
      lowbit::transpose(p.values, p.rows, p.columns, transposed);
      p.values = std::move(transposed);
      std::swap(p.rows, p.columns);
    }
    p.options.format = lowbit::find_block_format(c.format);
    p.options.rule = lowbit::find_scale_rule(c.rule);
    p.options.dialect = &dialect;
    p.options.block_2d = c.variant == "2d";
    if (c.variant == "rht") p.options.transforms = {lowbit::hadamard()};
    const std::string_view type = input.dtype->name;
    // A band of rows was quantized with the amax of the whole.
    if (file_.metadata().contains("first_row")) p.options.amax = floats(c.key + ".amax").at(0);
    p.options.input_type = type == "F16"    ? lowbit::InputType::float16
                           : type == "BF16" ? lowbit::InputType::bfloat16
                                            : lowbit::InputType::float32;
    if (c.variant.starts_with("stochastic")) {
      p.options.rounding = c.variant == "stochastic" ? lowbit::ElementRounding::stochastic
                                                     : lowbit::ElementRounding::stochastic_unbiased;
      p.random0 = floats(c.key + ".rand0");
      if (find(c.key + ".rand1") != nullptr) p.random1 = floats(c.key + ".rand1");
      p.options.random0 = p.random0;
      p.options.random1 = p.random1;
    }
    return p;
  }

  /// Quantizes (and dequantizes) as the dialect does and compares every byte.
  [[nodiscard]] Comparison compare(const Configuration& c, const lowbit::Dialect& dialect) const {
    const Problem p = problem(c, dialect);
    const lowbit::BlockTensor t = lowbit::quantize(p.values, p.rows, p.columns, p.options);
    const auto values = bytes(c.prefix + ".values");
    const auto scales = bytes(c.prefix + ".scales");
    Comparison result;
    result.blocks = t.scales.size();
    if (values.size() != t.values.size() || scales.size() != t.scales.size()) {
      result.different_blocks = result.blocks;
      return result;
    }
    const std::size_t width = t.values.size() / t.scales.size();
    for (std::size_t b = 0; b < result.blocks; ++b) {
      const bool same_scale = t.scales[b] == scales[b];
      const bool same_codes =
          std::equal(values.begin() + b * width, values.begin() + (b + 1) * width,
                     t.values.begin() + b * width);
      if (!same_scale) ++result.different_scales;
      if (same_scale && same_codes) continue;
      if (!result.first) result.first = b;
      ++result.different_blocks;
    }
    result.amax_differs = floats(c.key + ".amax").at(0) != t.amax;
    const bool first_opinion = c.prefix == c.key;
    if (!first_opinion || find(c.key + ".dequant") == nullptr) return result;
    result.has_dequantization = true;
    std::vector<float> y(t.rows * t.columns);
    lowbit::dequantize(t, y, &dialect);
    const std::span<const std::uint8_t> mine(reinterpret_cast<const std::uint8_t*>(y.data()),
                                             y.size() * 4);
    const auto wanted = bytes(c.key + ".dequant");
    const auto digest = sha256(mine);
    const bool same = wanted.size() == digest.size()
                          ? std::equal(wanted.begin(), wanted.end(), digest.begin())
                          : std::equal(wanted.begin(), wanted.end(), mine.begin(), mine.end());
    result.dequantization_differs = !same;
    return result;
  }

 private:
  void add(const std::string& key, const std::string& prefix, const std::string& backend) {
    const auto first = key.find('.');
    const auto second = key.find('.', first + 1);
    configurations_.push_back({key, prefix, backend, key.substr(0, first),
                               key.substr(first + 1, second - first - 1), key.substr(second + 1)});
  }

  lowbit::TensorFile file_;
  std::vector<Configuration> configurations_;
};

}  // namespace golden
