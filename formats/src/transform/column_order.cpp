// SPDX-License-Identifier: MIT
// Columns in the order of their magnitude, the largest first.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "transform/transforms.hpp"

namespace lowbit::detail {
namespace {

class ColumnOrder : public Transform {
 public:
  [[nodiscard]] std::size_t group_columns() const override { return 0; }
  void apply_to_weights(std::span<float> row, InputType) const override { apply(row); }
  void apply_to_inputs(std::span<float> row, InputType) const override { apply(row); }
  [[nodiscard]] std::vector<float> learned() const override {
    return {order_.begin(), order_.end()};
  }
  [[nodiscard]] TransformCost cost(std::size_t, std::size_t columns) const override {
    return {32.0 * static_cast<double>(columns), 0.0};
  }

 protected:
  void sort_by(const std::vector<double>& keys) {
    order_.resize(keys.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return keys[a] > keys[b]; });
  }

 private:
  void apply(std::span<float> row) const {
    const std::vector<float> before(row.begin(), row.end());
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = before[order_[j]];
  }
  std::vector<std::size_t> order_;
};

class KeyOrder final : public ColumnOrder {
 public:
  explicit KeyOrder(ColumnKey key) : key_(key) {}
  [[nodiscard]] std::string name() const override {
    switch (key_) {
      case ColumnKey::weight_norm:
        return "sort";
      case ColumnKey::input_norm:
        return "sort:inputs";
      case ColumnKey::input_amax:
        break;
    }
    return "arc";
  }
  void fit(const MatrixView& weights, const MatrixView& inputs) override {
    if (key_ == ColumnKey::input_amax) return sort_by(column_amax(inputs));
    const MatrixView& m = key_ == ColumnKey::input_norm ? inputs : weights;
    std::vector<double> norms(m.columns, 0.0);
    for (std::size_t i = 0; i < m.values.size(); ++i) {
      norms[i % m.columns] += static_cast<double>(m.values[i]) * m.values[i];
    }
    for (double& norm : norms) norm = std::sqrt(norm);
    sort_by(norms);
  }

 private:
  ColumnKey key_;
};

}  // namespace

std::vector<double> column_amax(const MatrixView& matrix) {
  std::vector<double> amax(matrix.columns, 0.0);
  for (std::size_t i = 0; i < matrix.values.size(); ++i) {
    double& a = amax[i % matrix.columns];
    a = std::max(a, static_cast<double>(std::fabs(matrix.values[i])));
  }
  return amax;
}

std::shared_ptr<Transform> column_order(ColumnKey key) {
  return std::make_shared<KeyOrder>(key);
}

}  // namespace lowbit::detail
