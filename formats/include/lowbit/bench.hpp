// SPDX-License-Identifier: MIT
/// \file
/// How fast this machine quantizes, dequantizes and evaluates: what `lowbit bench` prints.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "lowbit/quantize.hpp"

namespace lowbit {

/// One measurement. Quantization, dequantization and evaluation run on 65,536 normal values, which
/// stay in a core's L2 cache; `read` and `write` on 256 MiB, which stay in none. `quantize_memory`
/// is quantize_into() of what `read` reads, with the amax given, and `quantize_measured` with the
/// amax measured first. `quantize_tensor` and `dequantize_tensor` are quantize() and dequantize()
/// as they are called, with the memory that they take, on 64 MiB of values; the amax is given.
struct BenchResult {
  /// amax, quantize, dequantize, eval, quantize_memory, quantize_measured, quantize_tensor,
  /// dequantize_tensor, read or write
  std::string_view operation;
  std::string_view format;           ///< empty for amax, read and write
  std::string_view rule;             ///< likewise, and for dequantization
  std::string_view dtype;            ///< of the values: F32, F16 or BF16
  std::string_view target;           ///< the instruction set ("AVX3" is AVX-512), or scalar
  unsigned threads = 1;              ///< that ran the operation
  double elements_per_second = 0.0;  ///< of the input
  double bytes_per_second = 0.0;     ///< read and written, codes and scale bytes included
};

/// Measures every format with every rule, in `canonical`, from F32, and with its first rule from
/// F16 and BF16, on the calling thread. Each case is repeated for `seconds` and its fastest
/// repetition counts, which other load disturbs least. \param seconds  of each case \param done
/// called after each case; may be empty \return in the order of the calls. Not to be run beside
/// another bench().
[[nodiscard]] std::vector<BenchResult> bench(double seconds,
                                             const std::function<void(const BenchResult&)>& done);

/// Whether a vector kernel serves the request, on every machine; else the scalar engine does.
/// \param options  with a format. Roundings other than to nearest are never served.
[[nodiscard]] bool has_vector_kernel(const QuantizeOptions& options);

}  // namespace lowbit
