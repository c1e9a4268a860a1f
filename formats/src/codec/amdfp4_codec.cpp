// SPDX-License-Identifier: MIT
// AMD-FP4 (docs/baselines.md): E2M1 in blocks of 16 with UE5M3 scales and an FP32 scale per tensor.
#include <cmath>

#include "codec/codec_bytes.hpp"
#include "codec/codecs.hpp"

namespace lowbit::detail {
namespace {

constexpr std::size_t block = 16;
/// E5M3 without a sign: bias 15, 0xFF is NaN, no infinity, largest 114688.
constexpr ElementFormat ue5m3{"ue5m3",         8, 5, 3, 15, false, Specials::nan_all_ones,
                              Coding::floating};
constexpr float least_tensor_scale = 1e-30F;
constexpr float least_block_scale = 0x1p-17F;

class AmdFp4 final : public ReferenceCodec {
 public:
  [[nodiscard]] std::string_view name() const override { return "amdfp4"; }
  [[nodiscard]] std::string_view summary() const override {
    return "AMD-FP4 of ALTO: E2M1, UE5M3 scales per 16, an FP32 scale per tensor";
  }
  [[nodiscard]] std::size_t bytes(std::size_t rows, std::size_t columns) const override {
    return 4 + rows * blocks(columns) * (1 + block / 2);
  }
  void encode(std::span<const float> values, std::size_t rows, std::size_t columns,
              std::span<std::uint8_t> out) const override {
    encode_under(tensor_scale(amax_of_group(values)), values, rows, columns, out);
  }
  [[nodiscard]] bool needs_amax() const override { return true; }
  void round_trip_part(std::span<const float> values, std::size_t rows, std::size_t columns,
                       float amax, std::span<float> out) const override {
    std::vector<std::uint8_t> coded(bytes(rows, columns));
    encode_under(tensor_scale(amax), values, rows, columns, coded);
    decode(coded, rows, columns, out);
  }
  void decode(std::span<const std::uint8_t> bytes, std::size_t rows, std::size_t columns,
              std::span<float> out) const override {
    const float outer = get_f32(bytes.data());
    const std::uint8_t* const scales = bytes.data() + 4;
    const std::uint8_t* const codes = scales + rows * blocks(columns);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::size_t at = i / columns * blocks(columns) * block + i % columns;
      const float scale = to_float(ue5m3, scales[at / block]) * outer;
      out[i] = to_float(e2m1, codes[at / 2] >> (at % 2 * 4) & 0xFU) * scale;
    }
  }

 private:
  static std::size_t blocks(std::size_t columns) { return (columns + block - 1) / block; }
  static float tensor_scale(float amax) {
    const float largest = to_float(ue5m3, ue5m3.max_code()) * to_float(e2m1, e2m1.max_code());
    return std::max(amax / largest, least_tensor_scale);
  }
  static void encode_under(float outer, std::span<const float> values, std::size_t rows,
                           std::size_t columns, std::span<std::uint8_t> out) {
    std::fill(out.begin(), out.end(), std::uint8_t{0});
    put_f32(out.data(), outer);
    std::uint8_t* const scales = out.data() + 4;
    std::uint8_t* const codes = scales + rows * blocks(columns);
    for (std::size_t k = 0; k < rows * blocks(columns); ++k) {
      const std::size_t first = k % blocks(columns) * block;
      const std::span<const float> x =
          values.subspan(k / blocks(columns) * columns + first, std::min(block, columns - first));
      const float wanted = amax_of_group(x) / outer / to_float(e2m1, e2m1.max_code());
      scales[k] = static_cast<std::uint8_t>(
          from_float(ue5m3, std::max(wanted, least_block_scale), {}));  // saturates
      const float scale = to_float(ue5m3, scales[k]) * outer;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const std::uint32_t code = from_float(e2m1, x[i] / scale, {});
        codes[(k * block + i) / 2] |= static_cast<std::uint8_t>(code << (i % 2 * 4));
      }
    }
  }
};

}  // namespace

const ReferenceCodec& amdfp4() {
  static const AmdFp4 codec;
  return codec;
}

}  // namespace lowbit::detail
