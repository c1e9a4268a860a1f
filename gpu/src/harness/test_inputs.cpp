// SPDX-License-Identifier: MIT
#include "harness/test_inputs.hpp"

#include <bit>
#include <cmath>
#include <cstring>

#include "lowbit/hadamard.hpp"
#include "lowbit/input_type.hpp"

namespace lowbit::gpu::detail {
namespace {

/// SplitMix64 of a counter.
std::uint64_t hash(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15U;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9U;
  x = (x ^ x >> 27) * 0x94D049BB133111EBU;
  return x ^ x >> 31;
}

/// Near enough to normal: four uniform numbers of 16 bits.
float normal_of(std::uint64_t h) {
  const auto sum =
      static_cast<std::int64_t>((h & 0xFFFF) + (h >> 16 & 0xFFFF) + (h >> 32 & 0xFFFF) + (h >> 48));
  return static_cast<float>(sum - 131070) * (1.0F / 37837.0F);
}

float power(int exponent) {
  return std::ldexp(1.0F, exponent);
}

float element(InputKind kind, InputType type, std::uint64_t seed, std::uint64_t index) {
  const std::uint64_t h = hash(seed * 0x100000001B3U + index);
  const std::uint64_t block = hash(seed * 0x1000193U + index / 16 + 0x5555);
  const float x = normal_of(h);
  const float sign = (h >> 20 & 1) != 0 ? -1.0F : 1.0F;
  const bool half = type == InputType::float16;
  switch (kind) {
    case InputKind::heavy_tail:
      return x * power(std::countr_zero(h >> 40 | 0x800));
    case InputKind::wide_blocks:
      return x * power(static_cast<int>(block % (half ? 20 : 41)) - (half ? 14 : 20));
    case InputKind::ties: {
      // The tensor's amax is E2M1's largest value times E4M3's, 6 * 448. Every format's C is a
      // power of two times a divisor of that, so scales are powers of two where a block's amax is
      // 6, 4 or 7 times a power of two.
      if (index % 8192 == 0) return lowbit::largest_finite(e2m1) * lowbit::largest_finite(e4m3);
      constexpr float steps[] = {0.25F, 0.75F, 1.25F,  1.75F,  2.5F, 3.5F, 5.0F,
                                 6.0F,  4.0F,  7.0F,   0.5F,   1.5F, 4.5F, 5.5F,
                                 6.5F,  0.0F,  0.125F, 0.375F, 7.5F, 3.0F};
      const int exponent = static_cast<int>(block % 12) - 4;
      const float step = index % 16 == block % 16 ? 6.0F : steps[h % 20];
      const float beside =
          (h >> 32) % 4 == 0 ? 1.0F + ((h >> 36 & 1) != 0 ? 0x1p-7F : -0x1p-8F) : 1.0F;
      return sign * step * beside * power(exponent);
    }
    case InputKind::few_values:
      return sign * static_cast<float>(h % (3 + block % 14));
    case InputKind::near_ties: {
      const float v = sign * static_cast<float>(h % (3 + block % 14));
      if ((h >> 30) % 16 != 0) return v;
      const float ulp = type == InputType::float32 ? 0x1p-23F : (half ? 0x1p-10F : 0x1p-7F);
      return v * (1.0F + ulp);
    }
    case InputKind::outliers:
      return index % 4096 == 77 ? x * 3000.0F : x;
    case InputKind::tiny:
      return x * power(half ? -21 : (block % 2 != 0 ? -130 : -142));
    case InputKind::huge:
      return x * (half ? 16000.0F : power(125));
    case InputKind::zeros:
      return index / 512 % 3 == 0 ? sign * 0.0F : (h % 5 == 0 ? sign : sign * 0.0F);
    default:
      return x;
  }
}

}  // namespace

std::string_view name_of(InputKind kind) {
  constexpr std::string_view names[] = {"normal",     "heavy_tail", "wide_blocks", "ties",
                                        "few_values", "near_ties",  "outliers",    "tiny",
                                        "huge",       "zeros"};
  return names[static_cast<int>(kind)];
}

void make_input(InputKind kind, InputType type, std::uint64_t seed, std::uint64_t first,
                std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    float x = element(kind, type, seed, first + i);
    x = round_to_input_type(x, type);
    const float largest = largest_finite(type);
    out[i] = std::fabs(x) <= largest ? x : std::copysign(largest, x);
  }
}

std::size_t element_bytes(InputType type) {
  return type == InputType::float32 ? 4 : 2;
}

void to_raw(std::span<const float> x, InputType type, std::uint8_t* out) {
  if (type == InputType::float32) {
    std::memcpy(out, x.data(), x.size_bytes());
    return;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::uint16_t half =
        type == InputType::bfloat16
            ? static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x[i]) >> 16)
            : std::bit_cast<std::uint16_t>(static_cast<_Float16>(x[i]));
    std::memcpy(out + 2 * i, &half, 2);
  }
}

}  // namespace lowbit::gpu::detail
