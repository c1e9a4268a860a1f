// SPDX-License-Identifier: MIT
/// \file
/// Error statistics of a stored tensor under several formats, chunk by chunk: memory is bounded by
/// the chunks in hand, whatever the tensor's size, and the result is the same for any number of
/// threads.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "lowbit/metrics.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit {

/// How a tensor is read for evaluation.
struct EvaluateOptions {
  int axis = -1;         ///< along which blocks run; negative ones count from the end
  unsigned threads = 1;  ///< at least 1
  /// Called with the number of elements done since the last call, one call at a time.
  std::function<void(std::uint64_t)> progress{};
};

/// Statistics of the tensor under each of the requests, in their order. A request's format, rule,
/// dialect, scale_max, transforms and nonfinite (error or saturate, the same in all) are used; amax
/// is measured where absent; input_type is the tensor's. Rows are the tensor's other dimensions.
/// `saturate` replaces the elements before x is compared. \throws Error(usage) for pairs that do
/// not exist; Error(invalid_input), naming tensor and element,
///         for an axis that is not there and, under NonFinite::error, NaN or infinity.
[[nodiscard]] std::vector<ErrorStatistics> evaluate(const TensorInfo& tensor,
                                                    std::span<const QuantizeOptions> requests,
                                                    const EvaluateOptions& options);

}  // namespace lowbit
