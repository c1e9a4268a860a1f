// SPDX-License-Identifier: MIT
// HiF4 (docs/baselines.md): 64 elements of a row under three levels of scales.
#include <array>
#include <cmath>
#include <limits>

#include "codec/codec_bytes.hpp"
#include "codec/codecs.hpp"

namespace lowbit::detail {
namespace {

constexpr std::size_t group = 64;
constexpr std::size_t group_bytes = 36;
/// E6M2: 2^(field - 48) * (1 + m/4), every code a normal number but the last, which is NaN.
constexpr int e6m2_bias = 48;
constexpr std::uint8_t e6m2_nan = 0xFF;
constexpr double e6m2_least = 0x1p-48;
constexpr double e6m2_largest = 49152.0;

/// To nearest even with `bits` bits behind the leading one. The products that come here have at
/// most 32 bits, so binary64 holds them exactly.
double rounded(double x, int bits) {
  if (x == 0.0) return 0.0;
  const int exponent = std::ilogb(x) - bits;
  return std::ldexp(std::nearbyint(std::ldexp(x, -exponent)), exponent);
}

double bf16_of(double x) {
  return rounded(x, 7);
}

std::uint8_t e6m2_code(double scale) {
  const int exponent = std::ilogb(scale);
  const int mantissa = static_cast<int>(std::ldexp(scale, 2 - exponent)) - 4;
  return static_cast<std::uint8_t>((exponent + e6m2_bias) * 4 + mantissa);
}
double e6m2_value(std::uint8_t code) {
  return std::ldexp(1.0 + code % 4 / 4.0, code / 4 - e6m2_bias);
}

/// The largest magnitude of each `width` elements.
template <std::size_t count>
std::array<double, count> largest_of(const std::array<double, group>& x) {
  std::array<double, count> top{};
  for (std::size_t i = 0; i < group; ++i) {
    double& t = top[i / (group / count)];
    t = std::max(t, x[i]);
  }
  return top;
}

class Hif4 final : public ReferenceCodec {
 public:
  [[nodiscard]] std::string_view name() const override { return "hif4"; }
  [[nodiscard]] std::string_view summary() const override {
    return "HiF4 of the HiFloat4 paper, three levels of scales, 4.5 bits";
  }
  [[nodiscard]] std::size_t bytes(std::size_t rows, std::size_t columns) const override {
    return rows * groups(columns) * group_bytes;
  }
  void encode(std::span<const float> values, std::size_t rows, std::size_t columns,
              std::span<std::uint8_t> out) const override {
    std::fill(out.begin(), out.end(), std::uint8_t{0});
    for (std::size_t k = 0; k < rows * groups(columns); ++k) {
      const std::size_t first = k % groups(columns) * group;
      const std::size_t count = std::min(group, columns - first);
      encode_group(values.subspan(k / groups(columns) * columns + first, count),
                   out.data() + k * group_bytes);
    }
  }
  void decode(std::span<const std::uint8_t> bytes, std::size_t /*rows*/, std::size_t columns,
              std::span<float> out) const override {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::size_t column = i % columns;
      const std::uint8_t* const at =
          bytes.data() + (i / columns * groups(columns) + column / group) * group_bytes;
      out[i] = decode_element(at, column % group);
    }
  }

 private:
  static std::size_t groups(std::size_t columns) { return (columns + group - 1) / group; }
  /// Bits of the second and third level: that of the first element is the highest.
  static int second_bit(const std::uint8_t* at, std::size_t i) { return at[1] >> (7 - i / 8) & 1; }
  static int third_bit(const std::uint8_t* at, std::size_t i) {
    return (at[2] | at[3] << 8) >> (15 - i / 4) & 1;
  }

  static void encode_group(std::span<const float> values, std::uint8_t* at) {
    std::array<double, group> x{};
    for (std::size_t i = 0; i < values.size(); ++i) x[i] = std::fabs(values[i]);
    const double seventh = bf16_of(1.0 / 7.0);
    const double wanted = bf16_of(largest_of<1>(x)[0] * seventh);
    const double scale = rounded(std::clamp(wanted, e6m2_least, e6m2_largest), 2);
    const double reciprocal = bf16_of(1.0 / scale);
    at[0] = e6m2_code(scale);
    const auto eighths = largest_of<8>(x);
    for (std::size_t k = 0; k < 8; ++k) {
      if (eighths[k] * reciprocal >= 4.0) at[1] |= static_cast<std::uint8_t>(0x80U >> k);
    }
    const auto sixteenths = largest_of<16>(x);
    unsigned third = 0;
    for (std::size_t k = 0; k < 16; ++k) {
      const double unit = second_bit(at, 4 * k) != 0 ? 2.0 : 1.0;
      if (sixteenths[k] * reciprocal / unit >= 2.0) third |= 0x8000U >> k;
    }
    at[2] = static_cast<std::uint8_t>(third);
    at[3] = static_cast<std::uint8_t>(third >> 8);
    for (std::size_t i = 0; i < values.size(); ++i) {
      // In quarters, ties away from zero.
      const double quarters =
          std::floor(std::ldexp(x[i] * reciprocal, 2 - second_bit(at, i) - third_bit(at, i)) + 0.5);
      const int code = static_cast<int>(std::min(quarters, 7.0)) | (values[i] < 0.0F ? 8 : 0);
      at[4 + i / 2] |= static_cast<std::uint8_t>(i % 2 == 0 ? code << 4 : code);
    }
  }

  static float decode_element(const std::uint8_t* at, std::size_t i) {
    if (at[0] == e6m2_nan) return std::numeric_limits<float>::quiet_NaN();
    const int code = at[4 + i / 2] >> (i % 2 == 0 ? 4 : 0) & 0xF;
    const double magnitude =
        std::ldexp(e6m2_value(at[0]) * (code & 7), second_bit(at, i) + third_bit(at, i) - 2);
    return static_cast<float>((code & 8) != 0 ? -magnitude : magnitude);
  }
};

}  // namespace

const ReferenceCodec& hif4() {
  static const Hif4 codec;
  return codec;
}

}  // namespace lowbit::detail
