// SPDX-License-Identifier: MIT
// FP8 and integers with one scale per tensor, row or group: q = round(fl(x / s)), value fl(q * s).
#include "codec/codecs.hpp"

#include <cmath>

#include "codec/codec_bytes.hpp"

namespace lowbit::detail {
namespace {

/// FP8 E4M3 with an FP32 scale fl(amax / 448) per tensor or per row. First the scales, then a byte
/// per element, row after row. A scale of 0 makes every code 0.
class Fp8Codec : public ReferenceCodec {
 public:
  Fp8Codec(std::string_view name, std::string_view summary, bool per_row)
      : name_(name), summary_(summary), per_row_(per_row) {}
  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] std::string_view summary() const override { return summary_; }
  [[nodiscard]] std::size_t bytes(std::size_t rows, std::size_t columns) const override {
    return 4 * scales(rows) + rows * columns;
  }
  void encode(std::span<const float> values, std::size_t rows, std::size_t columns,
              std::span<std::uint8_t> out) const override {
    const std::size_t group = per_row_ ? columns : values.size();
    std::uint8_t* const codes = out.data() + 4 * scales(rows);
    for (std::size_t k = 0; k < scales(rows); ++k) {
      const std::span<const float> x = values.subspan(k * group, group);
      const float scale = scale_of(amax_of_group(x));
      put_f32(out.data() + 4 * k, scale);
      for (std::size_t i = 0; i < group; ++i) codes[k * group + i] = code_of(x[i], scale);
    }
  }
  [[nodiscard]] bool needs_amax() const override { return !per_row_; }
  void round_trip_part(std::span<const float> values, std::size_t rows, std::size_t columns,
                       float amax, std::span<float> out) const override {
    if (per_row_) return ReferenceCodec::round_trip_part(values, rows, columns, amax, out);
    const float scale = scale_of(amax);
    for (std::size_t i = 0; i < values.size(); ++i) {
      out[i] = to_float(e4m3, code_of(values[i], scale)) * scale;
    }
  }
  void decode(std::span<const std::uint8_t> bytes, std::size_t rows, std::size_t columns,
              std::span<float> out) const override {
    const std::size_t group = per_row_ ? columns : out.size();
    const std::uint8_t* const codes = bytes.data() + 4 * scales(rows);
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = to_float(e4m3, codes[i]) * get_f32(bytes.data() + 4 * (i / group));
    }
  }

 private:
  [[nodiscard]] std::size_t scales(std::size_t rows) const { return per_row_ ? rows : 1; }
  static float scale_of(float amax) { return amax / to_float(e4m3, e4m3.max_code()); }
  static std::uint8_t code_of(float x, float scale) {
    return scale == 0.0F ? std::uint8_t{0}
                         : static_cast<std::uint8_t>(from_float(e4m3, x / scale, {}));
  }
  std::string_view name_;
  std::string_view summary_;
  bool per_row_;
};

/// Symmetric integers with an FP16 scale s per group of a row: s is amax / largest in FP32, rounded
/// to FP16 (its largest finite number at most), q is fl(x / s) to the nearest integer, ties to
/// even, at most `largest` in magnitude. First the scales, then the codes in two's complement;
/// 4-bit codes two per byte, the even column in the low nibble, rows filled up with 0. A scale of 0
/// makes every code 0.
class IntegerCodec : public ReferenceCodec {
 public:
  /// \param group  columns of a group; 0: the whole row
  IntegerCodec(std::string_view name, std::string_view summary, int bits, std::size_t group)
      : name_(name), summary_(summary), bits_(bits), group_(group) {}
  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] std::string_view summary() const override { return summary_; }
  [[nodiscard]] std::size_t bytes(std::size_t rows, std::size_t columns) const override {
    return rows * (2 * groups(columns) + row_bytes(columns));
  }
  void encode(std::span<const float> values, std::size_t rows, std::size_t columns,
              std::span<std::uint8_t> out) const override {
    const float largest = bits_ == 4 ? 7.0F : 127.0F;
    const std::size_t codes_at = 2 * rows * groups(columns);
    std::fill(out.begin(), out.end(), std::uint8_t{0});
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t g = 0; g < groups(columns); ++g) {
        const std::size_t first = g * size(columns);
        const std::size_t count = std::min(size(columns), columns - first);
        const std::span<const float> x = values.subspan(r * columns + first, count);
        std::uint8_t* const at = out.data() + 2 * (r * groups(columns) + g);
        put_f16(at, std::min(amax_of_group(x) / largest, to_float(f16, f16.max_code())));
        const float scale = get_f16(at);
        if (scale == 0.0F) continue;
        std::uint8_t* const codes = out.data() + codes_at + r * row_bytes(columns);
        for (std::size_t i = 0; i < count; ++i) {
          const float q = std::clamp(std::nearbyint(x[i] / scale), -largest, largest);
          put_code(codes, first + i, static_cast<int>(q));
        }
      }
    }
  }
  void decode(std::span<const std::uint8_t> bytes, std::size_t rows, std::size_t columns,
              std::span<float> out) const override {
    const std::size_t codes_at = 2 * rows * groups(columns);
    for (std::size_t r = 0; r < rows; ++r) {
      const std::uint8_t* const codes = bytes.data() + codes_at + r * row_bytes(columns);
      for (std::size_t c = 0; c < columns; ++c) {
        const std::size_t g = r * groups(columns) + c / size(columns);
        out[r * columns + c] =
            static_cast<float>(get_code(codes, c)) * get_f16(bytes.data() + 2 * g);
      }
    }
  }

 private:
  [[nodiscard]] std::size_t size(std::size_t columns) const {
    return group_ == 0 ? std::max<std::size_t>(columns, 1) : group_;
  }
  [[nodiscard]] std::size_t groups(std::size_t columns) const {
    return (columns + size(columns) - 1) / size(columns);
  }
  [[nodiscard]] std::size_t row_bytes(std::size_t columns) const {
    return bits_ == 4 ? (columns + 1) / 2 : columns;
  }
  void put_code(std::uint8_t* codes, std::size_t i, int q) const {
    if (bits_ == 8) {
      codes[i] = static_cast<std::uint8_t>(q);
    } else {
      codes[i / 2] |= static_cast<std::uint8_t>((q & 0xF) << (i % 2 * 4));
    }
  }
  [[nodiscard]] int get_code(const std::uint8_t* codes, std::size_t i) const {
    if (bits_ == 8) return static_cast<std::int8_t>(codes[i]);
    const int nibble = codes[i / 2] >> (i % 2 * 4) & 0xF;
    return nibble >= 8 ? nibble - 16 : nibble;
  }
  std::string_view name_;
  std::string_view summary_;
  int bits_;
  std::size_t group_;
};

}  // namespace

const ReferenceCodec& fp8_tensor() {
  static const Fp8Codec codec("fp8_tensor", "FP8 E4M3, an FP32 scale per tensor (amax to 448)",
                              false);
  return codec;
}
const ReferenceCodec& fp8_channel() {
  static const Fp8Codec codec("fp8_channel", "FP8 E4M3, an FP32 scale per row (amax to 448)", true);
  return codec;
}
const ReferenceCodec& int8_channel() {
  static const IntegerCodec codec("int8_channel", "INT8 symmetric, an FP16 scale per row", 8, 0);
  return codec;
}
const ReferenceCodec& int4_g32() {
  static const IntegerCodec codec("int4_g32", "INT4 symmetric, an FP16 scale per 32 columns", 4,
                                  32);
  return codec;
}
const ReferenceCodec& int4_g128() {
  static const IntegerCodec codec("int4_g128", "INT4 symmetric, an FP16 scale per 128 columns", 4,
                                  128);
  return codec;
}

}  // namespace lowbit::detail
