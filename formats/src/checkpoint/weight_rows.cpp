// SPDX-License-Identifier: MIT
#include "checkpoint/weight_rows.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace lowbit::detail {

std::optional<OriginalMatrix> original_matrix_of(const QuantizedTensor& tensor,
                                                 const Checkpoint& original) {
  const TensorInfo* const info = original.find(tensor.name);
  if (tensor.is_rearranged) return std::nullopt;
  if (info == nullptr || !info->dtype->is_float() || info->fortran_order) return std::nullopt;
  if (info->elements() != std::uint64_t{tensor.rows} * tensor.columns) return std::nullopt;
  if (info->shape == tensor.shape || info->columns() == tensor.columns) {
    return OriginalMatrix{*info, {tensor.rows, tensor.columns, 1}};
  }
  // [experts, inputs, outputs] where the blocks are [experts, outputs, inputs].
  const std::size_t n = tensor.shape.size();
  const bool is_turned = n >= 2 && info->shape.size() == n &&
                         info->shape[n - 1] == tensor.shape[n - 2] &&
                         info->shape[n - 2] == tensor.shape[n - 1];
  if (!is_turned) return std::nullopt;
  const std::size_t outputs = info->shape[n - 1];
  if (outputs == 0) return std::nullopt;
  return OriginalMatrix{*info, {tensor.rows / outputs, tensor.columns, outputs}};
}

OriginalMatrix part_of(const OriginalMatrix& original, std::size_t parts, std::size_t part) {
  OriginalMatrix one = original;
  one.view.outer /= parts;
  one.tensor.shape = {one.view.outer, one.view.length, one.view.inner};
  const std::size_t bytes = original.tensor.bytes.size() / parts;
  one.tensor.bytes = original.tensor.bytes.subspan(part * bytes, bytes);
  return one;
}

StoredDump stored_dump_of(const QuantizedTensor& tensor, std::size_t part) {
  StoredDump dump;
  dump.name = tensor.parts() == 1 ? tensor.name : fmt::format("{}[{}]", tensor.name, part);
  const auto bytes_of = [&](const TensorInfo* info) -> std::span<const std::uint8_t> {
    if (info == nullptr) return {};
    const std::size_t size = info->bytes.size() / tensor.parts();
    return {reinterpret_cast<const std::uint8_t*>(info->bytes.data()) + part * size, size};
  };
  dump.values = bytes_of(tensor.codes);
  dump.scales = bytes_of(tensor.scales);
  if (tensor.scales != nullptr) {
    dump.scale_shape = tensor.scales->shape;
    if (tensor.parts() > 1) dump.scale_shape = {dump.scales.size()};
    // A matrix, whatever dimensions the weight has.
    const std::size_t n = dump.scale_shape.size();
    if (n > 2) dump.scale_shape = {tensor.scales->rows(), tensor.scales->columns()};
  }
  if (tensor.layout.tensor_scale != TensorScaleKind::none) {
    dump.tensor_scale = tensor.tensor_scales[part];
  }
  return dump;
}

StoredPart::StoredPart(const QuantizedTensor& tensor, std::size_t part)
    : tensor_(tensor),
      part_(part),
      rows_(tensor.rows / tensor.parts()),
      dump_(stored_dump_of(tensor, part)),
      blocks_(dump_, *tensor.format, tensor.layout, tensor.stored_rows / tensor.parts(),
              tensor.stored_columns) {}

std::vector<Rectangle> StoredPart::strips(bool may_cut) const {
  return strips_of(rows_, tensor_.columns, may_cut && !is_fused());
}

BlockTensor StoredPart::read(const Rectangle& strip) const {
  BlockTensor t = blocks_.part(strip);
  set_tensor_scale(t, tensor_.layout.tensor_scale, tensor_.tensor_scales[part_],
                   tensor_.encode_constant);
  return t;
}

Rectangle StoredPart::in_weight(const Rectangle& strip) const {
  return {part_ * rows_ + strip.row, strip.column, strip.rows, strip.columns};
}

std::vector<Rectangle> strips_of(std::size_t rows, std::size_t columns, bool may_cut) {
  // A multiple of every block size.
  constexpr std::size_t elements = std::size_t{1} << 19;
  std::vector<Rectangle> strips;
  if (rows == 0 || columns == 0) return strips;
  const std::size_t width = may_cut ? std::min(columns, elements) : columns;
  const std::size_t height = std::max<std::size_t>(elements / columns, 1);
  for (std::size_t r = 0; r < rows; r += height) {
    for (std::size_t c = 0; c < columns; c += width) {
      strips.push_back({r, c, std::min(height, rows - r), std::min(width, columns - c)});
    }
  }
  return strips;
}

}  // namespace lowbit::detail
