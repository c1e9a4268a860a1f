// SPDX-License-Identifier: MIT
/// \file
/// Bars: what the measured times of kernels are held to, on the cards and at the shapes for which
/// docs/gpu_runs/bars.json has one. Judging is arithmetic on figures and needs no device.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "lowbit/gpu/kernel.hpp"

namespace lowbit::gpu {

/// What a bar compares.
enum class BarKind : std::uint8_t {
  times_floor,    ///< at most `limit` times the time of the case's bytes at the rate of the copy
  share_of_copy,  ///< the case's bytes per second: at least a share `limit` of the rate of the copy
  share_of_cublas,  ///< the case's operations per second: at least a share `limit` of those of
                    ///< cuBLAS FP16
};

/// A figure that a kernel has to reach on one card at one shape.
struct Bar {
  std::string device;                   ///< name of the card, as CUDA gives it
  std::string kernels;                  ///< pattern of kernel names: "quantize_*"
  Shape shape{};                        ///< the only shape it holds for
  BarKind kind = BarKind::times_floor;  ///< what `limit` is a share or a multiple of
  double limit = 0;                     ///< a factor (times_floor) or a share in 0..1
};

/// All bars, in the order of the file. Throws Error(internal) if the file that was built in cannot
/// be read.
[[nodiscard]] std::span<const Bar> bars();
/// The bar of a kernel on a card at a shape, or nullptr.
[[nodiscard]] const Bar* find_bar(const std::string& device, const std::string& kernel,
                                  const Shape& shape);

/// What a measured case comes to. Empty: there is nothing to compare with, or the figure says
/// nothing about the kernel.
struct BenchFigures {
  double bytes_per_second = 0;        ///< of the case's bytes
  std::optional<double> times_floor;  ///< quantize kernels only: they move bytes and do little else
  std::optional<double> operations_per_second;  ///< GEMM and decode kernels
  std::optional<double> share_of_cublas;        ///< GEMM kernels, where cuBLAS was measured
};
/// The figures of one measured case of a kernel.
[[nodiscard]] BenchFigures figures_of(Operation operation, const BenchResult& result,
                                      const BenchOptions& run);

/// The outcome of a comparison with a bar.
enum class Verdict : std::uint8_t { no_bar, nothing_to_compare, met, missed };
/// Whether a measured case meets its bar.
struct BarOutcome {
  Verdict verdict = Verdict::no_bar;  ///< no_bar and nothing_to_compare are no failure
  double value = 0;  ///< the figure that the bar is about; 0 without a verdict on it
};
/// \param result  the measured case
/// \param run  what else the run measured
/// \param bar  of find_bar; may be null
[[nodiscard]] BarOutcome judge(const Bar* bar, const BenchResult& result, const BenchOptions& run);

}  // namespace lowbit::gpu
