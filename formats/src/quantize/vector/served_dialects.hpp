// SPDX-License-Identifier: MIT
// Which dialects the vector kernels compute: by the values of axes, never by the dialect's name.
#pragma once

#include "lowbit/dialect.hpp"

namespace lowbit::detail {

/// Whether the kernels serve the value that the dialect has on every axis. An axis, or a value of
/// an axis, that the kernels were not written for is not served unless it is canonical's.
[[nodiscard]] bool serves_dialect(const Dialect& dialect);

}  // namespace lowbit::detail
