// SPDX-License-Identifier: MIT
// What a user's program does first, with what is installed and nothing else: exit 0 where the bytes
// are those that docs/formats.md gives for this block.
#include <cstdio>
#include <lowbit/quantize.hpp>
#include <lowbit/version.hpp>
#include <vector>

#ifdef CONSUMER_USES_SIM
#include <array>
#include <lowbit/sim/instruction.hpp>
#endif

int main() {
  // Its amax, 6, is the largest E2M1 value, and every element is one: the codes are exact, two a
  // byte, the even column in the low nibble; the block's scale is the largest E4M3 number, 448.
  const std::vector<float> values{0.0F,  0.5F,  1.0F,  1.5F,  2.0F,  3.0F,  4.0F,  6.0F,
                                  -0.5F, -1.0F, -1.5F, -2.0F, -3.0F, -4.0F, -6.0F, 0.0F};
  const std::vector<std::uint8_t> codes{0x10, 0x32, 0x54, 0x76, 0xa9, 0xcb, 0xed, 0x0f};
  lowbit::QuantizeOptions options;
  options.format = lowbit::find_block_format("nvfp4");
  const lowbit::BlockTensor quantized = lowbit::quantize(values, 1, values.size(), options);
  std::vector<float> back(values.size());
  lowbit::dequantize(quantized, back);
  const bool same = quantized.values == codes && quantized.scales[0] == 0x7e &&
                    quantized.amax == 6.0F && back == values;
  std::printf("lowbit %s: %s\n", LOWBIT_VERSION, same ? "as documented" : "WRONG");
#ifdef CONSUMER_USES_SIM
  if (lowbit::sim::instructions().empty()) return 1;
#endif
  return same ? 0 : 1;
}
