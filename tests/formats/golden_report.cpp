// SPDX-License-Identifier: MIT
// Prints, for every configuration of the golden files given, how many blocks differ.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "golden_file.hpp"
#include "sha256.hpp"

using namespace lowbit;

int main(int argc, char** argv) {
  bool all = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--all") == 0) { all = true; continue; }
    const golden::File file(argv[i]);
    for (const golden::Configuration& c : file.configurations()) {
      const Dialect* dialect = golden::dialect_of(c.backend);
      const golden::Problem p = file.problem(c, *dialect);
      const BlockTensor t = quantize(p.values, p.rows, p.columns, p.options);
      const auto scales = file.bytes(c.prefix + ".scales");
      const auto values = file.bytes(c.prefix + ".values");
      const std::size_t block_bytes = t.values.size() / t.scales.size();
      std::size_t blocks = 0, scale_diff = 0, first = t.scales.size();
      if (values.size() != t.values.size() || scales.size() != t.scales.size()) { std::printf("SIZE %s\n", c.prefix.c_str()); continue; }
      for (std::size_t b = 0; b < t.scales.size(); ++b) {
        const bool s = t.scales[b] != scales[b];
        const bool v = !std::equal(t.values.begin() + b * block_bytes, t.values.begin() + (b + 1) * block_bytes, values.begin() + b * block_bytes);
        scale_diff += s;
        blocks += s || v;
        if ((s || v) && first == t.scales.size()) first = b;
      }
      bool amax_ok = true;
      if (file.find(c.key + ".amax")) amax_ok = file.floats(c.key + ".amax")[0] == t.amax;
      if (c.prefix == c.key && file.find(c.key + ".dequant") != nullptr) {
        std::vector<float> y(t.rows * t.columns);
        dequantize(t, y, dialect);
        const auto want = file.bytes(c.key + ".dequant");
        const std::span<const std::uint8_t> mine(reinterpret_cast<const std::uint8_t*>(y.data()), y.size() * 4);
        std::size_t diff = 0;
        if (want.size() == 32) { const auto d = golden::sha256(mine); diff = !std::equal(d.begin(), d.end(), want.begin()); }
        else for (std::size_t k = 0; k < y.size(); ++k) diff += std::memcmp(&mine[k * 4], &want[k * 4], 4) != 0;
        if (diff) std::printf("DEQUANT %s %s %s: %zu\n", argv[i] + std::string(argv[i]).rfind('/') + 1, c.key.c_str(), c.backend.c_str(), diff);
      }
      if (blocks == 0 && amax_ok && !all) continue;
      std::printf("%s %s %s: %zu of %zu blocks, %zu scales%s", argv[i] + std::string(argv[i]).rfind('/') + 1, c.prefix.c_str(), c.backend.c_str(), blocks, t.scales.size(), scale_diff, amax_ok ? "" : " AMAX");
      if (blocks != 0) {
        std::printf("  first %zu: ours %02x", first, t.scales[first]);
        for (std::size_t k = 0; k < block_bytes; ++k) std::printf(" %02x", t.values[first * block_bytes + k]);
        std::printf(" theirs %02x", scales[first]);
        for (std::size_t k = 0; k < block_bytes; ++k) std::printf(" %02x", values[first * block_bytes + k]);
      }
      std::printf("\n");
    }
  }
}
