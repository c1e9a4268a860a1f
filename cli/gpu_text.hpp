// SPDX-License-Identifier: MIT
// What `lowbit gpu` prints of kernels and their figures, as text. Needs no device.
#pragma once

#include <cstddef>
#include <string>

#include "lowbit/gpu/kernel.hpp"

namespace lowbit::cli {

/// Whether and where the kernel has run, by the run records.
std::string hardware_text(const gpu::KernelInfo& kernel);

/// Why `verify` or `bench` skips the kernel on a device of that compute capability; empty if it
/// does not. \param offered  whether the kernel has the function that was asked for
std::string skip_text(const gpu::KernelInfo& kernel, bool offered, int capability);

/// The table of `lowbit gpu bench`: makes its lines and counts the bars that were missed.
class BenchTable {
 public:
  explicit BenchTable(std::string device) : device_(std::move(device)) {}
  [[nodiscard]] static std::string header();
  std::string line(const gpu::KernelInfo& kernel, const gpu::BenchResult& result,
                   const gpu::BenchOptions& run);
  [[nodiscard]] std::size_t missed() const { return missed_; }
  /// The last line.
  [[nodiscard]] std::string summary() const;
  /// 0, or ErrorKind::mismatch where a bar was missed.
  [[nodiscard]] int exit_code() const;

 private:
  std::string device_;
  std::size_t missed_ = 0, judged_ = 0;
};

}  // namespace lowbit::cli
