// SPDX-License-Identifier: MIT
// The seam between the pipeline and what computes: a table of functions, chosen once per tensor.
//
//   request (checked once) -> rows (read, non-finite policy, transforms, range) -> engine -> sinks
//
// The unit of work is a run: consecutive blocks whose elements lie one block after another, padded
// with zeros to whole blocks. An engine may serve some requests only; engine_for() falls back to
// the scalar one, which serves all. Every engine gives the same bytes and the same sums.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lowbit/block_trace.hpp"
#include "lowbit/metrics.hpp"
#include "quantize/block_engine.hpp"
#include "quantize/tensor_constants.hpp"

namespace lowbit::detail {

class ValueTable;

/// Rows of blocks, one after another.
struct BlockRun {
  /// blocks * block elements floats: the elements x' of each block, the rows of a 2D block in
  /// order.
  const float* x = nullptr;
  std::size_t blocks = 0;
  std::size_t blocks_per_row = 0;  ///< blocks is a multiple of it
  std::size_t block_rows = 1;      ///< rows of one block: 1, or those of a 2D block
  std::size_t real_rows = 1;       ///< of block_rows; the others are padding
  std::size_t last_columns = 0;    ///< columns of the last block of each row that are not padding
  bool nonfinite = false;          ///< whether x may hold NaN or infinities, to be propagated
  /// Numbers of stochastic rounding, laid out like x; null where there are none.
  const float* random0 = nullptr;
  const float* random1 = nullptr;
  /// Weights of the run's first row of blocks, one per column, the padding's 0; null: all 1.
  const float* importance = nullptr;
  /// The elements before the range's power of two, with which results are compared: element (r, c)
  /// of the run's matrix at original[r * original_stride + c], without padding.
  const float* original = nullptr;
  std::size_t original_stride = 0;
  /// For engines that read ahead: elements that are read next, for which the memory is asked while
  /// these are quantized.
  std::span<const float> ahead{};
  /// For engines that read ahead: not null where nobody has looked for NaN and infinities. The
  /// engine sets it where it finds one, and leaves the rest of the run.
  bool* found_nonfinite = nullptr;

  /// Columns of a block that are not padding.
  [[nodiscard]] std::size_t columns_of(std::size_t block, std::size_t block_size) const {
    return (block + 1) % blocks_per_row == 0 ? last_columns : block_size;
  }
};

/// Where the codes of a run go.
struct CodedRun {
  /// As BlockTensor::values, block after block; a 2D block's rows in order. Padding is 0.
  std::uint8_t* codes = nullptr;
  std::uint8_t* scales = nullptr;  ///< one per block
  BlockChoice* choices = nullptr;  ///< one per block, or null
};

struct Engine {
  std::string_view name;
  /// The largest bits of |x|, which are in the order of the magnitudes; at least those of infinity
  /// where x holds NaN or infinities.
  std::uint32_t (*top_magnitude)(const float* x, std::size_t count);
  void (*quantize)(const TensorConstants&, const BlockRun&, BlockScratch&, const CodedRun&);
  /// Adds to the sums what error_statistics() gives for the run, and nothing of the tensor's scale.
  void (*measure)(const TensorConstants&, const BlockRun&, BlockScratch&, ValueTable&,
                  ErrorStatistics&);
  /// Block `index` of the run, step by step.
  void (*trace)(const TensorConstants&, const BlockRun&, std::size_t index, BlockScratch&,
                BlockTrace&);
  /// The two halves of quantize() for one block of `count` elements, which are finite: the scale
  /// byte that the rule gives it, and its unpacked codes under a given scale byte.
  std::uint8_t (*choose)(const TensorConstants&, const float* x, int count, BlockScratch&);
  void (*encode)(const TensorConstants&, std::uint8_t scale_byte, const float* x, int count,
                 BlockScratch&, std::uint8_t* codes);
  bool reads_ahead = false;  ///< quantize() knows BlockRun::ahead and BlockRun::found_nonfinite
};

/// By the element formats alone. \throws Error(usage) for element formats that it does not know.
[[nodiscard]] const Engine& scalar_engine(const BlockFormat& format);
/// For formats with levels of exponents below the scale.
/// \throws Error(usage) for levels that it does not know.
[[nodiscard]] const Engine& levels_engine(const BlockFormat& format);
/// For the rules that search for the best scale byte.
[[nodiscard]] const Engine& search_engine(const BlockFormat& format);
/// The fastest engine that serves the request: chosen by format, rule, rounding and the values of
/// the dialect's axes, never by the dialect's name.
[[nodiscard]] const Engine& engine_for(const TensorConstants& constants);

}  // namespace lowbit::detail
