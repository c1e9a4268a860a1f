// SPDX-License-Identifier: MIT
#include "capture/capture_causes.hpp"

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

std::size_t nan_sign_only(const CodedBytes& wanted, const CodedBytes& mine,
                          std::span<const std::uint8_t> nan_signs,
                          const std::vector<bool>& differs) {
  if (wanted.scales.size() != differs.size() || mine.scales.size() != differs.size()) return 0;
  if (wanted.values.size() != mine.values.size() || nan_signs.size() != mine.values.size()) {
    return 0;
  }
  const std::size_t width = mine.values.size() / differs.size();
  std::size_t count = 0;
  for (std::size_t b = 0; b < differs.size(); ++b) {
    if (!differs[b]) continue;
    const unsigned scale = mine.scales[b] ^ wanted.scales[b];
    bool same = scale == 0 || (scale == 0x80U && (mine.scales[b] & 0x7FU) == 0x7FU);
    for (std::size_t i = b * width; i < (b + 1) * width; ++i) {
      same = same && ((mine.values[i] ^ wanted.values[i]) & ~nan_signs[i] & 0xFFU) == 0;
    }
    if (same) ++count;
  }
  return count;
}

}  // namespace lowbit::detail
