// SPDX-License-Identifier: MIT
/// \file
/// Error statistics of a stored tensor under several formats, chunk by chunk: memory is bounded by
/// the chunks in hand, whatever the tensor's size, and the result is the same for any number of
/// threads.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lowbit/axis_view.hpp"
#include "lowbit/communicator.hpp"
#include "lowbit/error.hpp"
#include "lowbit/format_spec.hpp"
#include "lowbit/metrics.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit {

/// What evaluate() and read_matrix() throw for NaN and infinities under NonFinite::error.
class NonFiniteInput : public Error {
 public:
  /// \param message  one line that names the tensor, the element and the remedy
  explicit NonFiniteInput(const std::string& message) : Error(ErrorKind::invalid_input, message) {}
};

/// How a tensor is read for evaluation.
struct EvaluateOptions {
  int axis = -1;         ///< along which blocks run; negative ones count from the end
  unsigned threads = 1;  ///< at least 1
  /// Called with the number of elements done since the last call, one call at a time. What it
  /// throws ends the evaluation and comes out of evaluate().
  std::function<void(std::uint64_t)> progress{};
  /// The matrix that the tensor is taken for; wins over the axis.
  std::optional<AxisView> view{};
  /// The processes that share the work, all of which get the result; null: this one alone.
  const Communicator* ranks = nullptr;
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

/// The tensor as a row-major matrix of view.rows() x view.length.
/// \param tensor  of a float type
/// \param view  how it is a matrix (layout.hpp)
/// \param nonfinite  propagate: NaN and infinities stay
/// \throws NonFiniteInput
[[nodiscard]] std::vector<float> read_matrix(const TensorInfo& tensor, const AxisView& view,
                                             NonFinite nonfinite);

/// Statistics of the tensor under a reference codec. Nothing counts as clipped or as a block. Reads
/// parts of about 2^18 elements, twice where the codec needs the amax. \throws NonFiniteInput
[[nodiscard]] ErrorStatistics evaluate(const TensorInfo& tensor, const AxisView& view,
                                       const ReferenceCodec& codec, NonFinite nonfinite);

/// Statistics of a tensor that stays as it is: no error, the bits of its type. \throws
/// NonFiniteInput
[[nodiscard]] ErrorStatistics kept_statistics(const TensorInfo& tensor, const AxisView& view,
                                              NonFinite nonfinite);

/// Statistics of the tensor under each of the specs, in their order: block formats, codecs, and the
/// tensor as it is.
/// \param specs  none of them a recipe or `stored`
/// \param tensor  of a float type
/// \param requests  one per block format among the specs, in their order
/// \param nonfinite  of codecs and kept tensors; that of the requests
/// \param options  with a view; its progress is called before each spec, too
/// \throws as the functions above
[[nodiscard]] std::vector<ErrorStatistics> evaluate(const TensorInfo& tensor,
                                                    std::span<const FormatSpec> specs,
                                                    std::span<const QuantizeOptions> requests,
                                                    NonFinite nonfinite,
                                                    const EvaluateOptions& options);

}  // namespace lowbit
