// SPDX-License-Identifier: MIT
// A quantized weight and its original where their files have them, so that both can be read a few
// rows at a time.
#pragma once

#include <optional>
#include <vector>

#include "lowbit/checkpoint.hpp"
#include "lowbit/tensor_matrix.hpp"
#include "lowbit/verify_quantize.hpp"
#include "verify/dump_blocks.hpp"

namespace lowbit::detail {

/// The original of a weight as a matrix in the order of the weight's rows.
struct OriginalMatrix {
  TensorInfo tensor;
  AxisView view;
  /// Lives as long as this does.
  [[nodiscard]] StoredMatrix matrix() const { return {&tensor, view, false}; }
};

/// What original_of() reads, or nullopt where that finds none.
[[nodiscard]] std::optional<OriginalMatrix> original_matrix_of(const QuantizedTensor& tensor,
                                                               const Checkpoint& original);

/// The rows of one part of a weight, which lie together: parts are of the first dimension.
[[nodiscard]] OriginalMatrix part_of(const OriginalMatrix& original, std::size_t parts,
                                     std::size_t part);

/// Codes and scale bytes of one part of a weight. Its tensor scale is absent where the layout has
/// none.
[[nodiscard]] StoredDump stored_dump_of(const QuantizedTensor& tensor, std::size_t part);

/// One part of a weight as Checkpoint::read() has it, a strip at a time.
class StoredPart {
 public:
  /// \param tensor  its layout may be another one of the same sizes
  StoredPart(const QuantizedTensor& tensor, std::size_t part);
  /// dump_ is referred to.
  StoredPart(const StoredPart&) = delete;
  StoredPart& operator=(const StoredPart&) = delete;
  ~StoredPart() = default;

  [[nodiscard]] bool is_fused() const { return blocks_.is_fused(); }
  /// strips_of() the part without its padding. \param may_cut  rows; those that are fused never are
  [[nodiscard]] std::vector<Rectangle> strips(bool may_cut = true) const;
  /// \param strip  of the part, beginning at a block
  [[nodiscard]] BlockTensor read(const Rectangle& strip) const;
  /// The strip's place in the weight, whose parts lie one below the other.
  [[nodiscard]] Rectangle in_weight(const Rectangle& strip) const;

 private:
  const QuantizedTensor& tensor_;
  std::size_t part_;
  std::size_t rows_;
  StoredDump dump_;
  DumpBlocks blocks_;
};

/// Rectangles of about 2^19 elements that cover rows x columns elements in row order: whole rows,
/// or parts of one row, which begin at a block, where rows are longer and `may_cut`.
[[nodiscard]] std::vector<Rectangle> strips_of(std::size_t rows, std::size_t columns, bool may_cut);

}  // namespace lowbit::detail
