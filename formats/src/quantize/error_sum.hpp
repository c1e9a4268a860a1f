// SPDX-License-Identifier: MIT
// Sums of a block's errors in the orders of ErrorOrder.
#pragma once

#include <array>
#include <cmath>

#include "lowbit/block_format.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/input_type.hpp"

namespace lowbit::detail {

/// PyTorch's inner sum on 8-lane vectors: 4 running vectors while there are 4 to read, one
/// otherwise; then the lanes in order (aten/src/ATen/native/cpu/SumKernel.cpp). Up to 512 elements;
/// above, its cascade of levels would begin.
inline float lanes_8_sum(const float* e, int count) {
  constexpr int lanes = 8;
  constexpr int chains = 4;
  const int vectors = count / lanes;
  const int rounds = vectors / chains;
  std::array<std::array<float, lanes>, chains> sum{};
  for (int i = 0; i < rounds; ++i) {
    for (int k = 0; k < chains; ++k) {
      for (int l = 0; l < lanes; ++l) sum[k][l] += e[(i * chains + k) * lanes + l];
    }
  }
  for (int v = rounds * chains; v < vectors; ++v) {
    for (int l = 0; l < lanes; ++l) sum[0][l] += e[v * lanes + l];
  }
  float total = 0.0F;
  for (int l = 0; l < lanes; ++l) {
    float lane = sum[0][l];
    for (int k = 1; k < chains; ++k) lane += sum[k][l];
    total += lane;
  }
  return total;
}

/// Neighbours pairwise, count a power of two.
inline float neighbour_tree_sum(const float* e, int count) {
  std::array<float, max_block_size * max_block_size> level;
  for (int i = 0; i < count; ++i) level[i] = e[i];
  for (int n = count / 2; n > 0; n /= 2) {
    for (int i = 0; i < n; ++i) level[i] = level[2 * i] + level[2 * i + 1];
  }
  return level[0];
}

/// Triton's reduction: each thread adds the elements that it loaded as 16 bytes, then threads
/// exchange with those half, a quarter, ... of the row away. Rows of a 2D block are added likewise,
/// one after another.
inline float runs_then_halves_sum(const float* e, int count, int row, int run) {
  float total = 0.0F;
  for (int r = 0; r < count; r += row) {
    std::array<float, max_block_size> thread{};
    int threads = (row + run - 1) / run;
    for (int t = 0; t < threads; ++t) {
      thread[t] = e[r + t * run];
      for (int i = 1; i < run && t * run + i < row; ++i) thread[t] += e[r + t * run + i];
    }
    for (threads /= 2; threads > 0; threads /= 2) {
      for (int t = 0; t < threads; ++t) thread[t] += thread[t + threads];
    }
    total = r == 0 ? thread[0] : total + thread[0];
  }
  return total;
}

/// PyTorch's CUDA reduction: at most 32 threads per row, each adding what it reads 32 apart in 4
/// running sums, then neighbouring threads pairwise (aten/src/ATen/native/cuda/Reduce.cuh).
inline float partial_sums_tree(const float* e, int count) {
  if (count <= 32) return neighbour_tree_sum(e, count);
  constexpr int threads = 32;
  constexpr int chains = 4;
  std::array<float, threads> thread{};
  for (int t = 0; t < threads; ++t) {
    std::array<float, chains> sum{};
    for (int i = t, k = 0; i < count; i += threads, ++k) sum[k % chains] += e[i];
    thread[t] = sum[0];
    for (int k = 1; k < chains; ++k) thread[t] += sum[k];
  }
  return neighbour_tree_sum(thread.data(), threads);
}

inline float sequential_sum(const float* e, int count) {
  float total = 0.0F;
  for (int i = 0; i < count; ++i) total += e[i];
  return total;
}

/// Halves of the values, count a power of two: v[i] + v[i + n/2], down to one.
inline float halves_sum(float* v, int count) {
  for (int n = count / 2; n > 0; n /= 2) {
    for (int i = 0; i < n; ++i) v[i] += v[i + n];
  }
  return v[0];
}

/// A warp's reduction of a 2D block: one thread a row, which adds in order; then the rows by
/// halves. Rows of other blocks are added in order.
inline float rows_then_halves_sum(const float* e, int count, int row) {
  std::array<float, max_block_size> rows{};
  const int n = count / row;
  for (int r = 0; r < n; ++r) rows[r] = sequential_sum(e + r * row, row);
  return halves_sum(rows.data(), n);
}

/// Two threads of 8 elements each.
inline float halves_of_8_sum(const float* e, int count) {
  float total = sequential_sum(e, count < 8 ? count : 8);
  for (int i = 8; i < count; i += 8) total += sequential_sum(e + i, count - i < 8 ? count - i : 8);
  return total;
}

/// Squares added by multiply-adds, rows and halves of rows as above. \param d  differences
inline float fused_square_sum(const float* d, int count, int row) {
  std::array<float, max_block_size> rows{};
  const int n = count / row;
  for (int r = 0; r < n; ++r) {
    for (int i = 0; i < row; ++i) rows[r] = std::fma(d[r * row + i], d[r * row + i], rows[r]);
  }
  return halves_sum(rows.data(), n);
}

/// The sum of a block's errors as the dialect orders it.
/// \param row  elements of a row of the block, of which there may be several
inline float ordered_sum(ErrorOrder order, InputType type, const float* e, int count, int row) {
  switch (order) {
    case ErrorOrder::lanes_8:
      return lanes_8_sum(e, count);
    case ErrorOrder::neighbour_tree:
      return partial_sums_tree(e, count);
    case ErrorOrder::runs_then_halves:
      return runs_then_halves_sum(e, count, row, type == InputType::float32 ? 4 : 8);
    case ErrorOrder::rows_then_halves:
      return rows_then_halves_sum(e, count, row);
    case ErrorOrder::halves_of_8:
      return halves_of_8_sum(e, count);
    case ErrorOrder::sequential:
      break;
  }
  return sequential_sum(e, count);
}

}  // namespace lowbit::detail
