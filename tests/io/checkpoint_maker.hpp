// SPDX-License-Identifier: MIT
// Checkpoints made in memory, for tests of what is read, linted, converted and compared.
#pragma once

#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "catch.hpp"
#include "io/scratch.hpp"
#include "lowbit/block_tensor_file.hpp"
#include "lowbit/checkpoint.hpp"
#include "lowbit/checkpoint_lint.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/scale_rule.hpp"

namespace lowbit::test {

using Bytes = std::vector<std::uint8_t>;

/// Tensors of a file that is being made.
class Maker {
 public:
  Maker& add(std::string name, const Dtype& dtype, std::vector<std::uint64_t> shape, Bytes bytes) {
    entries_[std::move(name)] = {&dtype, std::move(shape), std::move(bytes)};
    return *this;
  }
  Maker& add(std::string name, float number, std::vector<std::uint64_t> shape = {1}) {
    Bytes bytes(4);
    std::memcpy(bytes.data(), &number, 4);
    return add(std::move(name), dtype_f32, std::move(shape), std::move(bytes));
  }
  Maker& add(std::string name, std::span<const float> values, std::vector<std::uint64_t> shape) {
    Bytes bytes(values.size() * 4);
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return add(std::move(name), dtype_f32, std::move(shape), std::move(bytes));
  }
  Maker& remove(const std::string& name) {
    REQUIRE(entries_.erase(name) == 1);
    return *this;
  }
  Bytes& bytes(const std::string& name) { return entries_.at(name).bytes; }
  void write(const std::filesystem::path& path) const {
    std::vector<OutputTensor> tensors;
    for (const auto& [name, entry] : entries_) {
      tensors.push_back({name, entry.dtype, entry.shape, std::as_bytes(std::span(entry.bytes))});
    }
    write_safetensors(path, tensors, metadata);
  }
  std::map<std::string, std::string> metadata;

 private:
  struct Entry {
    const Dtype* dtype;
    std::vector<std::uint64_t> shape;
    Bytes bytes;
  };
  std::map<std::string, Entry> entries_;
};

inline std::vector<float> weights(std::size_t n, unsigned seed) {
  std::mt19937 g(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) {
    // Rows of different size, so that exchanged scales show.
    x[i] = normal(g) * std::exp(normal(g) * 0.5F);
  }
  return x;
}

inline BlockTensor quantized(const char* format, std::span<const float> x, std::size_t rows,
                             std::size_t columns) {
  QuantizeOptions options;
  options.format = find_block_format(format);
  options.rule = default_rule(*options.format);
  return quantize(x, rows, columns, options);
}

/// The same with the record that a file of lowbit's own needs.
inline NamedBlockTensor named(std::string name, const char* format, std::span<const float> x,
                              std::size_t rows, std::size_t columns) {
  NamedBlockTensor out;
  out.name = std::move(name);
  out.tensor = quantized(format, x, rows, columns);
  out.record.format = out.tensor.format;
  out.record.shape = {rows, columns};
  return out;
}

/// A layer of Model-Optimizer with the given weights.
inline void add_modelopt(Maker& maker, const std::string& module, const BlockTensor& t) {
  maker.add(module + ".weight", dtype_u8, {t.rows, t.columns / 2}, t.values);
  maker.add(module + ".weight_scale", dtype_f8_e4m3, {t.rows, t.columns / 16}, t.scales);
  maker.add(module + ".weight_scale_2", t.amax / t.encode_constant, {});
  maker.add(module + ".input_scale", 0.5F, {});
}

struct Small {
  static constexpr std::size_t rows = 128;
  static constexpr std::size_t columns = 64;
  std::vector<float> x = weights(rows * columns, 7);
  BlockTensor t = quantized("nvfp4", x, rows, columns);
};

inline std::string only_fault(const Checkpoint& checkpoint) {
  REQUIRE(checkpoint.faults().size() == 1);
  const std::string line = checkpoint.faults()[0].line();
  CHECK(line.find('\n') == line.npos);
  return checkpoint.faults()[0].kind + ": " + line;
}

inline std::vector<std::string> kinds(const std::vector<LintFinding>& findings) {
  std::vector<std::string> list;
  for (const LintFinding& finding : findings) list.push_back(finding.kind);
  return list;
}
using Kinds = std::vector<std::string>;

}  // namespace lowbit::test
