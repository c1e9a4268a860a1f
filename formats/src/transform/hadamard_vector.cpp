// SPDX-License-Identifier: MIT
// The 16-point Hadamard transform with vectors.
// This file is compiled once per instruction set, by including itself (hwy/foreach_target.h).
#include <array>
#include <bit>

#include "lowbit/hadamard.hpp"
#include "transform/transforms.hpp"

#include "quantize/vector/targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "transform/hadamard_vector.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "quantize/vector/lanes-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {
namespace {

constexpr std::size_t points = hadamard_points;

/// sign_i * H_ij, a row per input i.
alignas(64) constexpr auto factors = [] {
  std::array<std::array<float, points>, points> f{};
  for (unsigned i = 0; i < points; ++i) {
    for (unsigned j = 0; j < points; ++j) {
      const bool is_negative = (std::popcount(i & j) % 2 != 0) != (hadamard_signs[i] < 0);
      f[i][j] = is_negative ? -1.0F : 1.0F;
    }
  }
  return f;
}();

/// A finite number to nearest even as the type has it, beyond its largest infinity; the sign of
/// zero is kept.
template <InputType type>
HWY_INLINE VF rounded_to(VF value) {
  if constexpr (type == InputType::float32) return value;
  constexpr int dropped = type == InputType::float16 ? 13 : 16;
  const VU bits = bits_of(hn::Abs(value));
  const VU odd = hn::And(hn::ShiftRight<dropped>(bits), set_bits(1));
  const VU sum = hn::Add(hn::Add(bits, set_bits((1U << (dropped - 1)) - 1)), odd);
  VF magnitude = float_of(hn::ShiftLeft<dropped>(hn::ShiftRight<dropped>(sum)));
  if constexpr (type == InputType::float16) {
    // Subnormal numbers are multiples of 2^-24, a step of binary32 from 1/2 on.
    const VF small = hn::Sub(hn::Add(hn::Abs(value), set(0.5F)), set(0.5F));
    magnitude = hn::IfThenElse(hn::Lt(hn::Abs(value), set(0x1p-14F)), small, magnitude);
    const VF infinity = float_of(set_bits(0x7F800000U));
    magnitude = hn::IfThenElse(hn::Ge(magnitude, set(0x1p16F)), infinity, magnitude);
  }
  return hn::CopySign(magnitude, value);
}

/// Groups of sixteen values side by side, whose sums do not wait for each other.
template <InputType type, std::size_t groups>
HWY_INLINE void transform_groups(float* x) {
  constexpr std::size_t vectors = points / lanes;
  const DF d;
  VF sum[groups][vectors];
  for (std::size_t g = 0; g < groups; ++g) {
    for (std::size_t v = 0; v < vectors; ++v) sum[g][v] = hn::Zero(d);
  }
  HWY_UNROLL(16)
  for (std::size_t i = 0; i < points; ++i) {
    for (std::size_t v = 0; v < vectors; ++v) {
      const VF factor = hn::LoadU(d, factors[i].data() + v * lanes);
      for (std::size_t g = 0; g < groups; ++g) {
        // The product is exact: fused or not, this is the sum of x or of -x.
        sum[g][v] = hn::MulAdd(set(x[g * points + i]), factor, sum[g][v]);
      }
    }
  }
  for (std::size_t g = 0; g < groups; ++g) {
    float* const out = x + g * points;
    bool is_finite = true;
    for (std::size_t v = 0; v < vectors; ++v) {
      is_finite = is_finite && hn::AllTrue(d, hn::IsFinite(sum[g][v]));
    }
    if (HWY_UNLIKELY(!is_finite)) {
      // Which NaN it is follows from the order of operands.
      transform_one_by_one({out, points}, type);
      continue;
    }
    for (std::size_t v = 0; v < vectors; ++v) {
      hn::StoreU(rounded_to<type>(hn::Mul(sum[g][v], set(0.25F))), d, out + v * lanes);
    }
  }
}

template <InputType type>
void transform_all(float* x, std::size_t count) {
  constexpr std::size_t together = lanes >= 8 ? 4 : 1;
  std::size_t i = 0;
  for (; i + together * points <= count; i += together * points) {
    transform_groups<type, together>(x + i);
  }
  for (; i + points <= count; i += points) transform_groups<type, 1>(x + i);
}

void transform_with_vectors(float* x, std::size_t count, InputType type) {
  switch (type) {
    case InputType::float32:
      return transform_all<InputType::float32>(x, count);
    case InputType::float16:
      return transform_all<InputType::float16>(x, count);
    case InputType::bfloat16:
      return transform_all<InputType::bfloat16>(x, count);
  }
}

}  // namespace
}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lowbit {
namespace detail {
namespace {
HWY_EXPORT(transform_with_vectors);
}  // namespace
}  // namespace detail

void hadamard_transform(std::span<float> values, InputType type) {
  using namespace detail;
  HWY_DYNAMIC_DISPATCH(transform_with_vectors)(values.data(), values.size(), type);
}

}  // namespace lowbit
#endif
