// SPDX-License-Identifier: MIT
// One way in which a dump could have been made, and the machine that tries it: on sampled blocks,
// and on all of them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "lowbit/axis_view.hpp"
#include "lowbit/block_trace.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/verify_quantize.hpp"
#include "verify/dump_blocks.hpp"

namespace lowbit::detail {

/// A request with a layout. The dialect is held by value, so that one axis of it can be changed.
struct Recipe {
  const BlockFormat* format = nullptr;
  ScaleRule rule = ScaleRule::static_6;
  std::optional<float> scale_max{};
  Dialect dialect{};
  Layout layout{};
  bool through_f16 = false;     ///< the inputs are rounded to F16 first
  std::optional<float> amax{};  ///< A, where it is not the measured one
};

/// Which parts of two quantizations a block of the dump may be put together from.
enum class Mixture : std::uint8_t {
  none,    ///< all of the first
  codes,   ///< the first's scale byte, the codes of either
  either,  ///< the scale byte of either, the codes of either
};

/// Blocks that differ, and the first of them.
struct BlockDifference {
  std::size_t compared = 0;
  std::size_t different = 0;
  std::size_t scales = 0;
  std::size_t codes = 0;
  std::size_t first_row = 0;
  std::size_t first_block = 0;
};

/// Compares block by block. \param other  for mixtures: the second quantization
[[nodiscard]] BlockDifference difference_of(const BlockTensor& wanted, const BlockTensor* other,
                                            Mixture mixture, const BlockTensor& dump);

/// (row, block), the row being the first of a 2D block.
using BlockRef = std::pair<std::size_t, std::size_t>;

/// The blocks of a matrix that are tried first, as a small matrix of their own.
struct BlockSample {
  std::vector<BlockRef> blocks;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<float> values;
  std::vector<float> values_f16;  ///< each rounded to F16
  std::vector<float> random0, random1;
};

/// A matrix, a dump of it, and what recipes make of the matrix. Both are read where they are, a
/// piece at a time.
class Trial {
 public:
  Trial(const StoredMatrix& matrix, const StoredDump& dump, const VerifyRequest& request);

  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::size_t columns() const { return columns_; }
  [[nodiscard]] const StoredDump& stored() const { return dump_; }
  [[nodiscard]] const VerifyRequest& request() const { return request_; }
  [[nodiscard]] bool all_finite() const { return all_finite_; }
  /// Whether somebody says which A the dump was made with, whatever the tensor's is.
  [[nodiscard]] bool amax_is_given() const {
    return request_.declared.amax && !request_.amax_is_measured;
  }

  /// The dump in that layout; null where its bytes do not have the sizes of the layout. Its format
  /// is the given one or another with blocks and codes of the same sizes.
  [[nodiscard]] const DumpBlocks* dump(const BlockFormat& format, const Layout& layout) const;
  /// A that the recipe quantizes under: given, or measured.
  [[nodiscard]] float amax(const Recipe& recipe) const;
  /// The request of the recipe for a part of the matrix.
  [[nodiscard]] QuantizeOptions options(const Recipe& recipe) const;
  /// Whether the pair of format, rule and dialect exists.
  [[nodiscard]] static bool exists(const Recipe& recipe);

  /// Evenly spread blocks, `wanted` among them. Partial blocks are left out where there are whole
  /// ones.
  [[nodiscard]] BlockSample sample(const BlockFormat& format, std::size_t count,
                                   std::span<const BlockRef> wanted = {}) const;
  [[nodiscard]] BlockTensor quantize_sample(const Recipe& recipe, const BlockSample& sample) const;
  /// The dump's blocks of the sample.
  [[nodiscard]] BlockTensor dump_sample(const DumpBlocks& dump, const BlockSample& sample) const;
  /// All blocks, on all threads. \param other  for mixtures
  [[nodiscard]] BlockDifference compare_all(const Recipe& recipe, const Recipe* other,
                                            Mixture mixture, const DumpBlocks& dump) const;
  /// Whether every block is the dump's. The first block that differs ends the comparison.
  [[nodiscard]] bool agrees(const Recipe& recipe, const DumpBlocks& dump) const;

  /// What the recipe's bytes depend on: the constants of the tensor and the values of the axes that
  /// can show. Recipes of one key give the same bytes.
  /// \param dump  not null: recipes of one key also agree with the dump, or differ from it, alike
  [[nodiscard]] std::string key(const Recipe& recipe, const DumpBlocks* dump = nullptr) const;
  /// The first `most` blocks that differ.
  [[nodiscard]] std::vector<BlockRef> differing(const Recipe& recipe, const DumpBlocks& dump,
                                                std::size_t most) const;

  /// One block (all rows of a 2D one), step by step.
  [[nodiscard]] BlockTrace trace(const Recipe& recipe, const BlockRef& at) const;
  /// Rows of one block.
  [[nodiscard]] std::size_t block_rows(const BlockFormat& format) const;

  /// The number that the recipe's tensor has beside its blocks, and whether the stored one is it.
  struct ScaleCheck {
    float expected = 1.0F;
    bool equal = true;
    TensorScaleKind kind = TensorScaleKind::none;
  };
  [[nodiscard]] ScaleCheck check_scale(const Recipe& recipe) const;

 private:
  /// The elements of a rectangle after the declared transforms. \param through_f16  rounded to F16
  [[nodiscard]] std::vector<float> read(const Rectangle& rectangle, bool through_f16) const;
  /// Whether random numbers, which lie by rows, or transforms want rows in one piece.
  [[nodiscard]] bool needs_whole_rows() const;
  /// Columns that are read together: all, or of very long rows some, a multiple of every block.
  [[nodiscard]] std::size_t width(std::size_t block_rows, bool whole_rows) const;
  /// Rectangles of whole blocks that cover the matrix. \param whole_rows  parts of rows will not do
  [[nodiscard]] std::vector<Rectangle> rectangles(std::size_t block_rows, bool whole_rows) const;
  /// The request for a part of the matrix: under the recipe's A, with the part's random numbers.
  [[nodiscard]] QuantizeOptions options_of(const Recipe& recipe, const Rectangle& part) const;
  [[nodiscard]] BlockTensor quantize_part(const Recipe& recipe, const Rectangle& part) const;
  [[nodiscard]] BlockDifference compare(const Recipe& recipe, const Recipe* other, Mixture mixture,
                                        const DumpBlocks& dump, bool stops) const;
  [[nodiscard]] bool is_ordinary(const DumpBlocks& dump, const ElementFormat& scale,
                                 std::span<const float> constants) const;
  void measure();
  [[nodiscard]] float measure_amax_of(const Recipe& recipe) const;

  const StoredMatrix& matrix_;
  std::size_t rows_;
  std::size_t columns_;
  const StoredDump& dump_;
  const VerifyRequest& request_;
  const Communicator& ranks_;
  bool all_finite_ = true;
  float top_ = 0.0F;  ///< the largest magnitude, where all are finite
  /// Where some are not, by policy, and whether through F16.
  mutable std::map<std::pair<Nonfinite, bool>, float> amax_;
  /// Whether a scale byte of the dump is 0 or NaN in that scale format.
  mutable std::map<std::pair<const DumpBlocks*, const ElementFormat*>, bool> has_edges_;
  /// By block size, bits of a stored code and layout: formats that agree in these share the bytes.
  mutable std::map<std::tuple<int, int, std::string>, std::unique_ptr<DumpBlocks>> dumps_;
};

}  // namespace lowbit::detail
