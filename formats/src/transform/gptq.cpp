// SPDX-License-Identifier: MIT
#include "transform/gptq.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <numeric>

#include "dequantize/value_table.hpp"
#include "lowbit/block_encoder.hpp"
#include "lowbit/error.hpp"

namespace lowbit::detail {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ColumnMatrix = Eigen::MatrixXd;
using Map = Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

Eigen::Index index(std::size_t n) {
  return static_cast<Eigen::Index>(n);
}

/// Part of the mean diagonal that is added to the diagonal, as in the published code.
constexpr double damping = 0.01;
/// Columns whose updates of later columns are gathered into one product.
constexpr Eigen::Index lazy_columns = 64;

void set_code(BlockTensor& t, std::size_t row, std::size_t column, std::uint8_t code) {
  const std::size_t base = row * t.value_bytes_per_row();
  if (t.format->storage_bits() == 8) {
    t.values[base + column] = code;
    return;
  }
  std::uint8_t& pair = t.values[base + column / 2];
  pair = column % 2 == 0 ? static_cast<std::uint8_t>((pair & 0xF0) | code)
                         : static_cast<std::uint8_t>((pair & 0x0F) | code << 4);
}

}  // namespace

void gptq(const MatrixView& weights, const MatrixView& inputs, const QuantizeOptions& request,
          bool by_diagonal, BlockTensor& quantized) {
  const Eigen::Index columns = index(weights.columns);
  const Eigen::Index rows = index(weights.rows);
  ColumnMatrix h;
  {
    const Matrix x = Map(inputs.values.data(), index(inputs.rows), columns).cast<double>();
    h = x.transpose() * x / static_cast<double>(inputs.rows);
  }
  ColumnMatrix w = Map(weights.values.data(), rows, columns).cast<double>();
  const Eigen::VectorXd diagonal = h.diagonal();
  for (Eigen::Index j = 0; j < columns; ++j) {
    if (diagonal[j] != 0.0) continue;
    h(j, j) = 1.0;
    w.col(j).setZero();
  }
  h.diagonal().array() += damping * h.diagonal().mean();
  std::vector<Eigen::Index> order(weights.columns);
  std::iota(order.begin(), order.end(), Eigen::Index{0});
  if (by_diagonal) {
    std::stable_sort(order.begin(), order.end(),
                     [&](Eigen::Index a, Eigen::Index b) { return diagonal[a] > diagonal[b]; });
  }
  h = ColumnMatrix(h(order, order));
  w = ColumnMatrix(w(Eigen::all, order));

  const Eigen::LLT<ColumnMatrix> forward(h);
  if (forward.info() != Eigen::Success) {
    throw Error(ErrorKind::usage, "gptq: the inputs' second moments have no Cholesky factor");
  }
  const ColumnMatrix inverse = forward.solve(ColumnMatrix::Identity(columns, columns));
  const ColumnMatrix c = Eigen::LLT<ColumnMatrix>(inverse).matrixU();

  BlockEncoder encoder(request, quantized.amax);
  ValueTable values(*request.format, quantized.amax, quantized.encode_constant,
                    request.dialect != nullptr ? *request.dialect : canonical);
  const auto size = static_cast<std::size_t>(request.format->block_size);
  ColumnMatrix errors(rows, lazy_columns);
  for (Eigen::Index first = 0; first < columns; first += lazy_columns) {
    const Eigen::Index last = std::min(first + lazy_columns, columns);
    for (Eigen::Index j = first; j < last; ++j) {
      const auto column = static_cast<std::size_t>(order[static_cast<std::size_t>(j)]);
      for (Eigen::Index r = 0; r < rows; ++r) {
        const auto row = static_cast<std::size_t>(r);
        const std::uint8_t scale = quantized.scale(row, column / size);
        const auto x = static_cast<float>(w(r, j));
        std::uint8_t code = 0;
        encoder.encode(scale, {&x, 1}, {&code, 1});
        set_code(quantized, row, column, code);
        errors(r, j - first) = (w(r, j) - values.row(scale)[code]) / c(j, j);
      }
      const Eigen::Index rest = last - j - 1;
      w.middleCols(j + 1, rest).noalias() -= errors.col(j - first) * c.block(j, j + 1, 1, rest);
    }
    const Eigen::Index done = last - first;
    w.rightCols(columns - last).noalias() -=
        errors.leftCols(done) * c.block(first, last, done, columns - last);
  }
}

}  // namespace lowbit::detail
