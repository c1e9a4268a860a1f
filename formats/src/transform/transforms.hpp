// SPDX-License-Identifier: MIT
// Transforms of rows that remedies are made of; docs/transforms.md defines each.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lowbit/input_type.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/transform.hpp"

namespace lowbit::detail {

/// hadamard_transform() without vectors, for groups that hold NaN or infinity, and for tests.
void transform_one_by_one(std::span<float> values, InputType type);

/// \param points  16 or more, a power of two; 0: all columns
[[nodiscard]] std::shared_ptr<Transform> rotation(std::size_t points, std::uint64_t seed);
/// SmoothQuant.
[[nodiscard]] std::shared_ptr<Transform> smoothing(double alpha);
/// AWQ: scales for weights that are quantized by the request.
[[nodiscard]] std::shared_ptr<Transform> awq(const QuantizeOptions& request);
/// By what columns are ordered, the largest first.
enum class ColumnKey : std::uint8_t { weight_norm, input_norm, input_amax };
[[nodiscard]] std::shared_ptr<Transform> column_order(ColumnKey key);
/// The largest magnitude of each column.
[[nodiscard]] std::vector<double> column_amax(const MatrixView& matrix);

}  // namespace lowbit::detail
