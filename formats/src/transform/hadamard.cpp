// SPDX-License-Identifier: MIT
#include "lowbit/hadamard.hpp"

#include <fmt/format.h>

#include <bit>

#include "lowbit/error.hpp"
#include "transform/transforms.hpp"

namespace lowbit {
namespace {

class Hadamard final : public Transform {
 public:
  [[nodiscard]] std::string name() const override { return "hadamard"; }
  void check(std::size_t columns) const override {
    if (columns % hadamard_points == 0) return;
    throw Error(
        ErrorKind::usage,
        fmt::format("the 16-point Hadamard transform needs a multiple of 16 columns, not {}",
                    columns));
  }
  [[nodiscard]] std::size_t group_columns() const override { return hadamard_points; }
  void apply_to_weights(std::span<float> row, InputType type) const override {
    hadamard_transform(row, type);
  }
  void apply_to_inputs(std::span<float> row, InputType type) const override {
    hadamard_transform(row, type);
  }
  /// As a fast transform: log2(16) additions per value, and one product.
  [[nodiscard]] TransformCost cost(std::size_t, std::size_t columns) const override {
    return {0.0,
            static_cast<double>(columns) * (std::bit_width(unsigned{hadamard_points}) - 1 + 1)};
  }
};

}  // namespace

void detail::transform_one_by_one(std::span<float> values, InputType type) {
  for (std::size_t base = 0; base + hadamard_points <= values.size(); base += hadamard_points) {
    std::array<float, hadamard_points> sum{};
    for (unsigned i = 0; i < hadamard_points; ++i) {
      const float x = hadamard_signs[i] > 0 ? values[base + i] : -values[base + i];
      for (unsigned j = 0; j < hadamard_points; ++j)
        sum[j] += std::popcount(i & j) % 2 == 0 ? x : -x;
    }
    for (unsigned j = 0; j < hadamard_points; ++j) {
      values[base + j] = round_to_input_type(0.25F * sum[j], type);
    }
  }
}

std::shared_ptr<const Transform> hadamard() {
  static const auto transform = std::make_shared<const Hadamard>();
  return transform;
}

}  // namespace lowbit
