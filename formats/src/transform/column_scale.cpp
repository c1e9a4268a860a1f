// SPDX-License-Identifier: MIT
// SmoothQuant and AWQ: weights times a number per column, inputs divided by it.
#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "lowbit/error.hpp"
#include "transform/transforms.hpp"

namespace lowbit::detail {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

class ColumnScale : public Transform {
 public:
  [[nodiscard]] std::size_t group_columns() const override { return 0; }
  void apply_to_weights(std::span<float> row, InputType type) const override {
    for (std::size_t j = 0; j < row.size(); ++j) {
      row[j] = round_to_input_type(static_cast<float>(row[j] * scales_[j]), type);
    }
  }
  void apply_to_inputs(std::span<float> row, InputType type) const override {
    for (std::size_t j = 0; j < row.size(); ++j) {
      row[j] = round_to_input_type(static_cast<float>(row[j] / scales_[j]), type);
    }
  }
  [[nodiscard]] std::vector<float> learned() const override {
    return {scales_.begin(), scales_.end()};
  }
  [[nodiscard]] TransformCost cost(std::size_t, std::size_t columns) const override {
    return {32.0 * static_cast<double>(columns), static_cast<double>(columns)};
  }

 protected:
  std::vector<double> scales_;
};

class Smoothing final : public ColumnScale {
 public:
  explicit Smoothing(double alpha) : alpha_(alpha) {}
  [[nodiscard]] std::string name() const override { return fmt::format("smooth:{}", alpha_); }
  void fit(const MatrixView& weights, const MatrixView& inputs) override {
    const std::vector<double> a = column_amax(inputs);
    const std::vector<double> w = column_amax(weights);
    scales_.assign(weights.columns, 1.0);
    for (std::size_t j = 0; j < scales_.size(); ++j) {
      if (a[j] == 0.0) continue;
      const double s = std::pow(a[j], alpha_) / std::pow(std::max(w[j], 1e-5), 1.0 - alpha_);
      scales_[j] = std::max(s, 1e-5);
    }
  }

 private:
  double alpha_;
};

class Awq final : public ColumnScale {
 public:
  explicit Awq(const QuantizeOptions& request) : request_(request) {}
  [[nodiscard]] std::string name() const override { return "awq"; }
  void fit(const MatrixView& weights, const MatrixView& inputs) override {
    using Map =
        Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
    const auto columns = static_cast<Eigen::Index>(weights.columns);
    const Matrix w =
        Map(weights.values.data(), static_cast<Eigen::Index>(weights.rows), columns).cast<double>();
    const Matrix x =
        Map(inputs.values.data(), static_cast<Eigen::Index>(inputs.rows), columns).cast<double>();
    // |X D^T|^2 is the trace of D H D^T: the inputs count through H = X^T X alone.
    const Matrix h = x.transpose() * x;
    const Eigen::RowVectorXd mean = x.cwiseAbs().colwise().sum() / static_cast<double>(x.rows());
    std::vector<float> scaled(weights.values.size());
    std::vector<float> back(scaled.size());
    double least = 0.0;
    for (int step = 0; step < 20; ++step) {
      Eigen::RowVectorXd s = mean.array().pow(step / 20.0).max(1e-4).matrix();
      s /= std::sqrt(s.maxCoeff() * s.minCoeff());
      for (std::size_t i = 0; i < scaled.size(); ++i) {
        scaled[i] = static_cast<float>(weights.values[i] *
                                       s(static_cast<Eigen::Index>(i % weights.columns)));
      }
      dequantize(quantize(scaled, weights.rows, weights.columns, request_), back, request_.dialect);
      const Matrix d =
          (Map(back.data(), w.rows(), columns).cast<double>().array().rowwise() / s.array())
              .matrix() -
          w;
      const double error = (d * h).cwiseProduct(d).sum();
      if (step != 0 && !(error < least)) continue;
      least = error;
      scales_.assign(s.data(), s.data() + s.size());
    }
  }

 private:
  QuantizeOptions request_;
};

}  // namespace

std::shared_ptr<Transform> smoothing(double alpha) {
  return std::make_shared<Smoothing>(alpha);
}
std::shared_ptr<Transform> awq(const QuantizeOptions& request) {
  return std::make_shared<Awq>(request);
}

}  // namespace lowbit::detail
