// SPDX-License-Identifier: MIT
// NF4 and FP4 of bitsandbytes 95f9af3 (csrc/kernels.cu, kQuantizeBlockwise): blocks of 64 elements
// of the flattened tensor, an FP32 absmax each, codes by thresholds on fl(x * fl(1 / absmax)), the
// even element in the high nibble. First the absmax values, then the codes.
#include <array>
#include <cmath>
#include <numeric>

#include "codec/codec_bytes.hpp"
#include "codec/codecs.hpp"

namespace lowbit::detail {
namespace {

constexpr std::size_t block = 64;

/// Code values, and the code of the interval above each threshold.
struct Codebook {
  std::string_view name;
  std::string_view summary;
  std::array<float, 16> values;
  bool sign_bit;  ///< bit 3 is the sign; else codes are in the order of their values
  /// Ascending; a magnitude (or a value, without sign bit) above thresholds[i] has at least
  /// codes[i + 1].
  std::array<float, 15> thresholds;
  std::array<std::uint8_t, 16> codes;
};

constexpr Codebook nf4{
    "nf4",
    "NF4 of bitsandbytes, blocks of 64, FP32 absmax",
    {-1.0F, -0.6961928009986877F, -0.5250730514526367F, -0.39491748809814453F,
     -0.28444138169288635F, -0.18477343022823334F, -0.09105003625154495F, 0.0F,
     0.07958029955625534F, 0.16093020141124725F, 0.24611230194568634F, 0.33791524171829224F,
     0.44070982933044434F, 0.5626170039176941F, 0.7229568362236023F, 1.0F},
    false,
    {-0.8480964004993439F, -0.6106329262256622F, -0.4599952697753906F, -0.33967943489551544F,
     -0.23460740596055984F, -0.13791173323988914F, -0.045525018125772476F, 0.03979014977812767F,
     0.1202552504837513F, 0.2035212516784668F, 0.2920137718319893F, 0.3893125355243683F,
     0.5016634166240692F, 0.6427869200706482F, 0.8614784181118011F},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

/// Magnitudes in twelfths: 0, 1/16, 2, 3, 4, 6, 8, 12 with codes 0, 1, 6, 7, 4, 5, 2, 3.
constexpr Codebook fp4{
    "fp4_bnb",
    "FP4 of bitsandbytes, blocks of 64, FP32 absmax",
    {0.0F, 0.005208333333F, 0.66666667F, 1.0F, 0.33333333F, 0.5F, 0.16666667F, 0.25F, -0.0F,
     -0.005208333333F, -0.66666667F, -1.0F, -0.33333333F, -0.5F, -0.16666667F, -0.25F},
    true,
    {0.00260417F, 0.0859375F, 0.20833333F, 0.29166667F, 0.4166667F, 0.583333F, 0.8333333F, 2.0F,
     2.0F, 2.0F, 2.0F, 2.0F, 2.0F, 2.0F, 2.0F},
    {0, 1, 6, 7, 4, 5, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0}};

std::uint8_t code_of(const Codebook& book, float x) {
  const float wanted = book.sign_bit ? std::fabs(x) : x;
  std::size_t i = 0;
  while (i < book.thresholds.size() && wanted > book.thresholds[i]) ++i;
  const int sign = book.sign_bit && x < 0.0F ? 8 : 0;
  return static_cast<std::uint8_t>(book.codes[i] + sign);
}

class BnbCodec : public ReferenceCodec {
 public:
  explicit BnbCodec(const Codebook& book) : book_(book) {}
  [[nodiscard]] std::string_view name() const override { return book_.name; }
  [[nodiscard]] std::string_view summary() const override { return book_.summary; }
  [[nodiscard]] std::size_t bytes(std::size_t rows, std::size_t columns) const override {
    return 4 * blocks(rows * columns) + (rows * columns + 1) / 2;
  }
  /// Blocks do not end where rows do.
  [[nodiscard]] std::size_t rows_apart(std::size_t columns) const override {
    return block / std::gcd(block, columns);
  }
  void encode(std::span<const float> values, std::size_t, std::size_t,
              std::span<std::uint8_t> out) const override {
    std::uint8_t* const codes = out.data() + 4 * blocks(values.size());
    std::fill(codes, out.data() + out.size(), std::uint8_t{0});
    for (std::size_t b = 0; b < blocks(values.size()); ++b) {
      const std::size_t first = b * block;
      const std::size_t count = std::min(block, values.size() - first);
      const float absmax = amax_of_group(values.subspan(first, count));
      put_f32(out.data() + 4 * b, absmax);
      const float reciprocal = 1.0F / absmax;
      for (std::size_t i = first; i < first + count; ++i) {
        codes[i / 2] |= static_cast<std::uint8_t>(code_of(book_, values[i] * reciprocal)
                                                  << (i % 2 == 0 ? 4 : 0));
      }
    }
  }
  void decode(std::span<const std::uint8_t> bytes, std::size_t, std::size_t,
              std::span<float> out) const override {
    const std::uint8_t* const codes = bytes.data() + 4 * blocks(out.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
      const int code = codes[i / 2] >> (i % 2 == 0 ? 4 : 0) & 0xF;
      out[i] = book_.values[static_cast<std::size_t>(code)] * get_f32(bytes.data() + i / block * 4);
    }
  }

 private:
  static std::size_t blocks(std::size_t elements) { return (elements + block - 1) / block; }
  const Codebook& book_;
};

}  // namespace

const ReferenceCodec& bnb_nf4() {
  static const BnbCodec codec(nf4);
  return codec;
}
const ReferenceCodec& bnb_fp4() {
  static const BnbCodec codec(fp4);
  return codec;
}

}  // namespace lowbit::detail
