// SPDX-License-Identifier: MIT
#include "capture/capture_causes.hpp"

#include <algorithm>
#include <array>

namespace lowbit::detail {
namespace {

struct Cause {
  std::string_view library;
  std::string_view configuration;
  std::string_view cause;
};

constexpr auto causes = std::to_array<Cause>({
    {"te_reference", "nvfp4_rht_col", "the Hadamard product of PyTorch on the CPU"},
    {"te_reference", "nvfp4_rht_col@cuda", "the Hadamard product of PyTorch on CUDA"},
    {"modelopt", "nvfp4_46_mse@cuda", "summation order of the calibration on CUDA"},
    {"llmcompressor", "nvfp4_mse_observer", "search of the observer"},
    {"llmcompressor", "nvfp4_mse_observer@cuda", "search of the observer"},
    {"llmcompressor", "nvfp4_fouroversix_observer", "search of the observer"},
    {"llmcompressor", "nvfp4_fouroversix_observer@cuda", "search of the observer"},
});

}  // namespace

std::string_view allowed_cause(std::string_view library, std::string_view configuration) {
  for (const Cause& c : causes) {
    if (c.library == library && c.configuration == configuration) return c.cause;
  }
  return "";
}

std::size_t nan_sign_only(std::span<const std::uint8_t> wanted_scales,
                          std::span<const std::uint8_t> scales,
                          std::span<const std::uint8_t> wanted_values,
                          std::span<const std::uint8_t> values, const std::vector<bool>& differs) {
  if (wanted_scales.size() != differs.size() || scales.size() != differs.size()) return 0;
  const bool has_values = wanted_values.size() == values.size();
  const std::size_t width = values.size() / differs.size();
  std::size_t count = 0;
  for (std::size_t b = 0; b < differs.size(); ++b) {
    if (!differs[b] || (scales[b] ^ wanted_scales[b]) != 0x80 || (scales[b] & 0x7F) != 0x7F)
      continue;
    const bool same =
        has_values && std::equal(values.begin() + b * width, values.begin() + (b + 1) * width,
                                 wanted_values.begin() + b * width);
    if (same) ++count;
  }
  return count;
}

}  // namespace lowbit::detail
