// SPDX-License-Identifier: MIT
// A file of captured quantizer outputs: which configurations it holds, and what each one asks for.
// The layout of the files is described in tests/data/README.md.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "lowbit/dialect.hpp"
#include "lowbit/layout.hpp"
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
  [[nodiscard]] const lowbit::TensorInfo* find(const std::string& name) const { return file_.find(name); }
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
    p.options.hadamard = c.variant == "rht";
    const std::string_view type = input.dtype->name;
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
