// SPDX-License-Identifier: MIT
// What several files of the module share: names that are words of Python calls, and the rows that
// are quantized.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "lowbit/quantize_record.hpp"
#include "lowbit/tensor_matrix.hpp"

namespace lowbit::python {

/// Text that may hold names of files' tensors: what is no UTF-8 becomes U+FFFD.
[[nodiscard]] nanobind::object utf8(std::string_view text);

/// Format, rule with its K, and dialect. \throws Error(usage) for other names, and for codecs.
[[nodiscard]] QuantizeRecord record_named(const std::string& format, const std::string& rule,
                                          const std::string& dialect);

/// Progress of a call that Ctrl-C ends: the calling thread does its share of the pieces and looks
/// between them.
[[nodiscard]] std::function<void(std::uint64_t)> stopping();

/// The rows that are quantized: along the axis, transposed where asked for.
/// \throws Error(usage) for an axis that is not there.
[[nodiscard]] TensorMatrix matrix_along(const TensorInfo& tensor, int axis, bool transposed);

/// \throws Error(usage) for other names.
[[nodiscard]] NonFinite nonfinite_named(const std::string& name);
[[nodiscard]] ElementRounding rounding_named(const std::string& name);
[[nodiscard]] const ElementFormat& output_named(const std::string& name);

}  // namespace lowbit::python
