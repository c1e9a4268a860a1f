// SPDX-License-Identifier: MIT
#include "transform/svd_branch.hpp"

#include <Eigen/Dense>

namespace lowbit::detail {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using FloatMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The left singular vectors of the largest singular values, from the smaller of the two Gram
/// matrices. Its small eigenvalues lose half their digits; those of a branch are the largest.
Matrix left_vectors(const Matrix& w, Eigen::Index rank) {
  if (w.rows() <= w.cols()) {
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(Eigen::MatrixXd(w * w.transpose()));
    return solver.eigenvectors().rightCols(rank).rowwise().reverse();
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(Eigen::MatrixXd(w.transpose() * w));
  Matrix u = w * solver.eigenvectors().rightCols(rank).rowwise().reverse();
  for (Eigen::Index k = 0; k < rank; ++k) {
    const double norm = u.col(k).norm();
    if (norm != 0.0) u.col(k) /= norm;
  }
  return u;
}

FloatMatrix rounded_to_bf16(const Matrix& m) {
  return m.cast<float>().unaryExpr(
      [](float x) { return round_to_input_type(x, InputType::bfloat16); });
}

std::vector<float> values_of(const FloatMatrix& m) {
  return {m.data(), m.data() + m.size()};
}

}  // namespace

SvdBranch svd_branch(const MatrixView& weights, std::size_t rank) {
  const Matrix w =
      Eigen::Map<const FloatMatrix>(weights.values.data(), static_cast<Eigen::Index>(weights.rows),
                                    static_cast<Eigen::Index>(weights.columns))
          .cast<double>();
  Matrix u = left_vectors(w, static_cast<Eigen::Index>(rank));
  for (Eigen::Index k = 0; k < u.cols(); ++k) {
    Eigen::Index top = 0;
    u.col(k).cwiseAbs().maxCoeff(&top);
    if (u(top, k) < 0.0) u.col(k) = -u.col(k);
  }
  const FloatMatrix left = rounded_to_bf16(u);
  const FloatMatrix right = rounded_to_bf16(u.transpose() * w);
  const Matrix rest = w - left.cast<double>() * right.cast<double>();
  return {values_of(left), values_of(right), values_of(rest.cast<float>())};
}

}  // namespace lowbit::detail
