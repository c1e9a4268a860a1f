// SPDX-License-Identifier: MIT
#include "lowbit/output_error.hpp"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <cmath>
#include <limits>
#include <vector>

#include "lowbit/detail/parallel.hpp"
#include "lowbit/error.hpp"

namespace lowbit {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using FloatMap =
    Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

/// Outputs whose products are computed together. It is part of the definition of the sums.
constexpr std::size_t block_outputs = 64;

Eigen::Index index(std::size_t n) {
  return static_cast<Eigen::Index>(n);
}

FloatMap mapped(std::span<const float> values, std::size_t columns) {
  return {values.data(), index(values.size() / columns), index(columns)};
}

/// In the order of memory.
void add_elements(const double* y, const double* z, std::size_t count, OutputSums& sums) {
  sums.outputs += count;
  for (std::size_t i = 0; i < count; ++i) {
    const double error = z[i] - y[i];
    sums.squared_error += error * error;
    sums.squared_output += y[i] * y[i];
    sums.squared_result += z[i] * z[i];
    sums.product += y[i] * z[i];
  }
}

}  // namespace

void OutputSums::add(const OutputSums& other) {
  outputs += other.outputs;
  squared_error += other.squared_error;
  squared_output += other.squared_output;
  squared_result += other.squared_result;
  product += other.product;
}

double OutputSums::rel_l2() const {
  return squared_error == 0.0 ? 0.0 : std::sqrt(squared_error / squared_output);
}

double OutputSums::sqnr_db() const {
  if (squared_error == 0.0) return std::numeric_limits<double>::infinity();
  return 10.0 * std::log10(squared_output / squared_error);
}

double OutputSums::cosine() const {
  if (squared_error == 0.0) return 1.0;
  const double norms = std::sqrt(squared_output) * std::sqrt(squared_result);
  return norms == 0.0 ? 0.0 : product / norms;
}

struct LayerOutput::State {
  std::size_t columns = 0;
  Matrix inputs;               // tokens x K
  std::vector<float> weights;  // outputs x K
  std::vector<Matrix> blocks;  // of outputs: tokens x up to block_outputs
  std::size_t outputs = 0;

  /// Calls work(block, its products) for every block of outputs.
  template <typename Work>
  void multiply(const Matrix& x, std::span<const float> w, unsigned threads,
                const Work& work) const {
    const auto width = static_cast<std::size_t>(x.cols());
    struct Buffers {
      Matrix weights;
      Matrix products;
    };
    detail::for_each_index<Buffers>(blocks.size(), threads, [&](std::size_t b, Buffers& buffers) {
      const std::size_t first = b * block_outputs;
      const std::size_t count = std::min(block_outputs, outputs - first);
      buffers.weights = mapped(w, width).middleRows(index(first), index(count)).cast<double>();
      buffers.products.resize(x.rows(), index(count));
      buffers.products.noalias() = x * buffers.weights.transpose();
      work(b, buffers.products);
    });
  }

  /// The products against the original's, added block after block.
  [[nodiscard]] OutputSums sums_of(const Matrix& x, std::span<const float> w,
                                   unsigned threads) const {
    std::vector<OutputSums> parts(blocks.size());
    multiply(x, w, threads, [&](std::size_t b, const Matrix& z) {
      add_elements(blocks[b].data(), z.data(), static_cast<std::size_t>(z.size()), parts[b]);
    });
    OutputSums sums;
    for (const OutputSums& part : parts) sums.add(part);
    return sums;
  }
};

LayerOutput::LayerOutput(std::span<const float> inputs, std::span<const float> weights,
                         std::size_t columns, unsigned threads)
    : state_(std::make_unique<State>()) {
  if (columns == 0 || inputs.empty() || weights.empty() || inputs.size() % columns != 0 ||
      weights.size() % columns != 0) {
    throw Error(ErrorKind::usage,
                fmt::format("{} inputs and {} weights do not make rows of {} columns",
                            inputs.size(), weights.size(), columns));
  }
  state_->columns = columns;
  state_->inputs = mapped(inputs, columns).cast<double>();
  state_->weights.assign(weights.begin(), weights.end());
  state_->outputs = weights.size() / columns;
  state_->blocks.resize((state_->outputs + block_outputs - 1) / block_outputs);
  std::vector<Matrix> products(state_->blocks.size());
  state_->multiply(state_->inputs, weights, threads,
                   [&](std::size_t b, const Matrix& y) { products[b] = y; });
  state_->blocks = std::move(products);
}

LayerOutput::~LayerOutput() = default;
LayerOutput::LayerOutput(LayerOutput&&) noexcept = default;
LayerOutput& LayerOutput::operator=(LayerOutput&&) noexcept = default;

std::size_t LayerOutput::tokens() const {
  return static_cast<std::size_t>(state_->inputs.rows());
}
std::size_t LayerOutput::outputs() const {
  return state_->outputs;
}

OutputSums LayerOutput::compare(std::span<const float> inputs, std::span<const float> weights,
                                unsigned threads) const {
  const State& s = *state_;
  const bool fits = (inputs.empty() || inputs.size() == tokens() * s.columns) &&
                    (weights.empty() || weights.size() == s.weights.size());
  if (!fits) {
    throw Error(ErrorKind::usage,
                fmt::format("{} inputs and {} weights are compared with a layer of {} and {}",
                            inputs.size(), weights.size(), tokens() * s.columns, s.weights.size()));
  }
  const Matrix other = inputs.empty() ? Matrix{} : Matrix(mapped(inputs, s.columns).cast<double>());
  return s.sums_of(inputs.empty() ? s.inputs : other, weights.empty() ? s.weights : weights,
                   threads);
}

OutputSums LayerOutput::compare_operands(std::span<const float> inputs,
                                         std::span<const float> weights, std::size_t columns,
                                         unsigned threads) const {
  if (columns == 0 || inputs.size() != tokens() * columns ||
      weights.size() != outputs() * columns) {
    throw Error(ErrorKind::usage,
                fmt::format("{} inputs and {} weights are no operands of {} columns for {} tokens "
                            "and {} outputs",
                            inputs.size(), weights.size(), columns, tokens(), outputs()));
  }
  return state_->sums_of(mapped(inputs, columns).cast<double>(), weights, threads);
}

OutputSums LayerOutput::compare_outputs(std::span<const float> outputs) const {
  const State& s = *state_;
  if (outputs.size() != tokens() * s.outputs) {
    throw Error(ErrorKind::usage, fmt::format("{} outputs are compared with a layer of {} x {}",
                                              outputs.size(), tokens(), s.outputs));
  }
  OutputSums sums;
  for (std::size_t b = 0; b < s.blocks.size(); ++b) {
    const Matrix z = mapped(outputs, s.outputs)
                         .middleCols(index(b * block_outputs), s.blocks[b].cols())
                         .cast<double>();
    add_elements(s.blocks[b].data(), z.data(), static_cast<std::size_t>(z.size()), sums);
  }
  return sums;
}

}  // namespace lowbit
